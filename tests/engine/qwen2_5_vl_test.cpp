// Qwen2.5-VL in float32 against plain loops (tests/support/reference_qwen2_5_vl.h), and the order of its
// rows.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"
#include "tests/support/reference_qwen2_5_vl.h"
#include "tests/support/traced.h"
#include "winnow/engine/config_keys.h"
#include "winnow/engine/flops.h"
#include "winnow/engine/vision/windows.h"

namespace winnow::engine {
namespace {

using Ints = std::vector<int32_t>;
using prune::Signal;
using test::expect_error;
using testing::RefMatrix;
using testing::RefQwenTower;
using testing::threads;
using testing::Traced;
using testing::windowed_model;
using testing::worst_error;

constexpr double kTolerance = 2e-5;
constexpr int32_t kWindow = 8;  // patches

Ints counted(int32_t n) {
  Ints out(static_cast<std::size_t>(n));
  std::iota(out.begin(), out.end(), 0);
  return out;
}

ClipConfig tower_of(prune::Grid groups) {
  ClipConfig config = windowed_model()->clip();
  config.fitted = {2 * groups.rows, 2 * groups.cols};
  return config;
}

/// 5 x 6 groups in windows of 4 x 4, by hand:
///     0  1  2  3 |  4  5
///     6  7  8  9 | 10 11
///    12 13 14 15 | 16 17
///    18 19 20 21 | 22 23
///    ------------+------
///    24 25 26 27 | 28 29
TEST(Windows, OrderOfAPictureWithEdges) {
  const Windows windows = windows_of({5, 6}, 4);
  EXPECT_EQ(windows.groups, (Ints{0,  1, 2, 3,  6,  7,  8,  9,  12, 13, 14, 15, 18, 19, 20,
                                  21, 4, 5, 10, 11, 16, 17, 22, 23, 24, 25, 26, 27, 28, 29}));
  EXPECT_EQ(windows.sizes, (Ints{16, 8, 4, 2}));
}

TEST(Windows, OneWindowAndStripsAreInRasterOrder) {
  EXPECT_EQ(windows_of({2, 3}, 4).groups, counted(6));
  EXPECT_EQ(windows_of({2, 3}, 4).sizes, (Ints{6}));
  EXPECT_EQ(windows_of({9, 1}, 4).groups, counted(9));
  EXPECT_EQ(windows_of({9, 1}, 4).sizes, (Ints{4, 4, 1}));
  EXPECT_EQ(windows_of({8, 4}, 4).groups, counted(32));
}

/// Rows 0 to 3 are the patches of the first group; row 64 begins the second window, at column 8.
TEST(Windows, RowsOfTheTower) {
  const Ints order = tower_order(tower_of({5, 6}));
  ASSERT_EQ(order.size(), 120U);
  EXPECT_EQ((Ints{order.begin(), order.begin() + 8}), (Ints{0, 1, 12, 13, 2, 3, 14, 15}));
  EXPECT_EQ((Ints{order.begin() + 64, order.begin() + 68}), (Ints{8, 9, 20, 21}));
  Ints sorted = order;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(sorted, counted(120));
}

TEST(Windows, BatchFillsSmallerWindowsUp) {
  const WindowBatch batch = window_batch(tower_of({5, 6}));
  EXPECT_EQ(batch.n_window, 4);
  EXPECT_EQ(batch.n_row, 64);
  EXPECT_FALSE(batch.is_even());
  for (std::size_t row = 0; row < batch.places.size(); ++row) {
    const auto place = static_cast<std::size_t>(batch.places[row]);
    EXPECT_EQ(batch.rows[place], static_cast<int32_t>(row));
    EXPECT_EQ(batch.used[place], 1.0F);
  }
  EXPECT_EQ(std::accumulate(batch.used.begin(), batch.used.end(), 0.0F), 120.0F);
  EXPECT_EQ(window_pairs(tower_of({5, 6})), 64 * 64 + 32 * 32 + 16 * 16 + 8 * 8);
  EXPECT_TRUE(window_batch(tower_of({8, 4})).is_even());
  EXPECT_EQ(window_batch(tower_of({2, 3})).n_row, 24);
}

TEST(Windows, RasterOrderComesBack) {
  const ClipConfig config = tower_of({5, 6});
  const Ints order = tower_order(config);
  ClipConfig plain = config;
  plain.window_side = 0;
  const Ints groups = tower_order(plain);
  std::vector<float> values, expected;
  for (int32_t row = 0; row < 2; ++row) {
    for (std::size_t i = 0; i < order.size(); ++i) {
      for (const int32_t c : {0, 1000}) {
        values.push_back(static_cast<float>(order[i] + c + 10000 * row));
        expected.push_back(static_cast<float>(groups[i] + c + 10000 * row));
      }
    }
  }
  EXPECT_EQ(groups_in_raster_order(config, values, 2, 2), expected);
  EXPECT_EQ(groups_in_raster_order(plain, values, 2, 2), values);
}

/// What the engine gives for a picture of that many groups, and what it should.
struct Compared {
  explicit Compared(prune::Grid groups, const std::vector<prune::Need>& needs = {}) {
    Session session(windowed_model(), threads(1));
    session.set_observer(traced.observer());
    TowerRequest request;
    request.needs = needs;
    image = session.encode(testing::picture(3, 28 * groups.cols, 28 * groups.rows), ImageFit::Pad, request);
    EXPECT_EQ(image.layout.grid.rows, groups.rows);
    EXPECT_EQ(image.layout.grid.cols, groups.cols);
    expected = testing::reference_qwen2_5_vl(testing::windowed_path("mmproj.gguf"),
                                             traced.tensors.at("pixel_values"), 2 * groups.rows,
                                             2 * groups.cols, kWindow);
    for (const int32_t group : windows_of(groups, 4).groups) {
      for (int32_t i = 0; i < 4; ++i) rows.push_back(4 * group + i);
    }
  }
  /// As the tower's rows lie.
  std::vector<double> in_windows(const RefMatrix& m) const { return testing::ref_rows(m, rows).values; }

