#pragma once

// Test questions of the benchmarks, in memory. winnow/scenes/formats writes the same draw to files.

#include <cstdint>
#include <string>
#include <vector>

#include "winnow/scenes/question.h"
#include "winnow/scenes/scene.h"

namespace winnow::scenes {

/// One question of a benchmark with the pictures that it is about.
struct BenchmarkItem {
  std::vector<Scene> scenes;
  Question question;
};

/// Questions of one draw, at most.
constexpr int32_t kMaxBenchmarkItems = 1 << 24;

/// n questions of a benchmark, spread evenly over its tasks in turn; equal arguments give equal items on
/// every machine, and a shorter draw is the beginning of a longer one. Benchmarks share no pictures.
/// Questions whose answer is one of two (Yes or No; unanswerable or not) are Yes and No in turn within each
/// task. "mme": items 2 i and 2 i + 1 are the two questions about one picture. "haystack": 1, 2, 3, 5 and 10
/// pictures in turn. Throws InvalidArgument.
std::vector<BenchmarkItem> draw_benchmark(const std::string& benchmark, Split split, uint64_t seed, int32_t n,
                                          const Difficulty& difficulty = {});

}  // namespace winnow::scenes
