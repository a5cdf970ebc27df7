#include "winnow/study/lab.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/base/log.h"
#include "winnow/base/table.h"
#include "winnow/study/curve.h"

namespace winnow::study {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWhere = "study.lab";

sweep::Evaluation evaluation_of(const LabOptions& options, const Ask& ask) {
  sweep::Evaluation e = options.evaluation;
  const std::vector<std::string> there = std::exchange(e.benchmarks, {});
  for (const std::string& name : ask.benchmarks) {
    if (there.empty() || std::find(there.begin(), there.end(), name) != there.end())
      e.benchmarks.push_back(name);
  }
  WINNOW_CHECK(!e.benchmarks.empty(), InvalidArgument, kWhere, "benchmarks, got {}, expected some of {}",
               fmt::join(there, ", "), fmt::join(ask.benchmarks, ", "));
  e.limit = std::max<int64_t>(std::llround(static_cast<double>(ask.n_questions) * options.scale), 2);
  e.request.methods = ask.methods;
  e.request.keeps = ask.keeps;
  e.request.budget = ask.budget;
  e.options.keep_indices = ask.keep_indices;
  if (!ask.split.empty()) e.split = ask.split;
  return e;
}

/// Why the model cannot run a method, or nothing.
std::string problem_of(const engine::Session& session, const std::string& method) {
  sweep::ConfigurationRequest request;
  request.methods = {method};
  request.keeps = {"50%"};
  try {
    for (const sweep::Configuration& c : sweep::configurations(request, session.model()))
      session.tower_request(c.prune);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

Lab::Lab(std::shared_ptr<const engine::Model> model, LabOptions options)
    : model_(std::move(model)), options_(std::move(options)) {}

sweep::LatencyOptions Lab::latency_options(int32_t n_repetitions) const {
  const sweep::SweepOptions& sweep = options_.evaluation.options;
  sweep::LatencyOptions out;
  out.session = sweep.session;
  out.prompt_template = sweep.prompt_template;
  out.fit = sweep.fit;
  out.n_repetitions =
      std::max(static_cast<int32_t>(std::lround(n_repetitions * std::min(options_.scale, 1.0))), 1);
  return out;
}

std::string Lab::data_text() const {
  const sweep::Evaluation& e = options_.evaluation;
  return e.data == sweep::kScenes ? fmt::format("procedural questions, seed {}", e.scenes_seed) : e.data;
}

record::Run Lab::run(const std::string& name, const Ask& ask) const { return run(name, ask, model_); }

record::Run Lab::run(const std::string& name, const Ask& ask,
                     const std::shared_ptr<const engine::Model>& model) const {
  const sweep::Evaluation evaluation = evaluation_of(options_, ask);
  const std::string folder = (fs::path(options_.folder) / name).string();
  log(LogLevel::Info, "{}: {} methods, {} questions of each of {}", name, ask.methods.size(),
      evaluation.limit, fmt::join(evaluation.benchmarks, ", "));
  sweep::answer(model, evaluation, sweep::load_questions(evaluation), options_.origin, folder);
  return record::read_run(folder);
}

eval::Comparison Lab::compare(const record::Run& run, const std::string& baseline) const {
  return eval::compare({&run, 1}, {baseline, options_.bootstrap});
}

std::vector<std::string> Lab::runnable(const std::vector<std::string>& methods,
                                       std::vector<std::string>& left_out) const {
  engine::SessionOptions one = options_.evaluation.options.session;
  one.n_threads = 1;
  const engine::Session session(model_, one);
  std::vector<std::string> out;
  for (const std::string& method : methods) {
    const std::string problem = problem_of(session, method);
    const std::string other = method + ":block=feature";
    if (problem.empty()) {
      out.push_back(method);
    } else if (problem_of(session, other).empty()) {
      out.push_back(other);
    } else {
      left_out.push_back(fmt::format("{} ({})", method, problem));
    }
  }
  return out;
}

const eval::BenchmarkResult& benchmark_of(const eval::Comparison& comparison, const std::string& name) {
  for (const eval::BenchmarkResult& b : comparison.benchmarks) {
    if (b.name == name) return b;
  }
  fail(ErrorCode::InvalidArgument, kWhere, "benchmark, got '{}', which is not in the run", name);
}

std::vector<std::string> names_there(const eval::Comparison& comparison,
                                     const std::vector<std::string>& names) {
  std::vector<std::string> out;
  for (const std::string& name : names) {
    for (const eval::BenchmarkResult& b : comparison.benchmarks) {
      if (b.name == name) out.push_back(name);
    }
  }
  return out;
}

eval::Interval difference(const eval::BenchmarkResult& benchmark, const std::string& a,
                          const std::string& b) {
  return eval::difference(eval::result_of(benchmark, a), eval::result_of(benchmark, b));
}

eval::Interval average_difference(const eval::Comparison& comparison, const std::string& a,
                                  const std::string& b) {
  return eval::difference(average_point(comparison, a), average_point(comparison, b));
}

eval::Interval average_of(const eval::Comparison& comparison, const std::string& config) {
  for (const eval::Average& average : comparison.averages) {
    if (average.config == config) return eval::scaled(average.relative, 100.0);
  }
  fail(ErrorCode::InvalidArgument, kWhere, "average of '{}': there is none in the run", config);
}

double mean_tokens(const eval::Comparison& comparison, const std::string& name) {
  double sum = 0.0;
  for (const eval::BenchmarkResult& b : comparison.benchmarks)
    sum += eval::result_of(b, name).n_visual_average;
  return sum / static_cast<double>(comparison.benchmarks.size());
}

std::string against_table(const eval::Comparison& comparison, const std::string& method) {
  Table table{{"benchmark", "configuration", "tokens, mean over layers", "value", "% of unpruned",
               fmt::format("against {}", method)},
              {}};
  for (const eval::BenchmarkResult& b : comparison.benchmarks) {
    for (const eval::ConfigurationResult& c : b.configurations) {
      const bool compared = c.config != comparison.baseline && eval::method_of(c.config) != method;
      const std::string other = eval::config_name(method, eval::budget_of(c.config));
      table.rows.push_back({fmt::format("{} {}", b.name, b.metric), c.config,
                            fmt::format("{:.3g}", c.n_visual_average), text_of(c.value),
                            c.relative ? fmt::format("{:.1f}", 100.0 * c.relative->value) : "-",
                            compared ? signed_text_of(difference(b, c.config, other)) : ""});
    }
  }
  return to_string(table, TableFormat::Markdown);
}

record::Run answered(record::Run run, std::vector<std::string>& left_out) {
  std::erase_if(run.header.configurations, [&](const record::ConfigurationPart& c) {
    const auto is_of = [&](const record::ResultRow& row) { return row.config == c.name; };
    const auto first = std::find_if(run.rows.begin(), run.rows.end(), is_of);
    const bool any = std::any_of(first, run.rows.end(),
                                 [&](const record::ResultRow& row) { return is_of(row) && !row.failed(); });
    if (any) return false;
    left_out.push_back(fmt::format("{} ({})", c.name, first == run.rows.end() ? "" : first->error));
    std::erase_if(run.rows, is_of);
    return true;
  });
  return run;
}

record::Run part_of(const record::Run& run, const std::function<bool(const record::ResultRow&)>& wants) {
  record::Run out{run.header, {}};
  out.header.benchmarks.clear();
  for (record::BenchmarkPart part : run.header.benchmarks) {
    std::map<int64_t, int64_t> number;
    for (const record::ResultRow& row : run.rows) {
      if (row.benchmark != part.name || !wants(row)) continue;
      out.rows.push_back(row);
      out.rows.back().index = number.try_emplace(row.index, std::ssize(number)).first->second;
    }
    part.n_questions = std::ssize(number);
    if (part.n_questions > 0) out.header.benchmarks.push_back(std::move(part));
  }
  return out;
}

std::string left_out_text(const std::vector<std::string>& left_out) {
  std::string out;
  for (const std::string& text : left_out) out += fmt::format("\nLeft out: {}.\n", text);
  return out;
}

std::string claim_text(bool holds, bool refuted) {
  if (holds) return "The claim holds here. ";
  return refuted ? "The claim does not hold here. " : "These questions do not decide the claim. ";
}

std::string text_of(const eval::Interval& i) {
  return fmt::format("{:.1f} [{:.1f}, {:.1f}]", i.value, i.low, i.high);
}

std::string signed_text_of(const eval::Interval& i) {
  return fmt::format("{:+.1f} [{:+.1f}, {:+.1f}]", i.value, i.low, i.high);
}

}  // namespace winnow::study
