// Every kind of plan through the engine: the [CLS] token, merged tokens, no tokens at all, counts that the
// method finds, steps behind each other, schedules of a method's own.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/recorder_method.h"
#include "winnow/base/error.h"
#include "winnow/engine/sequence.h"

namespace winnow::engine {
namespace {

using Ints = std::vector<int32_t>;
using prune::kAfterTower;
using prune::kOwnSchedule;
using prune::Signal;
using testing::RecorderMethod;
using testing::RefMatrix;
using testing::RefPrune;
using testing::threads;
using testing::tiny_model;
using testing::Turn;
using testing::worst_error;

constexpr int32_t kPatches = 16;
constexpr int32_t kLayers = 4;

const testing::ReferenceLlava& reference() {
  static const testing::ReferenceLlava the_reference(testing::synth_files(synth_shape("tiny")).text,
                                                     testing::synth_files(synth_shape("tiny")).mmproj);
  return the_reference;
}

Ints counting(int64_t first, int64_t n) {
  Ints out(static_cast<std::size_t>(n));
  std::iota(out.begin(), out.end(), static_cast<int32_t>(first));
  return out;
}

/// text 5, image 0, text 3, image 1, text 6, or the same without the second image: text 5, image, text 6.
Prompt prompt_of(int32_t n_images) {
  Prompt prompt = {{testing::text_ids(1, 5), -1}, {{}, 0}};
  if (n_images == 2) {
    prompt.push_back({testing::text_ids(2, 3), -1});
    prompt.push_back({{}, 1});
  }
  prompt.push_back({testing::text_ids(3, 6), -1});
  return prompt;
}

EncodedImage encoded(uint64_t seed, const TowerRequest& request = {}) {
  Session session(tiny_model(), threads(1));
  return session.encode(testing::picture(seed, 56, 56), ImageFit::Crop, request);
}

/// The rows of a prompt whose image i is replaced by images[i].
RefMatrix embeds_of(const Prompt& prompt, const std::vector<RefMatrix>& images) {
  RefMatrix out(0, tiny_model()->llama().n_embd);
  for (const PromptPiece& piece : prompt) {
    const RefMatrix rows = piece.image < 0 ? reference().embed(piece.ids, -1, {})
                                           : images[static_cast<std::size_t>(piece.image)];
    out.values.insert(out.values.end(), rows.values.begin(), rows.values.end());
    out.rows += rows.rows;
  }
  return out;
}

RefMatrix matrix(const std::vector<float>& values) {
  RefMatrix out(std::ssize(values) / tiny_model()->llama().n_embd, tiny_model()->llama().n_embd);
  std::copy(values.begin(), values.end(), out.values.begin());
  return out;
}

Turn run(const Prompt& prompt, const std::vector<EncodedImage>& images, const std::vector<prune::Step>& steps,
         int32_t n_decode = 0, const SessionOptions& session_options = threads(1)) {
  Session session(tiny_model(), session_options);
  PruneOptions options;
  options.steps = steps;
  std::vector<const EncodedImage*> refs;
  for (const EncodedImage& image : images) refs.push_back(&image);
  return testing::decode_turn(session, session.prefill(prompt, refs, options, n_decode), n_decode);
}

/// Logits of the last row, then of every decoded token, against recomputing everything.
void expect_recomputed(const Turn& turn, RefMatrix embeds, const RefPrune* drop = nullptr) {
  std::optional<RefPrune> prune;
  if (drop != nullptr) prune = *drop;
  for (std::size_t step = 0; step <= turn.step_logits.size(); ++step) {
    if (step > 0) {
      const RefMatrix next = reference().embed(std::span(turn.tokens).subspan(step - 1, 1), -1, {});
      embeds.values.insert(embeds.values.end(), next.values.begin(), next.values.end());
      ++embeds.rows;
    }
    const auto expected = reference().forward(embeds, counting(0, embeds.rows), prune);
    const auto& actual = step == 0 ? turn.prefill.logits : turn.step_logits[step - 1];
    EXPECT_LE(worst_error(actual, expected.logits.row(expected.logits.rows - 1)), 1e-4) << "step " << step;
  }
}

// --- gathering -----------------------------------------------------------------------------------------

/// Rows 0, 10, 20 ... of width 2 (second column negative): text, image of 3, text, image of 2, text.
Sequence small_sequence(const EncodedImage& first, const EncodedImage& second) {
  Sequence s;
  s.width = 2;
  for (int32_t row = 0; row < 8; ++row) {
    s.hidden.push_back(static_cast<float>(10 * row));
    s.hidden.push_back(static_cast<float>(-10 * row));
    s.ids.push_back(100 + row);
    s.origin.push_back(row);
  }
  s.images.resize(2);
  s.images[0] = {&first, 1, 3, 101, 3, {}, {}, {}, {}};
  s.images[1] = {&second, 5, 2, 105, 2, {4, 8}, {4, 8}, {}, {1, 2}};
  s.id_span = 108;
  return s;
}

void gather_plans(Sequence& s, const std::vector<prune::Plan>& plans, prune::PositionPolicy policy) {
  std::vector<std::vector<float>> outputs;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const ImageRun& run = s.images[i];
    outputs.push_back(plan_outputs(plans[i], s.rows(run.first, run.count), run.image->cls_token));
  }
  gather(s, plans, outputs, policy);
}

TEST(Gather, WeighsMovesAndForgets) {
  EncodedImage image;
  image.cls_token = {7, 9};
  Sequence s = small_sequence(image, image);
  prune::Plan plan;
  plan.add_merged(Ints{3}, std::vector<float>{1.0F}, 0);
  plan.add_merged(Ints{0, 2}, std::vector<float>{0.5F, 2.0F}, 2);
  plan.add_kept(1);
  gather_plans(s, {plan, prune::selection_plan(Ints{1})}, prune::PositionPolicy::Original);
  EXPECT_EQ(s.hidden, (std::vector<float>{0, 0, 7, 9, 65, -65, 20, -20, 40, -40, 60, -60, 70, -70}));
  EXPECT_EQ(s.ids, (Ints{100, 101, 103, 102, 104, 106, 107}));
  EXPECT_EQ(s.images[0].token_of, (Ints{0, 2, 1}));
  EXPECT_EQ(s.images[0].row_of, (Ints{0, 2, 1}));
  EXPECT_EQ(s.images[1].token_of, (Ints{8}));
  EXPECT_EQ(s.images[1].input_of, (Ints{2}));
  EXPECT_EQ(s.images[1].first, 5);
  EXPECT_EQ(s.images[1].count, 1);
  EXPECT_EQ(s.id_span, 108);
  EXPECT_EQ(s.first_text(), 6);
}

TEST(Gather, ImagesCanLoseAllTokens) {
  const EncodedImage image;
  Sequence s = small_sequence(image, image);
  gather_plans(s, {prune::Plan{}, prune::identity_plan(2)}, prune::PositionPolicy::Compact);
  EXPECT_EQ(s.hidden, (std::vector<float>{0, 0, 40, -40, 50, -50, 60, -60, 70, -70}));
  EXPECT_EQ(s.ids, counting(0, 5));
  EXPECT_EQ(s.id_span, 5);
  EXPECT_EQ(s.image_tokens(), (Ints{0, 2}));
  EXPECT_EQ(s.images[1].token_of, (Ints{4, 8})) << "nothing was dropped of it";
  gather_plans(s, {prune::Plan{}, prune::Plan{}}, prune::PositionPolicy::Regrid);
  EXPECT_EQ(s.ids, (Ints{0, 1, 4}));
  EXPECT_EQ(s.n_visual(), 0);
  EXPECT_EQ(s.first_text(), 2);
}

TEST(Gather, TheClsTokenMustBeThere) {
  const EncodedImage image;
  const Sequence s = small_sequence(image, image);
  EXPECT_THROW(plan_outputs(prune::selection_plan(Ints{3}), s.rows(1, 3), image.cls_token), Error);
}

// --- plans ---------------------------------------------------------------------------------------------

TEST(Plans, TheClsTokenIsARowOfItsOwn) {
  const RecorderMethod method({{Signal::ClsToken}}, [](const prune::Signals& signals, int32_t) {
    prune::Plan plan;
    plan.add_merged(Ints{signals.n()}, std::vector<float>{1.0F}, 0);
    for (const int32_t token : {2, 7, 11}) plan.add_kept(token);
    return plan;
  });
  const EncodedImage image = encoded(3, {{{Signal::ClsToken}}});
  prune::Step step = method.step("4", kAfterTower);
  Session session(tiny_model(), threads(1));
  PruneOptions options;
  options.steps = {step};
  options.position = prune::PositionPolicy::Compact;
  const Turn turn = testing::decode_turn(session, session.prefill(prompt_of(1), {&image}, options, 3), 3);
  RefMatrix rows = matrix(image.cls_token);
  const RefMatrix kept = testing::ref_rows(matrix(image.projected), Ints{2, 7, 11});
  rows.values.insert(rows.values.end(), kept.values.begin(), kept.values.end());
  rows.rows = 4;
  expect_recomputed(turn, embeds_of(prompt_of(1), {rows}));
  EXPECT_TRUE(turn.prefill.steps.at(0).kept.empty()) << "no pure selection";
  EXPECT_EQ(turn.prefill.n_visual_after, 4);
}

TEST(Plans, MergedTokensOfTwoImages) {
  const RecorderMethod method({}, [](const prune::Signals&, int32_t) {
    prune::Plan plan;
    plan.add_merged(Ints{1, 5, 9}, std::vector<float>{0.5F, 0.25F, 0.75F}, 5);
    plan.add_kept(0);
    return plan;
  });
  const std::vector<EncodedImage> images = {encoded(3), encoded(4)};
  Session session(tiny_model(), threads(1));
  PruneOptions options;
  options.steps = {method.step("4", 0)};
  options.position = prune::PositionPolicy::Compact;
  const Turn turn =
      testing::decode_turn(session, session.prefill(prompt_of(2), {&images[0], &images[1]}, options, 2), 2);
  std::vector<RefMatrix> rows;
  for (const EncodedImage& image : images) {
    const RefMatrix all = matrix(image.projected);
    RefMatrix& two = rows.emplace_back(2, all.cols);
    for (int64_t c = 0; c < all.cols; ++c) {
      two.at(0, c) = 0.5 * all.at(1, c) + 0.25 * all.at(5, c) + 0.75 * all.at(9, c);
      two.at(1, c) = all.at(0, c);
    }
  }
  expect_recomputed(turn, embeds_of(prompt_of(2), rows));
}

/// Sum of weighted rows, as one row.
RefMatrix weighted(const RefMatrix& rows, const Ints& index, const std::vector<double>& weights) {
  RefMatrix out(1, rows.cols);
  for (std::size_t i = 0; i < index.size(); ++i) {
    for (int64_t c = 0; c < rows.cols; ++c) out.at(0, c) += weights[i] * rows.at(index[i], c);
  }
  return out;
}

TEST(Plans, MergedInFrontOfTheProjector) {
  RecorderMethod method({{Signal::ClsToken}}, [](const prune::Signals& signals, int32_t) {
    prune::Plan plan;
    plan.add_merged(Ints{1, signals.n(), 9}, std::vector<float>{0.5F, 0.25F, 0.75F}, 5);
    plan.add_kept(7);
    return plan;
  });
  method.set_before_projector();
  const EncodedImage image = encoded(3, {{{Signal::ClsToken}}});
  RefMatrix features(kPatches + 1, 64);  // [CLS] last, as plans count
  std::copy(image.features.begin(), image.features.end(), features.values.begin());
  std::copy(image.cls_feature.begin(), image.cls_feature.end(), features.row(kPatches).begin());
  RefMatrix merged = reference().project(weighted(features, {1, kPatches, 9}, {0.5, 0.25, 0.75}));
  const RefMatrix kept = testing::ref_rows(matrix(image.projected), Ints{7});
  merged.values.insert(merged.values.end(), kept.values.begin(), kept.values.end());
  merged.rows = 2;
  Session session(tiny_model(), threads(1));
  PruneOptions options;
  options.position = prune::PositionPolicy::Compact;
  options.steps = {method.step("2", kAfterTower)};
  expect_recomputed(testing::decode_turn(session, session.prefill(prompt_of(1), {&image}, options, 2), 2),
                    embeds_of(prompt_of(1), {merged}));

  // Before layer 0 there are projected tokens only; neither are there others in an image that was pruned.
  method.set_plan([](const prune::Signals&, int32_t) {
    prune::Plan plan;
    plan.add_merged(Ints{1, 9}, std::vector<float>{0.5F, 0.75F}, 1);
    return plan;
  });
  RecorderMethod plain({});
  options.steps = {plain.step("12", kAfterTower), method.step("1", kAfterTower)};
  session.clear();
  expect_recomputed(testing::decode_turn(session, session.prefill(prompt_of(1), {&image}, options, 1), 1),
                    embeds_of(prompt_of(1), {weighted(matrix(image.projected), {1, 9}, {0.5, 0.75})}));
}

TEST(Plans, AreShownToTheSelectionObserver) {
  const std::vector<EncodedImage> images = {encoded(3), encoded(4)};
  const RecorderMethod first({{Signal::TextEmbeds}}), second({});
  Session session(tiny_model(), threads(1));
  std::vector<std::string> seen;
  session.set_selection_observer([&](const Selection& s) {
    seen.push_back(fmt::format("{} {} {} {}", s.step_idx, s.image, s.n_keep, s.plan.n_out()));
    const MatrixView acted_on = s.step_idx == 0 ? s.signals.projected : s.signals.hidden;
    EXPECT_EQ(acted_on.rows, s.signals.n());
    EXPECT_EQ(s.signals.text_embeds.present(), s.step_idx == 0);
    EXPECT_EQ(s.signals.ids.empty(), s.step_idx == 0);
  });
  PruneOptions options;
  options.steps = {first.step("10", kAfterTower), second.step("0", 2)};
  session.prefill(prompt_of(2), {&images[0], &images[1]}, options, 0);
  EXPECT_EQ(seen, (std::vector<std::string>{"0 0 5 5", "0 1 5 5", "1 0 0 0", "1 1 0 0"}));
}

TEST(Plans, AllVisualTokensCanGoInsideTheDecoder) {
  const RecorderMethod method({});
  const EncodedImage image = encoded(3);
  for (const int32_t layer : {1, 3}) {
    const Turn turn = run(prompt_of(1), {image}, {method.step("0", layer)}, 4);
    RefPrune drop{.layer = layer, .visual_rows = counting(5, kPatches), .kept = Ints{}};
    expect_recomputed(turn, embeds_of(prompt_of(1), {matrix(image.projected)}), &drop);
    EXPECT_EQ(turn.prefill.n_visual_after, 0);
    EXPECT_DOUBLE_EQ(turn.prefill.n_visual_average, layer * 16.0 / kLayers);
    EXPECT_EQ(turn.prefill.steps.at(0).plan.n_out(), 0);
    EXPECT_TRUE(method.seen.empty()) << "there is nothing to ask";
  }
}

TEST(Plans, LaterStepsCopeWithImagesThatAreGone) {
  // The method drops the first image at its first step; then the budgets are the second image's alone.
  int32_t n_asked = 0;
  const RecorderMethod first({}, [&](const prune::Signals& signals, int32_t n_keep) {
    EXPECT_EQ(n_keep, prune::kMethodDecides);
    return ++n_asked == 1 ? prune::Plan{} : prune::identity_plan(signals.n());
  });
  const RecorderMethod second({{Signal::LastVisualAttention}, {Signal::TextAttention}});
  const std::vector<EncodedImage> images = {encoded(3), encoded(4)};
  const Turn turn =
      run(prompt_of(2), images, {first.step("", 1), second.step("5", 2), second.step("0", 3)}, 3);
  ASSERT_EQ(turn.prefill.steps.size(), 6U) << "every image at every step";
  const Ints expected = {0, 16, 0, 5, 0, 0};
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(turn.prefill.steps[i].plan.n_out(), expected[i]) << i;
    EXPECT_EQ(turn.prefill.steps[i].step, static_cast<int32_t>(i) / 2);
    EXPECT_EQ(turn.prefill.steps[i].image, static_cast<int32_t>(i) % 2);
  }
  EXPECT_EQ(turn.prefill.steps[3].kept, counting(0, 5));
  ASSERT_EQ(second.seen.size(), 1U);
  EXPECT_EQ(second.seen[0].n, 16);
  EXPECT_EQ(turn.prefill.n_visual_after, 0);
  EXPECT_DOUBLE_EQ(turn.prefill.n_visual_average, (32 + 16 + 5 + 0) / 4.0);
  for (const float logit : turn.step_logits.back()) ASSERT_TRUE(std::isfinite(logit));
}

