#include "winnow/report/report.h"

#include <algorithm>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/report/names.h"

namespace winnow::report {
namespace {

bool has_configuration(const record::RunHeader& header, const std::string& name) {
  return std::any_of(header.configurations.begin(), header.configurations.end(),
                     [&](const auto& c) { return c.name == name; });
}

void add_kept_sections(const ReportRequest& request, const std::vector<record::Run>& runs, Report& report) {
  report.positions = kept_positions(runs);
  report.overlaps = overlaps(runs);
  report.examples = choose_examples(runs, request.n_examples);
  if (request.make_thumbnail)
    report.picture_problems =
        add_pictures(runs, {request.run_folders, request.data, request.make_thumbnail}, report.examples);
}

std::vector<LeftOut> left_out(const ReportRequest& request, const Report& report) {
  std::vector<LeftOut> out;
  const auto note = [&](bool is_there, const char* section, const char* reason) {
    if (!is_there) out.push_back({section, reason});
  };
  note(
      !report.groups.empty(), "Averages and differences",
      "they need the unpruned model among the configurations (winnow eval --prune none,...) and another one");
  note(report.bench.has_value(), "Measured latency",
       "winnow bench --json FILE with the same --prune and --keep, then --bench FILE");
  if (report.bench) {
    note(!report.equal_times.empty(), "Accuracy at equal measured time",
         "it needs random among the methods, and every configuration of the run in the file of --bench");
    const auto& list = report.bench->configurations;
    note(std::any_of(list.begin(), list.end(), [](const auto& c) { return !c.load.empty(); }),
         "Several sessions at once", "winnow bench --sessions 1,2,4 --json FILE");
  }
  note(!report.alpha_curves.empty(), "Accuracy over alpha",
       "winnow eval --prune balanced:alpha=0,balanced:alpha=0.5,...");
  note(!report.positions.shares.empty(), "Positions of kept tokens", "winnow eval --kept");
  note(!report.overlaps.empty(), "Overlap of methods", "winnow eval --kept with two methods or more");
  note(!report.examples.empty(), "Examples", "winnow eval --kept, questions about one picture");
  note(!report.references.empty(), "Beside published numbers",
       request.published.empty() ? "--reference paper" : "the run has none of the published configurations");
  return out;
}

}  // namespace

Report make_report(const ReportRequest& request) {
  WINNOW_CHECK(!request.run_folders.empty(), InvalidArgument, "report.make_report",
               "no runs, expected at least one");
  Report report;
  if (!request.bench_path.empty()) {
    report.bench = read_bench(request.bench_path);
    report.bench_name = last_part(request.bench_path);
  }
  std::vector<record::Run> runs;
  for (const std::string& folder : request.run_folders) {
    runs.push_back(record::read_run(folder));
    report.headers.push_back(runs.back().header);
    report.run_folders.push_back(last_part(folder));
  }
  eval::CompareOptions options = request.compare;
  if (!has_configuration(report.headers.front(), options.baseline)) options.baseline.clear();
  report.bootstrap = options.bootstrap;
  report.comparison = eval::compare(runs, options);
  const BenchFile* bench = report.bench ? &*report.bench : nullptr;
  report.groups = budget_groups(report.comparison);
  report.summary = summary_lines(report.comparison, report.groups, bench);
  report.tradeoff = tradeoff(report.comparison, bench);
  if (bench != nullptr) report.equal_times = equal_time_results(report.comparison, *bench);
  report.alpha_curves = alpha_curves(report.headers.front().configurations);
  add_kept_sections(request, runs, report);
  if (!request.published.empty())
    report.references = reference_tables(request.published, runs, report.comparison, bench);
  report.left_out = left_out(request, report);
  return report;
}

}  // namespace winnow::report
