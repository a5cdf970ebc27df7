// The built-in model really answers, and pruning costs what docs/model.md says, within the bounds that 40
// questions of each benchmark allow.

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "tests/support/engine_models.h"
#include "tests/support/libllama_logits.h"
#include "tests/support/scene_run.h"
#include "winnow/engine/decoder/llama.h"
#include "winnow/engine/generate.h"
#include "winnow/prune/cascade.h"
#include "winnow/scenes/render.h"

namespace winnow {
namespace {

constexpr int32_t kQuestions = 40;

class BuiltinModelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { model_ = load(""); }
  /// In the type that the commands run it in, if no other is asked for.
  static std::shared_ptr<const engine::Model> load(const std::string& variant,
                                                   const std::string& type = "q8_0") {
    engine::ModelOptions options;
    options.text_path = path(variant + "text");
    options.mmproj_path = path(variant + "mmproj");
    options.device = "cpu";
    options.text_type = options.tower_type = type;
    return engine::Model::load(options);
  }
  static void TearDownTestSuite() { model_.reset(); }
  static std::string path(const std::string& part) {
    const std::string folder = std::string(WINNOW_SOURCE_DIR) + "/models/";
    return folder + (part.starts_with("merge-") ? "merge/" : "") + "winnow-" + part + "-f16.gguf";
  }

  /// Percent right of each configuration.
  static std::vector<double> percent(const std::string& benchmark, const std::vector<std::string>& uses,
                                     const std::shared_ptr<const engine::Model>& model = model_) {
    std::vector<testing::Configuration> configurations;
    for (const std::string& use : uses) {
      if (use == "shuffled")
        configurations.push_back({use, {}, testing::Shown::Other});
      else
        configurations.push_back(testing::parse_configuration(use, model->llama().n_layer));
    }
    const auto items = scenes::draw_benchmark(benchmark, scenes::Split::Test, 77, kQuestions);
    const auto score =
        testing::add_up(items, testing::answer_items(model, items, configurations, {.n_workers = 2}));
    std::vector<double> out;
    for (const testing::Tally& tally : score.all) out.push_back(100.0 * tally.right / tally.n);
    return out;
  }

