// What must hold for every method of the registry, through the whole engine.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/ready_picture.h"
#include "winnow/base/error.h"
#include "winnow/prune/method.h"

namespace winnow::engine {
namespace {

using testing::oracle_model;
using testing::oracle_prompt;
using testing::prune_with;
using testing::run_turn;
using testing::threads;
using testing::Turn;

/// Places where a method may act: layer as make_step takes it, -1 for after the tower.
std::vector<int32_t> places(const prune::MethodInfo& info) {
  if (info.stage == prune::Stage::AfterTower) return {-1};
  if (info.stage == prune::Stage::Either) return {-1, 0, 1, 3};
  std::vector<int32_t> layers = {1, 2, 4};
  std::erase_if(layers, [&](int32_t layer) { return layer < info.min_layer; });
  return layers;
}

const std::vector<Image>& one_picture() {
  static const std::vector<Image> pictures = {testing::picture(3, 84, 84)};
  return pictures;
}

/// With the tower block behind the features, which some methods read.
std::shared_ptr<const Model> model_of(bool f32) { return testing::complete_oracle_model(f32); }

/// A session for each set of options.
Turn run_oracle(const SessionOptions& session_options, const PruneOptions& options, int32_t n_decode,
                bool f32 = true) {
  static std::map<std::tuple<int32_t, int32_t, bool>, std::unique_ptr<testing::ReadyPicture>> made;
  auto& at = made[{session_options.n_threads, session_options.n_batch, f32}];
  if (at == nullptr) {
    at = std::make_unique<testing::ReadyPicture>(model_of(f32), session_options, oracle_prompt(),
                                                 one_picture()[0], ImageFit::Crop);
  }
  return at->run(options, n_decode);
}

/// The kept indices and plans of all steps, bit for bit.
void expect_same_selection(const PrefillResult& a, const PrefillResult& b, const std::string& what) {
  ASSERT_EQ(a.steps.size(), b.steps.size()) << what;
  for (std::size_t i = 0; i < a.steps.size(); ++i) {
    EXPECT_EQ(a.steps[i].kept, b.steps[i].kept) << what;
    EXPECT_EQ(a.steps[i].plan.index, b.steps[i].plan.index) << what;
    EXPECT_EQ(a.steps[i].plan.position_of, b.steps[i].plan.position_of) << what;
  }
}

class EveryMethod : public ::testing::TestWithParam<const prune::Method*> {
 protected:
  void SetUp() override {
    if (!testing::can_run(*model_of(true), info().name)) GTEST_SKIP() << "needs what no model file holds yet";
  }
  const prune::MethodInfo& info() const { return GetParam()->info(); }
};

TEST_P(EveryMethod, KeepingAllIsBitIdenticalToNone) {
  for (const bool f32 : {true, false}) {
    const Turn none = run_oracle(threads(1), {}, 3, f32);
    for (const int32_t layer : places(info())) {
      for (const char* keep : {"100%", "36", "1000"}) {
        const std::string what = info().name + " keep " + keep + " layer " + std::to_string(layer);
        const Turn run =
            run_oracle(threads(1), prune_with(info().name, keep, layer, *oracle_model()), 3, f32);
        EXPECT_EQ(run.prefill.logits, none.prefill.logits) << what;
        EXPECT_EQ(run.tokens, none.tokens) << what;
        EXPECT_EQ(run.step_logits, none.step_logits) << what;
        EXPECT_EQ(run.prefill.n_visual_after, testing::kOracleVisual) << what;
        EXPECT_EQ(run.prefill.kv_bytes, run.prefill.kv_bytes_unpruned) << what;
        const bool too_many = std::string(keep) == "1000" && !info().keeps_all;
        EXPECT_EQ(run.prefill.notes.size(), too_many ? 1U : 0U) << what;
      }
    }
  }
}

TEST_P(EveryMethod, EveryPositionPolicyOfAllTokensIsNone) {
  const Turn none = run_oracle(threads(1), {}, 1);
  for (const char* policy : {"original", "compact", "regrid"}) {
    PruneOptions options = prune_with(info().name, "100%", places(info()).back(), *oracle_model());
    options.position = prune::parse_position_policy(policy);
    const Turn run = run_oracle(threads(1), options, 1);
    EXPECT_EQ(run.prefill.logits, none.prefill.logits) << policy;
    EXPECT_EQ(run.step_logits, none.step_logits) << policy;
  }
}

TEST_P(EveryMethod, ThreadsDoNotChangeTheKeptSet) {
  for (const int32_t layer : places(info())) {
    const PruneOptions options = prune_with(info().name, "9", layer, *oracle_model());
    for (const bool f32 : {true, false}) {
      const Turn one = run_oracle(threads(1), options, 0, f32);
      const Turn two = run_oracle(threads(2), options, 0, f32);
      expect_same_selection(one.prefill, two.prefill, info().name + " layer " + std::to_string(layer));
      EXPECT_LE(testing::worst_error(two.prefill.logits, one.prefill.logits), 1e-5);
    }
  }
}

TEST_P(EveryMethod, BatchDoesNotChangeTheKeptSet) {
  const int32_t layer = places(info()).back();
  const PruneOptions options = prune_with(info().name, "25%", layer, *oracle_model());
  const Turn whole = run_oracle(threads(1), options, 2);
  for (const int32_t batch : {1, 5, 16, 51}) {
    SessionOptions session_options = threads(1);
    session_options.n_batch = batch;
    const Turn run = run_oracle(session_options, options, 2);
    expect_same_selection(run.prefill, whole.prefill, "batch " + std::to_string(batch));
    EXPECT_LE(testing::worst_error(run.prefill.logits, whole.prefill.logits), 1e-5) << batch;
    EXPECT_EQ(run.tokens, whole.tokens) << batch;
  }
}

TEST_P(EveryMethod, ReportsWhatIsLeft) {
  if (info().keeps_all) return;
  for (const int32_t layer : places(info())) {
    const Turn run = run_oracle(threads(1), prune_with(info().name, "25%", layer, *oracle_model()), 0);
    const PrefillResult& p = run.prefill;
    EXPECT_EQ(p.n_text, 16);
    EXPECT_EQ(p.n_visual_before, 36);
    EXPECT_EQ(p.n_visual_after, 9);
    const int32_t full = std::max(layer, 0);
    EXPECT_DOUBLE_EQ(p.n_visual_average, (full * 36.0 + (5 - full) * 9.0) / 5);
    ASSERT_EQ(p.steps.size(), 1U);
    EXPECT_EQ(p.steps[0].layer, layer);
    EXPECT_EQ(p.steps[0].n_before, 36);
    EXPECT_EQ(p.steps[0].kept.size(), p.steps[0].plan.is_selection() ? 9U : 0U);
    const int64_t rows = 5 * 16 + full * 36 + (5 - full) * 9;
    EXPECT_EQ(p.kv_bytes, rows * 2 * 96 * 4);
    EXPECT_EQ(p.kv_bytes_unpruned, int64_t{5} * 52 * 2 * 96 * 4);
  }
}

TEST_P(EveryMethod, PromptWithoutImageIsLeftAlone) {
  const Prompt prompt = {{testing::text_ids(1, 12), -1}};
  Session plain(model_of(true), threads(1));
  const Turn none = run_turn(plain, prompt, {}, {}, 2);
  Session session(model_of(true), threads(1));
  const PruneOptions options = prune_with(info().name, "4", places(info()).back(), *oracle_model());
  const Turn run = run_turn(session, prompt, {}, options, 2);
  EXPECT_EQ(run.prefill.logits, none.prefill.logits);
  EXPECT_EQ(run.step_logits, none.step_logits);
  EXPECT_EQ(run.prefill.n_visual_after, 0);
}

TEST_P(EveryMethod, SmallestBudgetRuns) {
  for (const int32_t layer : places(info())) {
    if (info().keeps_all) continue;
    const Turn run = run_oracle(threads(1), prune_with(info().name, "1", layer, *oracle_model()), 2);
    EXPECT_EQ(run.prefill.n_visual_after, 1);
    for (const float logit : run.step_logits.back()) ASSERT_TRUE(std::isfinite(logit));
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryMethod, ::testing::ValuesIn(prune::selecting_methods()),
                         [](const auto& param) { return param.param->info().name; });

TEST(PruneInvariants,
     PruningChangesTheLogits) {  // guards the tests above against comparing a run with itself
  const Turn none = run_oracle(threads(1), {}, 0);
  const Turn pruned = run_oracle(threads(1), prune_with("fastv", "9", 2, *oracle_model()), 0);
  EXPECT_GT(testing::worst_error(pruned.prefill.logits, none.prefill.logits), 1e-3);
}

TEST(PruneInvariants, SeedDecidesRandom) {
  PruneOptions options = prune_with("random", "9", -1, *oracle_model());
  options.seed = 1;
  const auto first = run_oracle(threads(1), options, 0).prefill.steps[0].kept;
  EXPECT_EQ(run_oracle(threads(1), options, 0).prefill.steps[0].kept, first);
  options.seed = 2;
  EXPECT_NE(run_oracle(threads(1), options, 0).prefill.steps[0].kept, first);
}

TEST(PruneInvariants, DefaultPositionsAreTheSchedules) {
  for (const int32_t layer : {-1, 2}) {
    PruneOptions options = prune_with("random", "9", layer, *oracle_model());
    const Turn by_default = run_oracle(threads(1), options, 1);
    options.position = prune::default_position(options.steps[0]);
    EXPECT_EQ(run_oracle(threads(1), options, 1).step_logits, by_default.step_logits) << layer;
    options.position = layer < 0 ? prune::PositionPolicy::Original : prune::PositionPolicy::Compact;
    EXPECT_NE(run_oracle(threads(1), options, 1).step_logits, by_default.step_logits) << layer;
  }
}

TEST(PruneInvariants, SeveralStepsShrinkFurther) {
  PruneOptions options = prune_with("fastervlm", "20", -1, *oracle_model());
  for (const auto& [method, keep, layer] :
       {std::tuple{"window_fastv", "12", 1}, {"balanced", "6", 3}, {"random", "2", 4}}) {
    options.steps.push_back(prune_with(method, keep, layer, *oracle_model()).steps[0]);
  }
  const Turn run = run_oracle(threads(1), options, 2);
  ASSERT_EQ(run.prefill.steps.size(), 4U);
  std::vector<int32_t> before;
  for (int32_t cell = 0; cell < 36; ++cell) before.push_back(cell);
  for (const StepResult& step : run.prefill.steps) {
    EXPECT_EQ(step.n_before, static_cast<int32_t>(before.size()));
    EXPECT_TRUE(std::ranges::includes(before, step.kept)) << step.method << " kept what was gone";
    before = step.kept;
  }
  EXPECT_EQ(before.size(), 2U);
  EXPECT_DOUBLE_EQ(run.prefill.n_visual_average, (20 + 12 + 12 + 6 + 2) / 5.0);
}

TEST(PruneInvariants, StepsThatDoNotSuitAreRefused) {
  Session session(oracle_model(), threads(1));
  const PruneOptions late = prune_with("fastv", "9", 3, *oracle_model());
  PruneOptions options = late;
  options.steps.push_back(prune_with("fastv", "4", 1, *oracle_model()).steps[0]);
  EXPECT_THROW(run_turn(session, oracle_prompt(), one_picture(), options), Error) << "descending layers";
  options = late;
  options.steps.push_back(late.steps[0]);
  EXPECT_THROW(run_turn(session, oracle_prompt(), one_picture(), options), Error) << "the same layer twice";
  options = late;
  options.steps[0].layer = 5;
  EXPECT_THROW(run_turn(session, oracle_prompt(), one_picture(), options), Error) << "no such layer";
  EXPECT_THROW(run_turn(session, oracle_prompt(), one_picture(),
                        prune_with("pooling:window=2x2", "7", -1, *oracle_model())),
               Error)
      << "7 is not what the window gives";
  options.steps = {prune::make_step("fastv", "1", prune::BudgetMode::LayerAverage, 3, 5)};
  EXPECT_THROW(run_turn(session, oracle_prompt(), one_picture(), options), Error)
      << "the first three layers alone see more than one token on average";
  EncodedImage plain = session.encode(one_picture()[0], ImageFit::Crop, {});
  EXPECT_THROW(
      session.prefill(oracle_prompt(), {&plain}, prune_with("fastervlm", "9", -1, *oracle_model()), 0), Error)
      << "encoded without the signal";
  plain.projected.pop_back();
  EXPECT_THROW(session.prefill(oracle_prompt(), {&plain}, {}, 0), Error) << "features of another width";
  EXPECT_EQ(session.cache().bytes_allocated(), 0) << "refused before anything ran";
}

TEST(PruneInvariants, LayerAverageBudgetHoldsOverTheLayers) {
  PruneOptions options;
  options.steps.push_back(prune::make_step("fastv", "50%", prune::BudgetMode::LayerAverage, 1, 5));
  const Turn run = run_oracle(threads(1), options, 0);
  EXPECT_NEAR(run.prefill.n_visual_average, 18.0, 0.5);
  EXPECT_LT(run.prefill.n_visual_after, 18);
}

}  // namespace
}  // namespace winnow::engine
