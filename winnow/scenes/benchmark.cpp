#include "winnow/scenes/benchmark.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

#include "winnow/base/error.h"

namespace winnow::scenes {
namespace {

constexpr const char* kWhere = "scenes.draw_benchmark";
constexpr int32_t kTries = 1 << 12;  // pictures that are looked at for one question
constexpr uint64_t kDrawsPerBenchmark = uint64_t{kMaxBenchmarkItems} * kTries;
constexpr std::array<int32_t, 5> kHaystackPictures = {1, 2, 3, 5, 10};

/// What a draw is about; fixed for all of its items.
struct Draw {
  Split split = Split::Test;
  uint64_t seed = 0;
  uint64_t first_picture = 0;  ///< of this benchmark in the split's pictures
  Difficulty difficulty;
};

std::vector<Task> tasks_of(const std::string& benchmark) {
  std::vector<Task> out;
  for (const TaskInfo& info : tasks()) {
    if (info.benchmark == benchmark) out.push_back(info.task);
  }
  return out;
}

/// Which of two answers a question has, if its kind has just two.
std::optional<bool> side_of(const Question& question) {
  if (question.task == Task::Unanswerable) return question.answer != "unanswerable";
  if (question.answer == "Yes") return true;
  if (question.answer == "No") return false;
  return std::nullopt;
}

/// The question(s) that one random stream yields, if any: two for mme, else one. `turn` counts the task's
/// own.
std::optional<std::vector<BenchmarkItem>> try_draw(const Draw& draw, Task task, int32_t turn, Rng& rng) {
  std::vector<Scene> scenes;
  const std::size_t n_pictures =
      task == Task::Needle ? static_cast<std::size_t>(
                                 kHaystackPictures[static_cast<std::size_t>(turn) % kHaystackPictures.size()])
                           : 1;
  for (std::size_t i = 0; i < n_pictures; ++i) scenes.push_back(make_scene(draw.difficulty, rng));

  std::vector<BenchmarkItem> items;
  if (task_info(task).benchmark == "mme") {
    auto both = ask_pair(scenes.front(), task, rng);
    if (!both) return std::nullopt;
    for (Question& question : *both) items.push_back({scenes, std::move(question)});
    return items;
  }
  auto question =
      task == Task::Needle ? ask_needle(std::span<const Scene>(scenes), rng) : ask(scenes.front(), task, rng);
  if (!question) return std::nullopt;
  const auto side = side_of(*question);
  if (side && *side != (turn % 2 == 0)) return std::nullopt;
  items.push_back({std::move(scenes), std::move(*question)});
  return items;
}

std::vector<BenchmarkItem> draw_one(const Draw& draw, Task task, int32_t idx, int32_t turn) {
  for (int32_t i = 0; i < kTries; ++i) {
    const uint64_t picture =
        draw.first_picture + static_cast<uint64_t>(idx) * kTries + static_cast<uint64_t>(i);
    Rng rng = scene_rng(draw.split, draw.seed, picture);
    if (auto items = try_draw(draw, task, turn, rng)) return std::move(*items);
  }
  fail(ErrorCode::InvalidArgument, kWhere,
       "this difficulty has no questions of the kind {}, got none in {} pictures", task_info(task).name,
       kTries);
}

}  // namespace

std::vector<BenchmarkItem> draw_benchmark(const std::string& benchmark, Split split, uint64_t seed, int32_t n,
                                          const Difficulty& difficulty) {
  const auto& known = benchmarks();
  const auto found = std::find(known.begin(), known.end(), benchmark);
  WINNOW_CHECK(found != known.end(), InvalidArgument, kWhere,
               "unknown benchmark, got '{}', expected one of {}", benchmark, fmt::join(known, ", "));
  WINNOW_CHECK(n >= 1 && n <= kMaxBenchmarkItems, InvalidArgument, kWhere,
               "number of questions, got {}, expected 1 to {}", n, kMaxBenchmarkItems);
  const std::vector<Task> kinds = tasks_of(benchmark);
  // From 1 on: training draws its validation pictures from the beginning of the split.
  const auto place = static_cast<uint64_t>(found - known.begin()) + 1;
  const Draw draw{split, seed, place * kDrawsPerBenchmark, difficulty};

  std::vector<BenchmarkItem> out;
  out.reserve(static_cast<std::size_t>(n));
  const auto n_kinds = static_cast<int32_t>(kinds.size());
  for (int32_t idx = 0; static_cast<int32_t>(out.size()) < n; ++idx) {
    const Task task = kinds[static_cast<std::size_t>(idx % n_kinds)];
    for (BenchmarkItem& item : draw_one(draw, task, idx, idx / n_kinds)) out.push_back(std::move(item));
  }
  out.resize(static_cast<std::size_t>(n));  // an odd number of mme's pairs
  return out;
}

}  // namespace winnow::scenes
