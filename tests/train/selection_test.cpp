#include "winnow/train/selection.h"

#include <gtest/gtest.h>

#include "winnow/base/error.h"
#include "winnow/train/recipe.h"

namespace winnow::train {
namespace {

using torch::Tensor;

struct Pictures {
  ModelShape shape = shape_named("mini");
  Model::TowerOut tower;
  Tensor projected;
};

Pictures random_setup() {
  torch::manual_seed(5);
  Pictures s;
  s.tower.features = torch::randn({2 * s.shape.n_patch(), s.shape.tower_embd});
  s.tower.cls_attention = torch::rand({2, s.shape.tower_head, s.shape.n_patch()});
  s.projected = torch::randn({2 * s.shape.n_visual(), s.shape.n_embd});
  return s;
}

TEST(Selection, RandomKeepsTheShareAndRepeatsForASeed) {
  const Pictures s = random_setup();
  const auto use = prune::parse_method("random");
  const auto a = select_tokens(use, 0.25, s.shape, s.tower, s.projected, 9);
  ASSERT_EQ(a.size(), 2U);
  EXPECT_EQ(a[0].n_out(), 36);
  EXPECT_NE(a[0].index, a[1].index);  // each picture its own draw
  EXPECT_EQ(a[0].index, select_tokens(use, 0.25, s.shape, s.tower, s.projected, 9)[0].index);
  const Tensor kept = apply_plans(s.projected, a, s.shape.n_visual());
  ASSERT_EQ(kept.size(0), 72);
  EXPECT_TRUE(torch::equal(kept[0], s.projected[a[0].index[0]]));
  EXPECT_TRUE(torch::equal(kept[36], s.projected[144 + a[1].index[0]]));
}

TEST(Selection, FasterVlmTakesTheTokensThatClsAttendsTo) {
  Pictures s = random_setup();
  s.tower.cls_attention.index_put_({1, torch::indexing::Slice(), 17}, 50.0F);
  const auto plans = select_tokens(prune::parse_method("fastervlm"), 0.02, s.shape, s.tower, s.projected, 1);
  EXPECT_NE(std::find(plans[1].index.begin(), plans[1].index.end(), 17), plans[1].index.end());
}

TEST(Selection, MergedTokensPassGradientsOn) {
  const Pictures s = random_setup();
  const auto use = prune::parse_method("pooling:window=2x2");
  const auto plans = select_tokens(use, 0.25, s.shape, s.tower, s.projected, 1);
  Tensor leaf = s.projected.clone().requires_grad_(true);
  const Tensor merged = apply_plans(leaf, plans, s.shape.n_visual());
  ASSERT_EQ(merged.size(0), 72);
  const Tensor mean = (leaf[0] + leaf[1] + leaf[12] + leaf[13]) / 4.0;
  EXPECT_LE((merged[0] - mean).abs().max().item<double>(), 1e-6);
  merged.sum().backward();
  EXPECT_NEAR(leaf.grad()[0][0].item<double>(), 0.25, 1e-6);
}

TEST(Selection, MethodsThatNeedTheDecoderAreRefused) {
  EXPECT_NO_THROW(check_trainable(prune::parse_method("grid")));
  try {
    check_trainable(prune::parse_method("fastv"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported);
    EXPECT_NE(std::string(error.what()).find("fastv"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace winnow::train
