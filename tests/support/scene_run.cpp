#include "tests/support/scene_run.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/base/progress.h"
#include "winnow/base/rng.h"
#include "winnow/engine/generate.h"
#include "winnow/scenes/render.h"

namespace winnow::testing {
namespace {

using scenes::BenchmarkItem;

constexpr const char* kWhere = "testing.scene_run";

/// The part of `text` behind `mark`, up to the next '+'; cut out of it.
std::string take(std::string& text, const std::string& mark) {
  const std::size_t at = text.find(mark);
  if (at == std::string::npos) return {};
  const std::size_t start = at + mark.size();
  const std::size_t end = std::min(text.find('+', start), text.size());
  std::string value = text.substr(start, end - start);
  text.erase(at, end - at);
  return value;
}

int32_t parse_layer(const std::string& text) {
  if (text.empty()) return -1;
  int32_t layer = -1;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, layer);
  WINNOW_CHECK(error == std::errc() && at == end && layer >= 0, InvalidArgument, kWhere,
               "layer, got '{}', expected a whole number >= 0", text);
  return layer;
}

using ScenePointers = std::vector<const scenes::Scene*>;

ScenePointers own_scenes(const BenchmarkItem& item) {
  ScenePointers out;
  for (const scenes::Scene& scene : item.scenes) out.push_back(&scene);
  return out;
}

/// From half the list farther on, because neighbours may share their picture.
ScenePointers other_scenes(std::span<const BenchmarkItem> items, std::size_t idx) {
  const auto& own = items[idx].scenes;
  ScenePointers out;
  for (std::size_t k = 0; k < items.size(); ++k) {
    for (const scenes::Scene& other : items[(idx + items.size() / 2 + k) % items.size()].scenes) {
      if (out.size() == own.size()) return out;
      const bool known =
          std::any_of(own.begin(), own.end(), [&](const auto& s) { return s.seed == other.seed; });
      if (!known) out.push_back(&other);
    }
  }
  WINNOW_CHECK(out.size() == own.size(), InvalidArgument, kWhere,
               "pictures of other questions, got {} among {} questions, expected {}", out.size(),
               items.size(), own.size());
  return out;
}

bool acts_in_tower(const engine::PruneOptions& prune) {
  return !prune.steps.empty() && prune.steps.front().layer <= prune::kInTower;
}

/// The steps of all configurations, so that one encoding serves them; those that change the picture or
/// the tower itself have encodings of their own.
engine::TowerRequest common_request(const engine::Session& session,
                                    std::span<const Configuration> configurations) {
  engine::PruneOptions all;
  for (const Configuration& c : configurations) {
    if (!acts_in_tower(c.prune))
      all.steps.insert(all.steps.end(), c.prune.steps.begin(), c.prune.steps.end());
  }
  return session.tower_request(all);
}

bool any_shown(std::span<const Configuration> configurations, Shown shown) {
  return std::any_of(configurations.begin(), configurations.end(),
                     [&](const Configuration& c) { return c.shown == shown; });
}

/// One thread's session.
class Answerer {
 public:
  Answerer(const std::shared_ptr<const engine::Model>& model, std::span<const BenchmarkItem> items,
           std::span<const Configuration> configurations, const SceneRunOptions& options)
      : items_(items),
        configurations_(configurations),
        options_(options),
        session_(model, single_threaded()),
        form_(engine::choose_template("", model->text_file(), model->tokenizer())),
        request_(common_request(session_, configurations)) {}

  /// Fills the row of one item.
  void answer(std::size_t idx, std::span<Outcome> row) {
    const BenchmarkItem& item = items_[idx];
    const uint64_t picture_seed = item.scenes.empty() ? 0 : item.scenes[0].seed;
    const uint64_t seed = Rng(options_.seed ^ picture_seed, idx).next();
    Pictures own, other;
    if (any_shown(configurations_, Shown::Own)) own = encoded(own_scenes(item));
    if (any_shown(configurations_, Shown::Other)) other = encoded(other_scenes(items_, idx));
    const Pictures none;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const Shown shown = configurations_[c].shown;
      engine::PruneOptions prune = configurations_[c].prune;
      prune.seed = seed;
      Pictures merged;
      if (acts_in_tower(prune) && shown != Shown::None)
        merged = encoded(shown == Shown::Own ? own_scenes(item) : other_scenes(items_, idx), &prune);
      const Pictures& pictures = !merged.empty()         ? merged
                                 : shown == Shown::Own   ? own
                                 : shown == Shown::Other ? other
                                                         : none;
      row[c] = outcome_of(item.question, pictures, prune);
    }
  }

 private:
  using Pictures = std::vector<engine::EncodedImage>;

  static engine::SessionOptions single_threaded() {
    engine::SessionOptions options;
    options.n_threads = 1;
    return options;
  }

