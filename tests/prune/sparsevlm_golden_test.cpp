// SparseVLM against the results of the authors' own code, from tests/data/prune/sparsevlm.

#include <gtest/gtest.h>

#include <cmath>

#include "tests/prune/golden_signals.h"
#include "winnow/prune/dpc_knn.h"

namespace winnow::prune {
namespace {

using Ints = std::vector<int32_t>;
using test::Matrix;
using test::OwnedSignals;
using winnow::test::TensorFixture;

constexpr int64_t kImageStart = 10;
constexpr int32_t kGridSide = 12;
constexpr int32_t kText = 12;

std::string of_stage(const char* kind, int stage, const char* what) {
  return std::string(kind) + ".stage" + std::to_string(stage) + "." + what;
}

/// What the decoder's layer `stage` sees of a fixture with 144 tokens at first and 12 of text.
struct StageInput {
  OwnedSignals owned;
  Ints ids;
  Ints text_ids;

  Plan run(const std::string& text, int32_t n_keep, Rng& rng) const {
    const MethodUse use = parse_method(text);
    Signals signals = owned.view(use.method->needs(use.params));
    signals.ids = ids;
    signals.text_ids = text_ids;
    signals.rope = {16, 10000.0F};
    return run_method(use, signals, n_keep, rng);
  }
};

StageInput stage_input(const TensorFixture& fixture, int stage) {
  const std::string attention = of_stage("in", stage, "attn_text_rows_image_cols");
  const int64_t n = fixture.shape(attention).back();
  StageInput input{test::first_tokens(kGridSide, n), {}, {}};
  input.owned.of[Signal::TextAttention] = test::golden_rows(fixture, attention);
  input.owned.of[Signal::InputEmbeds] =
      test::golden_rows(fixture, "in.embeds", kImageStart, kGridSide * kGridSide);
  input.owned.of[Signal::TextEmbeds] =
      test::golden_rows(fixture, "in.embeds", kImageStart + kGridSide * kGridSide, kText);
  input.owned.of[Signal::Hidden] =
      test::golden_rows(fixture, of_stage("in", stage, "hidden_out"), kImageStart, n);
  const Ints ids = fixture.i32(of_stage("in", stage, "position_ids"));
  const auto image = ids.begin() + kImageStart;
  input.ids.assign(image, image + n);
  input.text_ids.assign(image + n, ids.end());
  return input;
}

/// The outputs of a plan on rows [n, d].
Matrix gathered(const Plan& plan, const Matrix& rows) {
  Matrix result{{}, plan.n_out(), rows.cols};
  for (int32_t out = 0; out < plan.n_out(); ++out) {
    for (int64_t c = 0; c < rows.cols; ++c) {
      double sum = 0;
      for (std::size_t i = 0; i < plan.sources(out).size(); ++i) {
        sum += static_cast<double>(plan.weights(out)[i]) * rows.view()(plan.sources(out)[i], c);
      }
      result.values.push_back(static_cast<float>(sum));
    }
  }
  return result;
}

class SparseVlm15Golden : public ::testing::TestWithParam<int> {};

TEST_P(SparseVlm15Golden, KeepsWhatTheAuthorsKeep) {
  const TensorFixture fixture = test::golden("sparsevlm/v15_g12_R64");
  const StageInput input = stage_input(fixture, GetParam());
  const auto out = [&](const char* what) { return of_stage("out", GetParam(), what); };
  const Ints kept = fixture.i32(out("kept"));
  const auto n_cluster = static_cast<int32_t>(fixture.shape(out("cluster_means"))[0]);
  Rng rng(1);
  const Plan plan = input.run("sparsevlm", static_cast<int32_t>(kept.size()) + n_cluster, rng);

  test::expect_near(plan.scores, fixture.f32(out("score")), 1e-6, "score");
  ASSERT_EQ(plan.n_out(), static_cast<int32_t>(kept.size()) + n_cluster);
  EXPECT_EQ(Ints(plan.index.begin(), plan.index.begin() + std::ssize(kept)), kept);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    EXPECT_EQ(plan.sources(static_cast<int32_t>(i)).size(), 1U);
  }
  Ints recycled(plan.index.begin() + std::ssize(kept), plan.index.end());
  Ints expected = fixture.i32(out("recycled_attn_order"));
  std::sort(recycled.begin(), recycled.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(recycled, expected);
}

TEST_P(SparseVlm15Golden, ClustersAsTheAuthorsWithTheirNoise) {
  const TensorFixture fixture = test::golden("sparsevlm/v15_g12_R64");
  const StageInput input = stage_input(fixture, GetParam());
  const auto out = [&](const char* what) { return of_stage("out", GetParam(), what); };
  const Ints recycled = fixture.i32(out("recycled_attn_order"));
  const Matrix hidden = input.owned.of.at(Signal::Hidden);
  std::vector<double> noise;
  for (const float value : fixture.f32(out("noise_times1e6"))) noise.push_back(1e-6 * value);
  const Matrix means = test::golden_rows(fixture, out("cluster_means"));

  const Clusters clusters = dpc_knn(hidden.view(), recycled, static_cast<int32_t>(means.rows), noise);
  EXPECT_EQ(clusters.centres, fixture.i32(out("cluster_centres")));
  EXPECT_EQ(clusters.label, fixture.i32(out("cluster_label")));
}

TEST_P(SparseVlm15Golden, RowsAfterTheStep) {
  // Where the noise decides between equal densities (the second stage) only the kept rows can be compared.
  const TensorFixture fixture = test::golden("sparsevlm/v15_g12_R64");
  const StageInput input = stage_input(fixture, GetParam());
  const auto out = [&](const char* what) { return of_stage("out", GetParam(), what); };
  const int64_t n_kept = fixture.shape(out("kept"))[0];
  const int64_t n_out = n_kept + fixture.shape(out("cluster_means"))[0];
  Rng rng(5);
  const Plan plan = input.run("sparsevlm:version=1.0", static_cast<int32_t>(n_out), rng);
  const Matrix after = gathered(plan, input.owned.of.at(Signal::Hidden));
  const int64_t compared = GetParam() == 1 ? n_kept : n_out;
  const Matrix expected = test::golden_rows(fixture, out("hidden_after"), kImageStart, compared);
  test::expect_near({after.values.begin(), after.values.begin() + compared * after.cols}, expected.values,
                    1e-5, "value");
  EXPECT_EQ(fixture.shape(out("hidden_after"))[0], kImageStart + n_out + kText);
}

INSTANTIATE_TEST_SUITE_P(Stages, SparseVlm15Golden, ::testing::Values(0, 1, 2));

class SparseVlmPlusGolden : public ::testing::TestWithParam<int> {};

TEST_P(SparseVlmPlusGolden, KeepsWhatTheAuthorsKeep) {
  const TensorFixture fixture = test::golden("sparsevlm/v20_g12_R64");
  const StageInput input = stage_input(fixture, GetParam());
  const Ints kept = fixture.i32(of_stage("out", GetParam(), "kept"));
  Rng rng(1);
  const Plan plan = input.run("sparsevlm:version=plus", static_cast<int32_t>(kept.size()), rng);
  EXPECT_EQ(plan.index, kept);
  EXPECT_TRUE(plan.is_selection());
  const std::vector<float> scores = fixture.f32(of_stage("out", GetParam(), "score"));
  ASSERT_EQ(plan.scores.size(), scores.size());
  for (std::size_t j = 0; j < scores.size(); ++j) {
    EXPECT_NEAR(plan.scores[j], scores[j], 1e-5 + 1e-4 * std::abs(scores[j])) << "token " << j;
  }
}

INSTANTIATE_TEST_SUITE_P(Stages, SparseVlmPlusGolden, ::testing::Values(0, 1, 2));

TEST(SparseVlm10Golden, TheRankDecidesTheCount) {
  const TensorFixture fixture = test::golden("sparsevlm/v10_rank_N36_dup0");
  const Matrix attention = test::golden_rows(fixture, "in.attn_text_rows_image_cols");
  const int64_t n_text = fixture.shape("in.attn_text_rows_image_cols")[1];
  OwnedSignals signals{{6, 6}, {}, {}};
  signals.of[Signal::TextAttention] = attention;
  signals.of[Signal::Hidden] = test::random_signals({6, 6}, 1, {}, 1).of[Signal::Hidden];
  // Embeddings of width 1 whose products make exactly the fixture's raters stand out.
  signals.of[Signal::InputEmbeds] = {std::vector<float>(36, 1.0F), 36, 1};
  Matrix text{std::vector<float>(static_cast<std::size_t>(n_text), 0.0F), n_text, 1};
  for (const int32_t rater : fixture.i32("in.raters")) text.values[rater] = 9.0F;
  signals.of[Signal::TextEmbeds] = text;

  const Ints kept = fixture.i32("out.kept");
  const Plan plan = test::run("sparsevlm:version=1.0,scale=13.5,bias=0", signals, kMethodDecides);
  test::expect_near(plan.scores, fixture.f32("out.score"), 1e-7, "score");
  EXPECT_EQ(Ints(plan.index.begin(), plan.index.begin() + std::ssize(kept)), kept);
  EXPECT_EQ(plan.n_out(), 36);  // the one dropped token comes back as the mean of itself

  // The fixture's rank is 10: scale 2 keeps 20, and 5 of the 16 dropped ones become one mean.
  const Plan fewer = test::run("sparsevlm:version=1.0,scale=2,bias=0", signals, kMethodDecides);
  EXPECT_EQ(fixture.i32("out.rank").at(0), 10);
  EXPECT_EQ(fewer.n_out(), 20 + 1);
  EXPECT_EQ(fewer.sources(20).size(), 5U);
  EXPECT_EQ(test::run("sparsevlm:version=1.0,scale=1,bias=3", signals, kMethodDecides).n_out(), 13 + 1);
}

}  // namespace
}  // namespace winnow::prune
