// Pruning of pictures that were cut into tiles: every method of the registry, and what is done tile by tile.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"
#include "tests/support/ready_picture.h"
#include "winnow/engine/kept_patches.h"
#include "winnow/engine/step_signals.h"
#include "winnow/prune/hired_budgets.h"

namespace winnow::engine {
namespace {

using prune::Signal;
using test::expect_error;
using testing::next_model;
using testing::places;
using testing::prune_with;
using testing::ReadyPicture;
using testing::threads;
using testing::Turn;

constexpr int32_t kVisual = 52;
constexpr int32_t kNewlines = 4;
/// Tokens of the whole picture and of each tile, without padding.
constexpr int32_t kTileTokens[] = {16, 8, 8, 8, 8};

using Ints = std::vector<int32_t>;

ReadyPicture& ready() {
  static ReadyPicture made(next_model(), threads(1), testing::next_prompt(), testing::next_picture(),
                           ImageFit::Pad);
  return made;
}

Turn run(const PruneOptions& options, int32_t n_decode = 0) { return ready().run(options, n_decode); }

Turn run(const std::string& method, const std::string& keep, int32_t layer = -1) {
  return run(prune_with(method, keep, layer, *next_model()));
}

/// What a step asked of each tile, and the answers; views are copied.
struct Asked {
  int32_t tile = -1;
  int32_t n_keep = 0;
  prune::Grid grid;
  std::map<Signal, std::vector<float>> values;
  prune::Plan plan;
};

std::vector<Asked> watch(const PruneOptions& options, const std::vector<prune::Need>& needs,
                         PrefillResult* result = nullptr) {
  std::vector<Asked> seen;
  Session& session = ready().session;
  session.set_selection_observer([&](const Selection& selection) {
    Asked asked{selection.tile, selection.n_keep, selection.signals.grid, {}, selection.plan};
    for (const prune::Need& need : needs) {
      const auto values = selection.signals.view(need).all();
      asked.values[need.signal].assign(values.begin(), values.end());
    }
    seen.push_back(std::move(asked));
  });
  Turn turn = run(options);
  session.set_selection_observer({});
  if (result != nullptr) *result = std::move(turn.prefill);
  return seen;
}

/// Packed index of a token of a tile's rectangle: 16 of the whole picture, then rows of two tiles and a
/// newline.
int32_t packed(int32_t tile, int32_t token) {
  if (tile == 0) return token;
  const int32_t row = (tile - 1) / 2 * 2 + token / 4;
  return 16 + row * 9 + (tile - 1) % 2 * 4 + token % 4;
}

bool is_newline(int32_t token) { return token >= 16 && (token - 16) % 9 == 8; }

class EveryMethod : public ::testing::TestWithParam<const prune::Method*> {
 protected:
  void SetUp() override {
    if (!testing::can_run(*next_model(), info().name)) GTEST_SKIP() << "needs what no model file holds yet";
  }
  const prune::MethodInfo& info() const { return GetParam()->info(); }
};

TEST_P(EveryMethod, KeepingAllIsBitIdenticalToNone) {
  static const Turn none = run({}, 3);
  for (const int32_t layer : places(info())) {
    const Turn all = run(prune_with(info().name, "100%", layer, *next_model()), 3);
    EXPECT_EQ(all.prefill.logits, none.prefill.logits);
    EXPECT_EQ(all.step_logits, none.step_logits);
    EXPECT_EQ(all.prefill.n_visual_after, kVisual) << "newlines too";
    EXPECT_EQ(all.prefill.kv_bytes, all.prefill.kv_bytes_unpruned);
  }
}

/// Exactly as many tokens as asked for, whatever the tiles' shares; only HiRED rounds down.
TEST_P(EveryMethod, KeepsWhatIsAskedFor) {
  if (info().keeps_all) return;
  for (const int32_t layer : places(info())) {
    for (const int32_t keep : {1, 3, 13, 40, 50}) {
      const Turn pruned = run(info().name, std::to_string(keep), layer);
      const PrefillResult& p = pruned.prefill;
      if (info().name == "hired") {
        EXPECT_LE(p.n_visual_after, keep);
        EXPECT_GE(p.n_visual_after, std::min(keep - 5, 40));
      } else {
        EXPECT_EQ(p.n_visual_after, keep) << "layer " << layer;
      }
      EXPECT_EQ(p.n_visual_before, kVisual);
      ASSERT_EQ(p.steps.size(), 1U);
      EXPECT_EQ(p.steps[0].n_before, kVisual);
      for (const float logit : p.logits) ASSERT_TRUE(std::isfinite(logit));
      const bool tilewise = layer < 0 && !info().across_tiles;
      if (!tilewise || keep > kVisual - kNewlines) continue;
      for (const int32_t token : p.steps[0].plan.index) {
        EXPECT_FALSE(token < kVisual && is_newline(token)) << "a newline was kept, or merged into a token";
      }
    }
  }
}

TEST_P(EveryMethod, OutputsAscendOrStandTileAfterTile) {
  if (info().name == "visionzip") return;  // has an order over all tiles (below)
  for (const int32_t layer : places(info())) {
    if (info().keeps_all || layer >= 0) continue;
    const prune::Plan plan = run(info().name, "20").prefill.steps[0].plan;
    if (info().raster_order) {
      EXPECT_TRUE(std::is_sorted(plan.position_of.begin(), plan.position_of.end()));
    } else {
      const TokenLayout& layout = ready().image.layout;
      Ints tiles;
      for (const int32_t token : plan.position_of) {
        tiles.push_back(layout.tile_of(layout.cells[static_cast<std::size_t>(token)]));
      }
      EXPECT_TRUE(std::is_sorted(tiles.begin(), tiles.end()));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryMethod, ::testing::ValuesIn(prune::selecting_methods()),
                         [](const auto& param) { return param.param->info().name; });

/// Against the attention of each tile as the tower gave it, straight from the encoding of the tile.
TEST(Tilewise, EachTileKeepsItsMostAttendedTokens) {
  const prune::Need need{Signal::ClsAttention};
  PrefillResult result;
  const std::vector<Asked> seen = watch(prune_with("fastervlm", "24", -1, *next_model()), {need}, &result);
  ASSERT_EQ(seen.size(), 5U);
  std::set<int32_t> expected;
  for (std::size_t t = 0; t < seen.size(); ++t) {
    const int32_t n = kTileTokens[t];
    EXPECT_EQ(seen[t].tile, static_cast<int32_t>(t));
    EXPECT_EQ(seen[t].n_keep, n / 2) << "in proportion";
    EXPECT_EQ(seen[t].grid.size(), n);
    const std::vector<float>& attention = seen[t].values.at(Signal::ClsAttention);
    ASSERT_EQ(attention.size(), static_cast<std::size_t>(4 * n));
    std::vector<double> mean(static_cast<std::size_t>(n), 0.0);
    for (std::size_t i = 0; i < attention.size(); ++i)
      mean[i % mean.size()] += static_cast<double>(attention[i]);
    Ints order(mean.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return mean[static_cast<std::size_t>(a)] > mean[static_cast<std::size_t>(b)];
    });
    for (int32_t i = 0; i < n / 2; ++i)
      expected.insert(packed(static_cast<int32_t>(t), order[static_cast<std::size_t>(i)]));
  }
  EXPECT_EQ(result.steps[0].kept, Ints(expected.begin(), expected.end()));
}

/// The signals of the whole picture are those of the same pixels as a picture of their own.
TEST(Tilewise, SignalsAreThoseOfTheTileAlone) {
  SynthShape shape = synth_shape("tiny");
  const auto plain = testing::load_model(testing::synth_files(shape));
  shape.name = "tiny_tiles";
  shape.resolutions = {{112, 56}};
  const auto tiled = testing::load_model(testing::synth_files(shape));  // names decide the weights: the same
  TowerRequest request;
  request.needs = {{Signal::ClsAttention}, {Signal::TowerKeys}, {Signal::ClsToken}};
  const Image picture = testing::picture(5, 112, 56);  // fills both tiles, pixel by pixel
  Session session(tiled, threads(1));
  const EncodedImage whole = session.encode(picture, ImageFit::Pad, request);
  ASSERT_EQ(whole.n_token(), 16 + 4 * 9);
  for (int32_t tile = 0; tile < 2; ++tile) {
    Image part{56, 56, {}};
    for (int32_t y = 0; y < 56; ++y) {
      const auto row = picture.rgb.begin() + (y * 112 + tile * 56) * 3;
      part.rgb.insert(part.rgb.end(), row, row + 56 * 3);
    }
    Session alone(plain, threads(1));
    const EncodedImage one = alone.encode(part, ImageFit::Pad, request);
    for (int32_t patch = 0; patch < 16; ++patch) {
      const int32_t token = 16 + patch / 4 * 9 + tile * 4 + patch % 4;
      const auto row_of = [](const std::vector<float>& values, int32_t row, int32_t width) {
        return std::vector<float>(values.begin() + row * width, values.begin() + (row + 1) * width);
      };
      EXPECT_EQ(row_of(whole.projected, token, 256), row_of(one.projected, patch, 256));
      EXPECT_EQ(row_of(whole.features, token, 64), row_of(one.features, patch, 64));
      EXPECT_EQ(row_of(whole.signals[1].values, token, 64), row_of(one.signals[1].values, patch, 64));
      for (int32_t head = 0; head < 4; ++head) {
        EXPECT_EQ(whole.signals[0].values[static_cast<std::size_t>(head * whole.n_token() + token)],
                  one.signals[0].values[static_cast<std::size_t>(head * 16 + patch)]);
      }
    }
    EXPECT_TRUE(
        std::equal(one.cls_token.begin(), one.cls_token.end(), whole.cls_token.begin() + (tile + 1) * 256));
  }
}

TEST(Tilewise, NewlinesAreTheFirstToGo) {
  const auto newlines_of = [](const std::string& keep) {
    const Ints kept = run("fastervlm", keep).prefill.steps[0].kept;
    return std::count_if(kept.begin(), kept.end(), is_newline);
  };
  EXPECT_EQ(newlines_of("52"), 4);
  EXPECT_EQ(newlines_of("51"), 3);
  EXPECT_EQ(newlines_of("48"), 0);
  EXPECT_EQ(newlines_of("47"), 0);
}

/// DivPrune compares all tokens of the prompt's image: as one sequence, newlines too.
TEST(Tilewise, DivPruneSeesOneSequence) {
  PrefillResult result;
  const auto seen = watch(prune_with("divprune", "20", -1, *next_model()), {{Signal::Projected}}, &result);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].tile, -1);
  EXPECT_EQ(seen[0].values.at(Signal::Projected), ready().image.projected);
  prune::Signals flat;
  flat.grid = {1, kVisual};
  flat.projected = {ready().image.projected.data(), kVisual, 96};
  Rng rng(0);
  EXPECT_EQ(result.steps[0].kept, prune::run_method(prune::parse_method("divprune"), flat, 20, rng).index);
}

TEST(Tilewise, HiredSharesByEarlyAttentionOfTheWholePicture) {
  const prune::Need early{Signal::ClsAttention, 0};
  TowerRequest request;
  request.needs = {early};
  Session session(next_model(), threads(1));
  const EncodedImage image = session.encode(testing::next_picture(), ImageFit::Pad, request);
  std::vector<float> attention;
  for (int32_t head = 0; head < 4; ++head) {
    const auto row = image.signals[0].values.begin() + head * kVisual;
    attention.insert(attention.end(), row, row + 16);
  }
  for (const auto& [text, regions] :
       {std::pair{"bands", prune::HiredRegions::Bands}, {"blocks", prune::HiredRegions::Blocks}}) {
    for (const double alpha : {0.5, 0.25}) {
      const Ints budgets =
          prune::hired_budgets({attention.data(), 4, 16}, {4, 4}, {2, 2}, 20, alpha, regions);
      const std::string use = fmt::format("hired:alpha={},regions={}", alpha, text);
      Ints asked(5, 0);
      for (const Asked& tile : watch(prune_with(use, "20", -1, *next_model()), {})) {
        asked[static_cast<std::size_t>(tile.tile)] = tile.n_keep;
      }
      for (std::size_t t = 0; t < 5; ++t) EXPECT_EQ(asked[t], std::min(budgets[t], kTileTokens[t])) << use;
    }
  }
}

/// Every tile has its own [CLS] token and merges by itself, in front of the projector.
TEST(Tilewise, VisionZipTakesEachTilesClsToken) {
  const Turn turn = run("visionzip", "24");
  const prune::Plan& plan = turn.prefill.steps[0].plan;
  Ints cls;
  for (const int32_t source : plan.index) {
    if (source >= kVisual) cls.push_back(source - kVisual);
  }
  EXPECT_EQ(cls, (Ints{0, 1, 2, 3, 4}));
  for (int32_t o = 0; o < plan.n_out(); ++o) {
    std::set<int32_t> tiles;
    for (const int32_t source : plan.sources(o)) {
      const TokenLayout& layout = ready().image.layout;
      tiles.insert(source >= kVisual ? source - kVisual
                                     : layout.tile_of(layout.cells[static_cast<std::size_t>(source)]));
    }
    EXPECT_EQ(tiles.size(), 1U) << "output " << o << " mixes tiles";
  }
}

/// The reference's restore_image_features_sorted: the whole picture's outputs, the dominant tokens of all
/// tiles row by row of the canvas, the tiles' [CLS] tokens, their contextual tokens tile after tile.
TEST(Tilewise, VisionZipPutsDominantTokensBackIntoTheCanvas) {
  for (const bool with_cls : {true, false}) {
    PrefillResult result;
    const std::string use =
        std::string("visionzip:contextual=0.25") + (with_cls ? "" : ",cls_token=off,metric=column");
    const std::vector<Asked> seen = watch(prune_with(use, "24", -1, *next_model()), {}, &result);
    ASSERT_EQ(seen.size(), 5U);
    const auto source_of = [](int32_t tile, int32_t source) {
      return source == kTileTokens[tile] ? kVisual + tile : packed(tile, source);
    };
    Ints expected, dominant, cls, contextual;  // of each output the first source, which names it
    for (const Asked& asked : seen) {
      const prune::Plan& plan = asked.plan;
      const int32_t merged = asked.tile == 0 ? 2 : 1;  // a quarter of 8 and of 4 outputs
      for (int32_t o = 0; o < plan.n_out(); ++o) {
        const int32_t source = source_of(asked.tile, plan.sources(o)[0]);
        Ints& group = asked.tile == 0             ? expected
                      : with_cls && o == 0        ? cls
                      : o < plan.n_out() - merged ? dominant
                                                  : contextual;
        group.push_back(source);
      }
    }
    std::sort(dominant.begin(), dominant.end());  // packed indices ascend along the canvas' rows
    EXPECT_EQ(dominant.size(), with_cls ? 8U : 12U);
    for (const Ints* group : {&dominant, &cls, &contextual}) {
      expected.insert(expected.end(), group->begin(), group->end());
    }
    Ints got;
    const prune::Plan& plan = result.steps[0].plan;
    for (int32_t o = 0; o < plan.n_out(); ++o) got.push_back(plan.sources(o)[0]);
    EXPECT_EQ(got, expected);
  }
}

/// The rows that a merging method leaves, against the plan applied to the tower's features and projected
/// alone.
TEST(Tilewise, MergedRowsAreProjectedAnew) {
  ReadyPicture& at = ready();
  std::vector<float> embeds;
  at.session.clear();
  at.session.set_observer(
      [&](std::string_view name, std::span<const int64_t>, std::span<const float> values) {
        if (name == "llm.embeds") embeds.assign(values.begin(), values.end());
      });
  const PruneOptions options = prune_with("visionzip", "51", -1, *next_model());
  const PrefillResult result = at.session.prefill(testing::next_prompt(), {&at.image}, options, 0);
  at.session.set_observer({});
  const prune::Plan& plan = result.steps[0].plan;
  ASSERT_EQ(plan.n_out(), 51);
  for (int32_t o = 0; o < 51; ++o) {
    const float* row = embeds.data() + (7 + o) * 96;
    if (plan.sources(o).size() > 1) continue;
    const int32_t source = plan.sources(o)[0];
    const float* from = source >= kVisual ? at.image.cls_token.data() + (source - kVisual) * 96
                                          : at.image.projected.data() + source * 96;
    for (int32_t c = 0; c < 96; ++c) ASSERT_NEAR(row[c], from[c], 1e-4) << "output " << o;
    if (source < kVisual && is_newline(source)) {
      EXPECT_TRUE(std::equal(from, from + 96, row)) << "newlines do not go through the projector";
    }
  }
}

/// Where kept tokens are drawn: in the tile that showed them.
TEST(Tilewise, KeptPatchesOfEachTile) {
  const Turn turn = run("fastervlm", "24");
  const auto inputs = kept_patches(ready().image, 0, turn.prefill);
  ASSERT_EQ(inputs->size(), 5U);
  Ints again;
  const TokenLayout& layout = ready().image.layout;
  for (std::size_t t = 0; t < 5; ++t) {
    const KeptPatches& input = inputs->at(t);
    EXPECT_EQ(std::ssize(input.kept), kTileTokens[t] / 2);
    EXPECT_EQ(input.rows, 4);
    EXPECT_EQ(input.cols, 4);
    for (int32_t token = 0; token < kVisual; ++token) {
      const int32_t cell = layout.cells[static_cast<std::size_t>(token)];
      if (layout.tile_of(cell) != static_cast<int32_t>(t)) continue;
      const int32_t patch = layout.shares_of(cell).front().patch;
      if (std::find(input.kept.begin(), input.kept.end(), patch) != input.kept.end()) again.push_back(token);
    }
  }
  std::sort(again.begin(), again.end());
  EXPECT_EQ(again, turn.prefill.steps[0].kept);
  EXPECT_FALSE(kept_patches(ready().image, 0, run("visionzip", "24").prefill)) << "merges";
  EXPECT_EQ(kept_patches(ready().image, 0, run({}).prefill)->at(1).kept.size(), 8U)
      << "newlines have no place";
}

TEST(Tilewise, RandomHasAStreamForEachTile) {
  const auto seen = watch(prune_with("random", "24", -1, *next_model()), {});
  ASSERT_EQ(seen.size(), 5U);
  std::set<Ints> different;
  for (std::size_t t = 1; t < 5; ++t) different.insert(seen[t].plan.index);
  EXPECT_GT(different.size(), 1U);
  EXPECT_EQ(run("random", "24").prefill.steps[0].kept, run("random", "24").prefill.steps[0].kept);
}

TEST(Tilewise, FixedCountsAreOfEachTile) {
  PruneOptions options;
  options.steps.push_back(prune::make_step("pooling:window=2x2", "", prune::BudgetMode::Exact, -1, 5));
  EXPECT_EQ(run(options).prefill.n_visual_after, 4 + 4 * 2) << "4 x 4 and four times 2 x 4 tokens";
  expect_error(ErrorCode::InvalidArgument, "got 13, expected 12", [] { run("pooling:window=2x2", "13"); });
}

TEST(Tilewise, LaterStepsGoOnWithWhatIsLeft) {
  PruneOptions options = prune_with("fastervlm", "30", -1, *next_model());
  for (const auto& [method, keep, layer] : {std::tuple{"hired", "20", -1},
                                            {"divprune", "14", -1},
                                            {"window_fastv", "9", 2},
                                            {"mustdrop", "4", 4}}) {
    options.steps.push_back(prune_with(method, keep, layer, *next_model()).steps[0]);
  }
  const PrefillResult result = run(options).prefill;
  ASSERT_EQ(result.steps.size(), 5U);
  Ints before(kVisual);
  std::iota(before.begin(), before.end(), 0);
  for (const StepResult& step : result.steps) {
    EXPECT_EQ(step.n_before, std::ssize(before)) << step.method;
    EXPECT_TRUE(std::ranges::includes(before, step.kept)) << step.method << " kept what was gone";
    before = step.kept;
  }
  EXPECT_EQ(before.size(), 4U);
}

/// Methods inside the decoder act on the whole sequence: newlines may stay, and there is one set of scores.
TEST(Tilewise, InsideTheDecoderAllTokensAreAlike) {
  const auto seen = watch(prune_with("fastv", "20", 2, *next_model()), {{Signal::LastTextAttention}});
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].tile, -1);
  EXPECT_EQ(seen[0].plan.scores.size(), static_cast<std::size_t>(kVisual));
}

