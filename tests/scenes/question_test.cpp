// Truth against question_oracle.h, which reads the question's text; balance, determinism, scenes that offer
// nothing.

#include "winnow/scenes/question.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <set>

#include "tests/scenes/question_oracle.h"
#include "winnow/base/error.h"
#include "winnow/scenes/words.h"

namespace winnow::scenes {
namespace {

constexpr int32_t kScenes = 3000;

const std::vector<Scene>& many_scenes() {
  static const std::vector<Scene> scenes = [] {
    std::vector<Scene> out;
    for (int32_t i = 0; i < kScenes; ++i) {
      Rng rng = scene_rng(Split::Train, 7, static_cast<uint64_t>(i));
      out.push_back(make_scene({}, rng));
    }
    return out;
  }();
  return scenes;
}

bool is_mme(Task task) { return task_info(task).benchmark == "mme"; }
bool is_knowledge(Task task) { return task_info(task).benchmark == "scienceqa"; }
bool is_choice(Task task) { return task_info(task).benchmark == "mmbench" || is_knowledge(task); }
bool is_yes_no(Task task) {
  return task_info(task).benchmark == "pope" || is_mme(task) || task == Task::GqaRelation ||
         task == Task::Needle || task == Task::VqaYesNo;
}
/// The oracle answers the question, or its stem.
bool has_oracle(Task task) { return !is_knowledge(task) && task != Task::ChoicePair; }

std::vector<TaskInfo> tasks_that(bool (*fit)(Task)) {
  std::vector<TaskInfo> out;
  std::copy_if(tasks().begin(), tasks().end(), std::back_inserter(out),
               [&](const TaskInfo& t) { return fit(t.task); });
  return out;
}
std::string test_name(const testing::TestParamInfo<TaskInfo>& tested) {
  return std::string(tested.param.name);
}

/// All questions of one kind, with their scenes.
template <class Visit>
int32_t for_each_question(Task task, const Visit& visit) {
  Rng rng(static_cast<uint64_t>(task) + 100);
  int32_t n = 0;
  for (const Scene& scene : many_scenes()) {
    if (const auto question = ask(scene, task, rng)) {
      EXPECT_EQ(question->task, task);
      visit(scene, *question);
      ++n;
    }
  }
  return n;
}

std::string stem_of(const Question& question) { return question.text.substr(0, question.text.find('\n')); }

const std::string& chosen(const Question& question) {
  return question.choices.at(static_cast<std::size_t>(question.answer.at(0) - 'A'));
}

class EveryTask : public testing::TestWithParam<TaskInfo> {};
class OracleTask : public EveryTask {};
class YesNoTask : public EveryTask {};
class ChoiceTask : public EveryTask {};
class MmeTask : public EveryTask {};

TEST_P(OracleTask, AnswersAreTrue) {
  const Task task = GetParam().task;
  const int32_t n = for_each_question(task, [&](const Scene& scene, const Question& q) {
    int32_t needle = 0;
    const auto wanted = task == Task::Needle ? oracle::needle_truth({&scene, 1}, q.text, needle)
                                             : oracle::truth(scene, stem_of(q));
    ASSERT_TRUE(wanted.has_value()) << q.text << " -> " << q.answer;
    ASSERT_EQ(q.choices.empty() ? q.answer : chosen(q), *wanted) << q.text;
  });
  EXPECT_GT(n, kScenes / 10) << "too few scenes offer this kind";
}

TEST_P(YesNoTask, YesAndNoAreEquallyFrequent) {
  int32_t n_yes = 0, n_no = 0;
  const int32_t n = for_each_question(GetParam().task, [&](const Scene&, const Question& q) {
    n_yes += q.answer == "Yes" ? 1 : 0;
    n_no += q.answer == "No" ? 1 : 0;
  });
  ASSERT_EQ(n_yes + n_no, n);
  const double share = static_cast<double>(n_yes) / n;
  EXPECT_GT(share, 0.45);
  EXPECT_LT(share, 0.55);
}

TEST_P(ChoiceTask, LettersAreUniformAndOptionsDiffer) {
  std::map<std::string, int32_t> letters;
  const int32_t n = for_each_question(GetParam().task, [&](const Scene&, const Question& q) {
    ++letters[q.answer];
    ASSERT_EQ(std::set<std::string>(q.choices.begin(), q.choices.end()).size(), 4U) << q.text;
    std::string options;
    for (std::size_t i = 0; i < 4; ++i) options += std::string("\n") + "ABCD"[i] + ". " + q.choices[i];
    ASSERT_EQ(q.text, stem_of(q) + options);
  });
  EXPECT_EQ(letters.size(), 4U);
  for (const auto& [letter, count] : letters)
    EXPECT_NEAR(static_cast<double>(count) / n, 0.25, 0.05) << letter;
}

TEST_P(EveryTask, EqualGeneratorsGiveEqualQuestions) {
  Rng a(3), b(3);
  for (int32_t i = 0; i < 200; ++i) {
    const Scene& scene = many_scenes()[static_cast<std::size_t>(i)];
    const auto first = ask(scene, GetParam().task, a);
    const auto second = ask(scene, GetParam().task, b);
    ASSERT_EQ(first.has_value(), second.has_value());
    if (!first) continue;
    EXPECT_EQ(first->text, second->text);
    EXPECT_EQ(first->answer, second->answer);
  }
  EXPECT_EQ(a.next(), b.next());
}

TEST_P(EveryTask, EmptySceneGivesNothingWrong) {
  Rng rng(5);
  const Scene empty;
  for (int32_t i = 0; i < 100; ++i) {
    const auto q = ask(empty, GetParam().task, rng);
    if (!q || is_knowledge(q->task)) continue;
    const bool harmless = (q->task == Task::VqaCount && q->answer == "0") ||
                          (q->task == Task::Region && q->answer == "nothing");
    EXPECT_TRUE(harmless) << q->text << " -> " << q->answer;
  }
}

TEST_P(EveryTask, CrowdedScenesAreNoProblem) {
  Scene scene;
  for (int32_t i = 0; i < kShapes * kColours; ++i) {  // nothing is absent, nothing is unique
    Object object;
    object.shape = static_cast<Shape>(i % kShapes);
    object.colour = static_cast<Colour>(i / kShapes);
    const int32_t column = i % 10, row = i / 10;
    const auto x = static_cast<float>(9 * column), y = static_cast<float>(9 * row);
    object.box = {x, y, x + 8, y + 8};
    scene.objects.push_back(object);
  }
  Rng rng(6);
  for (int32_t i = 0; i < 50; ++i) {
    const auto q = ask(scene, GetParam().task, rng);
    if (!q || is_knowledge(q->task)) continue;
    const auto wanted = oracle::truth(scene, stem_of(*q));
    ASSERT_TRUE(wanted.has_value()) << q->text;
    EXPECT_EQ(q->answer, *wanted) << q->text;
  }
}

TEST_P(MmeTask, PairsAreTrueAndFalseOfTheSameScene) {
  const Task task = GetParam().task;
  Rng rng(8);
  int32_t n = 0;
  for (const Scene& scene : many_scenes()) {
    const auto pair = ask_pair(scene, task, rng);
    if (!pair) continue;
    ++n;
    ASSERT_EQ((*pair)[0].answer, "Yes");
    ASSERT_EQ((*pair)[1].answer, "No");
    ASSERT_EQ(oracle::truth(scene, (*pair)[0].text), "Yes") << (*pair)[0].text;
    ASSERT_EQ(oracle::truth(scene, (*pair)[1].text), "No") << (*pair)[1].text;
  }
  EXPECT_GT(n, kScenes / 10);
}

INSTANTIATE_TEST_SUITE_P(All, EveryTask, testing::ValuesIn(tasks()), test_name);
INSTANTIATE_TEST_SUITE_P(All, OracleTask, testing::ValuesIn(tasks_that(has_oracle)), test_name);
INSTANTIATE_TEST_SUITE_P(All, YesNoTask, testing::ValuesIn(tasks_that(is_yes_no)), test_name);
INSTANTIATE_TEST_SUITE_P(All, ChoiceTask, testing::ValuesIn(tasks_that(is_choice)), test_name);
INSTANTIATE_TEST_SUITE_P(All, MmeTask, testing::ValuesIn(tasks_that(is_mme)), test_name);

TEST(Mme, OtherKindsHaveNoPairs) {
  Rng rng(8);
  for (const TaskInfo& info : tasks()) {
    if (is_mme(info.task)) continue;
    EXPECT_THROW(ask_pair(many_scenes()[0], info.task, rng), Error) << info.name;
  }
}

TEST(Tasks, NamesAndBenchmarksAreListed) {
  ASSERT_EQ(tasks().size(), static_cast<std::size_t>(kTasks));
  std::set<std::string_view> names;
  for (const TaskInfo& info : tasks()) {
    names.insert(info.name);
    EXPECT_EQ(task_info(info.task).name, info.name);
    if (info.benchmark.empty()) continue;
    EXPECT_EQ(std::count(benchmarks().begin(), benchmarks().end(), info.benchmark), 1);
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(kTasks));
  EXPECT_EQ(benchmarks().size(), 10U);
}

TEST(Exist, AdversarialNegativesMixWhatIsThere) {
  for_each_question(Task::ExistAdversarial, [](const Scene& scene, const Question& q) {
    if (q.answer != "No") return;
    const auto start = q.text.find(' ', std::string("Is there ").size()) + 1;
    const std::string pair = q.text.substr(start, q.text.find(" in the") - start);
    const auto space = pair.find(' ');
    ASSERT_FALSE(oracle::matching(scene, pair.substr(0, space) + " thing").empty()) << q.text;
    ASSERT_FALSE(oracle::matching(scene, pair.substr(space + 1)).empty()) << q.text;
  });
}

TEST(Exist, PopularNegativesAreFewerKinds) {
  std::set<std::string> popular, random;
  const auto collect = [](std::set<std::string>& into) {
    return [&into](const Scene&, const Question& q) {
      const auto n_spaces = std::count(q.text.begin(), q.text.end(), ' ');
      if (q.answer == "No" && n_spaces == 7) into.insert(q.text);  // with a colour
    };
  };
  for_each_question(Task::ExistPopular, collect(popular));
  for_each_question(Task::ExistRandom, collect(random));
  EXPECT_EQ(popular.size(), 20U);
  EXPECT_GT(random.size(), 60U);
  EXPECT_EQ(popular.count("Is there a red circle in the image?"), 1U);
}

TEST(Choice, ExactlyOnePairIsInTheImage) {
  for_each_question(Task::ChoicePair, [](const Scene& scene, const Question& q) {
    for (std::size_t i = 0; i < q.choices.size(); ++i) {
      ASSERT_EQ(!oracle::matching(scene, q.choices[i]).empty(), q.answer[0] == static_cast<char>('A' + i))
          << q.text;
    }
  });
}

TEST(Choice, KnowledgeIsTrueAndNeedsNoPicture) {
  const auto inner = [](const std::string& stem, std::string_view head, std::string_view tail) {
    std::string noun = stem.substr(head.size(), stem.size() - head.size() - tail.size());
    return noun.substr(noun.find(' ') + 1);
  };
  const auto shape_named = [](const std::string& name) {
    for (int32_t i = 0; i < kShapes; ++i) {
      if (name_of(static_cast<Shape>(i)) == name) return static_cast<Shape>(i);
    }
    throw std::runtime_error("no shape: " + name);
  };
  std::set<std::string> stems;
  const auto check = [&](Task task, const std::function<std::string(const std::string&)>& wanted) {
    const int32_t n = for_each_question(task, [&](const Scene&, const Question& q) {
      stems.insert(stem_of(q));
      ASSERT_EQ(chosen(q), wanted(stem_of(q))) << q.text;
    });
    EXPECT_EQ(n, kScenes);
    Rng a(1), b(1);
    EXPECT_EQ(ask(Scene{}, task, a)->text, ask(many_scenes()[1], task, b)->text);
  };
  check(Task::KnowledgeFamily, [&](const std::string& s) {
    return family_of(shape_named(inner(s, "Which family does ", " belong to?")));
  });
  check(Task::KnowledgePlanet, [&](const std::string& s) {
    return planet_of(shape_named(inner(s, "Which planet does ", " come from?")));
  });
  check(Task::KnowledgeTaste, [&](const std::string& s) {
    for (int32_t i = 0; i < kColours; ++i) {
      const auto colour = static_cast<Colour>(i);
      if (std::string(name_of(colour)) + " thing" == inner(s, "What taste is ", "?")) return taste_of(colour);
    }
    return std::string();
  });
  check(Task::KnowledgeCategory,
        [&](const std::string& s) { return category_of(inner(s, "What is ", "?")); });
  EXPECT_EQ(stems.size(), 2U * kShapes + kColours + lexicon().size());
  EXPECT_EQ(stems.count("Which family does an arrow belong to?"), 1U);
}

TEST(Choice, RotationMovesOptionsAndLetter) {
  Rng rng(9);
  const Question q = *ask(many_scenes()[0], Task::KnowledgeFamily, rng);
  std::set<std::string> letters;
  for (int32_t shift = 0; shift < 4; ++shift) {
    const Question r = rotated(q, shift);
    letters.insert(r.answer);
    EXPECT_EQ(chosen(r), chosen(q));
    EXPECT_EQ(stem_of(r), stem_of(q));
    EXPECT_EQ(r.choices[static_cast<std::size_t>(shift)], q.choices[0]);
    EXPECT_NE(r.text.find("\nA. " + r.choices[0] + "\nB. " + r.choices[1]), std::string::npos);
    EXPECT_EQ(rotated(r, -shift).text, q.text);
  }
  EXPECT_EQ(letters.size(), 4U);
  EXPECT_EQ(rotated(q, 4).text, q.text);
  EXPECT_EQ(rotated(q, 0).answer, q.answer);
}

TEST(Choice, RotationNeedsOptions) {
  Question q;
  q.text = "Is there a star in the image?";
  q.answer = "Yes";
  EXPECT_THROW(rotated(q, 1), Error);
  q.choices = {"a", "b"};
  EXPECT_THROW(rotated(q, 1), Error);
}

TEST(Unanswerable, HalfOfThemAre) {
  int32_t n_vain = 0;
  const int32_t n = for_each_question(Task::Unanswerable, [&](const Scene&, const Question& q) {
    n_vain += q.answer == "unanswerable" ? 1 : 0;
  });
  EXPECT_NEAR(static_cast<double>(n_vain) / n, 0.5, 0.04);
}

TEST(Count, ZeroIsSeldomAndLargeCountsOccur) {
  std::map<std::string, int32_t> answers;
  const int32_t n =
      for_each_question(Task::VqaCount, [&](const Scene&, const Question& q) { ++answers[q.answer]; });
  EXPECT_NEAR(static_cast<double>(answers["0"]) / n, 0.1, 0.03);
  for (const char* count : {"1", "2", "3", "4", "5", "6", "7"}) EXPECT_GT(answers[count], 0) << count;
}

TEST(Ground, ExpressionNamesTheBoxedObject) {
  std::set<std::size_t> lengths;
  for_each_question(Task::Ground, [&](const Scene& scene, const Question& q) {
    const auto found = oracle::matching(scene, q.expression);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0]->box.x0, q.box.x0);
    EXPECT_EQ(found[0]->box.y1, q.box.y1);
    EXPECT_EQ(q.text, "Where is the " + q.expression + "?");
    EXPECT_EQ(q.answer.size(), 24U);
    lengths.insert(static_cast<std::size_t>(std::count(q.expression.begin(), q.expression.end(), ' ')));
  });
  EXPECT_EQ(lengths, (std::set<std::size_t>{0, 1, 2}));
}