TEST(Plans, APromptOfNothingButTheImageCannotBeEmptied) {
  const RecorderMethod method({});
  const EncodedImage image = encoded(3);
  EXPECT_THROW(run({{{}, 0}}, {image}, {method.step("0", 1)}), Error);
}

// --- counts --------------------------------------------------------------------------------------------

/// Keeps every other token of what is left.
RecorderMethod halving() {
  return RecorderMethod({}, [](const prune::Signals& signals, int32_t n_keep) {
    EXPECT_EQ(n_keep, prune::kMethodDecides);
    prune::Plan plan;
    for (int32_t token = 0; token < signals.n(); token += 2) plan.add_kept(token);
    return plan;
  });
}

TEST(AdaptiveCounts, AreWhatTheMethodFinds) {
  const RecorderMethod method = halving();
  const EncodedImage image = encoded(3);
  const Turn turn = run(prompt_of(1), {image}, {method.step("", 1), method.step("", 3)}, 3);
  EXPECT_EQ(turn.prefill.steps.at(1).kept, (Ints{0, 4, 8, 12}));
  EXPECT_EQ(turn.prefill.n_visual_after, 4);
  EXPECT_DOUBLE_EQ(turn.prefill.n_visual_average, (16 + 8 + 8 + 4) / 4.0);
  EXPECT_TRUE(turn.prefill.notes.empty());
  const int64_t rows = int64_t{4} * 11 + 16 + 8 + 8 + 4;
  EXPECT_EQ(turn.prefill.kv_bytes, rows * 2 * 128 * 4);
  // A budget after it counts what the method left.
  const RecorderMethod half({});
  EXPECT_EQ(run(prompt_of(1), {image}, {method.step("", 1), half.step("50%", 2)}).prefill.n_visual_after, 4);
  const Turn many = run(prompt_of(1), {image}, {method.step("", 1), half.step("12", 2)});
  EXPECT_EQ(many.prefill.n_visual_after, 8);
  EXPECT_EQ(many.prefill.notes.size(), 1U) << "there were only 8";
}

