// Pruned runs of tiles against plain loops in double precision that share no code with the engine: tower and
// projector of each tile (ReferenceLlava), the order of tokens written out for the picture of
// tests/data/llava_next.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"

namespace winnow::engine {
namespace {

using prune::Signal;
using testing::next_model;
using testing::prune_with;
using testing::RefMatrix;
using testing::threads;
using testing::worst_error;

using Ints = std::vector<int32_t>;

constexpr int32_t kVisual = 52, kFirst = 7, kText = 16;
constexpr int32_t kBlock = 2;  // whose output the projector reads

/// Tile and patch of every token; tile -1: a newline. Rows 2 to 5 of the 8 x 8 patches of the canvas are
/// picture.
struct Place {
  int32_t tile = -1;
  int32_t patch = 0;
};

std::vector<Place> places() {
  std::vector<Place> out;
  for (int32_t patch = 0; patch < 16; ++patch) out.push_back({0, patch});
  for (int32_t row = 2; row < 6; ++row) {
    for (int32_t col = 0; col < 8; ++col) {
      out.push_back({1 + row / 4 * 2 + col / 4, row % 4 * 4 + col % 4});
    }
    out.push_back({});
  }
  return out;
}

const testing::ReferenceLlava& reference() {
  static const testing::ReferenceLlava made(testing::next_path("text.gguf"),
                                            testing::next_path("mmproj.gguf"));
  return made;
}

/// What the reference makes of each tile, its pixels from Hugging Face's processor.
const std::vector<testing::RefFeatures>& tiles() {
  static const std::vector<testing::RefFeatures> made = [] {
    std::vector<testing::RefFeatures> out;
    const std::vector<float>& pixels = testing::next_results().at("pixel_values").f32;
    for (std::size_t t = 0; t < 5; ++t) {
      constexpr std::size_t kSize = std::size_t{3} * 56 * 56;
      out.push_back(
          reference().encode(std::span(pixels).subspan(t * kSize, kSize), testing::kOracleTowerLayers));
    }
    return out;
  }();
  return made;
}

/// [52, width] of values of the tiles, newlines as given.
RefMatrix packed(const std::vector<RefMatrix>& of_tiles, std::span<const double> newline) {
  const int64_t width = of_tiles[0].cols;
  RefMatrix out(kVisual, width);
  const std::vector<Place> all = places();
  for (int32_t i = 0; i < kVisual; ++i) {
    const Place& p = all[static_cast<std::size_t>(i)];
    const auto from = p.tile < 0 ? newline : of_tiles[static_cast<std::size_t>(p.tile)].row(p.patch);
    std::copy(from.begin(), from.end(), out.row(i).begin());
  }
  return out;
}

RefMatrix projected() {
  std::vector<RefMatrix> of_tiles;
  for (const auto& tile : tiles()) of_tiles.push_back(tile.projected);
  const RefMatrix& newline = reference().mmproj_tensor("v.image_newline");
  return packed(of_tiles, newline.row(0));
}

/// Logits of the last token when the decoder reads these rows for the picture, positions without gaps.
std::vector<double> logits_of(const RefMatrix& visual) {
  const Ints& all = testing::next_results().at("input_ids").i32;
  Ints ids(all.begin(), all.begin() + kFirst);
  ids.insert(ids.end(), static_cast<std::size_t>(visual.rows), testing::kOracleImageToken);
  ids.insert(ids.end(), all.begin() + kFirst + kVisual, all.end());
  Ints positions(ids.size());
  std::iota(positions.begin(), positions.end(), 0);
  const RefMatrix embeds = reference().embed(ids, testing::kOracleImageToken, visual);
  const auto logits = reference().forward(embeds, positions).logits;
  const auto last = logits.row(logits.rows - 1);
  return {last.begin(), last.end()};
}

struct Ran {
  PrefillResult prefill;
  EncodedImage image;
};

Ran run(const std::string& method, const std::string& keep, int32_t layer = -1) {
  Session session(next_model(), threads(1));
  const PruneOptions options = prune_with(method, keep, layer, *next_model());
  EncodedImage image = session.encode(testing::next_picture(), ImageFit::Pad, session.tower_request(options));
  PrefillResult prefill = session.prefill(testing::next_prompt(), {&image}, options, 0);
  return {std::move(prefill), std::move(image)};
}

/// Mean over heads of a tile's [CLS] attention to each patch.
std::vector<double> cls_attention(int32_t tile, int32_t block) {
  std::vector<double> out(16, 0.0);
  for (const RefMatrix& head :
       tiles()[static_cast<std::size_t>(tile)].attention[static_cast<std::size_t>(block)]) {
    for (std::size_t patch = 0; patch < 16; ++patch)
      out[patch] += head.at(0, 1 + static_cast<int64_t>(patch)) / 4;
  }
  return out;
}

TEST(NextReference, UnprunedLogits) {
  EXPECT_LE(worst_error(run("", "").prefill.logits, logits_of(projected())), 2e-5);
}

/// FasterVLM's rule in each tile, over the patches that are no padding.
TEST(NextReference, FasterVlmPicksAndLogits) {
  const std::array<int32_t, 5> quotas = {8, 4, 4, 4, 4};
  const std::vector<Place> all = places();
  Ints expected;
  for (int32_t tile = 0; tile < 5; ++tile) {
    const std::vector<double> attention = cls_attention(tile, kBlock);
    Ints tokens;
    for (int32_t i = 0; i < kVisual; ++i) {
      if (all[static_cast<std::size_t>(i)].tile == tile) tokens.push_back(i);
    }
    std::stable_sort(tokens.begin(), tokens.end(), [&](int32_t a, int32_t b) {
      return attention[static_cast<std::size_t>(all[static_cast<std::size_t>(a)].patch)] >
             attention[static_cast<std::size_t>(all[static_cast<std::size_t>(b)].patch)];
    });
    expected.insert(expected.end(), tokens.begin(), tokens.begin() + quotas[static_cast<std::size_t>(tile)]);
  }
  std::sort(expected.begin(), expected.end());
  const Ran got = run("fastervlm", "24");
  EXPECT_EQ(got.prefill.steps[0].kept, expected);
  EXPECT_LE(worst_error(got.prefill.logits, logits_of(testing::ref_rows(projected(), expected))), 2e-5);
}

/// VisionZip's plan applied to the tower's features, each tile's [CLS] among them, and projected then.
TEST(NextReference, MergedFeaturesAreProjected) {
  const Ran got = run("visionzip", "24");
  const prune::Plan& plan = got.prefill.steps[0].plan;
  std::vector<RefMatrix> features;
  for (const auto& tile : tiles()) features.push_back(tile.selected);
  const RefMatrix all = packed(features, std::vector<double>(64, 0.0));
  RefMatrix sums(plan.n_out(), 64);
  int32_t n_merged = 0;
  for (int32_t o = 0; o < plan.n_out(); ++o) {
    n_merged += plan.sources(o).size() > 1 ? 1 : 0;
    for (std::size_t s = 0; s < plan.sources(o).size(); ++s) {
      const int32_t source = plan.sources(o)[s];
      const auto from = source < kVisual
                            ? all.row(source)
                            : tiles()[static_cast<std::size_t>(source - kVisual)].blocks[kBlock].row(0);
      for (int64_t c = 0; c < 64; ++c) {
        sums.at(o, c) += static_cast<double>(plan.weights(o)[s]) * from[static_cast<std::size_t>(c)];
      }
    }
  }
  EXPECT_GE(n_merged, 1);
  EXPECT_LE(worst_error(got.prefill.logits, logits_of(reference().project(sums))), 2e-5);
}

/// FastV on the whole sequence, newlines too, positions as they were.
TEST(NextReference, FastvPicksAndLogits) {
  const Ints& ids = testing::next_results().at("input_ids").i32;
  testing::RefPrune step;
  step.layer = 2;
  step.n_keep = 20;
  for (int32_t i = 0; i < kVisual; ++i) step.visual_rows.push_back(kFirst + i);
  step.query_row = kVisual + kText - 1;
  Ints positions(ids.size());
  std::iota(positions.begin(), positions.end(), 0);
  const auto expected =
      reference().forward(reference().embed(ids, testing::kOracleImageToken, projected()), positions, step);
  const Ran got = run("fastv", "20", 2);
  EXPECT_EQ(got.prefill.steps[0].kept, expected.kept);
  const auto last = expected.logits.row(expected.logits.rows - 1);
  EXPECT_LE(worst_error(got.prefill.logits, std::vector<double>(last.begin(), last.end())), 2e-5);
}

/// Signals of the encoding, token by token; those of newlines are zero.
TEST(NextReference, SignalsOfTheEncoding) {
  Session session(next_model(), threads(1));
  TowerRequest request;
  request.needs = {
      {Signal::ClsAttention}, {Signal::ClsAttention, 0}, {Signal::TowerKeys}, {Signal::ClsToken}};
  const EncodedImage image = session.encode(testing::next_picture(), ImageFit::Pad, request);
  const auto values = [&](std::size_t i) -> const std::vector<float>& { return image.signals[i].values; };
  ASSERT_EQ(image.signals.size(), 3U);
  const std::vector<Place> all = places();
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t s = 0; s < 3; ++s) {
      const prune::Need need = image.signals[s].need;
      if (need.signal == Signal::TowerKeys) {
        for (int64_t c = 0; c < 64; ++c) {
          const double expected =
              all[i].tile < 0
                  ? 0.0
                  : tiles()[static_cast<std::size_t>(all[i].tile)].keys[kBlock].at(1 + all[i].patch, c);
          ASSERT_NEAR(static_cast<double>(values(s)[i * 64 + static_cast<std::size_t>(c)]), expected, 1e-4);
        }
        continue;
      }
      const int32_t block = need.block == 0 ? 0 : kBlock;
      for (std::size_t head = 0; head < 4; ++head) {
        const double expected = all[i].tile < 0 ? 0.0
                                                : tiles()[static_cast<std::size_t>(all[i].tile)]
                                                      .attention[static_cast<std::size_t>(block)][head]
                                                      .at(0, 1 + all[i].patch);
        ASSERT_NEAR(static_cast<double>(values(s)[head * kVisual + i]), expected, 1e-5);
      }
    }
  }
  for (int64_t tile = 0; tile < 5; ++tile) {
    RefMatrix cls(1, 64);
    const auto from = tiles()[static_cast<std::size_t>(tile)].blocks[kBlock].row(0);
    std::copy(from.begin(), from.end(), cls.row(0).begin());
    const RefMatrix expected = reference().project(cls);
    EXPECT_LE(worst_error(std::span(image.cls_token).subspan(static_cast<std::size_t>(tile) * 96, 96),
                          std::span<const double>(expected.values)),
              2e-5);
  }
}

