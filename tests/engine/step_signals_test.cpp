// Every signal of the decoder, as a method is given it, against the plain-loop double-precision reference.

#include "winnow/engine/step_signals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/recorder_method.h"
#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

using prune::Need;
using prune::Signal;
using testing::RecorderMethod;
using testing::RefForward;
using testing::RefMatrix;
using testing::RefPrune;
using testing::SeenSignals;
using testing::threads;
using testing::worst_error;

constexpr int32_t kPlace = -7;  ///< of a visual token in the ids of the reference

/// All signals of a step before layer K >= 1 that are made inside the decoder.
const std::vector<Need>& decoder_needs() {
  static const std::vector<Need> needs = {
      {Signal::Projected},     {Signal::TextEmbeds},        {Signal::InputEmbeds},
      {Signal::Hidden},        {Signal::HiddenLast},        {Signal::PreviousHidden},
      {Signal::HiddenNormed},  {Signal::TextNormed},        {Signal::LayerKeys},
      {Signal::TextKeys},      {Signal::LastTextAttention}, {Signal::LastVisualAttention},
      {Signal::TextAttention}, {Signal::NextAttention}};
  return needs;
}

/// A small model, its reference, and a prompt of text, image, text, image, ..., text.
struct Setting {
  std::shared_ptr<const Model> model;
  const testing::ReferenceLlava* reference;
  Prompt prompt;
  std::vector<EncodedImage> images;
  RefMatrix embeds;             ///< what enters layer 0
  std::vector<int32_t> firsts;  ///< row of each image's first token
  int32_t n_patch = 0;
  int32_t first_text = 0;

  int32_t n() const { return static_cast<int32_t>(embeds.rows); }
  std::vector<const EncodedImage*> refs() const {
    std::vector<const EncodedImage*> out;
    for (const EncodedImage& image : images) out.push_back(&image);
    return out;
  }
  std::vector<int32_t> rows_of(int32_t image) const { return counting(firsts[image], n_patch); }
  std::vector<int32_t> text_rows() const { return counting(first_text, n() - first_text); }
  static std::vector<int32_t> counting(int32_t first, int32_t n) {
    std::vector<int32_t> out(static_cast<std::size_t>(n));
    std::iota(out.begin(), out.end(), first);
    return out;
  }
};

const testing::ReferenceLlava& tiny_reference() {
  static const testing::ReferenceLlava reference(testing::synth_files(synth_shape("tiny")).text,
                                                 testing::synth_files(synth_shape("tiny")).mmproj);
  return reference;
}

/// text_sizes: tokens before, between and behind the images.
Setting setting(bool oracle, const std::vector<int32_t>& text_sizes, bool f32 = true) {
  Setting out;
  out.model = oracle ? testing::oracle_model(f32) : testing::tiny_model(f32);
  out.reference = oracle ? &testing::oracle_reference() : &tiny_reference();
  out.n_patch = out.model->clip().n_patch();
  Session session(out.model, threads(1));
  RefMatrix projected;
  std::vector<int32_t> ids;
  for (std::size_t i = 0; i < text_sizes.size(); ++i) {
    out.prompt.push_back({testing::text_ids(i + 1, text_sizes[i]), -1});
    ids.insert(ids.end(), out.prompt.back().ids.begin(), out.prompt.back().ids.end());
    out.first_text = static_cast<int32_t>(std::ssize(ids)) - text_sizes[i];
    if (i + 1 == text_sizes.size()) break;
    out.prompt.push_back({{}, static_cast<int32_t>(i)});
    out.firsts.push_back(static_cast<int32_t>(ids.size()));
    ids.insert(ids.end(), static_cast<std::size_t>(out.n_patch), kPlace);
    const int32_t size = out.model->clip().image_size_px;
    out.images.push_back(session.encode(testing::picture(i + 3, size, size), ImageFit::Crop, {}));
    const auto& values = out.images.back().projected;
    projected.values.insert(projected.values.end(), values.begin(), values.end());
  }
  projected.cols = out.model->llama().n_embd;
  projected.rows = std::ssize(projected.values) / projected.cols;
  if (text_sizes.back() == 0) out.first_text = static_cast<int32_t>(ids.size()) - 1;
  out.embeds = out.reference->embed(ids, kPlace, projected);
  return out;
}

