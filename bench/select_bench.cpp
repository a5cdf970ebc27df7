// Time of every method's selection on random signals: n tokens, 32 heads, width 4096, a quarter kept.

#include <benchmark/benchmark.h>

#include <cmath>
#include <vector>

#include "winnow/prune/method.h"

namespace {

using namespace winnow;
using namespace winnow::prune;

constexpr int64_t kWidth = 4096;
constexpr int64_t kHeads = 32;

std::vector<float> normals(int64_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> out(static_cast<std::size_t>(n));
  for (float& v : out) v = static_cast<float>(rng.normal());
  return out;
}

/// Every signal a method may ask for, for a square grid of `side` x `side` tokens.
struct Inputs {
  explicit Inputs(int32_t side)
      : n(side * side),
        hidden(normals(n * kWidth, 1)),
        last(normals(kWidth, 2)),
        heads(normals(kHeads * n, 3)) {
    signals.grid = {side, side};
    signals.projected = signals.tower = signals.hidden = {hidden.data(), n, kWidth};
    signals.hidden_last = {last.data(), 1, kWidth};
    signals.text_embeds = {hidden.data(), 32, kWidth};
    const MatrixView rows{heads.data(), kHeads, n};
    signals.last_text_attention = signals.last_visual_attention = rows;
    signals.tower_taps = {{kFeatureBlock, rows, rows, {hidden.data(), n, kWidth}}};
  }
  int64_t n;
  std::vector<float> hidden, last, heads;
  Signals signals;
};

void time_select(benchmark::State& state, const Method* method) {
  const auto side = static_cast<int32_t>(std::lround(std::sqrt(static_cast<double>(state.range(0)))));
  const Inputs inputs(side);
  const Params params(method->info().name, method->info().params, {});
  Rng rng(4);
  for (auto _ : state) {
    benchmark::DoNotOptimize(method->select(inputs.signals, static_cast<int32_t>(inputs.n / 4), params, rng));
  }
}

}  // namespace

int main(int argc, char** argv) {
  for (const Method* method : methods()) {
    if (method->info().keeps_all) continue;
    benchmark::RegisterBenchmark(method->info().name.c_str(), time_select, method)
        ->Arg(576)
        ->Arg(2025)
        ->Arg(8100)
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
