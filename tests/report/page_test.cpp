// The whole report from folders: its page holds what runs say as text, and says what it lacks.

#include <nlohmann/json.hpp>

#include "tests/report/report_fixture.h"
#include "tests/support/expect_error.h"
#include "winnow/report/report.h"

namespace winnow::report {
namespace {

using nlohmann::json;
using test::expect_error;

std::vector<std::string> left_out_sections(const Report& report) {
  std::vector<std::string> out;
  for (const LeftOut& l : report.left_out) out.push_back(l.section);
  return out;
}

TEST(Report, SaysWhatIsLeftOutAndWhatWouldGiveIt) {
  const test::TempFolder folder;
  ReportRequest request;
  request.run_folders = {test::write_run(test::gqa_run(), folder.at("run"))};
  Report report = make_report(request);
  EXPECT_EQ(left_out_sections(report),
            (std::vector<std::string>{"Measured latency", "Accuracy over alpha", "Positions of kept tokens",
                                      "Overlap of methods", "Examples", "Beside published numbers"}));
  EXPECT_NE(report.left_out[0].reason.find("winnow bench --json"), std::string::npos);
  test::write_text(folder.at("bench.json"), test::bench_text());
  request.bench_path = folder.at("bench.json");
  request.published = paper_numbers();
  report = make_report(request);
  EXPECT_EQ(left_out_sections(report),
            (std::vector<std::string>{"Several sessions at once", "Accuracy over alpha",
                                      "Positions of kept tokens", "Overlap of methods", "Examples"}));
  EXPECT_EQ(report.bench_name, "bench.json");
}

TEST(Report, RunWithoutABaselineHasTablesOnly) {
  const test::TempFolder folder;
  ReportRequest request;
  request.run_folders = {test::write_run(
      test::answered_run("gqa", {{"random @ 25%", "10"}, {"grid @ 25%", "11"}}), folder.at("run"))};
  const Report report = make_report(request);
  EXPECT_TRUE(report.groups.empty());
  EXPECT_TRUE(report.tradeoff.points.empty());
  EXPECT_EQ(report.left_out.front().section, "Averages and differences");
  const json data = json::parse(to_json(report));
  EXPECT_EQ(data["baseline"], "");
  EXPECT_EQ(data["benchmarks"][0]["rows"][0]["words"], "");
}

TEST(Report, DataHoldTheNumbersOfTheComparison) {
  const test::TempFolder folder;
  ReportRequest request;
  request.run_folders = {test::write_run(test::gqa_run(), folder.at("run"))};
  const json data = json::parse(to_json(make_report(request)));
  const json& fastv = data["benchmarks"][0]["rows"][2];
  EXPECT_EQ(fastv["config"], "fastv @ 25%");
  EXPECT_NEAR(fastv["value"]["value"].get<double>(), 55.0, 1e-9);
  EXPECT_NEAR(fastv["difference"]["value"].get<double>(), -25.0, 1e-9);
  EXPECT_EQ(fastv["better"], 5);
  EXPECT_EQ(fastv["worse"], 30);
  EXPECT_EQ(fastv["words"], "lower");
  EXPECT_EQ(data["runs"][0]["seed"], "18446744073709551615");
  EXPECT_EQ(data["runs"][0]["folder"], "run");
  EXPECT_TRUE(data["bench"].is_null());
}

// A model may write anything, and so may a benchmark or the name of a file.
TEST(Report, TextOfRunsNeverBecomesMarkup) {
  const std::string evil = "</script><img src=x onerror=alert(1)><!--\u2028\xff";
  const test::TempFolder folder;
  record::Run run = test::answered_run("pope", {{"none", "11"}, {"fastv @ 25%", "10"}});
  run.header.model.text = evil;
  run.header.hardware = evil;
  run.header.parameters["template"] = evil;
  for (record::ResultRow& row : run.rows) {
    row.prediction = row.answer = row.prompt = evil;
    row.kept_maps = {{{4, 4, {0.0, 0.0, 1.0, 1.0}, {0, 1}}}};
  }
  ReportRequest request;
  request.run_folders = {test::write_run(run, folder.at("run"))};
  const Report report = make_report(request);
  const std::string data = to_json(report);
  EXPECT_EQ(data.find('<'), std::string::npos);
  for (const char c : data) ASSERT_LT(static_cast<unsigned char>(c), 0x80);
  const std::string read_back = json::parse(data)["examples"]["list"][0]["answers"][0]["prediction"];
  EXPECT_EQ(read_back, "</script><img src=x onerror=alert(1)><!--\u2028\uFFFD");
  const std::string page = to_html(report);
  EXPECT_EQ(page.find("<img"), std::string::npos);
  std::size_t n_scripts = 0, n_ends = 0;
  for (std::size_t at = page.find("<script"); at != std::string::npos; at = page.find("<script", at + 1))
    ++n_scripts;
  for (std::size_t at = page.find("</script"); at != std::string::npos; at = page.find("</script", at + 1))
    ++n_ends;
  EXPECT_EQ(n_scripts, 3U);
  EXPECT_EQ(n_ends, 3U);
}

TEST(Report, PageIsOneFileThatAsksNoNetwork) {
  const test::TempFolder folder;
  ReportRequest request;
  request.run_folders = {test::write_run(test::gqa_run(), folder.at("run"))};
  const std::string page = to_html(make_report(request));
  for (const char* slot : {"{{style}}", "{{licence}}", "{{chart}}", "{{data}}", "{{script}}"})
    EXPECT_EQ(page.find(slot), std::string::npos) << slot;
  for (const char* part :
       {" src=\"http", " href=\"http", "@import", "url(http", "fetch(\"", "<link rel=\"stylesheet"})
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  EXPECT_NE(page.find("Permission is hereby granted"), std::string::npos);
  EXPECT_NE(page.find("prefers-color-scheme: dark"), std::string::npos);
}

TEST(Report, BadInput) {
  const test::TempFolder folder;
  const auto report_of = [](std::vector<std::string> folders) {
    ReportRequest request;
    request.run_folders = std::move(folders);
    return make_report(request);
  };
  expect_error(ErrorCode::InvalidArgument, "no runs", [&] { report_of({}); });
  expect_error(ErrorCode::NotFound, "nowhere", [&] { report_of({folder.at("nowhere")}); });
  const std::string gqa = test::write_run(test::gqa_run(), folder.at("gqa"));
  expect_error(ErrorCode::InvalidArgument, "gqa is in two of the runs", [&] { report_of({gqa, gqa}); });
  record::Run other =
      test::answered_run("pope", {{"none", "11"}, {"random @ 25%", "10"}, {"fastv @ 25%", "10"}});
  other.header.convention = "lmms";
  for (record::ResultRow& row : other.rows) row.convention = "lmms";
  const std::string lmms = test::write_run(other, folder.at("lmms"));
  expect_error(ErrorCode::InvalidArgument, "different conventions", [&] { report_of({gqa, lmms}); });
  record::Run half = test::gqa_run();
  half.rows.pop_back();
  const std::string unfinished = test::write_run(half, folder.at("half"));
  expect_error(ErrorCode::InvalidArgument, "99", [&] { report_of({unfinished}); });
}

}  // namespace
}  // namespace winnow::report
