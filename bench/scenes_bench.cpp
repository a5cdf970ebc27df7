// Procedural pictures in memory, on one thread: what a scene, its drawing, its PNG and its questions take.
// items_per_second counts pictures. With --benchmark_filter=/threads:2 both processors draw.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "winnow/scenes/benchmark.h"
#include "winnow/scenes/render.h"

namespace {

using namespace winnow;
using namespace winnow::scenes;

const char* const kDifficulties[] = {"easy", "default", "hard"};

Scene scene_of(const Difficulty& difficulty, uint64_t idx) {
  Rng rng = scene_rng(Split::Train, 1, idx);
  return make_scene(difficulty, rng);
}

/// Scene and pixels: what training and in-memory evaluation need of a picture.
void draw_pictures(benchmark::State& state) {
  const char* name = kDifficulties[state.range(0)];
  const Difficulty difficulty = parse_difficulty(name);
  uint64_t idx = static_cast<uint64_t>(state.thread_index()) << 32U;
  for (auto _ : state) benchmark::DoNotOptimize(render(scene_of(difficulty, idx++)));
  state.SetItemsProcessed(state.iterations());
  state.SetLabel(name);
}
BENCHMARK(draw_pictures)->DenseRange(0, 2)->Threads(1)->Threads(2)->UseRealTime();

void make_scenes(benchmark::State& state) {
  uint64_t idx = 0;
  for (auto _ : state) benchmark::DoNotOptimize(scene_of({}, idx++));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(make_scenes);

void encode_pictures(benchmark::State& state) {
  std::vector<std::vector<uint8_t>> pictures;
  for (uint64_t i = 0; i < 64; ++i) pictures.push_back(render(scene_of({}, i)));
  std::size_t idx = 0;
  int64_t n_bytes = 0;
  for (auto _ : state) {
    const auto file = encode_png(pictures[idx++ % pictures.size()], kSide, kSide);
    n_bytes += static_cast<int64_t>(file.size());
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["bytes"] = static_cast<double>(n_bytes) / static_cast<double>(state.iterations());
}
BENCHMARK(encode_pictures);

void draw_questions(benchmark::State& state) {
  const std::string& name = benchmarks()[static_cast<std::size_t>(state.range(0))];
  constexpr int32_t kItems = 70;
  uint64_t seed = 0;
  for (auto _ : state) benchmark::DoNotOptimize(draw_benchmark(name, Split::Test, seed++, kItems));
  state.SetItemsProcessed(kItems * state.iterations());
  state.SetLabel(name);
}
BENCHMARK(draw_questions)->DenseRange(0, 9);

}  // namespace

BENCHMARK_MAIN();