/// Rows and columns of heads [h][query, key] as a signal has them: [n_head * queries, keys].
std::vector<double> attention_of(const std::vector<RefMatrix>& heads, const std::vector<int32_t>& queries,
                                 const std::vector<int32_t>& keys) {
  std::vector<double> out;
  for (const RefMatrix& head : heads) {
    for (const int32_t query : queries) {
      for (const int32_t key : keys) out.push_back(head.at(query, key));
    }
  }
  return out;
}

const RefMatrix& entering(const Setting& s, const RefForward& whole, int32_t layer) {
  return layer == 0 ? s.embeds : whole.layers[static_cast<std::size_t>(layer - 1)];
}

/// Every signal of one image before layer K of an unpruned pass; rows: of the image's tokens, all_visual: of
/// all images.
std::map<Signal, std::vector<double>> expected_signals(const Setting& s, const RefForward& whole,
                                                       int32_t layer, int32_t image) {
  const auto of = [](const RefMatrix& m, const std::vector<int32_t>& rows) {
    return testing::ref_rows(m, rows).values;
  };
  const auto previous = static_cast<std::size_t>(layer - 1);
  const std::vector<int32_t> visual = s.rows_of(image), text = s.text_rows(), last = {s.n() - 1};
  const RefMatrix& hidden = entering(s, whole, layer);
  const RefMatrix normed = s.reference->final_norm(hidden);
  const std::vector<int32_t> last_visual = {s.firsts.back() + s.n_patch - 1};
  return {{Signal::Projected, of(s.embeds, visual)},
          {Signal::InputEmbeds, of(s.embeds, visual)},
          {Signal::TextEmbeds, of(s.embeds, text)},
          {Signal::Hidden, of(hidden, visual)},
          {Signal::HiddenLast, of(hidden, last)},
          {Signal::PreviousHidden, of(entering(s, whole, layer - 1), visual)},
          {Signal::HiddenNormed, of(normed, visual)},
          {Signal::TextNormed, of(normed, text)},
          {Signal::LayerKeys, of(whole.keys[previous], visual)},
          {Signal::TextKeys, of(whole.keys[previous], text)},
          {Signal::LastTextAttention, attention_of(whole.attention[previous], last, visual)},
          {Signal::LastVisualAttention, attention_of(whole.attention[previous], last_visual, visual)},
          {Signal::TextAttention, attention_of(whole.attention[previous], text, visual)},
          {Signal::NextAttention, attention_of(whole.attention[previous + 1], last, visual)}};
}

void expect_signals(const SeenSignals& seen, const std::map<Signal, std::vector<double>>& expected,
                    double tolerance, const std::string& what) {
  for (std::size_t i = 0; i < decoder_needs().size(); ++i) {
    const Signal signal = decoder_needs()[i].signal;
    EXPECT_LE(worst_error(seen.of_need[i].values, expected.at(signal)), tolerance)
        << prune::signal_name(signal) << ", " << what;
  }
}

/// Signals of every image before `layer`, every image half kept.
void check_setting(const Setting& s, int32_t layer, int32_t n_batch, double tolerance) {
  const RecorderMethod method(decoder_needs());
  SessionOptions options = threads(1);
  options.n_batch = n_batch;
  Session session(s.model, options);
  PruneOptions prune;
  prune.steps = {method.step("50%", layer)};
  session.prefill(s.prompt, s.refs(), prune, 0);
  const RefForward whole = s.reference->forward(s.embeds, Setting::counting(0, s.n()));
  ASSERT_EQ(method.seen.size(), s.images.size());
  for (int32_t image = 0; image < std::ssize(s.images); ++image) {
    const SeenSignals& seen = method.seen[static_cast<std::size_t>(image)];
    const std::string what = fmt::format("layer {}, image {}, batch {}", layer, image, n_batch);
    expect_signals(seen, expected_signals(s, whole, layer, image), tolerance, what);
    EXPECT_EQ(seen.ids, s.rows_of(image)) << what;
    EXPECT_EQ(seen.text_ids, s.text_rows()) << what;
    EXPECT_EQ(seen.rope.d_head, s.model->llama().d_head);
    EXPECT_FLOAT_EQ(seen.rope.base, 10000.0F);
    EXPECT_TRUE(seen.token_of.empty());
  }
}