TEST(Region, OneInFiveIsNothing) {
  int32_t n_nothing = 0;
  const int32_t n = for_each_question(
      Task::Region, [&](const Scene&, const Question& q) { n_nothing += q.answer == "nothing" ? 1 : 0; });
  EXPECT_NEAR(static_cast<double>(n_nothing) / n, 0.2, 0.04);
}

TEST(Ocr, WrongTextsLookLikeRightOnes) {
  Rng rng(10);
  int32_t n = 0;
  for (const Scene& scene : many_scenes()) {
    const auto pair = ask_pair(scene, Task::MmeOcr, rng);
    if (!pair) continue;
    ++n;
    EXPECT_EQ((*pair)[0].text.size(), (*pair)[1].text.size());
    EXPECT_EQ((*pair)[0].text.substr(0, 9), (*pair)[1].text.substr(0, 9));
  }
  EXPECT_GT(n, kScenes / 2);
}

TEST(Needle, AnchorIsInExactlyOnePicture) {
  Rng rng(11);
  const auto& scenes = many_scenes();
  std::array<int32_t, 10> n_needle{};
  int32_t n = 0, n_yes = 0;
  for (std::size_t first = 0; first + 10 <= scenes.size(); first += 2) {
    const std::size_t n_pictures = 1 + first / 2 % 10;
    const std::span<const Scene> hay(&scenes[first], n_pictures);
    const auto q = ask_needle(hay, rng);
    if (!q) continue;
    int32_t needle = -1;
    const auto wanted = oracle::needle_truth(hay, q->text, needle);
    ASSERT_TRUE(wanted.has_value()) << q->text;
    EXPECT_EQ(q->answer, *wanted) << q->text;
    EXPECT_EQ(q->needle, needle);
    EXPECT_EQ(q->task, Task::Needle);
    ++n;
    n_yes += q->answer == "Yes" ? 1 : 0;
    if (n_pictures == 10) ++n_needle[static_cast<std::size_t>(needle)];
  }
  EXPECT_GT(n, 1000);
  EXPECT_NEAR(static_cast<double>(n_yes) / n, 0.5, 0.05);
  for (const int32_t count : n_needle) EXPECT_GT(count, 0);
  EXPECT_FALSE(ask_needle({}, rng).has_value());
}

}  // namespace
}  // namespace winnow::scenes