TEST(AdaptiveCounts, MakeALongPromptFit) {
  const RecorderMethod method = halving();
  SessionOptions options = threads(1);
  options.n_ctx = 20;
  Session session(tiny_model(), options);
  const EncodedImage image = encoded(3);
  PruneOptions prune;
  prune.position = prune::PositionPolicy::Compact;
  prune.steps = {method.step("", kAfterTower)};
  session.prefill(prompt_of(1), {&image}, prune, 0);
  EXPECT_EQ(session.n_ids(), 19);
  session.clear();
  EXPECT_THROW(session.prefill(prompt_of(1), {&image}, {}, 0), Error);
}

TEST(AdaptiveCounts, AGivenBudgetIsExact) {
  const RecorderMethod method({});
  const Turn turn = run(prompt_of(2), {encoded(3), encoded(4)}, {method.step("7", 2)});
  EXPECT_EQ(turn.prefill.n_visual_after, 7);
  EXPECT_EQ(method.seen.at(0).n_keep, 4);
  EXPECT_EQ(method.seen.at(1).n_keep, 3);
}

// --- schedules -----------------------------------------------------------------------------------------

/// Before layers 1 and 3: half and a quarter of what the average asks for, 12 and 4 by default.
std::vector<prune::Scheduled> two_steps(const prune::ScheduleRequest& request) {
  EXPECT_EQ(request.n_layer, kLayers);
  if (request.average <= 0.0) return {{1, 12, {}}, {3, 4, {{"cls", "keys"}}}};
  const auto n = static_cast<int32_t>(std::lround(request.average));
  return {{1, n, {}}, {3, n / 2, {}}};
}

