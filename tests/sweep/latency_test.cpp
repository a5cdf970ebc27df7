#include "winnow/sweep/latency.h"

#include <gtest/gtest.h>

#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"
#include "winnow/engine/flops.h"
#include "winnow/sweep/configuration.h"

namespace winnow::sweep {
namespace {

std::vector<LatencyCase> cases(const std::vector<std::string>& methods) {
  ConfigurationRequest request;
  request.methods = methods;
  request.keeps = {"4"};
  std::vector<LatencyCase> out;
  for (Configuration& c : configurations(request, *testing::tiny_model()))
    out.push_back({c.name, std::move(c.prune)});
  return out;
}

LatencyOptions options() {
  LatencyOptions out;
  out.session = testing::threads(1);
  out.n_decode = 1;
  out.n_repetitions = 3;
  out.n_warmup = 0;
  return out;
}

// Tokens and FLOPs of each place a method can act at, worked out from the model's shape; of times only that
// they belong together.
TEST(Latency, CountsAndMediansOfEachCase) {
  const auto model = testing::tiny_model();
  const auto list =
      measure(model, default_picture(*model), cases({"none", "random", "fastv", "resize"}), options());
  ASSERT_EQ(list.size(), 4U);
  const Latency &none = list[0], &random = list[1], &fastv = list[2], &resize = list[3];
  EXPECT_EQ(fastv.name, "fastv @ 4");
  const auto flops = [&](int32_t before_2, int32_t behind) {
    const std::vector<int32_t> tokens = {before_2 + none.n_text, before_2 + none.n_text, behind + none.n_text,
                                         behind + none.n_text};
    return engine::decoder_prefill_flops(model->llama(), tokens);
  };
  EXPECT_DOUBLE_EQ(none.prefill_flops, flops(16, 16));
  EXPECT_DOUBLE_EQ(random.prefill_flops, flops(4, 4));
  EXPECT_DOUBLE_EQ(fastv.prefill_flops, flops(16, 4));
  EXPECT_DOUBLE_EQ(resize.prefill_flops, flops(4, 4));
  EXPECT_DOUBLE_EQ(random.encode_flops, none.encode_flops);
  EXPECT_LT(resize.encode_flops, 0.5 * none.encode_flops);
  EXPECT_GT(resize.encode_flops, 0.0);
  EXPECT_DOUBLE_EQ(fastv.n_visual_average, 10.0);
  EXPECT_EQ(resize.n_visual_after, 4);
  EXPECT_LT(random.kv_bytes, fastv.kv_bytes);
  EXPECT_LT(fastv.kv_bytes, none.kv_bytes);
  for (const Latency& l : list) {
    EXPECT_GT(l.first_token_ms.low, 0.0);
    EXPECT_LE(l.first_token_ms.low, l.first_token_ms.median);
    EXPECT_LE(l.first_token_ms.median, l.first_token_ms.high);
    EXPECT_GT(l.ms.prefill, 0.0);
    EXPECT_GT(l.ms.decode, 0.0);
  }
}

// Every tile goes through tower and projector whole; what is padding is dropped behind them.
TEST(Latency, TilesAreCountedOneByOne) {
  const auto model = testing::next_model();
  LatencyCase none;
  none.name = "none";
  const auto list = measure(model, testing::next_picture(), std::vector<LatencyCase>{none}, options());
  engine::BlockRows rows{17, 17};
  const std::vector<engine::BlockRows> blocks(3, rows);
  EXPECT_DOUBLE_EQ(list[0].encode_flops, 5 * (engine::tower_flops(model->clip(), blocks) +
                                              engine::projector_flops(model->mlp(), 16)));
  EXPECT_EQ(list[0].n_visual_before, 52);
  const std::vector<int32_t> tokens(5, 52 + list[0].n_text);
  EXPECT_DOUBLE_EQ(list[0].prefill_flops, engine::decoder_prefill_flops(model->llama(), tokens));
  const engine::Image picture = default_picture(*model);
  EXPECT_EQ(picture.width, 112) << "2 x 2 tiles";
}

TEST(Latency, BadOptions) {
  const auto model = testing::tiny_model();
  LatencyOptions none = options();
  none.n_repetitions = 0;
  test::expect_error(ErrorCode::InvalidArgument, "repetitions, got 0",
                     [&] { measure(model, default_picture(*model), cases({"none"}), none); });
}

}  // namespace
}  // namespace winnow::sweep
