#include "winnow/train/batch.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "winnow/base/error.h"
#include "winnow/scenes/description.h"
#include "winnow/train/picture_labels.h"

namespace winnow::train {
namespace {

using scenes::Task;

constexpr uint64_t kPicturesPerSample = 16;  // indices of a split are sample * 16 + picture
constexpr int32_t kMostTimesQuestions = 2;   // several pictures are asked more, up to so many times
constexpr double kOtherFormShare = 0.1;      // of prompts with the system sentence, and of "\nASSISTANT:"

/// How often each kind of question is trained, in the order of the enum.
double weight_of(Task task) {
  switch (task) {
    case Task::ExistRandom:
    case Task::ExistPopular: return 1.0;
    case Task::ExistAdversarial: return 1.5;
    case Task::MmeExistence:
    case Task::MmeColor: return 0.5;
    case Task::MmeCount:
    case Task::MmeOcr:
    case Task::MmeCalculation: return 0.8;
    case Task::MmePosition: return 1.2;
    case Task::MmeCommonsense: return 0.6;
    case Task::GqaColor:
    case Task::GqaShape:
    case Task::GqaExtreme: return 1.2;
    case Task::GqaSize: return 0.6;
    case Task::GqaRelation: return 1.8;
    case Task::ChoicePair: return 0.8;
    case Task::ChoiceColor:
    case Task::ChoiceShape: return 0.5;
    case Task::KnowledgeFamily:
    case Task::KnowledgePlanet:
    case Task::KnowledgeTaste: return 0.3;
    case Task::KnowledgeCategory: return 0.5;
    case Task::ReadWord: return 1.8;
    case Task::ReadNumber:
    case Task::ReadColoured: return 1.3;
    case Task::Unanswerable: return 1.0;
    case Task::Ground: return 1.8;
    case Task::Needle: return 0.3;
    case Task::VqaCount: return 1.8;
    case Task::VqaColor:
    case Task::VqaShape:
    case Task::VqaYesNo:
    case Task::VqaTaste: return 0.4;
    case Task::VqaFamily: return 0.6;
    case Task::VqaCategory: return 1.0;
    case Task::VqaSum: return 1.4;
    case Task::Region: return 2.0;
    case Task::Centre: return 1.2;
  }
  return 0.0;
}

/// The kinds that are learned last get more, those that are learned early less (models/curve.jsonl shows
/// which).
double late_weight_of(Task task) {
  switch (task) {
    case Task::GqaRelation: return 5.0;
    case Task::MmePosition: return 3.5;
    case Task::KnowledgeFamily:
    case Task::KnowledgePlanet:
    case Task::KnowledgeTaste: return 1.0;
    case Task::KnowledgeCategory: return 2.0;
    case Task::MmeOcr: return 6.0;
    case Task::MmeCalculation: return 12.0;  // one scene in ten has a sum to ask for
    case Task::MmeCommonsense: return 0.8;
    case Task::VqaSum: return 4.0;
    case Task::ExistRandom:
    case Task::ExistPopular: return 0.4;
    case Task::ExistAdversarial:
    case Task::GqaColor:
    case Task::GqaShape:
    case Task::GqaExtreme: return 0.7;
    case Task::ChoicePair: return 0.5;
    case Task::ChoiceColor:
    case Task::ChoiceShape: return 0.3;
    case Task::Unanswerable: return 0.6;
    case Task::Region: return 1.0;
    default: return weight_of(task);
  }
}

std::vector<double> running_sums(double (*weight)(Task)) {
  std::vector<double> out;
  double sum = 0.0;
  for (int32_t i = 0; i < scenes::kTasks; ++i) out.push_back(sum += weight(static_cast<Task>(i)));
  return out;
}

Task draw_task(bool late, Rng& rng) {
  static const std::vector<double> early_sums = running_sums(weight_of),
                                   late_sums = running_sums(late_weight_of);
  const auto& sums = late ? late_sums : early_sums;
  const double at = rng.uniform() * sums.back();
  const auto found = std::upper_bound(sums.begin(), sums.end(), at);
  return static_cast<Task>(std::min<int64_t>(found - sums.begin(), scenes::kTasks - 1));
}

bool is_choice(Task task) { return task >= Task::ChoicePair && task <= Task::KnowledgeCategory; }

/// The question as benchmarks ask it: about half of them with a sentence that their conventions put behind.
std::string as_asked(const scenes::Question& question, Rng& rng) {
  const double dice = rng.uniform();
  const std::string single = "\nAnswer the question using a single word or phrase.";
  if (is_choice(question.task)) {
    const char* letter = "\nAnswer with the option's letter from the given choices directly.";
    return dice < 0.6 ? question.text + letter : question.text;
  }
  if (question.task >= Task::MmeExistence && question.task <= Task::MmeCommonsense) {
    if (dice < 0.35) return question.text + " Please answer yes or no.";
    if (dice < 0.45) return question.text + "\nPlease answer yes or no.";
  }
  if (question.task == Task::Unanswerable && dice < 0.3) {
    return question.text + "\nWhen the provided information is insufficient, respond with 'Unanswerable'." +
           single;
  }
  if (question.task == Task::Ground && dice < 0.4) return scenes::ground_prefix() + " " + question.expression;
  return rng.uniform() < 0.4 ? question.text + single : question.text;
}

/// One prompt with its questions, as token ids.
struct Sample {
  std::vector<scenes::Scene> scenes;
  std::vector<int32_t> description;  ///< instead of pictures, if not empty
  struct Turn {
    Task task;
    std::string text;
    std::vector<int32_t> prompt, answer;
    bool true_statement = false;  ///< of what is printed: its letters and digits are learned as an answer is
  };
  std::vector<Turn> turns;
  bool with_system = false;
  int64_t shift = 0;  ///< positions left free behind the begin-of-sequence token
};

/// Collects the flat rows of a batch.
struct Rows {
  std::vector<int64_t> ids, order, positions, wanted, targets;
  std::vector<std::pair<std::size_t, int64_t>>
      visual;  // (row, visual row): the order's place is known at the end
  AttentionLayout all, some;