TEST(StepSignals, EqualTheReferenceBeforeEveryLayer) {
  const Setting oracle = setting(true, {7, 9});
  for (const int32_t layer : {1, 2, 3, 4}) check_setting(oracle, layer, 0, 2e-5);
  check_setting(oracle, 2, 7, 2e-5);
}

TEST(StepSignals, EqualTheReferenceWithGroupedQueries) {
  const Setting tiny = setting(false, {5, 6});
  ASSERT_NE(tiny.model->llama().n_head, tiny.model->llama().n_head_kv);
  for (const int32_t layer : {1, 2, 3}) check_setting(tiny, layer, 0, 2e-5);
  check_setting(tiny, 2, 1, 2e-5);
}

TEST(StepSignals, OfSeveralImages) {
  const Setting two = setting(false, {5, 3, 6});
  for (const int32_t batch : {0, 7}) check_setting(two, 2, batch, 2e-5);
}

TEST(StepSignals, WithoutTextBehindTheImageTheLastTokenIsTheText) {
  const Setting bare = setting(false, {5, 0});
  ASSERT_EQ(bare.text_rows(), std::vector<int32_t>{20});
  for (const int32_t batch : {0, 6}) check_setting(bare, 2, batch, 2e-5);
}

TEST(StepSignals, OfALongText) {
  const Setting text = setting(false, {5, 200});
  for (const int32_t batch : {0, 100, 64}) check_setting(text, 1, batch, 2e-5);
}

TEST(StepSignals, StayNearTheReferenceInHalfPrecision) {
  check_setting(setting(true, {7, 9}, false), 2, 0, 2e-2);
  check_setting(setting(false, {5, 6}, false), 2, 5, 2e-2);
}

/// Signals of the second turn of a conversation, which is the end of one long prompt.
void check_second_turn(Setting s, const SessionOptions& options, double tolerance, const std::string& what) {
  const std::vector<int32_t> opening = testing::text_ids(9, 11);
  RefMatrix embeds = s.reference->embed(opening, kPlace, {});
  embeds.values.insert(embeds.values.end(), s.embeds.values.begin(), s.embeds.values.end());
  embeds.rows += s.embeds.rows;
  const RecorderMethod method(decoder_needs());
  Session session(s.model, options);
  session.prefill({{opening, -1}}, {}, {}, 0);
  PruneOptions prune;
  prune.steps = {method.step("4", 2)};
  session.prefill(s.prompt, s.refs(), prune, 0);
  s.embeds = embeds;
  s.firsts[0] += 11;
  s.first_text += 11;
  const RefForward whole = s.reference->forward(s.embeds, Setting::counting(0, s.n()));
  expect_signals(method.seen.at(0), expected_signals(s, whole, 2, 0), tolerance, what);
  EXPECT_EQ(method.seen[0].ids, s.rows_of(0)) << what;
  EXPECT_EQ(method.seen[0].text_ids, s.text_rows()) << what;
}

TEST(StepSignals, CountEarlierTurns) {
  for (const int32_t batch : {0, 7}) {
    SessionOptions options = threads(1);
    options.n_batch = batch;
    check_second_turn(setting(false, {5, 6}), options, 2e-5, fmt::format("batch {}", batch));
  }
}