TEST(Schedules, AStepWithoutALayerBecomesTheMethodsOwn) {
  const RecorderMethod method({}, {}, two_steps);
  Session session(tiny_model(), threads(1));
  PruneOptions options;
  options.steps = {method.step("", kOwnSchedule)};
  const EncodedImage image =
      session.encode(testing::picture(3, 56, 56), ImageFit::Crop, session.tower_request(options));
  ASSERT_EQ(image.computed.size(), 1U) << "a need of the second step only";
  method.requests.clear();
  const PrefillResult result = session.prefill(prompt_of(1), {&image}, options, 0);
  ASSERT_EQ(method.requests.size(), 1U);
  EXPECT_EQ(method.requests[0].n_visual, 16);
  EXPECT_DOUBLE_EQ(method.requests[0].average, 0.0);
  ASSERT_EQ(result.schedule.size(), 2U);
  EXPECT_EQ(result.schedule[0].layer, 1);
  EXPECT_EQ(result.schedule[1].layer, 3);
  EXPECT_EQ(result.schedule[1].use.to_string(), "recorder:cls=keys");
  EXPECT_EQ(result.schedule[1].budget.to_string(), "4");
  EXPECT_EQ(result.steps.at(0).plan.n_out(), 12);
  EXPECT_EQ(result.steps.at(1).plan.n_out(), 4);
  EXPECT_TRUE(result.computed[0].empty());
  EXPECT_EQ(result.computed[1].size(), 1U);
}