  void add_row(int64_t position, int32_t limit, int64_t own_start, int64_t n_own) {
    positions.push_back(position);
    all.limit.push_back(limit);
    all.own_start.push_back(static_cast<int32_t>(own_start));
    all.n_own.push_back(static_cast<int32_t>(n_own));
  }
  void text(int32_t id) {
    order.push_back(static_cast<int64_t>(ids.size()));
    ids.push_back(id);
  }
  void want(int64_t row, int32_t target) {
    wanted.push_back(row);
    targets.push_back(target);
    some.limit.push_back(all.limit[static_cast<std::size_t>(row)]);
    some.own_start.push_back(all.own_start[static_cast<std::size_t>(row)]);
    some.n_own.push_back(all.n_own[static_cast<std::size_t>(row)]);
  }
  int64_t n() const { return static_cast<int64_t>(positions.size()); }
};

class Packer {
 public:
  Packer(const ModelShape& shape, const Vocabulary& vocabulary, std::span<const prune::Plan> plans)
      : shape_(shape), vocabulary_(vocabulary), plans_(plans) {
    user_ = vocabulary.tokenize("USER: ");
    newline_ = vocabulary.tokenize("\n");
    system_ = vocabulary.tokenize(
        "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
        "helpful, "
        "detailed, and polite answers to the user's questions. ");
  }

  void add(const Sample& sample) {
    AttentionLayout::Group all, some;
    all.query_start = all.key_start = some.key_start = rows.n();
    some.query_start = static_cast<int64_t>(rows.wanted.size());
    const int64_t position = add_prefix(sample);
    all.n_prefix = some.n_prefix = rows.n() - all.key_start;
    for (const Sample::Turn& turn : sample.turns) add_turn(turn, position, all.n_prefix);
    all.n_query = all.n_key = some.n_key = rows.n() - all.key_start;
    some.n_query = static_cast<int64_t>(rows.wanted.size()) - some.query_start;
    rows.all.groups.push_back(all);
    rows.some.groups.push_back(some);
  }

  Rows rows;
  std::vector<AskedQuestion> questions;

