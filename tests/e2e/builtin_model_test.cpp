// The built-in model really answers: its answers equal the PyTorch original's, and pruning costs about what
// it cost there. The whole set of 2,000 questions is bench/builtin_accuracy's; here every 13th, so bounds
// leave room for 154 questions.

#include <gtest/gtest.h>

#include "tests/support/question_run.h"

namespace winnow {
namespace {

constexpr int32_t kStride = 13;

class BuiltinModelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const std::string folder = std::string(WINNOW_SOURCE_DIR) + "/models/winnow-interim-";
    engine::ModelOptions options;
    options.text_path = folder + "text-f16.gguf";
    options.mmproj_path = folder + "mmproj-f16.gguf";
    options.device = "cpu";
    model_ = engine::Model::load(options);
    questions_ = testing::read_questions(data() + "/questions.jsonl", kStride);
  }
  static void TearDownTestSuite() { model_.reset(); }
  static std::string data() { return std::string(WINNOW_TEST_DATA) + "/interim"; }

  static testing::QuestionScore run(const std::string& method, const std::string& keep) {
    engine::PruneOptions options;
    if (method != "none") {
      options.steps.push_back(
          prune::make_step(method, keep, prune::BudgetMode::Exact, -1, model_->llama().n_layer));
    }
    return testing::run_questions(model_, data() + "/images", questions_, options, 2);
  }

  static std::shared_ptr<const engine::Model> model_;
  static std::vector<testing::Question> questions_;
};

std::shared_ptr<const engine::Model> BuiltinModelTest::model_;
std::vector<testing::Question> BuiltinModelTest::questions_;

TEST_F(BuiltinModelTest, AnswersAsTheOriginal) {
  const auto score = run("none", "");
  EXPECT_EQ(score.n, 154);
  EXPECT_GE(score.agreement(), 96.0);  // 98.0 over all 2,000
  EXPECT_GE(score.accuracy(), 75.0);   // 83.7 over all 2,000
}

TEST_F(BuiltinModelTest, PruningCostsSomethingButNotEverything) {
  const auto window = run("window_fastv", "25%");
  const auto random = run("random", "11.1%");
  EXPECT_GE(window.accuracy(), 60.0);
  EXPECT_LE(random.accuracy(), window.accuracy() - 8.0);
}

}  // namespace
}  // namespace winnow