TEST(StepSignals, ReadEveryKindOfCache) {
  const Setting half = setting(false, {5, 6}, false);
  for (const char* type : {"f32", "f16", "bf16", "q8_0"}) {
    for (const auto flash : {FlashAttention::On, FlashAttention::Off}) {
      SessionOptions options = threads(1);
      options.kv_type = type;
      options.flash = flash;
      check_second_turn(half, options, 4e-2, type);
    }
  }
}

TEST(StepSignals, BeforeLayerZeroAndAfterTheTower) {
  const Setting s = setting(false, {5, 6});
  const RecorderMethod method({{Signal::Projected},
                               {Signal::InputEmbeds},
                               {Signal::Hidden},
                               {Signal::TextEmbeds},
                               {Signal::HiddenLast},
                               {Signal::HiddenNormed},
                               {Signal::TextNormed},
                               {Signal::NextAttention}});
  const RefForward whole = s.reference->forward(s.embeds, Setting::counting(0, s.n()));
  const RefMatrix normed = s.reference->final_norm(s.embeds);
  const auto of = [&](const RefMatrix& m, const std::vector<int32_t>& rows) {
    return testing::ref_rows(m, rows).values;
  };
  for (const int32_t layer : {prune::kAfterTower, 0}) {
    method.seen.clear();
    Session session(s.model, threads(1));
    PruneOptions prune;
    prune.steps = {method.step("4", layer)};
    session.prefill(s.prompt, s.refs(), prune, 0);
    const SeenSignals& seen = method.seen.at(0);
    const std::vector<double> expected[] = {
        of(s.embeds, s.rows_of(0)), of(s.embeds, s.rows_of(0)),
        of(s.embeds, s.rows_of(0)), of(s.embeds, s.text_rows()),
        of(s.embeds, {s.n() - 1}),  of(normed, s.rows_of(0)),
        of(normed, s.text_rows()),  attention_of(whole.attention[0], {s.n() - 1}, s.rows_of(0))};
    for (std::size_t i = 0; i < std::size(expected); ++i) {
      EXPECT_LE(worst_error(seen.of_need[i].values, expected[i]), 2e-5) << i << ", layer " << layer;
    }
    EXPECT_EQ(seen.ids.empty(), layer < 0) << "always filled inside the decoder";
  }
}

/// A second step, before layer K, of what a first one left before layer 1.
TEST(StepSignals, OfASecondStepFollowTheTokensLeft) {
  const Setting s = setting(true, {7, 9});
  const std::vector<int32_t> kept = {1, 4, 5, 9, 17, 20, 31, 35};
  for (const auto policy : {prune::PositionPolicy::Original, prune::PositionPolicy::Compact}) {
    for (const int32_t layer : {2, 3}) {
      const RecorderMethod first({},
                                 [&](const prune::Signals&, int32_t) { return prune::selection_plan(kept); });
      const RecorderMethod second(decoder_needs());
      Session session(s.model, threads(1));
      PruneOptions prune;
      prune.position = policy;
      prune.steps = {first.step("8", 1), second.step("3", layer)};
      session.prefill(s.prompt, s.refs(), prune, 0);

      RefPrune drop{.layer = 1, .visual_rows = s.rows_of(0), .kept = kept};
      std::vector<int32_t> ids;  // of the rows that are left
      for (int32_t row = 0; row < s.n(); ++row) {
        const bool visual = row >= s.firsts[0] && row < s.first_text;
        if (visual && std::ranges::find(kept, row - s.firsts[0]) == kept.end()) continue;
        ids.push_back(row);
      }
      const std::vector<int32_t> rows = ids;
      if (policy == prune::PositionPolicy::Compact) {
        std::iota(ids.begin(), ids.end(), 0);
        drop.positions_after = Setting::counting(0, s.n());
        for (std::size_t i = 0; i < rows.size(); ++i)
          drop.positions_after[static_cast<std::size_t>(rows[i])] = ids[i];
      }
      const RefForward left = s.reference->forward(s.embeds, Setting::counting(0, s.n()), drop);

      Setting shorter = s;  // what layers 1 and up see
      shorter.embeds = testing::ref_rows(s.embeds, rows);
      shorter.n_patch = 8;
      shorter.first_text = s.firsts[0] + 8;
      RefForward moved = left;
      if (layer == 2) moved.layers[0] = testing::ref_rows(left.layers[0], rows);
      auto expected = expected_signals(shorter, moved, layer, 0);
      expected[Signal::InputEmbeds] = testing::ref_rows(s.embeds, s.rows_of(0)).values;
      const SeenSignals& seen = second.seen.at(0);
      expect_signals(seen, expected, 2e-5, fmt::format("layer {}", layer));
      EXPECT_EQ(seen.token_of, kept);
      EXPECT_EQ(seen.n, 8);
      EXPECT_EQ(seen.ids, std::vector<int32_t>(ids.begin() + s.firsts[0], ids.begin() + s.firsts[0] + 8));
      EXPECT_EQ(seen.text_ids, std::vector<int32_t>(ids.end() - 9, ids.end()));
    }
  }
}