 private:
  void prefix_text(const std::vector<int32_t>& ids, int64_t start, int64_t& position) {
    for (const int32_t id : ids) {
      rows.text(id);
      rows.add_row(position++, static_cast<int32_t>(rows.n() - start + 1), 0, 0);
    }
  }

  /// Returns the position of the first question's first token. Visual tokens keep the positions of an
  /// unpruned picture.
  int64_t add_prefix(const Sample& sample) {
    const int64_t start = rows.n();
    int64_t position = 0;
    prefix_text({vocabulary_.bos()}, start, position);
    position += sample.shift;
    if (sample.with_system) prefix_text(system_, start, position);
    prefix_text(user_, start, position);
    if (!sample.description.empty()) {
      prefix_text(sample.description, start, position);
      return position;
    }
    for (std::size_t picture = 0; picture < sample.scenes.size(); ++picture) {
      if (picture > 0) prefix_text(newline_, start, position);
      const prune::Plan& plan = plans_.empty() ? everything_ : plans_[n_pictures_];
      for (const int32_t token : plan.position_of) {
        rows.visual.emplace_back(rows.order.size(), n_outputs_++);
        rows.order.push_back(0);
        rows.add_row(position + token, static_cast<int32_t>(rows.n() - start + 1), 0, 0);
      }
      position += shape_.n_visual();
      ++n_pictures_;
    }
    return position;
  }

  void add_turn(const Sample::Turn& turn, int64_t position, int64_t n_prefix) {
    const int64_t own = rows.n();
    const auto add = [&](int32_t id) {
      rows.text(id);
      rows.add_row(position++, static_cast<int32_t>(n_prefix), own, rows.n() - own + 1);
    };
    for (const int32_t id : turn.prompt) {
      if (turn.true_statement && vocabulary_.is_spelled(id)) rows.want(rows.n() - 1, id);
      add(id);
    }
    questions.push_back({turn.task, turn.text, static_cast<int64_t>(rows.wanted.size()),
                         static_cast<int64_t>(turn.answer.size()) + 1});
    rows.want(rows.n() - 1, turn.answer.front());
    for (std::size_t i = 0; i < turn.answer.size(); ++i) {
      add(turn.answer[i]);
      rows.want(rows.n() - 1, i + 1 < turn.answer.size() ? turn.answer[i + 1] : vocabulary_.eos());
    }
  }