TEST(Tilewise, TwoPicturesOfDifferentShapesShareTheBudget) {
  Session session(next_model(), threads(1));
  const PruneOptions options = prune_with("fastervlm", "32", -1, *next_model());
  const TowerRequest request = session.tower_request(options);
  const EncodedImage wide = session.encode(testing::next_picture(), ImageFit::Pad, request);
  const EncodedImage thin = session.encode(testing::picture(8, 1000, 1), ImageFit::Pad, request);
  const Prompt prompt = {{testing::text_ids(1, 3), -1}, {{}, 0}, {{}, 1}, {testing::text_ids(2, 3), -1}};
  const PrefillResult result = session.prefill(prompt, {&wide, &thin}, options, 0);
  EXPECT_EQ(result.n_visual_before, 52 + 16);
  ASSERT_EQ(result.steps.size(), 2U);
  EXPECT_EQ(result.steps[0].kept.size(), 24U);
  EXPECT_EQ(result.steps[1].kept.size(), 8U) << "the whole picture alone has tokens";
}

TEST(Tilewise, WhatChangesTheTowersInputIsRefused) {
  Session session(next_model(), threads(1));
  for (const char* method : {"resize", "tome"}) {
    expect_error(ErrorCode::Unsupported, "which is not there for tiles",
                 [&] { session.tower_request(prune_with(method, "8", -1, *next_model())); });
  }
  TowerRequest request;
  request.grid = prune::Grid{2, 2};
  expect_error(ErrorCode::Unsupported, "got a request to shrink the picture",
               [&] { session.encode(testing::next_picture(), ImageFit::Pad, request); });
}

}  // namespace
}  // namespace winnow::engine
