#pragma once

// Questions about scenes, with their true answers. A question stands for one of the paper's benchmarks.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/base/rng.h"
#include "winnow/scenes/scene.h"

namespace winnow::scenes {

enum class Task : uint8_t {
  // pope
  ExistRandom,
  ExistPopular,
  ExistAdversarial,
  // mme
  MmeExistence,
  MmeCount,
  MmePosition,
  MmeColor,
  MmeOcr,
  MmeCalculation,
  MmeCommonsense,
  // gqa
  GqaColor,
  GqaShape,
  GqaSize,
  GqaRelation,
  GqaExtreme,
  // mmbench
  ChoicePair,
  ChoiceColor,
  ChoiceShape,
  // scienceqa
  KnowledgeFamily,
  KnowledgePlanet,
  KnowledgeTaste,
  KnowledgeCategory,
  // textvqa
  ReadWord,
  ReadNumber,
  ReadColoured,
  // vizwiz
  Unanswerable,
  // refcoco
  Ground,
  // haystack
  Needle,
  // vqav2
  VqaCount,
  VqaColor,
  VqaShape,
  VqaYesNo,
  VqaFamily,
  VqaTaste,
  VqaCategory,
  VqaSum,
  // training only: what is where
  Region,
  Centre,
};
constexpr int32_t kTasks = static_cast<int32_t>(Task::Centre) + 1;

struct TaskInfo {
  Task task;
  std::string_view name;       ///< "exist_random"
  std::string_view benchmark;  ///< "pope"; empty: used in training only
};
const std::vector<TaskInfo>& tasks();  ///< in the order of the enum
const TaskInfo& task_info(Task task);
/// "pope", "mme", "gqa", "mmbench", "scienceqa", "textvqa", "vizwiz", "refcoco", "haystack", "vqav2".
const std::vector<std::string>& benchmarks();

struct Question {
  Task task = Task::ExistRandom;
  std::string text;                  ///< as asked, options on their own lines, without a benchmark's suffix
  std::string answer;                ///< as a model should write it
  std::vector<std::string> choices;  ///< multiple choice: the options' texts, in order; else empty
  std::string expression;            ///< Ground: the phrase that names the object
  Box box;                           ///< Ground: the true box, pixels
  int32_t needle = 0;                ///< Needle: which of the pictures holds the anchor
};

/// A question of this kind about the scene, or nothing if the scene has none (no text to read, say). Answers
/// are balanced: which answer is true is drawn first, as far as the scene allows.
std::optional<Question> ask(const Scene& scene, Task task, Rng& rng);

/// Two questions about one thing of the picture, the first with answer Yes, the second with answer No (MME's
/// form). `task` is one of the Mme kinds.
std::optional<std::array<Question, 2>> ask_pair(const Scene& scene, Task task, Rng& rng);

/// A question about several pictures, of which exactly one holds the anchor (Visual Haystack).
std::optional<Question> ask_needle(std::span<const Scene> scenes, Rng& rng);

/// The multiple-choice question with its options moved on by `shift` places (MMBench's circular rotations):
/// option i goes to place (i + shift) mod n. Throws InvalidArgument.
Question rotated(const Question& question, int32_t shift);

/// What benchmarks put behind a question, in the three conventions: sentences that a model of this world must
/// know.
const std::vector<std::string>& prompt_suffixes();
/// What one harness puts before RefCOCO's expression, up to its colon; a space and the expression follow.
const std::string& ground_prefix();

/// The tokenizer's pieces: every word of every question and answer, with U+2581 for a space; single letters
/// and digits with and without it; whole suffixes; the prompt's own parts. Control tokens not included.
const std::vector<std::string>& pieces();

}  // namespace winnow::scenes
