#pragma once

// Everything that a report says, before it becomes a page. Sections without data are empty and named in
// `left_out` with what would give them.

#include <optional>
#include <string>
#include <vector>

#include "winnow/eval/comparison.h"
#include "winnow/record/run_folder.h"
#include "winnow/report/alpha_curves.h"
#include "winnow/report/bench_file.h"
#include "winnow/report/examples.h"
#include "winnow/report/kept_tokens.h"
#include "winnow/report/published.h"
#include "winnow/report/reference.h"
#include "winnow/report/summary.h"
#include "winnow/report/tradeoff.h"

namespace winnow::report {

struct ReportRequest {
  std::vector<std::string> run_folders;    ///< one at least
  std::string bench_path;                  ///< empty: none
  std::vector<PublishedNumber> published;  ///< empty: none
  std::string data;                        ///< overrides the runs' folders of pictures; may be empty
  int32_t n_examples = 6;
  eval::CompareOptions compare;  ///< a baseline that the runs lack is left out
  MakeThumbnail make_thumbnail;  ///< nothing: no pictures
};

/// A section that the report does not have.
struct LeftOut {
  std::string section, reason;
};

struct Report {
  std::vector<record::RunHeader> headers;  ///< [runs]
  std::vector<std::string> run_folders;    ///< [runs] names without their parents
  eval::Comparison comparison;
  eval::BootstrapOptions bootstrap;
  std::optional<BenchFile> bench;
  std::string bench_name;
  std::vector<BudgetGroup> groups;
  std::vector<SummaryLine> summary;
  Tradeoff tradeoff;
  std::vector<EqualTimeResult> equal_times;
  std::vector<AlphaCurve> alpha_curves;
  Positions positions;
  std::vector<Overlap> overlaps;
  std::vector<Example> examples;
  std::vector<std::string> picture_problems;
  std::vector<ReferenceTable> references;
  std::vector<LeftOut> left_out;
};

/// Throws what reading and comparing throw: NotFound, Io, Corrupt (file and field), InvalidArgument (runs
/// that do not belong together or are not complete).
Report make_report(const ReportRequest& request);

/// For scripts in the page: one JSON object whose text holds no "<", so that nothing in it ends a script.
std::string to_json(const Report& report);

/// The page: template, style, scripts and data in one text. Nothing in it asks a network.
std::string to_html(const Report& report);

}  // namespace winnow::report
