// What the authors' own code selects and merges, for the methods with merged tokens, quotas or orders of
// their own. The cases lie in tests/data/prune (see the READMEs there).

#include <gtest/gtest.h>

#include "tests/prune/merging_support.h"
#include "winnow/prune/hired_budgets.h"

namespace winnow::prune {
namespace {

using namespace test;
using winnow::test::TensorFixture;

constexpr double kTolerance = 2e-6;  // relative, of merged vectors

Ints first_of(const Plan& plan, int32_t begin, int32_t end) {
  return {plan.position_of.begin() + begin, plan.position_of.begin() + end};
}

class VisionZipGolden : public ::testing::TestWithParam<const char*> {
 protected:
  VisionZipGolden() {
    const std::vector<int64_t> shape = tensors.shape("in.keys");  // [heads, 1 + n, d]
    const int64_t heads = shape[0], n = shape[1] - 1, width = shape[2];
    const std::vector<float> keys = tensors.f32("in.keys");
    Matrix side_by_side{std::vector<float>(static_cast<std::size_t>(n * heads * width)), n, heads * width};
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t token = 0; token < n; ++token) {
        for (int64_t c = 0; c < width; ++c) {
          side_by_side.values[token * heads * width + head * width + c] =
              keys[(head * (n + 1) + token + 1) * width + c];
        }
      }
    }
    signals.of[Signal::TowerKeys] = side_by_side;
    signals.of[Signal::ClsAttention] = matrix_of(tensors, "in.cls_attn");
    Matrix hidden = matrix_of(tensors, "in.hidden");
    signals.of[Signal::ClsToken] = {
        {hidden.values.begin(), hidden.values.begin() + hidden.cols}, 1, hidden.cols};
    // [CLS] behind the patches: input n of the plan.
    std::rotate(hidden.values.begin(), hidden.values.begin() + hidden.cols, hidden.values.end());
    features = hidden;
  }

  TensorFixture tensors = fixture(std::string("visionzip/") + GetParam());
  int32_t dominant = tensors.i32("param.dominant_incl_cls").at(0);
  int32_t contextual = tensors.i32("param.contextual").at(0);
  OwnedSignals signals{{6, 6}, {}, {}};
  Matrix features;
};

TEST_P(VisionZipGolden, TokensOfTheAuthors) {
  const std::string use = "visionzip:contextual_count=" + std::to_string(contextual);
  const Plan plan = run(use, signals, dominant + contextual);
  EXPECT_EQ(Ints(plan.sources(0).begin(), plan.sources(0).end()), (Ints{36}));
  EXPECT_EQ(first_of(plan, 1, dominant), tensors.i32("out.dominant"));
  EXPECT_EQ(first_of(plan, dominant, plan.n_out()), tensors.i32("out.targets"));
  const Ints sources = tensors.i32("out.merged_src"), targets = tensors.i32("out.merged_target_of_src");
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const auto merged = plan.sources(dominant + targets[i]);
    EXPECT_TRUE(contains({merged.begin(), merged.end()}, sources[i])) << "token " << sources[i];
  }
  expect_rows(apply(plan, features), matrix_of(tensors, "out.tokens"), kTolerance);
}

