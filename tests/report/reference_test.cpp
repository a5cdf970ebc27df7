// Published numbers: the table as it is committed, its reader, and a run beside it.

#include "winnow/report/reference.h"

#include <set>

#include "tests/report/report_fixture.h"
#include "tests/support/expect_error.h"

namespace winnow::report {
namespace {

using test::expect_error;

const std::string kHead = "table,model,benchmark,metric,method,budget,value,unit,tag,note\n";

const ReferenceTable& table(const std::vector<ReferenceTable>& tables, const std::string& number) {
  for (const ReferenceTable& t : tables) {
    if (t.number == number) return t;
  }
  throw std::out_of_range(number);
}

const ReferenceRow& row(const ReferenceTable& t, const std::string& method, const std::string& budget) {
  for (const ReferenceRow& r : t.rows) {
    if (r.method == method && r.budget == budget) return r;
  }
  throw std::out_of_range(method);
}

const ReferenceCell& cell(const ReferenceTable& t, const ReferenceRow& r, const std::string& benchmark,
                          const std::string& metric = "score") {
  for (std::size_t i = 0; i < t.columns.size(); ++i) {
    if (t.columns[i].benchmark == benchmark && t.columns[i].metric == metric) return r.cells.at(i);
  }
  throw std::out_of_range(benchmark);
}

TEST(Published, CommittedTableIsWholeAndItsAveragesFit) {
  const auto numbers = paper_numbers();
  std::set<std::string> tables, tags;
  for (const PublishedNumber& p : numbers) {
    tables.insert(p.table);
    tags.insert(p.tag);
  }
  EXPECT_EQ(tables, (std::set<std::string>{"1", "4", "5", "6", "7", "8"}));
  EXPECT_EQ(tags, (std::set<std::string>{"E1", "E2", "V", "I", "?"}));
  // Table 1, FastV with 144 tokens: the mean of the ratios is the printed average, 89.8.
  double sum = 0.0, n = 0.0, average = 0.0;
  for (const PublishedNumber& p : numbers) {
    if (p.table != "1" || p.method != "fastv" || p.budget != "144/576") continue;
    if (p.benchmark == "average") average = p.value;
    for (const PublishedNumber& base : numbers) {
      if (base.table != "1" || base.method != "none" || base.benchmark != p.benchmark ||
          p.benchmark == "average")
        continue;
      sum += p.value / base.value;
      n += 1.0;
    }
  }
  EXPECT_EQ(n, 8.0);
  EXPECT_NEAR(100.0 * sum / n, average, 0.05);
}

TEST(Published, ReaderTakesQuotesAndNamesBadLines) {
  const auto numbers =
      parse_published(kHead + "1,M,gqa,score,fastv,25%,59.5,%,E1,\"a, \"\"b\"\"\"\n", "f.csv");
  ASSERT_EQ(numbers.size(), 1U);
  EXPECT_EQ(numbers[0].note, "a, \"b\"");
  EXPECT_DOUBLE_EQ(numbers[0].value, 59.5);
  expect_error(ErrorCode::Corrupt, "f.csv:1: columns", [] { parse_published("a,b\n", "f.csv"); });
  expect_error(ErrorCode::Corrupt, "f.csv:2: got 3 cells",
               [] { parse_published(kHead + "1,M,gqa\n", "f.csv"); });
  expect_error(ErrorCode::Corrupt, "f.csv:2: got 10 cells and an open quote",
               [] { parse_published(kHead + "1,M,gqa,score,fastv,25%,59.5,%,E1,\"a\n", "f.csv"); });
  expect_error(ErrorCode::Corrupt, "f.csv:2: value, got 'x'",
               [] { parse_published(kHead + "1,M,gqa,score,fastv,25%,x,%,E1,\n", "f.csv"); });
  expect_error(ErrorCode::Corrupt, "f.csv:2: cell 5",
               [] { parse_published(kHead + "1,M,gqa,score,,25%,1,%,E1,\n", "f.csv"); });
  expect_error(ErrorCode::InvalidArgument, "budget, got 'half'",
               [] { parse_published(kHead + "1,M,gqa,score,fastv,half,1,%,E1,\n", "f.csv"); });
  EXPECT_DOUBLE_EQ(share_of_budget("144/576"), 0.25);
  EXPECT_DOUBLE_EQ(share_of_budget("33.3%"), 0.333);
}

TEST(Reference, ModelsByTheNameOfTheFile) {
  EXPECT_TRUE(names_model("llava-v1.5-7b-q8_0.gguf", "LLaVA-1.5-7B"));
  EXPECT_FALSE(names_model("llava-v1.5-13b.gguf", "LLaVA-1.5-7B"));
  EXPECT_FALSE(names_model("winnow-text-f16.gguf", "LLaVA-1.5-7B"));
}

// Table 1 prints 56.5 for FastV on GQA, 59.0 for random; the run has 55 and 80 of 100, unpruned 80.
TEST(Reference, RunBesideTableOne) {
  const std::vector<record::Run> runs = {test::gqa_run()};
  const auto tables = reference_tables(paper_numbers(), runs, eval::compare(runs, {}), nullptr);
  const ReferenceTable& t = table(tables, "1");
  EXPECT_EQ(t.model, "LLaVA-1.5-7B");
  EXPECT_FALSE(t.is_same_model);
  EXPECT_EQ(t.columns.size(), 9U);
  const ReferenceRow& fastv = row(t, "fastv", "144/576");
  EXPECT_EQ(fastv.config, "fastv @ 25%");
  const ReferenceCell& gqa = cell(t, fastv, "gqa");
  EXPECT_DOUBLE_EQ(*gqa.published, 56.5);
  EXPECT_EQ(gqa.tag, "E2");
  EXPECT_DOUBLE_EQ(gqa.run->value, 55.0);
  EXPECT_NEAR(*gqa.difference, -1.5, 1e-9);
  EXPECT_DOUBLE_EQ(*gqa.published_relative, 100.0 * 56.5 / 61.9);
  EXPECT_DOUBLE_EQ(gqa.run_relative->value, 100.0 * 55.0 / 80.0);
  EXPECT_DOUBLE_EQ(*gqa.relative_difference, 100.0 * 55.0 / 80.0 - 100.0 * 56.5 / 61.9);
  EXPECT_FALSE(cell(t, row(t, "none", "576/576"), "gqa").published_relative);
  EXPECT_FALSE(cell(t, fastv, "mme").run);
  const ReferenceCell& average = cell(t, fastv, "average", "relative");
  EXPECT_DOUBLE_EQ(average.run->value, 100.0 * 55.0 / 80.0);
  EXPECT_LT(average.run->low, average.run->value);
  EXPECT_TRUE(row(t, "fastv", "64/576").config.empty());  // 11.1 %: the run has 25 % only
  EXPECT_EQ(row(t, "none", "576/576").config, "none");
  EXPECT_EQ(tables.size(), 1U) << "GQA is in Table 8 too, but not at 25 %";
}

TEST(Reference, AlphasAreMatchedByValue) {
  record::Run run = test::answered_run(
      "pope", {{"none", "1111"}, {"balanced:alpha=0.30 @ 25%", "1100"}, {"balanced:alpha=1 @ 25%", "1000"}});
  for (auto& row : run.rows) row.extracted = row.score == 1.0 ? "yes" : "no";
  const std::vector<record::Run> runs = {run};
  const auto tables = reference_tables(paper_numbers(), runs, eval::compare(runs, {}), nullptr);
  const ReferenceTable& t = table(tables, "6");
  EXPECT_EQ(row(t, "balanced:alpha=0.3", "144/576").config, "balanced:alpha=0.30 @ 25%");
  EXPECT_EQ(row(t, "balanced:alpha=1", "144/576").config, "balanced:alpha=1 @ 25%");
  EXPECT_TRUE(row(t, "balanced:alpha=0.5", "144/576").config.empty());
}

TEST(Reference, CostsComeFromTheBenchFile) {
  const test::TempFolder folder;
  std::string text = test::bench_text();
  for (std::size_t at = text.find("25%"); at != std::string::npos; at = text.find("25%"))
    text.replace(at, 3, "11%");
  test::write_text(folder.at("bench.json"), text);
  const BenchFile bench = read_bench(folder.at("bench.json"));
  record::Run run = test::answered_run("pope", {{"none", "11"}, {"fastv @ 11%", "10"}});
  for (auto& row : run.rows) {
    row.n_visual_before = 36;
    row.n_visual_after = row.config == "none" ? 36 : 4;
  }
  const std::vector<record::Run> runs = {run};
  const auto tables = reference_tables(paper_numbers(), runs, eval::compare(runs, {}), &bench);
  const ReferenceTable& t = table(tables, "7");
  const ReferenceRow& fastv = row(t, "fastv", "320/2880");
  EXPECT_EQ(fastv.config, "fastv @ 11%");
  EXPECT_DOUBLE_EQ(cell(t, fastv, "pope", "flops").run->value, 40.0);
  EXPECT_DOUBLE_EQ(*cell(t, fastv, "pope", "flops").difference, 40.0 - 12.8);
  EXPECT_DOUBLE_EQ(cell(t, fastv, "pope", "speedup").run->value, 2.0);
  EXPECT_FALSE(cell(t, fastv, "pope", "latency").run);
}

TEST(Reference, DaggerIsFastvUnderTheBudgetThatCountsTraining) {
  record::Run run = test::answered_run("gqa", {{"none", "1111"}, {"fastv @ 33.3%", "1110"}});
  run.header.parameters["budget"] = "trr";
  for (auto& row : run.rows) row.n_visual_after = row.config == "none" ? 16 : 13;
  const std::vector<record::Run> runs = {run};
  const auto tables = reference_tables(paper_numbers(), runs, eval::compare(runs, {}), nullptr);
  const ReferenceTable& t = table(tables, "8");
  EXPECT_EQ(row(t, "fastv_dagger", "33.3%").config, "fastv @ 33.3%");
  EXPECT_TRUE(row(t, "fastv", "33.3%").config.empty());
}

TEST(Reference, NothingInCommon) {
  const std::vector<record::Run> runs = {test::answered_run("gqa", {{"none", "11"}, {"grid @ 25%", "10"}})};
  EXPECT_TRUE(reference_tables(paper_numbers(), runs, eval::compare(runs, {}), nullptr).empty());
}

}  // namespace
}  // namespace winnow::report