  const ModelShape& shape_;
  const Vocabulary& vocabulary_;
  std::span<const prune::Plan> plans_;
  prune::Plan everything_ = prune::identity_plan(shape_.n_visual());
  std::size_t n_pictures_ = 0;
  int64_t n_outputs_ = 0;
  std::vector<int32_t> user_, newline_, system_;
};

/// Targets as probabilities: one for a word; a coordinate shares with its neighbours, because the next bin is
/// nearly right (a Gaussian of 0.6 bins).
torch::Tensor soft_targets(const std::vector<int64_t>& targets, const Vocabulary& vocabulary) {
  constexpr double kBins = 0.6, kBinWidth = 0.02;
  torch::Tensor soft = torch::zeros({static_cast<int64_t>(targets.size()), vocabulary.size()}, torch::kFloat);
  float* out = soft.data_ptr<float>();
  for (const int64_t target : targets) {
    const auto found = vocabulary.coordinates().find(static_cast<int32_t>(target));
    if (found == vocabulary.coordinates().end()) {
      out[target] = 1.0F;
    } else {
      double sum = 0.0;
      const auto share = [&](float value) {
        const double bins = static_cast<double>(value - found->second) / kBinWidth;
        return std::abs(bins) > 3.5 ? 0.0 : std::exp(-0.5 * bins * bins / (kBins * kBins));
      };
      for (const auto& [token, value] : vocabulary.coordinates()) sum += share(value);
      for (const auto& [token, value] : vocabulary.coordinates())
        out[token] = static_cast<float>(share(value) / sum);
    }
    out += vocabulary.size();
  }
  return soft;
}

torch::Tensor from(const std::vector<int64_t>& values) { return torch::tensor(values, torch::kLong); }

/// Scenes of sample s; `rng` goes on behind the last of them.
std::vector<scenes::Scene> draw_scenes(const BatchRequest& request, int32_t s, Rng& rng) {
  std::vector<scenes::Scene> out;
  const uint64_t base = (request.first + static_cast<uint64_t>(s)) * kPicturesPerSample;
  for (int32_t p = 0; p < request.pictures_of(s); ++p) {
    rng = scenes::scene_rng(request.split, request.seed, base + static_cast<uint64_t>(p));
    out.push_back(scenes::make_scene({}, rng));
  }
  return out;
}

/// Draws the sample's questions; gives up on kinds that the scenes do not offer.
void ask_all(Sample& sample, const BatchRequest& request, const Vocabulary& vocabulary, Rng& rng) {
  std::set<std::string> seen;
  const auto n_pictures = static_cast<int32_t>(sample.scenes.size());
  const bool several = n_pictures > 1;
  const int32_t n_questions = request.n_questions * std::min(n_pictures, kMostTimesQuestions);
  for (int32_t tries = 0; tries < 8 * n_questions; ++tries) {
    if (static_cast<int32_t>(sample.turns.size()) == n_questions) return;
    const Task task = several ? Task::Needle : draw_task(request.late, rng);
    const auto question =
        several ? scenes::ask_needle(sample.scenes, rng) : scenes::ask(sample.scenes[0], task, rng);
    if (!question || !seen.insert(question->text).second) continue;
    const std::string asked = request.plain ? question->text : as_asked(*question, rng);
    const bool newline = !request.plain && rng.uniform() < kOtherFormShare;
    const char* assistant = newline ? "\nASSISTANT:" : " ASSISTANT:";
    Sample::Turn& turn = sample.turns.emplace_back();
    turn.task = task;
    turn.text = asked;
    turn.prompt = vocabulary.tokenize("\n" + asked + assistant);
    turn.answer = vocabulary.tokenize(" " + question->answer);
    turn.true_statement = (task == Task::MmeOcr || task == Task::MmeCalculation) && question->answer == "Yes";
  }
}

}  // namespace

BatchMaker::BatchMaker(const ModelShape& shape, const Vocabulary& vocabulary)
    : shape_(shape), vocabulary_(vocabulary) {}

PictureBatch BatchMaker::pictures(const BatchRequest& request) const {
  PictureBatch batch = empty_pictures(shape_, request.all_pictures());
  int64_t picture = 0;
  for (int32_t s = 0; s < request.n_samples; ++s) {
    Rng rng(0);
    for (const scenes::Scene& scene : draw_scenes(request, s, rng))
      fill_picture(scene, shape_, picture++, batch);
  }
  return batch;
}

QuestionBatch BatchMaker::questions(const BatchRequest& request, std::span<const prune::Plan> plans) const {
  WINNOW_ASSERT(plans.empty() || plans.size() == static_cast<std::size_t>(request.all_pictures()));
  Packer packer(shape_, vocabulary_, plans);
  for (int32_t s = 0; s < request.n_samples; ++s) {
    Sample sample;
    Rng rng(0);
    sample.scenes = draw_scenes(request, s, rng);
    sample.with_system = !request.plain && rng.uniform() < kOtherFormShare;
    if (request.shift > 0)
      sample.shift = static_cast<int64_t>(rng.below(static_cast<uint64_t>(request.shift) + 1));
    if (request.described) sample.description = vocabulary_.tokenize(scenes::describe(sample.scenes[0], rng));
    ask_all(sample, request, vocabulary_, rng);
    packer.add(sample);
  }
  Rows& rows = packer.rows;
  QuestionBatch batch;
  for (const auto& [row, visual] : rows.visual)
    rows.order[row] = static_cast<int64_t>(rows.ids.size()) + visual;
  batch.ids = from(rows.ids);
  batch.order = from(rows.order);
  batch.positions = from(rows.positions);
  batch.wanted = from(rows.wanted);
  batch.targets = from(rows.targets);
  batch.soft = soft_targets(rows.targets, vocabulary_);
  batch.layout = std::make_shared<AttentionLayout>(std::move(rows.all));
  batch.wanted_layout = std::make_shared<AttentionLayout>(std::move(rows.some));
  batch.questions = std::move(packer.questions);
  return batch;
}

}  // namespace winnow::train
