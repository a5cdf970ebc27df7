// Projectors that merge or average k x k patches: against the plain loops of tests/support/reference_llava.h,
// and what everything behind the projector makes of the smaller grid. The models are random ones written by
// synth_model; a tensor's numbers depend on seed and name only, so all of them have the same tower.

#include "winnow/engine/projector/patch_merge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "tests/support/engine_models.h"
#include "winnow/base/error.h"
#include "winnow/engine/flops.h"
#include "winnow/prune/method.h"

namespace winnow::engine {
namespace {

using testing::prune_with;
using testing::RefMatrix;
using testing::threads;
using testing::Turn;
using testing::worst_error;

constexpr int32_t kImageToken = 500;
constexpr int32_t kPatches = 64;  // 8 x 8
constexpr int32_t kVisual = 16;   // 4 x 4 groups of 2 x 2

SynthShape shape_of(int32_t merge, int32_t pool) {
  SynthShape shape = synth_shape("tiny");
  shape.image_px = 8 * shape.patch_px;
  shape.merge = merge;
  shape.pool = pool;
  shape.all_blocks = true;
  shape.name = fmt::format("merge{}-pool{}", merge, pool);
  return shape;
}

const std::shared_ptr<const Model>& model_of(int32_t merge, int32_t pool) {
  static std::map<std::pair<int32_t, int32_t>, std::shared_ptr<const Model>> loaded;
  auto& model = loaded[{merge, pool}];
  if (model == nullptr) model = testing::load_model(testing::synth_files(shape_of(merge, pool)));
  return model;
}

const Image& one_picture() {
  static const Image image = testing::picture(3, 112, 112);
  return image;
}

/// Text, `n_visual` image tokens, text.
std::vector<int32_t> ids_of(int32_t n_visual) {
  std::vector<int32_t> ids = testing::text_ids(1, 5);
  ids.insert(ids.end(), static_cast<std::size_t>(n_visual), kImageToken);
  const std::vector<int32_t> rest = testing::text_ids(2, 9);
  ids.insert(ids.end(), rest.begin(), rest.end());
  std::replace(ids.begin(), ids.begin() + 5, kImageToken, 3);
  std::replace(ids.end() - 9, ids.end(), kImageToken, 3);
  return ids;
}

TEST(PatchMerge, GroupsAreSquaresInRasterOrder) {
  const PatchMerge merge{{4, 6}, 2, false};
  std::vector<float> features;  // [24, 2]
  for (int i = 0; i < 24; ++i) {
    features.push_back(static_cast<float>(i));
    features.push_back(static_cast<float>(100 + i));
  }
  EXPECT_EQ(merge.grid().rows, 2);
  EXPECT_EQ(merge.grid().cols, 3);
  EXPECT_EQ(merge.width(2), 8);
  const std::vector<float> merged = merge_patches(merge, features);
  ASSERT_EQ(merged.size(), 48U);
  EXPECT_EQ(std::vector<float>(merged.begin(), merged.begin() + 16),
            (std::vector<float>{0, 100, 1, 101, 6, 106, 7, 107, 2, 102, 3, 103, 8, 108, 9, 109}));
  EXPECT_EQ(std::vector<float>(merged.end() - 8, merged.end()),
            (std::vector<float>{16, 116, 17, 117, 22, 122, 23, 123}));
  const PatchMerge pool{{4, 6}, 2, true};
  EXPECT_EQ(pool.width(2), 2);
  EXPECT_EQ(merge_patches(pool, features), (std::vector<float>{3.5F, 103.5F, 5.5F, 105.5F, 7.5F, 107.5F,
                                                               15.5F, 115.5F, 17.5F, 117.5F, 19.5F, 119.5F}));
  std::vector<float> two_rows(48);  // [2, 24]
  for (std::size_t i = 0; i < two_rows.size(); ++i) two_rows[i] = static_cast<float>(i);
  EXPECT_EQ(group_means(merge, two_rows, 1), (std::vector<float>{3.5F, 5.5F, 7.5F, 15.5F, 17.5F, 19.5F, 27.5F,
                                                                 29.5F, 31.5F, 39.5F, 41.5F, 43.5F}));
}

/// merge, pool
using Sizes = std::tuple<int32_t, int32_t>;

std::string name_of(const Sizes& sizes) {
  return fmt::format("merge{}_pool{}", std::get<0>(sizes), std::get<1>(sizes));
}

class MergedModel : public ::testing::TestWithParam<Sizes> {
 protected:
  int32_t merge() const { return std::get<0>(GetParam()); }
  int32_t pool() const { return std::get<1>(GetParam()); }
  int32_t side() const { return merge() * pool(); }
  int32_t n_visual() const { return kPatches / (side() * side()); }
  const Model& model() const { return *model_of(merge(), pool()); }
};
INSTANTIATE_TEST_SUITE_P(Sizes, MergedModel,
                         ::testing::Values(Sizes{2, 1}, Sizes{1, 2}, Sizes{4, 1}, Sizes{1, 8}),
                         [](const auto& param) { return name_of(param.param); });

TEST_P(MergedModel, ProjectionAndLogitsEqualThePlainLoops) {
  const SynthFiles files = testing::synth_files(shape_of(merge(), pool()));
  Session session(model_of(merge(), pool()), threads(1));
  std::map<std::string, std::vector<float>> seen;
  std::map<std::string, std::vector<int64_t>> shapes;
  session.set_observer(
      [&](std::string_view name, std::span<const int64_t> shape, std::span<const float> values) {
        seen[std::string(name)].assign(values.begin(), values.end());
        shapes[std::string(name)].assign(shape.begin(), shape.end());
      });
  const EncodedImage image = session.encode(one_picture(), ImageFit::Crop, {});
  const std::vector<int32_t> ids = ids_of(n_visual());
  const PrefillResult prefill =
      session.prefill(prompt_from_ids(ids, kImageToken, model().grid().size(), 1), {&image}, {}, 0, true);

  const testing::ReferenceLlava reference(files.text, files.mmproj);
  const testing::RefFeatures expected = reference.encode(seen.at("pixel_values"), 4);
  EXPECT_EQ(shapes.at("selected"), (std::vector<int64_t>{1, kPatches, 64}));
  EXPECT_EQ(shapes.at("proj"), (std::vector<int64_t>{1, n_visual(), 256}));
  EXPECT_LE(worst_error(seen.at("selected"), expected.selected.values), 1e-5);
  EXPECT_LE(worst_error(image.projected, expected.projected.values), 1e-5);
  EXPECT_LE(worst_error(image.features, testing::ref_square_means(expected.selected, side()).values), 1e-5);
  std::vector<int32_t> positions;
  for (int32_t i = 0; i < std::ssize(ids); ++i) positions.push_back(i);
  const auto forward = reference.forward(reference.embed(ids, kImageToken, expected.projected), positions);
  EXPECT_LE(worst_error(prefill.logits, forward.logits.values), 1e-5);
  EXPECT_EQ(prefill.n_visual_before, n_visual());
}

TEST_P(MergedModel, StoredTypesStayNearThePlainLoops) {
  const SynthFiles files = testing::synth_files(shape_of(merge(), pool()), GGML_TYPE_Q8_0);
  Session session(testing::load_model(files, false), threads(2));
  std::vector<float> pixels;
  session.set_observer([&](std::string_view name, std::span<const int64_t>, std::span<const float> values) {
    if (name == "pixel_values") pixels.assign(values.begin(), values.end());
  });
  const EncodedImage image = session.encode(one_picture(), ImageFit::Crop, {});
  const auto expected = testing::ReferenceLlava(files.text, files.mmproj).encode(pixels, 4);
  EXPECT_LE(worst_error(image.projected, expected.projected.values), 2e-2);
}

/// Means over the squares of every row of [rows, 64] (width 1) or of [64, width].
std::vector<double> means(const std::vector<float>& values, int64_t width, int64_t k) {
  std::vector<double> out;
  const std::size_t block = static_cast<std::size_t>(kPatches * width);
  for (std::size_t at = 0; at < values.size(); at += block) {
    RefMatrix one(kPatches, width);
    std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(at), block, one.values.begin());
    const RefMatrix mean = testing::ref_square_means(one, k);
    out.insert(out.end(), mean.values.begin(), mean.values.end());
  }
  return out;
}

TEST_P(MergedModel, TowerSignalsAreMeansOverTheGroups) {
  const TowerRequest request{{{prune::Signal::ClsAttention, -1},
                              {prune::Signal::ColumnAttention, -2},
                              {prune::Signal::TowerKeys, -1},
                              {prune::Signal::TowerKeys, 0}}};
  Session plain(model_of(1, 1), threads(1));
  Session merged(model_of(merge(), pool()), threads(1));
  const EncodedImage patches = plain.encode(one_picture(), ImageFit::Crop, request);
  const EncodedImage groups = merged.encode(one_picture(), ImageFit::Crop, request);
  ASSERT_EQ(patches.layout.n(), kPatches);
  EXPECT_EQ(groups.layout.grid.size(), n_visual());
  EXPECT_EQ(groups.layout.grid.cols, 8 / side());
  EXPECT_LE(worst_error(groups.features, means(patches.features, 64, side())), 1e-6);
  ASSERT_EQ(groups.signals.size(), request.needs.size());
  for (std::size_t i = 0; i < groups.signals.size(); ++i) {
    const TowerSignal& of_patches = patches.signals[i];
    const TowerSignal& of_groups = groups.signals[i];
    const bool keys = of_groups.need.signal == prune::Signal::TowerKeys;
    EXPECT_EQ(std::ranges::count(request.needs, of_groups.need), 1);
    EXPECT_EQ(of_groups.need, of_patches.need);
    EXPECT_EQ(of_groups.rows, keys ? n_visual() : 4);
    EXPECT_LE(worst_error(of_groups.values, means(of_patches.values, keys ? 64 : 1, side())), 1e-6)
        << prune::signal_name(of_groups.need.signal);
  }
}

TEST_P(MergedModel, CountsFollowTheGroups) {
  EXPECT_EQ(model().clip().n_patch(), kPatches);
  EXPECT_EQ(model().grid().size(), n_visual());
  EXPECT_EQ(model().mlp().n_in, 64 * merge() * merge());
  EXPECT_DOUBLE_EQ(projector_flops(model().mlp(), n_visual()),
                   2.0 * n_visual() * 256 * (64 * merge() * merge() + 256));
}

TEST_P(MergedModel, ImageOfAnotherModelIsRefused) {
  Session plain(model_of(1, 1), threads(1));
  Session merged(model_of(merge(), pool()), threads(1));
  EncodedImage image = plain.encode(one_picture(), ImageFit::Crop, {});
  image.layout = single_layout(model().grid());
  EXPECT_THROW(merged.prefill({{{}, 0}}, {&image}, {}, 0), Error);
}

/// Every method of the registry on a merged and on a pooled model.
class EveryMethodMerged : public ::testing::TestWithParam<std::tuple<Sizes, const prune::Method*>> {
 protected:
  void SetUp() override {
    if (!testing::can_run(*model(), info().name)) GTEST_SKIP() << "needs what this model does not have";
  }
  const std::shared_ptr<const Model>& model() const {
    const auto [merge, pool] = std::get<0>(GetParam());
    return model_of(merge, pool);
  }
  const prune::MethodInfo& info() const { return std::get<1>(GetParam())->info(); }
  std::vector<int32_t> places() const {
    if (info().stage == prune::Stage::AfterTower) return {-1};
    if (info().stage == prune::Stage::Either) return {-1, 0, 2};
    return {1, 3};
  }
  Turn run(const PruneOptions& options, int32_t n_images = 1) const {
    Session session(model(), threads(1));
    const auto prompt = prompt_from_ids(ids_of(kVisual * n_images), kImageToken, kVisual, n_images);
    std::vector<Image> pictures;
    for (int32_t i = 0; i < n_images; ++i) pictures.push_back(testing::picture(3 + i, 112, 112));
    return testing::run_turn(session, prompt, pictures, options, 2);
  }
};
INSTANTIATE_TEST_SUITE_P(Registry, EveryMethodMerged,
                         ::testing::Combine(::testing::Values(Sizes{2, 1}, Sizes{1, 2}),
                                            ::testing::ValuesIn(prune::selecting_methods())),
                         [](const auto& param) {
                           return name_of(std::get<0>(param.param)) + "_" +
                                  std::get<1>(param.param)->info().name;
                         });

TEST_P(EveryMethodMerged, KeepingAllIsBitIdenticalToNone) {
  const Turn none = run({});
  for (const int32_t layer : places()) {
    for (const char* keep : {"100%", "16", "64"}) {
      const Turn all = run(prune_with(info().name, keep, layer, *model()));
      EXPECT_EQ(all.prefill.logits, none.prefill.logits) << layer << " " << keep;
      EXPECT_EQ(all.step_logits, none.step_logits) << layer << " " << keep;
      EXPECT_EQ(all.prefill.n_visual_after, kVisual) << layer << " " << keep;
    }
  }
}

TEST_P(EveryMethodMerged, KeepsTheRightNumberOfGroups) {
  if (info().keeps_all) return;
  constexpr int32_t kText = 14;
  constexpr int64_t kRowBytes = int64_t{2} * 128 * 4;  // keys and values of 4 heads, f32
  for (const int32_t n_images : {1, 2}) {
    for (const int32_t layer : places()) {
      const std::string what = fmt::format("{} images, layer {}", n_images, layer);
      const PrefillResult p = run(prune_with(info().name, "25%", layer, *model()), n_images).prefill;
      EXPECT_EQ(p.n_text, kText);
      EXPECT_EQ(p.n_visual_before, kVisual * n_images) << what;
      EXPECT_EQ(p.n_visual_after, 4 * n_images) << what;
      const int32_t full = std::max(layer, 0);
      EXPECT_EQ(p.kv_bytes, (int64_t{4} * kText + n_images * (full * kVisual + (4 - full) * 4)) * kRowBytes)
          << what;
      ASSERT_EQ(p.steps.size(), static_cast<std::size_t>(n_images)) << what;
      for (const StepResult& step : p.steps) {
        EXPECT_EQ(step.n_before, kVisual) << what;
        EXPECT_EQ(step.plan.n_out(), 4) << what;
        for (const int32_t token : step.kept) EXPECT_TRUE(token >= 0 && token < kVisual) << what;
      }
    }
  }
}

}  // namespace
}  // namespace winnow::engine