  static std::shared_ptr<const engine::Model> model_;
};

std::shared_ptr<const engine::Model> BuiltinModelTest::model_;

struct Bound {
  const char* benchmark;
  double at_least;        ///< unpruned
  double above_shuffled;  ///< unpruned over the same model with another picture
};

TEST_F(BuiltinModelTest, AnswersEveryBenchmarkBecauseOfThePicture) {
  for (const Bound& bound : std::vector<Bound>{{"pope", 90, 30},
                                               {"mme", 90, 20},
                                               {"gqa", 87, 50},
                                               {"mmbench", 90, 50},
                                               {"textvqa", 90, 80},
                                               {"vizwiz", 90, 30},
                                               {"refcoco", 90, 80},
                                               {"haystack", 75, 15},
                                               {"vqav2", 87, 50}}) {
    const auto right = percent(bound.benchmark, {"none", "shuffled"});
    EXPECT_GE(right[0], bound.at_least) << bound.benchmark;
    EXPECT_GE(right[0] - right[1], bound.above_shuffled) << bound.benchmark;
  }
}

TEST_F(BuiltinModelTest, KnowledgeNeedsNoVisualTokens) {
  const auto right = percent("scienceqa", {"none", "random@5%+position=original"});
  EXPECT_GE(right[0], 90.0);  // chance is 25
  EXPECT_GE(right[1], right[0] - 8.0);
}

TEST_F(BuiltinModelTest, PruningCostsReadingMost) {
  const auto reading =
      percent("textvqa", {"none", "random@50%+position=original", "random@11%+position=original"});
  EXPECT_GE(reading[0], reading[1] + 10.0);
  EXPECT_GE(reading[1], reading[2] + 5.0);
  const auto attributes = percent("gqa", {"none", "random@50%+position=original"});
  EXPECT_GT(reading[0] - reading[1], attributes[0] - attributes[1]);
}

/// What merging in training is for: the same number of tokens, chosen by chance afterwards, read far less.
TEST_F(BuiltinModelTest, TheMergingVariantReadsFromAQuarterOfTheTokens) {
  const auto merging = load("merge-");
  EXPECT_EQ(merging->grid().size(), 36);
  const double merged = percent("textvqa", {"none"}, merging)[0];
  EXPECT_GE(merged, 60.0);
  EXPECT_GE(merged, percent("textvqa", {"random@25%+position=original"})[0] + 20.0);
}

TEST_F(BuiltinModelTest, LibllamaHasTheSameLogitsForOurImageEmbeddings) {
  const auto item = scenes::draw_benchmark("gqa", scenes::Split::Test, 5, 1).front();
  const auto model = load("", "stored");
  engine::SessionOptions options;
  options.n_threads = 1;
  engine::Session session(model, options);
  const auto image = session.encode({scenes::kSide, scenes::kSide, scenes::render(item.scenes[0])},
                                    engine::ImageFit::Pad, {});
  const auto form = engine::choose_template("", model->text_file(), model->tokenizer());
  const auto prompt = engine::make_turn(form, item.question.text, 1, true, model->tokenizer());
  std::vector<float> embeddings;
  for (const engine::PromptPiece& piece : prompt) {
    const auto rows = piece.image < 0 ? engine::embed_tokens(model->llama(), model->text_file(), piece.ids)
                                      : image.projected;
    embeddings.insert(embeddings.end(), rows.begin(), rows.end());
  }
  const auto ours = session.prefill(prompt, {&image}, {}, 1, true).logits;
  const auto theirs = testing::libllama_logits(path("text"), embeddings, GGML_TYPE_F16, true);
  ASSERT_EQ(ours.size(), theirs.size());
  EXPECT_LE(testing::worst_error(ours, theirs), 1e-2);
}

/// With its defaults, or with the parameter that its error names where the file lacks a signal.
TEST_F(BuiltinModelTest, EveryMethodAnswers) {
  const auto items = scenes::draw_benchmark("gqa", scenes::Split::Test, 78, 1);
  const engine::Image picture{scenes::kSide, scenes::kSide, scenes::render(items[0].scenes[0])};
  const auto form = engine::choose_template("", model_->text_file(), model_->tokenizer());
  const auto prompt = engine::make_turn(form, items[0].question.text, 1, true, model_->tokenizer());
  engine::Session session(model_, testing::threads(2));
  for (const prune::Method* method : prune::methods()) {
    const prune::MethodInfo& info = method->info();
    SCOPED_TRACE(info.name);
    const std::string use = testing::can_run(*model_, info.name) ? info.name : info.name + ":block=feature";
    const bool counts_itself = info.keeps_all || info.name == "window_merge";
    engine::PruneOptions options;
    options.steps = prune::parse_steps(use, counts_itself ? "" : "30%", prune::BudgetMode::Exact, -1,
                                       model_->llama().n_layer);
    session.clear();
    const testing::Turn turn = testing::run_turn(session, prompt, {picture}, options, 2);
    const bool resized = info.stage == prune::Stage::BeforeTower;
    EXPECT_EQ(turn.prefill.n_visual_before, resized ? 36 : 144);
    EXPECT_EQ(turn.tokens.size(), 2U);
    for (const float logit : turn.step_logits.back()) ASSERT_TRUE(std::isfinite(logit));
    if (info.keeps_all) {
      EXPECT_EQ(turn.prefill.n_visual_after, 144);
    } else if (resized) {
      EXPECT_EQ(turn.prefill.n_visual_after, 36) << "6 x 6 of 43";
    } else if (!counts_itself && turn.prefill.schedule.size() == 1) {
      EXPECT_EQ(turn.prefill.n_visual_after, 43);
    } else {
      EXPECT_LT(turn.prefill.n_visual_average, 144.0);
    }
  }
}

/// The baseline really answers: fewer tokens, fewer right answers than unpruned, more than without the
/// picture; and its whole budget is no pruning.
TEST_F(BuiltinModelTest, ResizeIsABaseline) {
  const auto right = percent("gqa", {"none", "resize@100%", "resize@25%", "shuffled"});
  EXPECT_EQ(right[0], right[1]);
  EXPECT_GE(right[0], right[2]);
  EXPECT_GT(right[2], right[3]);
}

TEST_F(BuiltinModelTest, WeightsAreSmallEnoughToShip) {
  std::uintmax_t bytes = 0;
  for (const char* file : {"text", "mmproj", "merge-text", "merge-mmproj"})
    bytes += std::filesystem::file_size(path(file));
  EXPECT_LE(bytes, 25U << 20U);
}

}  // namespace
}  // namespace winnow
