// winnow report: finished runs as one page, or as the tables of winnow compare.

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "winnow/base/error.h"
#include "winnow/cli/arguments.h"
#include "winnow/cli/command.h"
#include "winnow/cli/comparison_text.h"
#include "winnow/cli/reference_text.h"
#include "winnow/cli/thumbnail.h"
#include "winnow/report/report.h"

namespace winnow::cli {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWhere = "cli.report";

struct ReportArguments {
  report::ReportRequest request;
  std::string reference, format, out;
};

/// By option, else by the ending of the file's name.
std::string format_of(const ReportArguments& args) {
  std::string format = args.format;
  if (format.empty()) {
    const std::string ending = fs::path(args.out).extension().string();
    format = ending == ".html" || ending == ".htm" ? "html"
             : ending == ".md"                     ? "markdown"
             : ending == ".csv"                    ? "csv"
                                                   : "";
    WINNOW_CHECK(!format.empty(), InvalidArgument, kWhere,
                 "--out, got '{}', expected a name that ends in .html, .md or .csv, or --format", args.out);
  }
  WINNOW_CHECK(format == "html" || format == "markdown" || format == "csv", InvalidArgument, kWhere,
               "--format, got '{}', expected html, markdown or csv", format);
  return format;
}

std::string text_of(const ReportArguments& args, const std::string& format) {
  report::ReportRequest request = args.request;
  if (format == "html") request.make_thumbnail = make_thumbnail;
  const report::Report made = report::make_report(request);
  for (const std::string& problem : made.picture_problems)
    fmt::print(stderr, "winnow: note: no pictures of {}\n", problem);
  if (format == "html") return report::to_html(made);
  const TableFormat tables = parse_table_format(format);
  return comparison_text(made.comparison, tables) + reference_text(made.references, tables);
}

int write_report(const ReportArguments& args) {
  const std::string format = format_of(args);
  check_writable(args.out);
  ReportArguments with_reference = args;
  if (!args.reference.empty()) {
    WINNOW_CHECK(args.reference == "paper", InvalidArgument, kWhere, "--reference, got '{}', expected paper",
                 args.reference);
    with_reference.request.published = report::paper_numbers();
  }
  const std::string text = text_of(with_reference, format);
  std::ofstream file(args.out, std::ios::binary);
  file << text;
  file.close();
  WINNOW_CHECK(file.good(), Io, kWhere, "{}: cannot be written", args.out);
  fmt::print("{}: {:.2f} MB\n", args.out, static_cast<double>(text.size()) / 1e6);
  return 0;
}

}  // namespace

void add_report(CLI::App& app, Action& action) {
  auto args = std::make_shared<ReportArguments>();
  report::ReportRequest& request = args->request;
  CLI::App& command = *app.add_subcommand(
      "report",
      "Finished runs as one HTML page: accuracy, latency, kept tokens, published numbers beside them");
  command.add_option("RUN", request.run_folders, "Folders of 'winnow eval', each with other benchmarks")
      ->required();
  command.add_option("--bench", request.bench_path, "Measured latency: a file of 'winnow bench --json'");
  command.add_option("--reference", args->reference,
                     "paper: the numbers of arXiv 2502.11501 beside the run's (docs/reference)");
  command.add_option(
      "--data", request.data,
      "Where the pictures of the examples are (default: where the run had its questions from)");
  command.add_option("--examples", request.n_examples, "Questions shown with their kept tokens")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  command
      .add_option("--baseline", request.compare.baseline, "Configuration that the others are compared with")
      ->capture_default_str();
  command.add_option("--format", args->format, "html, markdown or csv (default: by the ending of --out)");
  command.add_option("--resamples", request.compare.bootstrap.n_resamples, "Of the paired bootstrap")
      ->check(CLI::Range(100, 1'000'000))
      ->capture_default_str();
  command.add_option("--seed", request.compare.bootstrap.seed, "Of the paired bootstrap")
      ->check(not_negative())
      ->capture_default_str();
  command.add_option("-o,--out", args->out, "File to write")->required();
  command.callback([args, &action] { action = [args] { return write_report(*args); }; });
}

}  // namespace winnow::cli
