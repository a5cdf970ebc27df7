// Pruning of LLaVA-OneVision's tokens, which are mixtures of patches: every method of the registry runs or
// says why not.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"
#include "tests/support/ready_picture.h"
#include "winnow/engine/step_signals.h"

namespace winnow::engine {
namespace {

using prune::Signal;
using test::expect_error;
using testing::onevision_model;
using testing::places;
using testing::prune_with;
using testing::ReadyPicture;
using testing::threads;
using testing::Turn;

using Ints = std::vector<int32_t>;

/// Of 150 x 90 px: 16 of the whole picture, 4 rows of 6 of the 2 x 3 tiles' 8 x 12, each with a newline.
constexpr int32_t kVisual = 44;
constexpr int32_t kNewlines = 4;

ReadyPicture& ready() {
  static ReadyPicture made(onevision_model(), threads(1),
                           {{testing::text_ids(1, 7), -1}, {{}, 0}, {testing::text_ids(2, 9), -1}},
                           testing::picture(3, 150, 90), ImageFit::Pad);
  return made;
}

Turn run(const PruneOptions& options, int32_t n_decode = 0) { return ready().run(options, n_decode); }

bool is_newline(int32_t token) { return token >= 16 && (token - 16) % 7 == 6; }

class EveryMethodOneVision : public ::testing::TestWithParam<const prune::Method*> {
 protected:
  const prune::MethodInfo& info() const { return GetParam()->info(); }
  bool runs() const { return testing::can_run(*onevision_model(), info().name); }
};
INSTANTIATE_TEST_SUITE_P(Registry, EveryMethodOneVision, ::testing::ValuesIn(prune::selecting_methods()),
                         [](const auto& param) { return param.param->info().name; });

TEST_P(EveryMethodOneVision, RunsOrSaysWhyNot) {
  const Session session(onevision_model(), threads(1));
  const PruneOptions options = prune_with(info().name, "6", places(info()).front(), *onevision_model());
  if (runs()) {
    EXPECT_NO_THROW(session.tower_request(options));
    return;
  }
  expect_error(ErrorCode::Unsupported, info().name + " needs ", [&] { session.tower_request(options); });
}

TEST_P(EveryMethodOneVision, KeepingAllIsBitIdenticalToNone) {
  if (!runs()) GTEST_SKIP() << "needs what this tower does not have";
  static const Turn none = run({}, 3);
  for (const int32_t layer : places(info())) {
    const Turn all = run(prune_with(info().name, "100%", layer, *onevision_model()), 3);
    EXPECT_EQ(all.prefill.logits, none.prefill.logits);
    EXPECT_EQ(all.step_logits, none.step_logits);
    EXPECT_EQ(all.prefill.n_visual_after, kVisual) << "newlines too";
    EXPECT_EQ(all.prefill.kv_bytes, all.prefill.kv_bytes_unpruned);
  }
}

TEST_P(EveryMethodOneVision, KeepsWhatIsAskedFor) {
  if (!runs()) GTEST_SKIP() << "needs what this tower does not have";
  if (info().keeps_all) return;
  for (const int32_t layer : places(info())) {
    for (const int32_t keep : {1, 5, 17, 39, 43}) {
      const Turn pruned = run(prune_with(info().name, std::to_string(keep), layer, *onevision_model()), 1);
      const PrefillResult& p = pruned.prefill;
      EXPECT_EQ(p.n_visual_after, keep) << "layer " << layer;
      EXPECT_EQ(p.n_visual_before, kVisual);
      for (const float logit : pruned.step_logits.back()) ASSERT_TRUE(std::isfinite(logit));
      if (layer >= 0 || info().across_tiles || keep > kVisual - kNewlines) continue;
      for (const int32_t token : p.steps[0].plan.index)
        EXPECT_FALSE(is_newline(token)) << "newlines go first";
    }
  }
}

/// Tokens that are left of a quarter; encoded for that method.
int32_t run_column(const char* use) {
  Session session(onevision_model(), threads(1));
  const PruneOptions options = prune_with(use, "25%", -1, *onevision_model());
  const EncodedImage image =
      session.encode(testing::picture(3, 150, 90), ImageFit::Pad, session.tower_request(options));
  return session.prefill({{testing::text_ids(1, 3), -1}, {{}, 0}}, {&image}, options, 0).n_visual_after;
}

/// Column means serve where [CLS] is missing.
TEST(OneVisionPrune, ClsIsRefusedAndColumnsAreNot) {
  const Session session(onevision_model(), threads(1));
  const auto request = [&](const char* use) {
    session.tower_request(prune_with(use, "25%", -1, *onevision_model()));
  };
  expect_error(ErrorCode::Unsupported, "of the [CLS] token, which this tower does not have",
               [&] { request("fastervlm"); });
  expect_error(ErrorCode::Unsupported, "prumerge needs ", [&] { request("prumerge"); });
  expect_error(ErrorCode::Unsupported, "importance=column does without", [&] { request("scope"); });
  expect_error(ErrorCode::Unsupported, "cls_token=off,metric=column does without",
               [&] { request("visionzip"); });
  for (const char* use : {"vispruner:importance=column", "scope:importance=column", "mmr:importance=column",
                          "greedyprune:importance=column", "hiprune"}) {
    EXPECT_EQ(run_column(use), 11) << use;
  }
  for (const char* method : {"resize", "tome", "window_merge"}) {
    expect_error(ErrorCode::Unsupported, "which is not there for tiles", [&] { request(method); });
  }
}

/// Each tile is asked for itself: for the tokens with their centres in it, of 4 x 6 in 2 x 3 tiles 2 x 2
/// each.
TEST(OneVisionPrune, TileByTile) {
  Session& session = ready().session;
  std::vector<std::pair<int32_t, int32_t>> asked;  // tile, tokens
  std::vector<float> columns;
  session.set_selection_observer([&](const Selection& selection) {
    asked.emplace_back(selection.tile, selection.signals.grid.size());
    const MatrixView view = selection.signals.view({Signal::Projected});
    EXPECT_EQ(view.rows, selection.signals.grid.size());
    const std::vector<float>& projected = ready().image.projected;
    const int32_t first =
        selection.tile == 0 ? 0 : 16 + (selection.tile - 1) / 3 * 14 + (selection.tile - 1) % 3 * 2;
    EXPECT_TRUE(std::equal(view.row(0).begin(), view.row(0).end(), projected.begin() + first * 256));
  });
  const Turn turn = run(prune_with("grid", "20", -1, *onevision_model()));
  session.set_selection_observer({});
  using Asked = std::vector<std::pair<int32_t, int32_t>>;
  EXPECT_EQ(asked, (Asked{{0, 16}, {1, 4}, {2, 4}, {3, 4}, {4, 4}, {5, 4}, {6, 4}}));
  EXPECT_EQ(turn.prefill.n_visual_after, 20);
}

TEST(OneVisionPrune, AcrossTilesDivPruneSeesOneSequence) {
  Session& session = ready().session;
  int32_t n = 0;
  session.set_selection_observer([&](const Selection& selection) {
    ++n;
    EXPECT_EQ(selection.tile, -1);
    EXPECT_EQ(selection.signals.view({Signal::Projected}).rows, kVisual);
  });
  run(prune_with("divprune", "20", -1, *onevision_model()));
  session.set_selection_observer({});
  EXPECT_EQ(n, 1);
}

/// What is kept of a mixture is the mixture of projected patches, also where a method merges in front of the
/// projector: such methods need [CLS], so this is CLIP's tower with the same rule for tiles.
TEST(OneVisionPrune, KeptTokensAreTheirProjections) {
  SynthShape shape = synth_shape("tiny");
  shape.name = "tiny_shrunk";
  shape.resolutions = {{168, 112}};
  shape.max_tiles = 2;
  const auto model = testing::load_model(testing::synth_files(shape));
  Session session(model, threads(1));
  std::vector<float> embeds;
  session.set_observer([&](std::string_view name, std::span<const int64_t>, std::span<const float> values) {
    if (name == "llm.embeds") embeds.assign(values.begin(), values.end());
  });
  for (const char* method : {"visionzip", "trim"}) {
    session.clear();
    const PruneOptions options = prune_with(method, "20", -1, *model);
    const EncodedImage image =
        session.encode(testing::picture(3, 168, 112), ImageFit::Pad, session.tower_request(options));
    ASSERT_TRUE(image.layout.shrunk);
    ASSERT_EQ(image.n_token(), 44);
    const PrefillResult result =
        session.prefill({{testing::text_ids(1, 7), -1}, {{}, 0}}, {&image}, options, 0);
    const prune::Plan& plan = result.steps[0].plan;
    int32_t n_mixture = 0;
    for (int32_t o = 0; o < plan.n_out(); ++o) {
      const int32_t source = plan.sources(o)[0];
      if (plan.sources(o).size() > 1 || source >= 44) continue;
      n_mixture += source >= 16 ? 1 : 0;
      const auto row = embeds.begin() + (7 + o) * 256;
      EXPECT_TRUE(std::equal(row, row + 256, image.projected.begin() + source * 256))
          << method << " output " << o;
    }
    EXPECT_GT(n_mixture, 0) << method;
  }
}

TEST(OneVisionPrune, SeveralPicturesShareTheBudget) {
  Session session(onevision_model(), threads(1));
  const Prompt prompt = {{testing::text_ids(1, 3), -1}, {{}, 0}, {{}, 1}, {testing::text_ids(2, 3), -1}};
  const auto pruned = [&](const char* method, const char* keep) {
    const PruneOptions options = prune_with(method, keep, -1, *onevision_model());
    std::vector<EncodedImage> images;
    for (int32_t i = 0; i < 2; ++i) {
      images.push_back(session.encode(testing::picture(static_cast<uint64_t>(i), 150, 90), ImageFit::Pad,
                                      session.tower_request(options, 2, i)));
    }
    session.clear();
    return session.prefill(prompt, {&images[0], &images[1]}, options, 0);
  };
  for (const char* method :
       {"random", "grid", "divprune", "balanced:importance=column", "holov", "pooling"}) {
    if (!testing::can_run(*onevision_model(), prune::parse_method(method).method->info().name)) continue;
    const PrefillResult result = pruned(method, "8");
    EXPECT_EQ(result.n_visual_before, 34) << method;
    EXPECT_EQ(result.n_visual_after, 8) << method;
  }
  const PrefillResult all_patches = pruned("random", "32");
  for (const StepResult& step : all_patches.steps) {
    Ints kept = step.kept;
    std::sort(kept.begin(), kept.end());
    ASSERT_EQ(kept.size(), 16U);
    EXPECT_EQ(kept.back(), 15) << "the newline went first";
  }
}

}  // namespace
}  // namespace winnow::engine