TEST(Schedules, TheBudgetIsTheAverage) {
  const std::vector<EncodedImage> images = {encoded(3), encoded(4)};
  for (const auto& [keep, average] : {std::pair{"50%", 16}, {"10", 10}, {"25%", 8}}) {
    const RecorderMethod method({}, {}, two_steps);
    const Turn turn = run(prompt_of(2), images, {method.step(keep, kOwnSchedule)});
    EXPECT_DOUBLE_EQ(method.requests.at(0).average, average);
    EXPECT_EQ(method.requests[0].n_visual, 32);
    ASSERT_EQ(turn.prefill.steps.size(), 4U);
    EXPECT_EQ(turn.prefill.steps[0].plan.n_out() + turn.prefill.steps[1].plan.n_out(), average);
    EXPECT_EQ(turn.prefill.n_visual_after, average / 2);
  }
}

TEST(Schedules, AllTokensAreNoPruning) {
  const EncodedImage image = encoded(3);
  const RecorderMethod method({}, {}, two_steps);
  const Turn none = run(prompt_of(1), {image}, {}, 2);
  for (const char* keep : {"100%", "16", "40"}) {
    const Turn all = run(prompt_of(1), {image}, {method.step(keep, kOwnSchedule)}, 2);
    EXPECT_EQ(all.prefill.logits, none.prefill.logits) << keep;
    EXPECT_EQ(all.step_logits, none.step_logits) << keep;
  }
  EXPECT_TRUE(method.requests.empty());
}

