// Sessions of one model that run at the same time answer as each of them does alone.

#include <gtest/gtest.h>

#include <barrier>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/engine_models.h"

namespace winnow::engine {
namespace {

using testing::threads;

/// One conversation turn: a picture, words, a method.
struct Task {
  uint64_t seed;
  std::string method, keep;
};

/// Every way through the engine that keeps something beside the weights: the tower cut in the middle, a
/// smaller picture, steps in the decoder, CLIP's text tower (loaded when it is first asked). Neighbours are
/// alike, because neighbours run at the same time.
const std::vector<Task>& tasks() {
  static const std::vector<Task> list = {{1, "", ""},        {2, "fastervlm", "5"}, {3, "tome", "8"},
                                         {4, "tome", "6"},   {5, "resize", "9"},    {6, "resize", "4"},
                                         {7, "resize", "1"}, {8, "cdpruner", "6"},  {9, "cdpruner", "5"},
                                         {10, "fastv", "4"}, {11, "sparsevlm", ""}, {12, "random", "7"}};
  return list;
}

testing::Turn answer(Session& session, const Task& task) {
  session.clear();
  PruneOptions options = testing::prune_with(task.method, task.keep, -1, session.model());
  options.question = "what is this";
  options.seed = task.seed;
  const Prompt prompt = {{testing::text_ids(task.seed, 5), -1},
                         {{}, 0},
                         {testing::text_ids(task.seed + 100, 4 + static_cast<int32_t>(task.seed)), -1}};
  return testing::run_turn(session, prompt, {testing::picture(task.seed, 70, 60)}, options, 4);
}

TEST(ConcurrentSessions, AnswerAsAlone) {
  SynthShape shape = synth_shape("tiny");
  shape.name = "concurrent";
  shape.text_tower = true;
  const auto files = testing::synth_files(shape);
  std::vector<testing::Turn> alone;
  {
    const auto model = testing::load_model(files, false);
    for (const Task& task : tasks()) {
      Session session(model, threads(1));
      alone.push_back(answer(session, task));
    }
  }
  constexpr std::size_t kSessions = 4;
  constexpr std::size_t kRounds = 10;
  const auto model = testing::load_model(files, false);  // afresh: what is loaded late is loaded at once
  std::barrier together(kSessions);
  std::vector<std::vector<testing::Turn>> got(kSessions);
  std::vector<std::exception_ptr> failures(kSessions);
  {
    std::vector<std::jthread> workers;
    for (std::size_t w = 0; w < kSessions; ++w) {
      workers.emplace_back([&, w] {
        try {
          Session session(model, threads(1));
          for (std::size_t i = 0; i < kRounds * tasks().size(); ++i) {
            together.arrive_and_wait();
            got[w].push_back(answer(session, tasks()[(i + w) % tasks().size()]));
          }
        } catch (...) {
          failures[w] = std::current_exception();
          together.arrive_and_drop();
        }
      });
    }
  }
  for (std::size_t w = 0; w < kSessions; ++w) {
    if (failures[w]) std::rethrow_exception(failures[w]);
    for (std::size_t i = 0; i < got[w].size(); ++i) {
      const testing::Turn& expected = alone[(i + w) % tasks().size()];
      SCOPED_TRACE("session " + std::to_string(w) + ", request " + std::to_string(i));
      EXPECT_EQ(got[w][i].tokens, expected.tokens);
      EXPECT_EQ(got[w][i].prefill.logits, expected.prefill.logits) << "bit for bit";
      EXPECT_EQ(got[w][i].step_logits, expected.step_logits);
      ASSERT_EQ(got[w][i].prefill.steps.size(), expected.prefill.steps.size());
      for (std::size_t s = 0; s < expected.prefill.steps.size(); ++s) {
        EXPECT_EQ(got[w][i].prefill.steps[s].kept, expected.prefill.steps[s].kept);
      }
      EXPECT_EQ(got[w][i].prefill.kv_bytes, expected.prefill.kv_bytes);
    }
  }
}

}  // namespace
}  // namespace winnow::engine