  /// For all configurations, or for one that acts in the tower.
  Pictures encoded(const ScenePointers& shown, const engine::PruneOptions* own = nullptr) {
    Pictures out;
    const auto n = static_cast<int32_t>(shown.size());
    for (int32_t i = 0; i < n; ++i) {
      const scenes::Scene& scene = *shown[static_cast<std::size_t>(i)];
      const engine::Image picture{scenes::kSide, scenes::kSide, scenes::render(scene)};
      const auto request = own != nullptr ? session_.tower_request(*own, n, i) : request_;
      out.push_back(session_.encode(picture, engine::ImageFit::Pad, request));
    }
    return out;
  }

  std::string answer_to(const std::string& text, const Pictures& pictures,
                        const engine::PruneOptions& prune) {
    std::vector<const engine::EncodedImage*> images;
    for (const engine::EncodedImage& picture : pictures) images.push_back(&picture);
    engine::GenerateOptions options;
    options.max_tokens = options_.max_tokens;
    session_.clear();
    const auto n_images = static_cast<int32_t>(images.size());
    const auto prompt = engine::make_turn(form_, text, n_images, true, session_.model().tokenizer());
    engine::PruneOptions asked = prune;
    asked.question = text;
    auto prefill = session_.prefill(prompt, images, asked, options.max_tokens);
    return engine::generate(session_, std::move(prefill.logits), options).text;
  }

  Outcome outcome_of(const scenes::Question& question, const Pictures& pictures,
                     const engine::PruneOptions& prune) {
    Outcome out;
    out.answer = answer_to(question.text, pictures, prune);
    out.verdict = judge(question, out.answer);
    if (!options_.circular || question.choices.empty()) return out;
    out.circular = out.verdict.right;
    const auto n_options = static_cast<int32_t>(question.choices.size());
    for (int32_t shift = 1; shift < n_options && out.circular; ++shift) {
      const scenes::Question turned = scenes::rotated(question, shift);
      out.circular = judge(turned, answer_to(turned.text, pictures, prune)).right;
    }
    return out;
  }

  std::span<const BenchmarkItem> items_;
  std::span<const Configuration> configurations_;
  SceneRunOptions options_;
  engine::Session session_;
  engine::PromptTemplate form_;
  engine::TowerRequest request_;
};

}  // namespace

Configuration parse_configuration(const std::string& text, int32_t n_layer) {
  Configuration out;
  out.name = text;
  std::string method = text;
  const int32_t layer = parse_layer(take(method, "+layer="));
  const std::string position = take(method, "+position=");
  const std::string keep = take(method, "@");
  prune::Step step = prune::make_step(method, keep, prune::BudgetMode::Exact, layer, n_layer);
  if (!position.empty()) out.prune.position = prune::parse_position_policy(position);
  if (!step.use.method->info().keeps_all) out.prune.steps.push_back(std::move(step));
  return out;
}

std::vector<Outcome> answer_items(const std::shared_ptr<const engine::Model>& model,
                                  std::span<const BenchmarkItem> items,
                                  std::span<const Configuration> configurations,
                                  const SceneRunOptions& options) {
  const std::size_t n_columns = configurations.size();
  std::vector<Outcome> outcomes(items.size() * n_columns);
  Progress progress("answering", static_cast<int64_t>(items.size()));
  std::mutex mutex;
  std::atomic<std::size_t> next = 0;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      Answerer answerer(model, items, configurations, options);
      for (std::size_t i = next++; i < items.size(); i = next++) {
        answerer.answer(i, std::span(outcomes).subspan(i * n_columns, n_columns));
        const std::lock_guard lock(mutex);
        progress.step();
      }
    } catch (...) {
      next = items.size();
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  };
  std::vector<std::jthread> workers;
  for (int32_t i = 0; i < std::max(options.n_workers, 1); ++i) workers.emplace_back(work);
  workers.clear();
  if (failure) std::rethrow_exception(failure);
  return outcomes;
}

void Tally::add(const Outcome& outcome) {
  ++n;
  right += outcome.verdict.right ? 1 : 0;
  n_circular += outcome.circular ? 1 : 0;
  n_boxes += outcome.verdict.iou ? 1 : 0;
  iou_sum += outcome.verdict.iou.value_or(0.0);
}

BenchmarkScore add_up(std::span<const BenchmarkItem> items, std::span<const Outcome> outcomes) {
  BenchmarkScore out;
  if (items.empty()) return out;
  const std::size_t n_columns = outcomes.size() / items.size();
  out.all.resize(n_columns);
  for (std::size_t i = 0; i < items.size(); ++i) {
    std::vector<Tally>& task = out.tasks[items[i].question.task];
    task.resize(n_columns);
    for (std::size_t c = 0; c < n_columns; ++c) {
      const Outcome& outcome = outcomes[i * n_columns + c];
      out.all[c].add(outcome);
      task[c].add(outcome);
    }
  }
  return out;
}

}  // namespace winnow::testing