/// Tokens that were merged after the tower are what layer 0 reads and what Projected means from then on.
TEST(StepSignals, InputsOfMergedTokens) {
  const Setting s = setting(false, {5, 6});
  const RecorderMethod merge({}, [](const prune::Signals&, int32_t) {
    prune::Plan plan;
    plan.add_merged(std::vector<int32_t>{0, 1}, std::vector<float>{0.25F, 0.75F}, 1);
    plan.add_kept(4);
    plan.add_kept(3);
    return plan;
  });
  const RecorderMethod drop({}, [](const prune::Signals&, int32_t) {
    return prune::selection_plan(std::vector<int32_t>{0, 2});
  });
  const RecorderMethod look({{Signal::InputEmbeds}, {Signal::Projected}});
  Session session(s.model, threads(1));
  PruneOptions prune;
  prune.steps = {merge.step("3", -1), drop.step("2", 1), look.step("1", 2)};
  session.prefill(s.prompt, s.refs(), prune, 0);
  const auto row = [&](int32_t token) { return s.embeds.row(s.firsts[0] + token); };
  std::vector<double> merged, fourth(row(4).begin(), row(4).end()), third(row(3).begin(), row(3).end());
  for (std::size_t c = 0; c < row(0).size(); ++c) merged.push_back(0.25 * row(0)[c] + 0.75 * row(1)[c]);
  const auto joined = [](std::vector<double> a, const std::vector<double>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };
  EXPECT_LE(worst_error(look.seen.at(0).of_need[0].values, joined(joined(merged, fourth), third)), 1e-6);
  EXPECT_LE(worst_error(look.seen.at(0).of_need[1].values, joined(merged, third)), 1e-6);
  EXPECT_EQ(look.seen[0].token_of, (std::vector<int32_t>{1, 3}));
  EXPECT_EQ(look.seen[0].ids, (std::vector<int32_t>{6, 8})) << "position_of decides the place";
}

/// Needs sorted, so that they can be compared as sets.
std::vector<std::pair<Signal, int32_t>> sorted(const std::vector<Need>& needs) {
  std::vector<std::pair<Signal, int32_t>> out;
  for (const Need& need : needs) out.emplace_back(need.signal, need.block);
  std::sort(out.begin(), out.end());
  return out;
}

TEST(StepSignals, OnlyWhatIsDeclaredIsMade) {
  const Setting s = setting(false, {5, 6});
  std::vector<std::vector<Need>> declared = {{}, decoder_needs()};
  for (const Need& need : decoder_needs()) declared.push_back({need});
  for (const std::vector<Need>& needs : declared) {
    const RecorderMethod method(needs);
    for (const char* keep : {"50%", "100%", "0"}) {
      Session session(s.model, threads(1));
      PruneOptions prune;
      prune.steps = {method.step(keep, 2), method.step("100%", 3)};
      const PrefillResult result = session.prefill(s.prompt, s.refs(), prune, 0);
      ASSERT_EQ(result.computed.size(), 2U);
      const bool asked = std::string(keep) == "50%";
      EXPECT_EQ(sorted(result.computed[0]), asked ? sorted(needs) : sorted({})) << keep;
      EXPECT_TRUE(result.computed[1].empty()) << "everything stays: the method is not asked";
    }
  }
}