/// What a method is given of each tile is that part of the encoding.
TEST(NextReference, AMethodSeesTheTilesPart) {
  Session session(next_model(), threads(1));
  const PruneOptions options = prune_with("visionzip", "24", -1, *next_model());
  const EncodedImage image =
      session.encode(testing::next_picture(), ImageFit::Pad, session.tower_request(options));
  const std::vector<Place> all = places();
  int32_t n_seen = 0;
  session.set_selection_observer([&](const Selection& selection) {
    Ints tokens;
    for (int32_t i = 0; i < kVisual; ++i) {
      if (all[static_cast<std::size_t>(i)].tile == selection.tile) tokens.push_back(i);
    }
    const prune::Signals& signals = selection.signals;
    ASSERT_EQ(signals.n(), std::ssize(tokens));
    const MatrixView attention = signals.view({Signal::ClsAttention});
    const MatrixView keys = signals.view({Signal::TowerKeys});
    for (std::size_t j = 0; j < tokens.size(); ++j) {
      const auto token = static_cast<std::size_t>(tokens[j]);
      for (std::size_t head = 0; head < 4; ++head) {
        EXPECT_EQ(attention(static_cast<int64_t>(head), static_cast<int64_t>(j)),
                  image.signals[0].values[head * kVisual + token]);
      }
      const auto row = keys.row(static_cast<int64_t>(j));
      EXPECT_TRUE(std::equal(row.begin(), row.end(), image.signals[1].values.begin() + tokens[j] * 64));
      const auto acted_on = signals.projected.row(static_cast<int64_t>(j));
      EXPECT_TRUE(std::equal(acted_on.begin(), acted_on.end(), image.projected.begin() + tokens[j] * 96));
    }
    const auto cls = signals.cls_token.all();
    EXPECT_TRUE(std::equal(cls.begin(), cls.end(), image.cls_token.begin() + selection.tile * 96));
    ++n_seen;
  });
  session.prefill(testing::next_prompt(), {&image}, options, 0);
  EXPECT_EQ(n_seen, 5);
}

}  // namespace
}  // namespace winnow::engine