  Traced traced;
  EncodedImage image;
  RefQwenTower expected;
  Ints rows;
};

TEST(Qwen25Vl, EveryBlockEqualsPlainLoops) {
  const std::vector<prune::Grid> grids = {{4, 6}, {9, 7}, {2, 2}, {8, 4}, {1, 5}, {6, 1}};
  for (const prune::Grid& grid : grids) {
    SCOPED_TRACE(std::to_string(grid.rows) + " x " + std::to_string(grid.cols));
    const Compared run(grid);
    EXPECT_LE(worst_error(run.traced.tensors.at("vis.in"), run.in_windows(run.expected.input)), kTolerance);
    for (std::size_t il = 0; il < 4; ++il) {
      const std::string name = "vis." + std::to_string(il) + ".out";
      const double error = worst_error(run.traced.tensors.at(name), run.in_windows(run.expected.blocks[il]));
      EXPECT_LE(error, kTolerance) << name;
    }
    EXPECT_LE(worst_error(run.traced.tensors.at("vis.merger_raw"), run.expected.projected.values),
              kTolerance);
    const double error = worst_error(run.image.projected, run.expected.projected.values);
    EXPECT_LE(error, kTolerance);
    RecordProperty("worst_projected_" + std::to_string(grid.rows) + "x" + std::to_string(grid.cols),
                   fmt::format("{:.1e}", error));
  }
}

/// The reference in windows is not the reference without: a test of the test.
TEST(Qwen25Vl, WindowsMatter) {
  const Compared run({4, 6});
  const RefQwenTower whole = testing::reference_qwen2_5_vl(
      testing::windowed_path("mmproj.gguf"), run.traced.tensors.at("pixel_values"), 8, 12, 1000);
  EXPECT_GT(worst_error(run.image.projected, whole.projected.values), 1e-2);
}

/// Mean over the patches of each group, in the order of visual tokens. [rows, n / 4] of [rows, n]
std::vector<double> group_means(const std::vector<double>& values) {
  std::vector<double> out(values.size() / 4);
  for (std::size_t i = 0; i < values.size(); ++i) out[i / 4] += values[i] / 4.0;
  return out;
}

/// Of blocks in windows (0, 2) and of those that attend to all.
TEST(Qwen25Vl, SignalsOfTheTowerAreInTheOrderOfItsTokens) {
  for (const int32_t block : {0, 1, 2, 3}) {
    SCOPED_TRACE(block);
    const Compared run({5, 6}, {{Signal::ColumnAttention, block}, {Signal::TowerKeys, block}});
    const auto il = static_cast<std::size_t>(block);
    std::vector<double> columns;
    for (const RefMatrix& map : run.expected.attention[il]) {
      std::vector<double> means(120);
      for (int64_t q = 0; q < 120; ++q) {
        for (int64_t k = 0; k < 120; ++k) means[static_cast<std::size_t>(k)] += map.at(q, k) / 120.0;
      }
      columns.insert(columns.end(), means.begin(), means.end());
    }
    ASSERT_EQ(run.image.signals.size(), 2U);
    const TowerSignal& attention = run.image.signals[0];
    EXPECT_LE(worst_error(attention.values, group_means(columns)), 1e-5);
    EXPECT_NEAR(std::accumulate(attention.values.begin(), attention.values.end(), 0.0), 4 * 0.25, 1e-5)
        << "of each of 4 heads a mean over 4 patches of rows of sum 1";
    // Windows of every size get their share: as much attention as they have patches.
    double corner = 0.0;
    for (std::size_t head = 0; head < 4; ++head) {
      corner += attention.values[head * 30 + 28] + attention.values[head * 30 + 29];
    }
    if (block % 2 == 0) {
      EXPECT_NEAR(corner, 4 * 2.0 / 30.0 / 4.0, 1e-5);
    }
    const RefMatrix& keys = run.expected.keys[il];
    std::vector<double> means(std::size_t{30} * 64);
    for (int64_t p = 0; p < 120; ++p) {
      for (int64_t c = 0; c < 64; ++c) means[static_cast<std::size_t>(p / 4 * 64 + c)] += keys.at(p, c) / 4.0;
    }
    EXPECT_LE(worst_error(run.image.signals[1].values, means), 1e-5);
  }
  const Compared run({5, 6});
  std::vector<double> features(std::size_t{30} * 64);
  for (int64_t p = 0; p < 120; ++p) {
    for (int64_t c = 0; c < 64; ++c) {
      features[static_cast<std::size_t>(p / 4 * 64 + c)] += run.expected.blocks[3].at(p, c) / 4.0;
    }
  }
  EXPECT_LE(worst_error(run.image.features, features), kTolerance);
}

TEST(Qwen25Vl, HalfPrecisionStaysClose) {
  Session exact(windowed_model(), threads(1)), half(windowed_model(false), threads(1));
  const Image image = testing::picture(3, 7 * 28, 9 * 28);
  const std::vector<float> expected = exact.encode(image, ImageFit::Pad, {}).projected;
  EXPECT_LE(worst_error(half.encode(image, ImageFit::Pad, {}).projected, expected), 2e-2);
}

/// Attention of 5 x 6 groups costs what its windows have, and the MLP has three matrices.
TEST(Qwen25Vl, CountedOperations) {
  const Compared run({5, 6});
  ASSERT_EQ(run.image.tower_rows.size(), 4U);
  const double pairs = 2 * 120.0 * 120.0 + 2 * (64.0 * 64 + 32 * 32 + 16 * 16 + 8 * 8);
  const double expected = 4 * 120.0 * (2.0 * 4 * 64 * 64 + 2.0 * 3 * 64 * 88) + 4.0 * pairs * 64 +
                          2.0 * 120 * 3 * 2 * 14 * 14 * 64;
  EXPECT_DOUBLE_EQ(tower_flops(windowed_model()->clip(), run.image.tower_rows), expected);
}

/// Longer pictures' column means are made in parts; windows are not.
TEST(Qwen25Vl, LargePicture) {
  Session session(windowed_model(), threads(2));
  TowerRequest request;
  request.needs = {{Signal::ColumnAttention, 2}, {Signal::ColumnAttention, 3}};
  const EncodedImage image = session.encode(testing::picture(1, 18 * 28, 17 * 28), ImageFit::Pad, request);
  ASSERT_EQ(image.n_token(), 17 * 18) << "1224 patches, more than are looked at in one go";
  for (const TowerSignal& signal : image.signals) {
    for (int32_t head = 0; head < 4; ++head) {
      const auto row = signal.values.begin() + int64_t{head} * image.n_token();
      EXPECT_NEAR(std::accumulate(row, row + image.n_token(), 0.0), 0.25, 1e-5);
    }
  }
}

TEST(Qwen25Vl, PublishedShapes) {
  const std::vector<std::pair<const char*, int32_t>> published = {
      {"qwen2.5-vl-3b", 3420}, {"qwen2.5-vl-7b", 3420}, {"qwen2.5-vl-72b", 3456}};
  for (const auto& [name, n_ff] : published) {
    const SynthShape& shape = synth_shape(name);
    EXPECT_TRUE(shape.qwen2_vl);
    EXPECT_EQ(shape.tower_ff, n_ff);
    EXPECT_EQ(shape.window_px, 112);
    EXPECT_EQ(shape.full_every, 8);
    EXPECT_EQ(shape.n_embd / shape.n_head, 128);
  }
  SynthShape shape = testing::windowed_shape();
  shape.window_px = 100;
  expect_error(ErrorCode::InvalidArgument, "windows of 100 px",
               [&] { synth_model(shape, GGML_TYPE_F32, 1, testing::scratch_folder()); });
  shape = synth_shape("tiny");
  shape.window_px = 112;
  expect_error(ErrorCode::InvalidArgument, "expected a multiple of 14 px in a Qwen2-VL",
               [&] { synth_model(shape, GGML_TYPE_F32, 1, testing::scratch_folder()); });
}

/// The tower's keys with a change, read back.
ClipConfig read_keys(const std::function<void(GgufWriter&)>& change) {
  const std::string path = testing::scratch_folder() + "/windowed_keys.gguf";
  const GgufFile file(testing::windowed_path("mmproj.gguf"));
  GgufWriter writer(path);
  writer.set_str("general.architecture", "clip");
  set_clip_keys(windowed_model()->clip(), windowed_model()->mlp(), writer);
  change(writer);
  const GgufTensor& up = *file.find("v.blk.0.ffn_up.weight");
  writer.add_tensor(up.name, up.type, up.ne);
  writer.begin();
  writer.write(up.name, file.bytes(up));
  writer.finish();
  return read_clip_config(GgufFile(path));
}

TEST(Qwen25Vl, Keys) {
  const ClipConfig config = read_keys([](GgufWriter&) {});
  EXPECT_TRUE(config.rms_norm);
  EXPECT_TRUE(config.gated);
  EXPECT_EQ(config.window_side, 4);
  EXPECT_EQ(config.full_every, 2);
  EXPECT_EQ(config.n_ff, 88);
  EXPECT_TRUE(config.is_windowed(0));
  EXPECT_FALSE(config.is_windowed(3));
  EXPECT_EQ(read_keys([](GgufWriter& w) { w.set_u32("clip.vision.window_size", 56); }).window_side, 2);
  // Every block attends to all.
  EXPECT_FALSE(read_keys([](GgufWriter& w) { w.set_u32("clip.vision.n_wa_pattern", 1); }).is_windowed(0));
}

TEST(Qwen25Vl, DamagedKeys) {
  using Change = std::function<void(GgufWriter&)>;
  const auto refused = [](ErrorCode code, const char* message, const Change& change) {
    expect_error(code, message, [&] { read_keys(change); });
  };
  refused(ErrorCode::Corrupt, "clip.vision.n_wa_pattern",
          [](GgufWriter& w) { w.set_u32("clip.vision.n_wa_pattern", 0); });
  refused(ErrorCode::Corrupt, "clip.vision.n_wa_pattern",
          [](GgufWriter& w) { w.set_str("clip.vision.n_wa_pattern", "8"); });
  refused(ErrorCode::Corrupt, "clip.vision.window_size', got 100 pixels, expected a multiple of 28",
          [](GgufWriter& w) { w.set_u32("clip.vision.window_size", 100); });
  refused(ErrorCode::Corrupt, "clip.vision.window_size",
          [](GgufWriter& w) { w.set_u32("clip.vision.window_size", 0); });
  refused(ErrorCode::Unsupported, "'clip.use_silu' of a Qwen2.5-VL tower, got false",
          [](GgufWriter& w) { w.set_bool("clip.use_silu", false); });
  // The tower of the other kind has neither gates nor windows.
  refused(ErrorCode::Unsupported, "activation silu",
          [](GgufWriter& w) { w.set_str("clip.projector_type", "qwen2vl_merger"); });
}

/// A file whose keys say windows and whose tensors are Qwen2-VL's, and the other way round.
TEST(Qwen25Vl, TensorsOfTheOtherTower) {
  const GgufFile windowed(testing::windowed_path("mmproj.gguf")), plain(testing::qwen_path("mmproj.gguf"));
  expect_error(ErrorCode::NotFound, "v.blk.0.ffn_gate.weight' is missing",
               [&] { check_tensors(plain, clip_tensors(read_clip_config(windowed))); });
  expect_error(ErrorCode::NotFound, "v.blk.0.ln1.bias' is missing",
               [&] { check_tensors(windowed, clip_tensors(read_clip_config(plain))); });
}

}  // namespace
}  // namespace winnow::engine
