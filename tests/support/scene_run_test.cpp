// What the runner promises, on a random-weight model: its answers are rubbish, but they depend on the
// picture, the question and the tokens that stay.

#include "tests/support/scene_run.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>

#include "tests/support/engine_models.h"
#include "winnow/base/error.h"
#include "winnow/base/rng.h"

namespace winnow::testing {
namespace {

using scenes::BenchmarkItem;

/// One question for each entry, about so many pictures.
std::vector<BenchmarkItem> items_with(const std::vector<int32_t>& n_pictures) {
  Rng rng(17);
  std::vector<BenchmarkItem> out;
  for (const int32_t n : n_pictures) {
    BenchmarkItem item;
    std::optional<scenes::Question> question;
    while (!question) {
      item.scenes.clear();
      for (int32_t i = 0; i < n; ++i) item.scenes.push_back(scenes::make_scene({}, rng));
      question = n > 1 ? scenes::ask_needle(item.scenes, rng)
                       : scenes::ask(item.scenes[0], scenes::Task::ChoiceColor, rng);
    }
    item.question = *question;
    out.push_back(std::move(item));
  }
  return out;
}

std::vector<Configuration> all_kinds() {
  const int32_t n_layer = tiny_model()->llama().n_layer;
  std::vector<Configuration> out;
  for (const char* use : {"none", "random@50%", "fastervlm@25%+position=original", "fastv@25%+layer=2"})
    out.push_back(parse_configuration(use, n_layer));
  out.push_back({"shuffled", {}, Shown::Other});
  out.push_back({"blind", {}, Shown::None});
  return out;
}

std::vector<std::string> answers(const std::vector<Outcome>& outcomes) {
  std::vector<std::string> out;
  out.reserve(outcomes.size());
  for (const Outcome& outcome : outcomes) out.push_back(outcome.answer);
  return out;
}

TEST(SceneRun, AnswersDependOnNothingButTheirOwnConfiguration) {
  const auto items = items_with({1, 2, 1});
  const auto configurations = all_kinds();
  const SceneRunOptions options{.n_workers = 2, .max_tokens = 6};
  const auto together = answers(answer_items(tiny_model(), items, configurations, options));
  ASSERT_EQ(together.size(), items.size() * configurations.size());
  std::set<std::vector<std::string>> columns;
  for (std::size_t c = 0; c < configurations.size(); ++c) {
    const auto alone = answers(
        answer_items(tiny_model(), items, std::span(configurations).subspan(c, 1), {.max_tokens = 6}));
    columns.insert(alone);
    for (std::size_t i = 0; i < items.size(); ++i)
      EXPECT_EQ(together[i * configurations.size() + c], alone[i])
          << configurations[c].name << ", item " << i;
  }
  EXPECT_EQ(columns.size(), configurations.size());
}

TEST(SceneRun, TheBlindSeeNothing) {
  auto items = items_with({1, 1});
  items[1].question = items[0].question;
  const auto configurations = all_kinds();
  const auto all = answers(answer_items(tiny_model(), items, configurations, {.max_tokens = 6}));
  const std::size_t n = configurations.size();
  EXPECT_EQ(all[n - 1], all[2 * n - 1]);
  EXPECT_NE(all[0], all[n]);
  EXPECT_EQ(all[0], all[2 * n - 2]);  // shuffled: the other one's picture
  EXPECT_EQ(all[n], all[n - 2]);
}

TEST(SceneRun, EveryQuestionDrawsItsOwnTokens) {
  auto items = items_with({3});
  items.resize(6, items[0]);
  const std::vector<Configuration> random = {
      parse_configuration("random@75%", tiny_model()->llama().n_layer)};
  const auto first = answers(answer_items(tiny_model(), items, random, {.seed = 1, .max_tokens = 24}));
  EXPECT_GT(std::set(first.begin(), first.end()).size(), 1U);
  EXPECT_NE(answers(answer_items(tiny_model(), items, random, {.seed = 2, .max_tokens = 24})), first);
}

TEST(SceneRun, ShufflingNeedsAnotherPicture) {
  const auto items = items_with({1});
  EXPECT_THROW(answer_items(tiny_model(), items, all_kinds(), {.n_workers = 2}), Error);
}

TEST(ParseConfiguration, ReadsMethodKeepLayerAndPosition) {
  const auto none = parse_configuration("none", 4);
  EXPECT_TRUE(none.prune.steps.empty());
  EXPECT_EQ(none.shown, Shown::Own);
  const auto fastv = parse_configuration("fastv@25%+layer=2+position=compact", 4);
  EXPECT_EQ(fastv.name, "fastv@25%+layer=2+position=compact");
  ASSERT_EQ(fastv.prune.steps.size(), 1U);
  EXPECT_EQ(fastv.prune.steps[0].use.method->info().name, "fastv");
  EXPECT_EQ(fastv.prune.steps[0].layer, 2);
  EXPECT_EQ(fastv.prune.steps[0].budget.to_string(), "25%");
  EXPECT_EQ(fastv.prune.position, prune::PositionPolicy::Compact);
  const auto window = parse_configuration("window_fastv:window=3x3@16", 4);
  EXPECT_EQ(window.prune.steps[0].budget.to_string(), "16");
  EXPECT_FALSE(window.prune.position);
}

TEST(ParseConfiguration, RefusesWhatItDoesNotKnow) {
  for (const char* text :
       {"", "nonsense@25%", "random", "random@0%", "random@25%+layer=x", "random@25%+layer=-1",
        "random@25%+layer=4", "random@25%+position=there", "random@25%+place=2"}) {
    EXPECT_THROW(parse_configuration(text, 4), Error) << text;
  }
}

TEST(AddUp, ByHand) {
  std::vector<BenchmarkItem> items(3);
  items[0].question.task = scenes::Task::Ground;
  items[1].question.task = scenes::Task::Ground;
  items[2].question.task = scenes::Task::ReadWord;
  std::vector<Outcome> outcomes(6);  // [items, 2]
  outcomes[0].verdict = {true, 0.75};
  outcomes[2].verdict = {false, 0.25};
  outcomes[5].verdict.right = true;
  outcomes[5].circular = true;
  const BenchmarkScore score = add_up(items, outcomes);
  ASSERT_EQ(score.all.size(), 2U);
  EXPECT_EQ(score.all[0].n, 3);
  EXPECT_EQ(score.all[0].right, 1);
  EXPECT_EQ(score.all[0].n_boxes, 2);
  EXPECT_EQ(score.all[1].right, 1);
  EXPECT_EQ(score.all[1].n_circular, 1);
  ASSERT_EQ(score.tasks.size(), 2U);
  const auto& ground = score.tasks.at(scenes::Task::Ground);
  EXPECT_EQ(ground[0].n, 2);
  EXPECT_DOUBLE_EQ(ground[0].mean_iou(), 0.5);
  EXPECT_DOUBLE_EQ(ground[1].mean_iou(), 0.0);
  EXPECT_EQ(score.tasks.at(scenes::Task::ReadWord)[1].right, 1);
  EXPECT_TRUE(add_up({}, {}).all.empty());
}

}  // namespace
}  // namespace winnow::testing
