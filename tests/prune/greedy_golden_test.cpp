// The methods that compare tokens: the kept sets of the authors' own code, and the order in which they were
// picked, from tests/data/prune (see the READMEs there).

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/prune/random_signals.h"
#include "tests/support/tensor_fixture.h"

namespace winnow::prune {
namespace {

using Ints = std::vector<int32_t>;
using winnow::test::TensorFixture;

TensorFixture fixture(const std::string& name) {
  return TensorFixture(WINNOW_TEST_DATA "/prune/" + name + ".safetensors");
}

test::Matrix matrix(const TensorFixture& from, const std::string& name) {
  const std::vector<int64_t> shape = from.shape(name);
  return {from.f32(name), shape.at(0), shape.at(1)};
}

test::OwnedSignals signals_on_grid(const TensorFixture& from) {
  const int32_t side = from.i32("param.grid").at(0);
  return {{side, side}, {}, {}};
}

/// A greedy method's set of k holds its set of k - 1: what each further token adds is the order of the picks.
Ints pick_order(const std::string& use, const test::OwnedSignals& signals, int32_t n_keep) {
  Ints order;
  Ints before;
  for (int32_t k = 1; k <= n_keep; ++k) {
    const Ints kept = test::run(use, signals, k).index;
    Ints added;
    std::set_difference(kept.begin(), kept.end(), before.begin(), before.end(), std::back_inserter(added));
    EXPECT_EQ(added.size(), 1U) << use << ", " << k << " kept";
    order.insert(order.end(), added.begin(), added.end());
    before = kept;
  }
  return order;
}

void expect_picks(const std::string& use, const test::OwnedSignals& signals, const TensorFixture& golden) {
  const Ints kept = golden.i32("out.kept");
  EXPECT_EQ(test::run(use, signals, static_cast<int32_t>(kept.size())).index, kept) << use;
  EXPECT_EQ(pick_order(use, signals, static_cast<int32_t>(kept.size())), golden.i32("out.kept_pick_order"))
      << use;
}

TEST(GreedyGolden, DivPrune) {
  for (const char* name : {"divprune/g6_m4", "divprune/g6_m9"}) {
    const TensorFixture golden = fixture(name);
    test::OwnedSignals signals = signals_on_grid(golden);
    signals.of[Signal::Projected] = matrix(golden, "in.feat_postproj");
    expect_picks("divprune", signals, golden);
  }
}

TEST(GreedyGolden, Scope) {
  for (const char* name : {"scope/g6_T4_a10_multi", "scope/g6_T9_a10_add"}) {
    const TensorFixture golden = fixture(name);
    test::OwnedSignals signals = signals_on_grid(golden);
    signals.of[Signal::Tower] = matrix(golden, "in.feat_preproj");
    signals.of[Signal::ClsAttention] = matrix(golden, "in.cls_attn");
    ASSERT_EQ(golden.f32("param.alpha").at(0), 1.0F);
    const bool add = golden.i32("param.combined").at(0) == 1;
    expect_picks(add ? "scope:combine=add" : "scope", signals, golden);
    // The same attention under the name that towers without [CLS] give it.
    signals.of[Signal::ColumnAttention] = signals.of[Signal::ClsAttention];
    signals.of.erase(Signal::ClsAttention);
    expect_picks(add ? "scope:combine=add,importance=column" : "scope:importance=column", signals, golden);
  }
}

TEST(GreedyGolden, CdPruner) {
  for (const char* name : {"cdpruner/g6_M1_T4", "cdpruner/g6_M1_T9"}) {
    const TensorFixture golden = fixture(name);
    test::OwnedSignals signals = signals_on_grid(golden);
    signals.of[Signal::Projected] = matrix(golden, "in.feat_postproj");
    signals.of[Signal::ClipImage] = matrix(golden, "in.image_embeds");
    signals.of[Signal::ClipText] = matrix(golden, "in.text_embeds");
    expect_picks("cdpruner:relevance=clip", signals, golden);
    expect_picks("cdpruner:relevance=clip,sign=minus", signals, golden);
    EXPECT_NE(test::run("cdpruner:relevance=clip,sign=plus", signals, golden.i32("param.T").at(0)).index,
              golden.i32("out.kept"));
  }
}

TEST(GreedyGolden, Mmr) {
  const std::vector<std::pair<const char*, const char*>> cases{{"mmr/g6_k9_l5", "mmr:lambda=0.5"},
                                                               {"mmr/g6_k18_l3", "mmr:lambda=0.3"}};
  for (const auto& [name, use] : cases) {
    const TensorFixture golden = fixture(name);
    ASSERT_NEAR(golden.f32("param.mmr_lambda").at(0), parse_method(use).params.real("lambda"), 1e-7);
    test::OwnedSignals signals = signals_on_grid(golden);
    signals.of[Signal::Projected] = matrix(golden, "in.feat");
    const std::vector<float> score = golden.f32("in.raw_score");
    signals.of[Signal::ClsAttention] = {score, 1, static_cast<int64_t>(score.size())};
    expect_picks(use, signals, golden);
  }
}

TEST(GreedyGolden, VisPruner) {
  const std::vector<std::pair<const char*, const char*>> cases{{"vispruner/g6_T8_r25", "ratio=0.25"},
                                                               {"vispruner/g6_T8_r50", "ratio=0.5"}};
  for (const auto& [name, ratio] : cases) {
    const TensorFixture golden = fixture(name);
    test::OwnedSignals signals = signals_on_grid(golden);
    signals.of[Signal::Tower] = matrix(golden, "in.feat_preproj");
    signals.of[Signal::ClsAttention] = matrix(golden, "in.cls_attn");
    signals.of[Signal::ColumnAttention] = signals.of[Signal::ClsAttention];
    const int32_t n_keep = golden.i32("param.T").at(0);
    for (const std::string importance : {"cls", "column"}) {
      const std::string use = std::string("vispruner:") + ratio + ",importance=" + importance;
      EXPECT_EQ(test::run(use, signals, n_keep).index, golden.i32("out.kept")) << use;
    }
  }
}

}  // namespace
}  // namespace winnow::prune
