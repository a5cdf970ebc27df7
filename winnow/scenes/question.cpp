#include "winnow/scenes/question.h"

#include "winnow/base/error.h"
#include "winnow/scenes/question_parts.h"

namespace winnow::scenes {
namespace {

std::optional<Question> ask_one_of_pair(const Asking& asking) {
  const bool yes = chance(asking.rng, 0.5);
  auto both = ask_mme(asking);
  if (!both) return std::nullopt;
  return std::move((*both)[yes ? 0 : 1]);
}

std::optional<Question> ask_one_needle(const Asking& asking) {
  return ask_needle({&asking.scene, 1}, asking.rng);
}

struct Kind {
  TaskInfo info;
  Asker asker;
};

constexpr std::array<Kind, kTasks> kKinds = {{
    {{Task::ExistRandom, "exist_random", "pope"}, ask_exist},
    {{Task::ExistPopular, "exist_popular", "pope"}, ask_exist},
    {{Task::ExistAdversarial, "exist_adversarial", "pope"}, ask_exist},
    {{Task::MmeExistence, "mme_existence", "mme"}, ask_one_of_pair},
    {{Task::MmeCount, "mme_count", "mme"}, ask_one_of_pair},
    {{Task::MmePosition, "mme_position", "mme"}, ask_one_of_pair},
    {{Task::MmeColor, "mme_color", "mme"}, ask_one_of_pair},
    {{Task::MmeOcr, "mme_ocr", "mme"}, ask_one_of_pair},
    {{Task::MmeCalculation, "mme_calculation", "mme"}, ask_one_of_pair},
    {{Task::MmeCommonsense, "mme_commonsense", "mme"}, ask_one_of_pair},
    {{Task::GqaColor, "gqa_color", "gqa"}, ask_attribute},
    {{Task::GqaShape, "gqa_shape", "gqa"}, ask_attribute},
    {{Task::GqaSize, "gqa_size", "gqa"}, ask_attribute},
    {{Task::GqaRelation, "gqa_relation", "gqa"}, ask_relation},
    {{Task::GqaExtreme, "gqa_extreme", "gqa"}, ask_extreme},
    {{Task::ChoicePair, "choice_pair", "mmbench"}, ask_choice},
    {{Task::ChoiceColor, "choice_color", "mmbench"}, ask_choice},
    {{Task::ChoiceShape, "choice_shape", "mmbench"}, ask_choice},
    {{Task::KnowledgeFamily, "knowledge_family", "scienceqa"}, ask_knowledge},
    {{Task::KnowledgePlanet, "knowledge_planet", "scienceqa"}, ask_knowledge},
    {{Task::KnowledgeTaste, "knowledge_taste", "scienceqa"}, ask_knowledge},
    {{Task::KnowledgeCategory, "knowledge_category", "scienceqa"}, ask_knowledge},
    {{Task::ReadWord, "read_word", "textvqa"}, ask_read},
    {{Task::ReadNumber, "read_number", "textvqa"}, ask_read},
    {{Task::ReadColoured, "read_coloured", "textvqa"}, ask_read},
    {{Task::Unanswerable, "unanswerable", "vizwiz"}, ask_unanswerable},
    {{Task::Ground, "ground", "refcoco"}, ask_ground},
    {{Task::Needle, "needle", "haystack"}, ask_one_needle},
    {{Task::VqaCount, "vqa_count", "vqav2"}, ask_count},
    {{Task::VqaColor, "vqa_color", "vqav2"}, ask_attribute},
    {{Task::VqaShape, "vqa_shape", "vqav2"}, ask_attribute},
    {{Task::VqaYesNo, "vqa_yes_no", "vqav2"}, ask_exist},
    {{Task::VqaFamily, "vqa_family", "vqav2"}, ask_fact},
    {{Task::VqaTaste, "vqa_taste", "vqav2"}, ask_fact},
    {{Task::VqaCategory, "vqa_category", "vqav2"}, ask_read},
    {{Task::VqaSum, "vqa_sum", "vqav2"}, ask_read},
    {{Task::Region, "region", ""}, ask_region},
    {{Task::Centre, "centre", ""}, ask_ground},
}};

constexpr bool in_enum_order() {
  for (int32_t i = 0; i < kTasks; ++i) {
    if (static_cast<int32_t>(kKinds[static_cast<std::size_t>(i)].info.task) != i) return false;
  }
  return true;
}
static_assert(in_enum_order());

}  // namespace

const std::vector<TaskInfo>& tasks() {
  static const std::vector<TaskInfo> infos = [] {
    std::vector<TaskInfo> out;
    for (const Kind& kind : kKinds) out.push_back(kind.info);
    return out;
  }();
  return infos;
}

const TaskInfo& task_info(Task task) {
  WINNOW_ASSERT(at(task) < kKinds.size());
  return kKinds[at(task)].info;
}

const std::vector<std::string>& benchmarks() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const Kind& kind : kKinds) {
      if (kind.info.benchmark.empty()) continue;
      if (out.empty() || out.back() != kind.info.benchmark) out.emplace_back(kind.info.benchmark);
    }
    return out;
  }();
  return names;
}

std::optional<Question> ask(const Scene& scene, Task task, Rng& rng) {
  WINNOW_ASSERT(at(task) < kKinds.size());
  const Counts counts(scene);
  return kKinds[at(task)].asker({scene, counts, task, rng});
}

std::optional<std::array<Question, 2>> ask_pair(const Scene& scene, Task task, Rng& rng) {
  const Counts counts(scene);
  return ask_mme({scene, counts, task, rng});
}

const std::vector<std::string>& prompt_suffixes() {
  static const std::vector<std::string> suffixes = {
      "\nAnswer the question using a single word or phrase.",
      "\nAnswer with the option's letter from the given choices directly.",
      " Please answer yes or no.",
      "\nPlease answer yes or no.",
      "\nWhen the provided information is insufficient, respond with 'Unanswerable'.",
  };
  return suffixes;
}

const std::string& ground_prefix() {
  static const std::string prefix =
      "Bounding box coordinates are specified in the format (top-left x, top-left y, bottom-right x, "
      "bottom-right y). "
      "All values are floating point numbers bounded between 0 and 1. Please provide the bounding box "
      "coordinate of "
      "the region this sentence describes:";
  return prefix;
}

}  // namespace winnow::scenes
