#pragma once

// What studies share: runs on one model, made once and gone on with, and numbers read off them.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "winnow/eval/comparison.h"
#include "winnow/eval/config_name.h"
#include "winnow/sweep/evaluation.h"
#include "winnow/sweep/latency.h"

namespace winnow::study {

/// One run of a study. Without "none" among the methods there is no baseline.
struct Ask {
  std::vector<std::string> benchmarks;
  std::vector<std::string> methods;
  std::vector<std::string> keeps = {"25%"};
  int64_t n_questions = 100;  ///< of each benchmark, before the scale
  bool keep_indices = false;
  std::string budget = "exact";
  std::string split = {};  ///< empty: that of the options
};

/// A model with compression built into its training.
struct Variant {
  std::string name, text, mmproj;
};

/// What every study gets.
struct LabOptions {
  sweep::Evaluation
      evaluation;  ///< data, convention, seeds, sessions; benchmarks: those that the data has, or empty
  sweep::Origin origin;
  std::string folder;  ///< runs go to folder/STUDY/RUN
  double scale = 1.0;  ///< of the numbers of questions
  eval::BootstrapOptions bootstrap;
  std::vector<Variant> variants;
  bool choose = false;  ///< the study alpha also chooses for each benchmark, on other questions
};

class Lab {
 public:
  Lab(std::shared_ptr<const engine::Model> model, LabOptions options);

  const engine::Model& model() const { return *model_; }
  const std::shared_ptr<const engine::Model>& shared_model() const { return model_; }
  const LabOptions& options() const { return options_; }
  /// How measurements are made; fewer repetitions than n where the scale is below 1.
  sweep::LatencyOptions latency_options(int32_t n_repetitions) const;
  /// Text that names the questions: "procedural questions, seed 0".
  std::string data_text() const;

  /// The rows of folder/name, made now as far as they are missing. Benchmarks that the data does not have are
  /// left out. Throws InvalidArgument when none is left, and what sweep::answer throws.
  record::Run run(const std::string& name, const Ask& ask) const;
  /// The same on another model, of the same questions.
  record::Run run(const std::string& name, const Ask& ask,
                  const std::shared_ptr<const engine::Model>& model) const;

  /// A run's configurations side by side, with the bootstrap of the options.
  eval::Comparison compare(const record::Run& run, const std::string& baseline = "none") const;

  /// The methods that the model can run, each as it is to be written: one that reads a tower block which the
  /// file does not hold reads the block of the features instead. The others' names go to left_out, with the
  /// reason.
  std::vector<std::string> runnable(const std::vector<std::string>& methods,
                                    std::vector<std::string>& left_out) const;

 private:
  std::shared_ptr<const engine::Model> model_;
  LabOptions options_;
};

/// Mean over the benchmarks of (a - b) / baseline, in percent, paired: how far two configurations' averages
/// are apart.
eval::Interval average_difference(const eval::Comparison& comparison, const std::string& a,
                                  const std::string& b);
/// a - b on one benchmark, paired, in its unit.
eval::Interval difference(const eval::BenchmarkResult& benchmark, const std::string& a, const std::string& b);
/// Those of the names that were asked, in their order.
std::vector<std::string> names_there(const eval::Comparison& comparison,
                                     const std::vector<std::string>& names);
/// Throws InvalidArgument when it is not there.
const eval::BenchmarkResult& benchmark_of(const eval::Comparison& comparison, const std::string& name);
/// The average of a configuration relative to the baseline, percent.
eval::Interval average_of(const eval::Comparison& comparison, const std::string& config);

/// Visual tokens that a layer sees in the mean, over the benchmarks.
double mean_tokens(const eval::Comparison& comparison, const std::string& config);

/// Markdown: every configuration with its tokens, value and share of the baseline, and against that of a
/// method at the same budget.
std::string against_table(const eval::Comparison& comparison, const std::string& method);

/// The run without the configurations that gave no single answer; these go to left_out, each with its first
/// error: what a method cannot do at that budget.
record::Run answered(record::Run run, std::vector<std::string>& left_out);

/// The questions of a run's rows that `wants` is true for, numbered afresh, as a run of their own.
record::Run part_of(const record::Run& run, const std::function<bool(const record::ResultRow&)>& wants);

/// Paragraphs that say what was left out.
std::string left_out_text(const std::vector<std::string>& left_out);

/// "The claim holds here. ", "does not hold", or that the questions do not decide it.
std::string claim_text(bool holds, bool refuted);

/// "62.5 [47.0, 75.8]".
std::string text_of(const eval::Interval& interval);
/// "+1.2 [-0.3, 2.7]".
std::string signed_text_of(const eval::Interval& interval);

}  // namespace winnow::study
