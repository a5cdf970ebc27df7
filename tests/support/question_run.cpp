#include "tests/support/question_run.h"

#include <atomic>
#include <exception>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "winnow/base/error.h"
#include "winnow/base/progress.h"
#include "winnow/engine/generate.h"

namespace winnow::testing {
namespace {

using ByImage = std::vector<std::pair<std::string, std::vector<Question>>>;

ByImage group_by_image(const std::vector<Question>& questions) {
  std::map<std::string, std::vector<Question>> groups;
  for (const Question& question : questions) groups[question.image].push_back(question);
  return {groups.begin(), groups.end()};
}

std::string answer_of(engine::Session& session, const engine::PromptTemplate& form,
                      const std::string& question, const engine::EncodedImage& image,
                      const engine::PruneOptions& prune) {
  engine::GenerateOptions options;
  options.max_tokens = 12;
  session.clear();
  const auto prompt = engine::make_turn(form, question, 1, true, session.model().tokenizer());
  auto prefill = session.prefill(prompt, {&image}, prune, options.max_tokens);
  return engine::generate(session, std::move(prefill.logits), options).text;
}

void count(QuestionScore& score, const Question& question, const std::string& answer) {
  const bool right = answer == question.answer;
  ++score.n;
  score.right += right ? 1 : 0;
  score.agreeing += answer == question.reference_prediction ? 1 : 0;
  TaskScore& task = score.tasks[question.task];
  ++task.n;
  task.right += right ? 1 : 0;
}

}  // namespace

double QuestionScore::task_mean() const {
  double sum = 0.0;
  for (const auto& [name, task] : tasks) sum += 100.0 * task.right / task.n;
  return sum / static_cast<double>(tasks.size());
}

std::vector<Question> read_questions(const std::string& path, int32_t stride) {
  std::ifstream file(path);
  WINNOW_CHECK(file.good(), NotFound, "testing.read_questions", "{}: cannot be read", path);
  std::vector<Question> out;
  int64_t line_idx = 0;
  for (std::string line; std::getline(file, line); ++line_idx) {
    if (line_idx % stride != 0) continue;
    const auto j = nlohmann::json::parse(line);
    out.push_back({j["image"], j["task"], j["text"], j["answer"], j["reference_prediction"]});
  }
  return out;
}

QuestionScore run_questions(const std::shared_ptr<const engine::Model>& model,
                            const std::string& image_folder, const std::vector<Question>& questions,
                            const engine::PruneOptions& prune, int32_t n_workers) {
  const ByImage groups = group_by_image(questions);
  const auto form = engine::choose_template("", model->text_file(), model->tokenizer());
  const auto request = engine::Session::tower_request(prune);
  QuestionScore total;
  Progress progress("answering", static_cast<int64_t>(questions.size()));
  std::mutex mutex;
  std::atomic<std::size_t> next = 0;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      engine::SessionOptions options;
      options.n_threads = 1;
      engine::Session session(model, options);
      for (std::size_t i = next++; i < groups.size(); i = next++) {
        const auto picture = engine::load_image(image_folder + "/" + groups[i].first);
        const auto image = session.encode(picture, engine::ImageFit::Pad, request);
        for (const Question& question : groups[i].second) {
          const std::string answer = answer_of(session, form, question.text, image, prune);
          const std::lock_guard lock(mutex);
          count(total, question, answer);
          progress.step();
        }
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  };
  std::vector<std::jthread> workers;
  for (int32_t i = 0; i < n_workers; ++i) workers.emplace_back(work);
  workers.clear();
  if (failure) std::rethrow_exception(failure);
  return total;
}

}  // namespace winnow::testing