TEST(Schedules, InACascadeTheMethodActsOnce) {
  const EncodedImage image = encoded(3);
  const RecorderMethod scheduled({}, {}, two_steps), other({});
  const Turn turn = run(prompt_of(1), {image}, {scheduled.step("8", kOwnSchedule), other.step("3", 2)});
  ASSERT_EQ(turn.prefill.schedule.size(), 2U);
  EXPECT_TRUE(scheduled.requests.empty());
  EXPECT_EQ(turn.prefill.steps.at(0).plan.n_out(), 8);
  EXPECT_EQ(turn.prefill.n_visual_after, 3);
}

TEST(Schedules, ThatDoNotAscendAreRefused) {
  const EncodedImage image = encoded(3);
  for (const Ints& layers : {Ints{1, 1}, Ints{2, 1}, Ints{1, 4}}) {
    const RecorderMethod method({}, {}, [&](const prune::ScheduleRequest&) {
      std::vector<prune::Scheduled> out;
      for (const int32_t layer : layers) out.push_back({layer, 4, {}});
      return out;
    });
    EXPECT_THROW(run(prompt_of(1), {image}, {method.step("", kOwnSchedule)}), Error) << layers[1];
  }
}

TEST(Schedules, WithoutAnImageThereIsNothingToDo) {
  const RecorderMethod method({}, {}, two_steps);
  const Prompt prompt = {{testing::text_ids(1, 9), -1}};
  const Turn turn = run(prompt, {}, {method.step("", kOwnSchedule)}, 1);
  EXPECT_EQ(turn.prefill.logits, run(prompt, {}, {}, 1).prefill.logits);
  EXPECT_TRUE(turn.prefill.schedule.empty());
}

}  // namespace
}  // namespace winnow::engine