TEST_P(VisionZipGolden, TheSameWithoutCls) {
  const std::string use = "visionzip:cls_token=off,contextual_count=" + std::to_string(contextual);
  expect_rows(apply(run(use, signals, dominant + contextual - 1), features),
              matrix_of(tensors, "out.tokens", 1), kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Cases, VisionZipGolden, ::testing::Values("g6_D5_C3", "g6_D9_C4"));

class PruMergeGolden : public ::testing::TestWithParam<std::pair<const char*, const char*>> {
 protected:
  PruMergeGolden() {
    const Matrix queries = matrix_of(tensors, "in.q_raw"), keys = matrix_of(tensors, "in.k_raw");
    Doubles attention;
    for (int64_t j = 0; j < keys.rows; ++j)
      attention.push_back(std::exp(product(queries, 0, keys, j) / std::sqrt(static_cast<double>(keys.cols))));
    const double sum = std::accumulate(attention.begin(), attention.end(), 0.0);
    Matrix& patches = signals.of[Signal::WideClsAttention];
    patches = {{}, 1, keys.rows - 1};
    for (std::size_t j = 1; j < attention.size(); ++j)
      patches.values.push_back(static_cast<float>(attention[j] / sum));
    signals.of[Signal::TowerKeys] = matrix_of(tensors, "in.k_raw", 1);
  }

  std::string name = GetParam().first;
  TensorFixture tensors = fixture(name + "/" + GetParam().second);
  int32_t side = tensors.i32("param.grid").at(0);
  OwnedSignals signals{{side, side}, {}, {}};
};

TEST_P(PruMergeGolden, TokensOfTheAuthors) {
  const Ints kept = tensors.i32("out.kept_output_order");
  const auto n_kept = static_cast<int32_t>(kept.size());
  for (const std::string block : {"next", "feature"}) {
    const Plan plan = run(name + ":block=" + block, signals, kMethodDecides);
    ASSERT_EQ(plan.n_out(), n_kept + 1);
    EXPECT_EQ(first_of(plan, 0, n_kept), kept);
    expect_rows(apply(plan, matrix_of(tensors, "in.hidden", 1)), matrix_of(tensors, "out.tokens"),
                kTolerance);
    const std::vector<float> scores = tensors.f32("out.cls_attn");
    expect_scores(plan, {scores.begin(), scores.end()}, 1e-7);
  }
}

TEST_P(PruMergeGolden, TheirCountGivenGivesTheirTokens) {
  if (name != "prumerge") return;  // the spread tokens of prumerge_plus follow another rule then
  const auto count = static_cast<int32_t>(tensors.i32("out.kept_output_order").size() + 1);
  EXPECT_EQ(run(name, signals, count).index, run(name, signals, kMethodDecides).index);
}

INSTANTIATE_TEST_SUITE_P(Cases, PruMergeGolden,
                         ::testing::Values(std::pair{"prumerge", "g12_C64"},
                                           std::pair{"prumerge_plus", "g24_C64"}));

TEST(TrimGolden, TokensOfTheAuthors) {
  const TensorFixture tensors = fixture("trim/g6_C64_k25");
  const Matrix hidden = matrix_of(tensors, "in.hidden"), project = matrix_of(tensors, "in.visual_projection");
  const std::vector<float> scale = tensors.f32("in.post_ln_weight"), shift = tensors.f32("in.post_ln_bias");
  Matrix patches{{}, hidden.rows, project.rows};
  for (int64_t i = 0; i < hidden.rows; ++i) {
    double mean = 0, variance = 0;
    for (int64_t c = 0; c < hidden.cols; ++c) mean += at(hidden, i, c) / static_cast<double>(hidden.cols);
    for (int64_t c = 0; c < hidden.cols; ++c)
      variance += std::pow(at(hidden, i, c) - mean, 2) / static_cast<double>(hidden.cols);
    for (int64_t e = 0; e < project.rows; ++e) {
      double sum = 0;
      for (int64_t c = 0; c < hidden.cols; ++c)
        sum += at(project, e, c) *
               ((at(hidden, i, c) - mean) / std::sqrt(variance + 1e-5) * scale[c] + shift[c]);
      patches.values.push_back(static_cast<float>(sum));
    }
  }
  OwnedSignals signals{{6, 6}, {}, {}};
  signals.of[Signal::ClipImage] = patches;
  signals.of[Signal::ClipText] = {tensors.f32("in.text_embed"), 1, project.rows};
  const int32_t n_out = tensors.i32("param.n_out").at(0);
  const Plan plan = run("trim:relevance=clip", signals, n_out);
  EXPECT_EQ(first_of(plan, 0, n_out - 1), tensors.i32("out.kept"));
  expect_rows(apply(plan, hidden), matrix_of(tensors, "out.tokens"), kTolerance);
  const std::vector<float> scores = tensors.f32("out.score");
  expect_scores(plan, {scores.begin(), scores.end()}, 1e-5);
}

class HoloVGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(HoloVGolden, TokensOfTheAuthors) {
  const TensorFixture tensors = fixture(std::string("holov/") + GetParam());
  OwnedSignals signals{{6, 6}, {}, {}};
  signals.of[Signal::ClsAttention] = matrix_of(tensors, "in.cls_attn");
  signals.of[Signal::Projected] = matrix_of(tensors, "in.feat_postproj");
  const int32_t n_chunk = tensors.i32("param.num_chunks").at(0);
  for (const std::string overflow : {"share", "pad"}) {
    const Plan plan = run("holov:chunks=" + std::to_string(n_chunk) + ",overflow=" + overflow, signals,
                          tensors.i32("param.T").at(0));
    EXPECT_EQ(plan.position_of, tensors.i32("out.kept_output_order"));
    EXPECT_TRUE(plan.is_selection());
    const Ints allocated = tensors.i32("out.allocated");
    const std::vector<float> chunk_scores = tensors.f32("out.chunk_scores");
    for (int32_t chunk = 0, begin = 0; chunk < n_chunk; ++chunk) {
      const int32_t end = begin + 36 / n_chunk + (chunk < 36 % n_chunk ? 1 : 0);
      double sum = 0;
      for (int32_t token = begin; token < end; ++token) sum += static_cast<double>(plan.scores[token]);
      EXPECT_NEAR(sum / (end - begin), chunk_scores[chunk], 1e-5 * chunk_scores[chunk]) << "chunk " << chunk;
      EXPECT_EQ(std::count_if(plan.index.begin(), plan.index.end(),
                              [&](int32_t token) { return token >= begin && token < end; }),
                allocated[chunk]);
      begin = end;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, HoloVGolden, ::testing::Values("g6_P4_T8", "g6_P5_T12"));

TEST(HiPruneGolden, TokensOfTheAuthors) {
  const TensorFixture tensors = fixture("hiprune/g24_T64_a30_edge");
  OwnedSignals signals{{24, 24}, {}, {}};
  signals.of_block[{Signal::ColumnAttention, block_at(9, 24)}] = {tensors.f32("in.col_mean_object_layer"), 1,
                                                                  576};
  signals.of_block[{Signal::ColumnAttention, kFeatureBlock}] = {tensors.f32("in.col_mean_deep_layer"), 1,
                                                                576};
  // The anchors are 0, 23, 575 and 300: here the flat raster adds nothing that the grid does not.
  for (const std::string neighbours : {"flat", "grid"}) {
    const Plan plan = run("hiprune:alpha=0.3,neighbours=" + neighbours, signals, 64);
    EXPECT_EQ(plan.index, tensors.i32("out.kept"));
    for (const int32_t token : tensors.i32("out.shallow_set")) EXPECT_TRUE(contains(plan.index, token));
  }
}

TEST(HiredGolden, SingleImage) {
  const TensorFixture tensors = fixture("hired/llava15_r20");
  OwnedSignals signals{{24, 24}, {}, {}};
  signals.of[Signal::ClsAttention] = matrix_of(tensors, "in.cls_attn_block22");
  const Ints kept = tensors.i32("out.kept");
  EXPECT_EQ(run("hired", signals, static_cast<int32_t>(kept.size())).index, kept);
}

TEST(HiredGolden, CropsOfAHighResolutionImage) {
  const TensorFixture tensors = fixture("hired/g12_2x2_s300x320_r20_a5");
  constexpr int32_t kHeads = 4, kTokens = 144, kCrops = 5;
  const std::vector<float> early = tensors.f32("in.cls_attn_block0");
  const std::vector<float> deep = tensors.f32("in.cls_attn_block22");
  const int32_t total = 144;  // floor(5 * 144 * 0.2)
  const std::vector<int32_t> budgets =
      hired_budgets({early.data(), kHeads, kTokens}, {12, 12}, {2, 2}, total, 0.5, HiredRegions::Bands);
  EXPECT_EQ(budgets, tensors.i32("out.budgets"));

  const Ints mask = tensors.i32("out.mask");
  for (int32_t crop = 0; crop < kCrops; ++crop) {
    OwnedSignals signals{{12, 12}, {}, {}};
    signals.of[Signal::ClsAttention] = {
        {deep.begin() + crop * kHeads * kTokens, deep.begin() + (crop + 1) * kHeads * kTokens},
        kHeads,
        kTokens};
    Ints kept;
    for (int32_t token = 0; token < kTokens; ++token) {
      if (mask[crop * kTokens + token] != 0) kept.push_back(token);
    }
    EXPECT_EQ(run("hired", signals, budgets[crop]).index, kept) << "crop " << crop;
  }
}

}  // namespace
}  // namespace winnow::prune
