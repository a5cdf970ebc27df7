// Several images, several turns, and the context's limits.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "winnow/base/error.h"
#include "winnow/engine/generate.h"

namespace winnow::engine {
namespace {

using testing::oracle_model;
using testing::prune_with;
using testing::RefMatrix;
using testing::RefPrune;
using testing::run_turn;
using testing::text_ids;
using testing::threads;
using testing::tiny_model;
using testing::Turn;
using testing::worst_error;

constexpr int32_t kPatches = 16;

Image tiny_picture(uint64_t seed) { return testing::picture(seed, 56, 56); }

/// text 5, image 0, text 3, image 1, text 6: 46 tokens of the tiny model.
Prompt two_image_prompt() {
  return {{text_ids(1, 5), -1}, {{}, 0}, {text_ids(2, 3), -1}, {{}, 1}, {text_ids(3, 6), -1}};
}

const testing::ReferenceLlava& tiny_reference() {
  static const testing::ReferenceLlava reference(testing::synth_files(synth_shape("tiny")).text,
                                                 testing::synth_files(synth_shape("tiny")).mmproj);
  return reference;
}

/// The sequence of two_image_prompt() put together by hand from the projected features.
RefMatrix two_image_embeds(const std::vector<Image>& pictures) {
  Session session(tiny_model(), threads(1));
  RefMatrix projected(2 * kPatches, tiny_model()->llama().n_embd);
  auto at = projected.values.begin();
  for (const Image& image : pictures) {
    const EncodedImage encoded = session.encode(image, ImageFit::Crop, {});
    at = std::copy(encoded.projected.begin(), encoded.projected.end(), at);
  }
  constexpr int32_t kPlace = -7;
  std::vector<int32_t> ids;
  for (const PromptPiece& piece : two_image_prompt()) {
    if (piece.image >= 0) {
      ids.insert(ids.end(), kPatches, kPlace);
    } else {
      ids.insert(ids.end(), piece.ids.begin(), piece.ids.end());
    }
  }
  return tiny_reference().embed(ids, kPlace, projected);
}

std::vector<int32_t> counting(int64_t n) {
  std::vector<int32_t> ids(static_cast<std::size_t>(n));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

TEST(SeveralImages, StandAtTheirPlaces) {
  const std::vector<Image> pictures = {tiny_picture(1), tiny_picture(2)};
  Session session(tiny_model(), threads(1));
  const Turn turn = run_turn(session, two_image_prompt(), pictures, {});
  EXPECT_EQ(turn.prefill.n_text, 14);
  EXPECT_EQ(turn.prefill.n_visual_before, 2 * kPatches);
  const RefMatrix embeds = two_image_embeds(pictures);
  const auto expected = tiny_reference().forward(embeds, counting(embeds.rows));
  EXPECT_LE(worst_error(turn.prefill.logits, expected.logits.row(expected.logits.rows - 1)), 1e-4);
  Session swapped(tiny_model(), threads(1));
  EXPECT_NE(run_turn(swapped, two_image_prompt(), {pictures[1], pictures[0]}, {}).prefill.logits,
            turn.prefill.logits);
}

TEST(SeveralImages, PrunedEqualsTheReferenceOnTheKeptRows) {
  const std::vector<Image> pictures = {tiny_picture(1), tiny_picture(2)};
  const RefMatrix embeds = two_image_embeds(pictures);
  for (const char* method : {"fastv", "fastv_vis", "balanced", "window_fastv", "random", "grid"}) {
    const PruneOptions options = prune_with(method, "10", 2, *tiny_model());
    Session session(tiny_model(), threads(1));
    const Turn turn = run_turn(session, two_image_prompt(), pictures, options);
    ASSERT_EQ(turn.prefill.steps.size(), 2U) << method;
    RefPrune drop{.layer = 2, .visual_rows = {}, .kept = std::vector<int32_t>{}};
    for (int32_t image = 0; image < 2; ++image) {
      const StepResult& step = turn.prefill.steps[static_cast<std::size_t>(image)];
      EXPECT_EQ(step.image, image);
      EXPECT_EQ(step.n_before, kPatches);
      EXPECT_EQ(step.kept.size(), 5U) << "half of 10 each";
      for (int32_t j = 0; j < kPatches; ++j) drop.visual_rows.push_back((image == 0 ? 5 : 24) + j);
      for (const int32_t j : step.kept) drop.kept->push_back(image * kPatches + j);
    }
    const auto expected = tiny_reference().forward(embeds, counting(embeds.rows), drop);
    EXPECT_LE(worst_error(turn.prefill.logits, expected.logits.row(expected.logits.rows - 1)), 1e-4)
        << method;
  }
}

TEST(SeveralImages, FastVReadsEachImagesOwnColumns) {
  const std::vector<Image> pictures = {tiny_picture(1), tiny_picture(2)};
  const RefMatrix embeds = two_image_embeds(pictures);
  // The query is the prompt's last token, or the last visual token of the sequence, for both images.
  for (const auto& [method, query_row] : {std::pair{"fastv", 45}, {"fastv_vis", 39}}) {
    Session session(tiny_model(), threads(1));
    const Turn turn =
        run_turn(session, two_image_prompt(), pictures, prune_with(method, "10", 2, *tiny_model()));
    for (int32_t image = 0; image < 2; ++image) {
      RefPrune drop{.layer = 2, .n_keep = 5, .query_row = query_row};
      for (int32_t j = 0; j < kPatches; ++j) drop.visual_rows.push_back((image == 0 ? 5 : 24) + j);
      const auto expected = tiny_reference().forward(embeds, counting(embeds.rows), drop);
      EXPECT_EQ(turn.prefill.steps[static_cast<std::size_t>(image)].kept, expected.kept)
          << method << " image " << image;
    }
  }
}

TEST(SeveralImages, QuotasAddUpAndEachImageKeepsAtLeastOne) {
  const std::vector<Image> pictures = {tiny_picture(1), tiny_picture(2)};
  for (const auto& [keep, total] : {std::pair{"1", 2}, {"2", 2}, {"7", 7}, {"31", 31}, {"50%", 16}}) {
    Session session(tiny_model(), threads(1));
    const Turn turn =
        run_turn(session, two_image_prompt(), pictures, prune_with("fastervlm", keep, -1, *tiny_model()));
    EXPECT_EQ(turn.prefill.n_visual_after, total) << keep;
    const auto first = static_cast<int32_t>(turn.prefill.steps[0].kept.size());
    EXPECT_LE(std::abs(2 * first - total), 1) << keep;
  }
}

TEST(SeveralImages, IdenticalImagesGiveIdenticalSetsAfterTheTower) {
  const std::vector<Image> pictures = {tiny_picture(1), tiny_picture(1)};
  for (const prune::Method* method : prune::selecting_methods()) {
    const prune::MethodInfo& info = method->info();
    if (info.stage == prune::Stage::BeforeLayer || info.name == "random") continue;
    if (!testing::can_run(*tiny_model(), info.name)) continue;
    Session session(tiny_model(), threads(1));
    const Turn turn =
        run_turn(session, two_image_prompt(), pictures, prune_with(info.name, "8", -1, *tiny_model()));
    EXPECT_EQ(turn.prefill.steps[0].plan.index, turn.prefill.steps[1].plan.index) << info.name;
  }
  Session session(tiny_model(), threads(1));
  const Turn random =
      run_turn(session, two_image_prompt(), pictures, prune_with("random", "8", -1, *tiny_model()));
  EXPECT_NE(random.prefill.steps[0].kept, random.prefill.steps[1].kept) << "each image has its own stream";
}

TEST(SeveralImages, AnImageThatIsNotThereIsRefused) {
  Session session(tiny_model(), threads(1));
  EXPECT_THROW(run_turn(session, two_image_prompt(), {tiny_picture(1)}, {}), Error);
  EXPECT_THROW(session.prefill({}, {}, {}, 0), Error) << "no tokens at all";
  EXPECT_THROW(session.prefill({{{512}, -1}}, {}, {}, 0), Error) << "a token outside the vocabulary";
}

Prompt first_turn() { return {{text_ids(1, 5), -1}, {{}, 0}, {text_ids(2, 6), -1}}; }

TEST(Turns, SecondTurnEqualsOneLongPrompt) {
  const std::vector<int32_t> answer = text_ids(3, 4);
  const std::vector<int32_t> question = text_ids(4, 7);
  Session two(tiny_model(), threads(1));
  run_turn(two, first_turn(), {tiny_picture(1)}, {}, 0, answer);
  const auto second = two.prefill({{question, -1}}, {}, {}, 0);
  Prompt whole = first_turn();
  whole.push_back({answer, -1});
  whole.push_back({question, -1});
  Session one(tiny_model(), threads(1));
  const Turn expected = run_turn(one, whole, {tiny_picture(1)}, {});
  EXPECT_LE(worst_error(second.logits, expected.prefill.logits), 1e-5);
  EXPECT_EQ(two.n_ids(), one.n_ids());
  EXPECT_EQ(two.cache().bytes_used(), one.cache().bytes_used());
}

TEST(Turns, AnImageInTheSecondTurnIsPrunedThere) {
  const std::vector<int32_t> opening = text_ids(5, 9);
  Session two(tiny_model(), threads(1));
  two.prefill({{opening, -1}}, {}, {}, 0);
  const PruneOptions options = prune_with("fastv", "6", 2, *tiny_model());
  const Turn second = run_turn(two, first_turn(), {tiny_picture(1)}, options);
  Prompt whole = first_turn();
  whole.insert(whole.begin(), {opening, -1});
  Session one(tiny_model(), threads(1));
  const Turn expected = run_turn(one, whole, {tiny_picture(1)}, options);
  EXPECT_EQ(second.prefill.steps[0].kept, expected.prefill.steps[0].kept);
  EXPECT_LE(worst_error(second.prefill.logits, expected.prefill.logits), 1e-5);
}

TEST(Turns, TheConversationGoesOnAfterPruning) {
  const std::vector<int32_t> answer = text_ids(3, 4);
  const std::vector<int32_t> question = text_ids(4, 7);
  const Image image = testing::picture(3, 84, 84);
  for (const auto policy : {prune::PositionPolicy::Original, prune::PositionPolicy::Compact}) {
    PruneOptions options = prune_with("fastv", "9", 2, *oracle_model());
    options.position = policy;
    Session by_turn(oracle_model(), threads(1));
    run_turn(by_turn, first_turn(), {image}, options, 0, answer);
    const auto second = by_turn.prefill({{question, -1}}, {}, options, 0);
    Session one_by_one(oracle_model(), threads(1));
    std::vector<int32_t> rest = answer;
    rest.insert(rest.end(), question.begin(), question.end());
    const Turn expected = run_turn(one_by_one, first_turn(), {image}, options, 0, rest);
    EXPECT_LE(worst_error(second.logits, expected.step_logits.back()), 1e-5)
        << prune::position_policy_name(policy);
    EXPECT_EQ(by_turn.n_ids(), one_by_one.n_ids());
  }
}

TEST(Turns, AnAnswerCutShortIsWhollyInTheCache) {
  Session session(tiny_model(), threads(1));
  Turn first = run_turn(session, first_turn(), {tiny_picture(1)}, {});
  const int32_t before = session.n_ids();
  GenerateOptions options;
  options.max_tokens = 5;
  const Generation answer = generate(session, first.prefill.logits, options);
  if (answer.ended) GTEST_SKIP() << "the model ended by itself";
  ASSERT_EQ(answer.tokens.size(), 5U);
  const auto second = session.prefill({{text_ids(4, 7), -1}}, {}, {}, 0);
  Prompt whole = first_turn();
  whole.push_back({answer.tokens, -1});
  whole.push_back({text_ids(4, 7), -1});
  Session one(tiny_model(), threads(1));
  const Turn expected = run_turn(one, whole, {tiny_picture(1)}, {});
  EXPECT_EQ(session.n_ids(), before + 5 + 7);
  generate(session, session.decode(7), options);
  EXPECT_EQ(session.n_ids(), before + 5 + 7 + 1 + 4) << "nothing runs twice, the last token waits";
  session.clear();
  session.prefill({{{5}, -1}}, {}, {}, 0);
  EXPECT_EQ(session.n_ids(), 1) << "a new conversation has nothing of the old one";
  EXPECT_LE(worst_error(second.logits, expected.prefill.logits), 1e-5);
}

TEST(Turns, AFailureHalfWayLeavesTheConversationAsItWas) {
  const PruneOptions options = prune_with("fastv", "4", 2, *tiny_model());
  Session session(tiny_model(), threads(1));
  Session untouched(tiny_model(), threads(1));
  for (Session* s : {&session, &untouched}) {
    run_turn(*s, first_turn(), {tiny_picture(1)}, options, 2);
    s->defer(5);
  }
  session.set_observer([](std::string_view name, std::span<const int64_t>, std::span<const float>) {
    if (name == "llm.2.out") throw std::runtime_error("layers 0 and 1 have run");
  });
  const EncodedImage encoded = untouched.encode(tiny_picture(2), ImageFit::Crop, {});
  EXPECT_THROW(session.prefill(first_turn(), {&encoded}, options, 0), std::runtime_error);
  session.set_observer({});
  EXPECT_EQ(session.n_ids(), untouched.n_ids());
  EXPECT_EQ(session.cache().bytes_used(), untouched.cache().bytes_used());
  const Prompt next = {{text_ids(4, 7), -1}};
  EXPECT_EQ(session.prefill(next, {}, {}, 0).logits, untouched.prefill(next, {}, {}, 0).logits);
}

TEST(Context, PromptAndDecodingStopAtItsEnd) {
  SessionOptions options = threads(1);
  options.n_ctx = 30;
  Session session(tiny_model(), options);
  EXPECT_THROW(run_turn(session, two_image_prompt(), {tiny_picture(1), tiny_picture(2)}, {}), Error);
  EXPECT_EQ(session.n_ids(), 0) << "a refused prompt leaves nothing behind";
  const Turn fits = run_turn(session, first_turn(), {tiny_picture(1)}, {}, 3);
  EXPECT_EQ(session.n_ids(), 30);
  EXPECT_THROW(session.decode(5), Error);
  session.clear();
  const Turn again = run_turn(session, first_turn(), {tiny_picture(1)}, {});
  GenerateOptions long_answer;
  long_answer.max_tokens = 100;
  const Generation cut = generate(session, again.prefill.logits, long_answer);
  EXPECT_LE(cut.tokens.size(), 4U) << "stops at the context's end without an error";
}

TEST(Context, PruningAfterTheTowerMakesALongPromptFit) {
  SessionOptions options = threads(1);
  options.n_ctx = 30;
  Session session(tiny_model(), options);
  const Turn turn = run_turn(session, two_image_prompt(), {tiny_picture(1), tiny_picture(2)},
                             prune_with("fastervlm", "8", -1, *tiny_model()));
  EXPECT_EQ(session.n_ids(), 22);
}

TEST(Generate, StreamsItsTextAndStopsWhenTold) {
  Session session(tiny_model(), threads(1));
  const Turn turn = run_turn(session, first_turn(), {tiny_picture(1)}, {});
  GenerateOptions options;
  options.max_tokens = 12;
  std::string streamed;
  const Generation whole = generate(session, turn.prefill.logits, options, [&](std::string_view text) {
    streamed += text;
    return true;
  });
  EXPECT_EQ(streamed, whole.text);
  session.clear();
  const Turn again = run_turn(session, first_turn(), {tiny_picture(1)}, {});
  const Generation stopped =
      generate(session, again.prefill.logits, options, [](std::string_view) { return false; });
  EXPECT_LT(stopped.tokens.size(), std::max<std::size_t>(whole.tokens.size(), 2));
  options.max_tokens = -1;
  EXPECT_THROW(generate(session, again.prefill.logits, options), Error);
}

}  // namespace
}  // namespace winnow::engine