TEST(StepSignals, EveryMethodGetsWhatItDeclaresAndNothingElse) {
  for (const prune::Method* method : prune::selecting_methods()) {
    const prune::MethodInfo& info = method->info();
    if (info.keeps_all || !testing::can_run(*testing::tiny_model(), info.name)) continue;
    const int32_t layer = info.stage == prune::Stage::AfterTower ? -1 : std::max(info.min_layer, 2);
    const PruneOptions options = testing::prune_with(info.name, "8", layer, *testing::tiny_model());
    const std::vector<Need> needs = method->needs(options.steps[0].use.params);
    Session session(testing::tiny_model(), threads(1));
    const EncodedImage image =
        session.encode(testing::picture(3, 56, 56), ImageFit::Crop, session.tower_request(options));
    std::vector<Need> of_tower;
    std::ranges::copy_if(needs, std::back_inserter(of_tower),
                         [](const Need& n) { return is_of_tower(n.signal); });
    EXPECT_EQ(sorted(image.computed), sorted(of_tower)) << info.name;
    const Prompt prompt = {{testing::text_ids(1, 5), -1}, {{}, 0}, {testing::text_ids(2, 6), -1}};
    const PrefillResult result = session.prefill(prompt, {&image}, options, 0);
    ASSERT_EQ(result.computed.size(), 1U) << info.name;
    EXPECT_EQ(sorted(result.computed[0]), sorted(needs)) << info.name;
  }
}

TEST(StepSignals, LeaveTheForwardPassAlone) {
  const RecorderMethod all(decoder_needs()), none({});
  for (const bool f32 : {true, false}) {
    for (const bool oracle : {true, false}) {
      const Setting s = setting(oracle, {5, 70}, f32);
      for (const int32_t batch : {0, 33}) {
        SessionOptions session_options = threads(1);
        session_options.n_batch = batch;
        std::vector<std::vector<float>> logits;
        for (const RecorderMethod* method : {&all, &none}) {
          PruneOptions prune;
          prune.steps = {method->step("10", 1), method->step("6", 3)};
          Session session(s.model, session_options);
          logits.push_back(session.prefill(s.prompt, s.refs(), prune, 0).logits);
          logits.push_back(session.decode(7));
        }
        EXPECT_EQ(logits[0], logits[2]) << batch;
        EXPECT_EQ(logits[1], logits[3]) << batch;
      }
    }
  }
}

std::string error_of(const std::vector<Need>& needs, int32_t layer) {
  const Setting s = setting(false, {5, 6});
  const RecorderMethod method(needs);
  Session session(s.model, threads(1));
  PruneOptions prune;
  prune.steps = {method.step("4", layer)};
  try {
    session.prefill(s.prompt, s.refs(), prune, 0);
  } catch (const Error& error) {
    EXPECT_EQ(session.cache().bytes_allocated(), 0) << "refused before anything ran";
    return error.what();
  }
  return "";
}

TEST(StepSignals, ThatDoNotExistAtTheStepAreRefused) {
  for (const Signal signal :
       {Signal::PreviousHidden, Signal::LayerKeys, Signal::TextKeys, Signal::LastTextAttention,
        Signal::LastVisualAttention, Signal::TextAttention}) {
    for (const int32_t layer : {-1, 0}) {
      const std::string error = error_of({{signal}}, layer);
      EXPECT_NE(error.find("recorder needs " + std::string(prune::signal_name(signal))), std::string::npos)
          << error;
      EXPECT_NE(error.find("before layer 1 or later"), std::string::npos) << error;
    }
  }
  EXPECT_NE(error_of({{Signal::ClsToken}}, 2).find("after the tower only"), std::string::npos);
}

}  // namespace
}  // namespace winnow::engine
