// The kept sets of the authors' own code, from tests/data/prune (see the README there).

#include <gtest/gtest.h>

#include "tests/prune/random_signals.h"
#include "tests/support/tensor_fixture.h"

namespace winnow::prune {
namespace {

class FasterVlmGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(FasterVlmGolden, KeepsWhatTheAuthorsKeep) {
  const winnow::test::TensorFixture fixture(std::string(WINNOW_TEST_DATA "/prune/fastervlm/") + GetParam() +
                                            ".safetensors");
  const std::vector<int64_t> shape = fixture.shape("in.cls_attn");
  const int32_t side = fixture.i32("param.grid").at(0);
  ASSERT_EQ(shape, (std::vector<int64_t>{fixture.i32("param.heads").at(0), side * side}));

  test::OwnedSignals signals{{side, side}, {}, {}};
  signals.of[Signal::ClsAttention] = {fixture.f32("in.cls_attn"), shape[0], shape[1]};
  const Plan plan = test::run("fastervlm", signals, fixture.i32("param.T").at(0));

  EXPECT_EQ(plan.index, fixture.i32("out.kept"));
  const std::vector<float> scores = fixture.f32("out.score");
  ASSERT_EQ(plan.scores.size(), scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i)
    EXPECT_NEAR(plan.scores[i], scores[i], 1e-7) << "patch " << i;
}

INSTANTIATE_TEST_SUITE_P(Cases, FasterVlmGolden, ::testing::Values("g6_T4", "g6_T9"));

}  // namespace
}  // namespace winnow::prune
