// LLaVA-OneVision with random weights against plain loops in double precision that share no code with the
// engine: SigLIP's tower, the projector, transformers' pack_image_features, Qwen2's decoder.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"
#include "tests/support/traced.h"
#include "winnow/engine/config_keys.h"
#include "winnow/engine/tower_request.h"

namespace winnow::engine {
namespace {

using prune::Signal;
using test::expect_error;
using testing::onevision_model;
using testing::RefMatrix;
using testing::threads;
using testing::Traced;
using testing::worst_error;

constexpr int32_t kSide = 60;   // pixels of a tile
constexpr int32_t kTokens = 4;  // a side of it
constexpr int32_t kBlocks = 4;  // of the tower, all of which are run
constexpr double kTolerance = 2e-5;

const SynthFiles& files() {
  static const SynthFiles written = testing::synth_files(synth_shape("tiny-onevision"));
  return written;
}

const testing::ReferenceLlava& reference() {
  static const testing::ReferenceLlava made(files().text, files().mmproj);
  return made;
}

/// What the reference makes of each input, [n_tile, 3, 60, 60].
std::vector<testing::RefFeatures> reference_tiles(const std::vector<float>& pixels) {
  constexpr std::size_t kSize = std::size_t{3} * kSide * kSide;
  std::vector<testing::RefFeatures> out;
  for (std::size_t at = 0; at < pixels.size(); at += kSize) {
    out.push_back(reference().encode(std::span(pixels).subspan(at, kSize), kBlocks + 1));
  }
  return out;
}

/// Part of each tile, for example its features.
std::vector<RefMatrix> parts(const std::vector<testing::RefFeatures>& tiles,
                             const std::function<RefMatrix(const testing::RefFeatures&)>& part) {
  std::vector<RefMatrix> out;
  for (const testing::RefFeatures& tile : tiles) out.push_back(part(tile));
  return out;
}

/// A map of n_row x n_col positions with `width` channels, as torch has it after permute and flatten.
struct Map {
  int64_t n_row, n_col;
  std::vector<std::vector<double>> at;  // [n_row * n_col][width]
};

/// torch.nn.functional.interpolate(mode="bilinear"), written down in two dimensions.
Map interpolated(const Map& from, int64_t n_row, int64_t n_col) {
  Map out{n_row, n_col, {}};
  for (int64_t y = 0; y < n_row; ++y) {
    for (int64_t x = 0; x < n_col; ++x) {
      const auto source = [](int64_t i, int64_t n_from, int64_t n_to) {
        const double scale = static_cast<double>(n_from) / static_cast<double>(n_to);
        return std::max(0.0, (static_cast<double>(i) + 0.5) * scale - 0.5);
      };
      const double at_y = source(y, from.n_row, n_row), at_x = source(x, from.n_col, n_col);
      std::vector<double> mixed(from.at[0].size(), 0.0);
      for (int64_t v = 0; v < from.n_row; ++v) {
        for (int64_t u = 0; u < from.n_col; ++u) {  // a tent of width 1 around the place
          const double weight = std::max(0.0, 1.0 - std::abs(at_y - static_cast<double>(v))) *
                                std::max(0.0, 1.0 - std::abs(at_x - static_cast<double>(u)));
          if (weight == 0.0) continue;
          const auto& values = from.at[static_cast<std::size_t>(v * from.n_col + u)];
          for (std::size_t c = 0; c < mixed.size(); ++c) mixed[c] += weight * values[c];
        }
      }
      out.at.push_back(mixed);
    }
  }
  return out;
}

/// What is known of a picture's tiles: their arrangement, and which of the canvas's rows and columns of
/// tokens are picture, worked out by hand for each test.
struct Packing {
  int64_t tile_rows, tile_cols;
  int64_t top, n_row, left, n_col;  // without padding
  int64_t out_rows, out_cols;       // shrunk
};

/// 150 x 90 px on 2 x 3 tiles, 120 x 180 px: 90 * 1.2 = 108 px of height, so 8 * 108 / 120 = 7.2 rows: 7, and
/// (8 - 7) // 2 = 0 go on each side. 8 * 12 = 96 tokens for 2 * 16 are sqrt(3): 8 // 1.73 = 4, 12 // 1.73
/// = 6.
constexpr Packing kWide = {2, 3, 0, 8, 0, 12, 4, 6};
/// 120 x 60 px fill 1 x 2 tiles: 32 tokens for 32.
constexpr Packing kSmall = {1, 2, 0, 4, 0, 8, 4, 8};

/// transformers, LlavaOnevisionModel.pack_image_features: tiles [n_tile][16, width] -> [n, width].
std::vector<double> packed(const std::vector<RefMatrix>& tiles, const Packing& p,
                           std::span<const double> newline) {
  Map canvas{p.n_row, p.n_col, {}};
  for (int64_t y = p.top; y < p.top + p.n_row; ++y) {
    for (int64_t x = p.left; x < p.left + p.n_col; ++x) {
      const RefMatrix& tile = tiles[static_cast<std::size_t>(1 + y / kTokens * p.tile_cols + x / kTokens)];
      const auto row = tile.row(y % kTokens * kTokens + x % kTokens);
      canvas.at.emplace_back(row.begin(), row.end());
    }
  }
  const Map seen = p.out_rows == p.n_row ? canvas : interpolated(canvas, p.out_rows, p.out_cols);
  std::vector<double> out = tiles[0].values;
  for (int64_t y = 0; y < seen.n_row; ++y) {
    for (int64_t x = 0; x < seen.n_col; ++x) {
      const auto& values = seen.at[static_cast<std::size_t>(y * seen.n_col + x)];
      out.insert(out.end(), values.begin(), values.end());
    }
    out.insert(out.end(), newline.begin(), newline.end());
  }
  return out;
}

std::vector<double> newline() {
  const std::vector<float>& token = onevision_model()->image_newline();
  return {token.begin(), token.end()};
}

TEST(OneVision, TowerProjectorAndPackingEqualTheReference) {
  Session session(onevision_model(), threads(1));
  Traced traced;
  session.set_observer(traced.observer());
  for (const auto& [size, packing] : {std::pair{PixelSize{150, 90}, kWide}, {PixelSize{120, 60}, kSmall}}) {
    const EncodedImage image =
        session.encode(testing::picture(3, size.width, size.height), ImageFit::Pad, {});
    const int64_t n_tile = 1 + packing.tile_rows * packing.tile_cols;
    EXPECT_EQ(traced.shapes.at("pixel_values"), (std::vector<int64_t>{n_tile, 3, kSide, kSide}));
    const auto tiles = reference_tiles(traced.tensors.at("pixel_values"));
    ASSERT_EQ(std::ssize(tiles), n_tile);
    const auto joined = [&](const auto& part) {
      std::vector<double> out;
      for (const testing::RefFeatures& tile : tiles) {
        const RefMatrix& values = part(tile);
        out.insert(out.end(), values.values.begin(), values.values.end());
      }
      return out;
    };
    using Tile = testing::RefFeatures;
    EXPECT_LE(worst_error(traced.tensors.at("vis.in"), joined([](const Tile& t) { return t.input; })),
              kTolerance);
    for (int32_t block = 0; block < kBlocks; ++block) {
      const auto out = joined([&](const Tile& t) { return t.blocks[static_cast<std::size_t>(block)]; });
      EXPECT_LE(worst_error(traced.tensors.at(fmt::format("vis.{}.out", block)), out), kTolerance) << block;
    }
    EXPECT_LE(worst_error(traced.tensors.at("selected"), joined([](const Tile& t) { return t.selected; })),
              kTolerance);
    EXPECT_LE(worst_error(traced.tensors.at("proj"), joined([](const Tile& t) { return t.projected; })),
              kTolerance);
    const std::vector<double> expected =
        packed(parts(tiles, [](const Tile& t) { return t.projected; }), packing, newline());
    EXPECT_LE(worst_error(traced.tensors.at("packed"), expected), kTolerance);
    EXPECT_EQ(image.projected.size(), expected.size());
  }
}

/// Attention's columns, keys and features are mixed with the tokens' own weights; newlines have zeros.
TEST(OneVision, SignalsAreMixedAsTheTokensAre) {
  Session session(onevision_model(), threads(1));
  Traced traced;
  session.set_observer(traced.observer());
  TowerRequest request;
  request.needs = {{Signal::ColumnAttention, prune::kFeatureBlock},
                   {Signal::TowerKeys, prune::kFeatureBlock}};
  const EncodedImage image = session.encode(testing::picture(3, 150, 90), ImageFit::Pad, request);
  const auto tiles = reference_tiles(traced.tensors.at("pixel_values"));
  using Tile = testing::RefFeatures;
  const std::vector<double> zeros(64, 0.0);
  EXPECT_LE(worst_error(image.features,
                        packed(parts(tiles, [](const Tile& t) { return t.selected; }), kWide, zeros)),
            kTolerance);
  EXPECT_LE(worst_error(image.signals[1].values,
                        packed(parts(tiles, [](const Tile& t) { return t.keys.back(); }), kWide, zeros)),
            kTolerance);
  for (std::size_t head = 0; head < 4; ++head) {
    const auto columns = [&](const Tile& tile) {
      const RefMatrix& probs = tile.attention.back()[head];
      RefMatrix mean(16, 1);
      for (int64_t query = 0; query < 16; ++query) {
        for (int64_t key = 0; key < 16; ++key) mean.at(key, 0) += probs.at(query, key) / 16.0;
      }
      return mean;
    };
    const std::span<const float> row = std::span(image.signals[0].values).subspan(head * 44, 44);
    EXPECT_LE(worst_error(row, packed(parts(tiles, columns), kWide, std::vector<double>{0.0})), kTolerance);
  }
}

/// The whole model behind them: Qwen2 has biases and rotates halves.
TEST(OneVision, LogitsAndGreedyTokensEqualTheReference) {
  Session session(onevision_model(), threads(1));
  const EncodedImage image = session.encode(testing::picture(3, 150, 90), ImageFit::Pad, {});
  std::vector<int32_t> ids = testing::text_ids(1, 5);
  ids.insert(ids.end(), 44, testing::kOracleImageToken);
  const std::vector<int32_t> question = testing::text_ids(2, 6);
  ids.insert(ids.end(), question.begin(), question.end());
  const Prompt prompt = prompt_from_ids(ids, testing::kOracleImageToken, {44});
  const PrefillResult prefill = session.prefill(prompt, {&image}, {}, 4, true);
  RefMatrix visual(44, 256);
  std::ranges::copy(image.projected, visual.values.begin());
  const RefMatrix embeds = reference().embed(ids, testing::kOracleImageToken, visual);
  std::vector<int32_t> positions(ids.size());
  std::iota(positions.begin(), positions.end(), 0);
  EXPECT_LE(worst_error(prefill.logits, reference().forward(embeds, positions).logits.values), kTolerance);
  EXPECT_EQ(testing::greedy_tokens(session, prefill, 4), reference().greedy(embeds, positions, 4));
}

TEST(OneVision, HalfPrecisionStaysWithinTheDocumentedBound) {
  std::vector<float> logits[2];
  for (const bool f32 : {false, true}) {
    Session session(onevision_model(f32), threads(1));
    const EncodedImage image = session.encode(testing::picture(3, 150, 90), ImageFit::Pad, {});
    logits[f32] = session.prefill({{testing::text_ids(1, 5), -1}, {{}, 0}}, {&image}, {}, 0, true).logits;
  }
  EXPECT_LE(worst_error(logits[0], std::span<const float>(logits[1])), 2e-2);
}

/// Counts from a transcription of transformers' LlavaOnevisionProcessor in Python, for 4 x 4 tokens of a tile
/// and anyres_max_2.
TEST(OneVision, PicturesOfEveryShape) {
  Session session(onevision_model(), threads(1));
  const std::map<std::pair<int32_t, int32_t>, int32_t> cases = {
      {{60, 60}, 36},   {{150, 90}, 44},  {{90, 150}, 46},  {{1000, 1}, 16},    {{1, 1000}, 20},
      {{28, 28}, 36},   {{400, 300}, 51}, {{180, 180}, 46}, {{120, 60}, 52},    {{180, 60}, 46},
      {{120, 120}, 46}, {{200, 170}, 51}, {{1, 1}, 36},     {{2000, 1500}, 51}, {{7, 4000}, 20}};
  for (const auto& [size, n] : cases) {
    const std::string what = fmt::format("{} x {}", size.first, size.second);
    const Image picture = testing::picture(7, size.first, size.second);
    const EncodedImage image = session.encode(picture, ImageFit::Pad, {});
    EXPECT_EQ(image.n_token(), n) << what;
    EXPECT_EQ(image.projected.size(), static_cast<std::size_t>(n) * 256) << what;
    EXPECT_EQ(picture_layout(*onevision_model(), {}, 1, {size.first, size.second}).n(), n) << what;
    session.clear();
    const PrefillResult prefill = session.prefill(
        {{testing::text_ids(1, 5), -1}, {{}, 0}, {testing::text_ids(2, 3), -1}}, {&image}, {}, 0);
    EXPECT_EQ(prefill.n_visual_after, n) << what;
    for (const float logit : prefill.logits) ASSERT_TRUE(std::isfinite(logit)) << what;
  }
}

/// Pixels are 2 v / 255 - 1; the canvas around a picture is black.
TEST(OneVision, PixelsOfTiles) {
  Session session(onevision_model(), threads(1));
  Traced traced;
  session.set_observer(traced.observer());
  Image white{120, 30, std::vector<uint8_t>(std::size_t{120} * 30 * 3, 255)};
  session.encode(white, ImageFit::Crop, {});
  const std::vector<float>& pixels = traced.tensors.at("pixel_values");
  constexpr std::size_t kPlane = std::size_t{kSide} * kSide;
  ASSERT_EQ(pixels.size(), 3 * 3 * kPlane) << "1 x 2 tiles";
  for (const std::size_t row : {0U, 14U, 15U, 44U, 45U, 59U}) {
    EXPECT_EQ(pixels[row * kSide + 7], 1.0F) << "the whole picture is squeezed, row " << row;
    EXPECT_EQ(pixels[3 * kPlane + row * kSide + 7], row >= 15 && row < 45 ? 1.0F : -1.0F) << "row " << row;
  }
}

/// Of several pictures none is cut: padded to a square in grey, its 16 tokens, one newline.
TEST(OneVision, SeveralPicturesAreReadWhole) {
  Session session(onevision_model(), threads(1));
  const TowerRequest request = session.tower_request({}, 2, 1);
  EXPECT_TRUE(request.whole);
  EXPECT_FALSE(session.tower_request({}).whole);
  Traced traced;
  session.set_observer(traced.observer());
  Image white{120, 60, std::vector<uint8_t>(std::size_t{120} * 60 * 3, 255)};
  session.encode(white, ImageFit::Crop, request);
  const std::vector<float> padded = traced.tensors.at("pixel_values");
  EXPECT_EQ(traced.shapes.at("pixel_values"), (std::vector<int64_t>{1, 3, kSide, kSide}));
  EXPECT_EQ(padded[30 * kSide + 30], 1.0F);
  EXPECT_NEAR(padded[5 * kSide + 30], 2.0 * 127.0 / 255.0 - 1.0, 1e-6) << "int(0.5 * 255)";

  const EncodedImage one = session.encode(testing::picture(1, 150, 90), ImageFit::Pad, request);
  const auto tiles = reference_tiles(traced.tensors.at("pixel_values"));
  std::vector<double> expected = tiles[0].projected.values;
  const std::vector<double> end = newline();
  expected.insert(expected.end(), end.begin(), end.end());
  EXPECT_LE(worst_error(one.projected, expected), kTolerance);
  EXPECT_EQ(picture_layout(*onevision_model(), {}, 2, {150, 90}).n(), 17);
  EXPECT_EQ(picture_layout(*onevision_model(), {}, 1, {150, 90}).n(), 44);

  const EncodedImage two = session.encode(testing::picture(2, 40, 130), ImageFit::Pad, request);
  const Prompt prompt = {{testing::text_ids(1, 3), -1}, {{}, 0}, {{}, 1}, {testing::text_ids(2, 3), -1}};
  const PrefillResult result = session.prefill(prompt, {&one, &two}, {}, 0);
  EXPECT_EQ(result.n_visual_before, 34);
  EXPECT_EQ(result.kv_bytes, result.kv_bytes_unpruned);
  const std::vector<float>& embeds = traced.tensors.at("llm.embeds");
  EXPECT_TRUE(std::equal(two.projected.begin(), two.projected.end(), embeds.begin() + (3 + 17) * 256));
  Session next(testing::next_model(), threads(1));
  EXPECT_FALSE(next.tower_request({}, 2).whole) << "LLaVA-NeXT cuts all of them";
  Session plain(testing::tiny_model(), threads(1));
  expect_error(ErrorCode::InvalidArgument, "got a request to leave one whole",
               [&] { plain.encode(testing::picture(1, 150, 90), ImageFit::Pad, request); });
}

/// A file of the model's keys, some of them set anew.
std::string mmproj_with(const std::string& name, const std::function<void(GgufWriter&)>& change,
                        const std::string& left_out = {}) {
  const GgufFile file(files().mmproj);
  const std::string path = testing::scratch_folder() + "/" + name;
  GgufWriter writer(path);
  set_general_keys("clip", "mmproj", "changed", weight_type(GGML_TYPE_F32), writer);
  set_clip_keys(onevision_model()->clip(), onevision_model()->mlp(), writer);
  set_tiling_keys(onevision_model()->tiling(), writer);
  change(writer);
  for (const GgufTensor& tensor : file.tensors()) {
    if (tensor.name != left_out) writer.add_tensor(tensor.name, tensor.type, tensor.ne);
  }
  writer.begin();
  for (const GgufTensor& tensor : file.tensors()) {
    if (tensor.name != left_out) writer.write(tensor.name, file.bytes(tensor));
  }
  writer.finish();
  return path;
}

void nothing(GgufWriter& /*writer*/) {}

TEST(OneVision, DamagedKeys) {
  const auto read = [](const char* aspect) {
    const std::string path = mmproj_with(
        "aspect.gguf", [&](GgufWriter& w) { w.set_str("clip.vision.image_aspect_ratio", aspect); });
    return read_tiling(GgufFile(path), kSide).max_tiles;
  };
  EXPECT_EQ(read("anyres_max_9"), 9);
  EXPECT_EQ(read("anyres"), 0) << "LLaVA-NeXT's";
  EXPECT_EQ(read("pad"), 0);
  for (const char* bad : {"anyres_max_", "anyres_max_0", "anyres_max_-1", "anyres_max_9x", "anyres_max_257",
                          "anyres_max_99999999999999999999"}) {
    expect_error(ErrorCode::Corrupt, "expected 'anyres_max_N' with N of 1 to 256", [&] { read(bad); });
  }
}

TEST(OneVision, SiglipIsKnownByItsTensors) {
  const ClipConfig clip = read_clip_config(GgufFile(files().mmproj));
  EXPECT_TRUE(clip.siglip);
  EXPECT_FALSE(clip.has_cls);
  EXPECT_EQ(clip.n_layer, kBlocks) << "all that are stored, though their number is even";
  EXPECT_EQ(clip.grid().rows, kTokens) << "the last 4 of 60 px are in no patch";
  EXPECT_EQ(read_clip_config(GgufFile(files().mmproj), 2).n_layer, 2);
  const std::vector<int32_t> second_last = {-2};
  const std::string path = mmproj_with(
      "layer.gguf", [&](GgufWriter& w) { w.set_i32_array("clip.vision.feature_layer", second_last); });
  EXPECT_EQ(read_clip_config(GgufFile(path)).n_layer, kBlocks - 1);
  EXPECT_FALSE(read_clip_config(GgufFile(testing::oracle_path("mmproj-all.gguf"))).siglip);
  const auto load = [](const char* left_out) {
    return testing::load_model({files().text, mmproj_with("less.gguf", nothing, left_out)});
  };
  for (const char* name :
       {"v.patch_embd.bias", "v.position_embd.weight", "v.blk.3.ffn_down.bias", "v.image_newline"}) {
    expect_error(ErrorCode::NotFound, name, [&] { load(name); });
  }
}

TEST(OneVision, Qwen2IsReadWithItsOwnKeys) {
  const LlamaConfig text = read_llama_config(GgufFile(files().text));
  EXPECT_EQ(text.arch, "qwen2");
  EXPECT_TRUE(text.rope.halves);
  EXPECT_FALSE(read_llama_config(GgufFile(testing::oracle_path("text.gguf"))).rope.halves);
  const std::string path = testing::keys_file("qwen3.gguf", [&](GgufWriter& writer) {
    writer.set_str("general.architecture", "qwen3");
    set_llama_keys(text, writer);
  });
  expect_error(ErrorCode::Unsupported, "got 'qwen3', expected 'llama', 'qwen2' or 'qwen2vl'",
               [&] { read_llama_config(GgufFile(path)); });
}

TEST(OneVision, SynthShapes) {
  const SynthShape& published = synth_shape("llava-onevision-0.5b");
  EXPECT_EQ(published.tower_layers, 26);
  EXPECT_EQ(published.resolutions.size(), 36U);
  EXPECT_EQ(published.max_tiles, 9);
  SynthShape shape = synth_shape("tiny-onevision");
  shape.tower_cls = true;
  expect_error(ErrorCode::InvalidArgument, "a SigLIP tower with all blocks, [CLS]",
               [&] { synth_model(shape, GGML_TYPE_F32, 1, testing::scratch_folder()); });
}

}  // namespace
}  // namespace winnow::engine
