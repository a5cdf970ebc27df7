#pragma once

// Runs a model over a file of questions about pictures and counts exact matches. For the built-in model's
// tests and its accuracy table.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "winnow/engine/session.h"

namespace winnow::testing {

/// One line of questions.jsonl.
struct Question {
  std::string image;
  std::string task;
  std::string text;
  std::string answer;
  std::string reference_prediction;  ///< what the PyTorch original answers, unpruned
};

/// Every `stride`-th question of the file, starting with the first.
std::vector<Question> read_questions(const std::string& path, int32_t stride);

struct TaskScore {
  int32_t n = 0;
  int32_t right = 0;
};
struct QuestionScore {
  int32_t n = 0;
  int32_t right = 0;     ///< equal to the true answer
  int32_t agreeing = 0;  ///< equal to reference_prediction
  std::map<std::string, TaskScore> tasks;

  double accuracy() const { return 100.0 * right / n; }
  double agreement() const { return 100.0 * agreeing / n; }
  double task_mean() const;  ///< mean over the tasks of their accuracies
};

/// Greedy answers with one thread per worker; questions about one picture share its encoding.
QuestionScore run_questions(const std::shared_ptr<const engine::Model>& model,
                            const std::string& image_folder, const std::vector<Question>& questions,
                            const engine::PruneOptions& prune, int32_t n_workers);

}  // namespace winnow::testing
