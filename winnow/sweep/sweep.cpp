#include "winnow/sweep/sweep.h"

#include <algorithm>
#include <array>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/base/progress.h"
#include "winnow/base/rng.h"
#include "winnow/engine/generate.h"
#include "winnow/engine/kept_patches.h"
#include "winnow/record/sha256.h"
#include "winnow/sweep/encodings.h"

namespace winnow::sweep {
namespace {

constexpr const char* kWhere = "sweep.run";

/// One question and the configurations that have no row for it.
struct Work {
  const Questions* questions = nullptr;
  std::size_t item_idx = 0;
  std::vector<std::size_t> configurations;
  int64_t first_row = 0;  ///< number of its first row among all that are to be made
};

/// Hands rows over in the order of their numbers, and work out.
class Desk {
 public:
  Desk(std::vector<Work> work, int64_t n_rows, int64_t n_done,
       const std::function<void(const record::ResultRow&)>& take)
      : work_(std::move(work)), take_(take), progress_("answering", n_done + n_rows, n_done) {}

  const Work* next() {
    const std::lock_guard lock(mutex_);
    return failure_ || next_ == work_.size() ? nullptr : &work_[next_++];
  }

  void put(int64_t number, record::ResultRow row) {
    const std::lock_guard lock(mutex_);
    waiting_.emplace(number, std::move(row));
    while (!failure_ && !waiting_.empty() && waiting_.begin()->first == n_taken_) {
      try {
        take_(waiting_.begin()->second);
      } catch (...) {
        failure_ = std::current_exception();
        return;
      }
      waiting_.erase(waiting_.begin());
      ++n_taken_;
      progress_.step();
    }
  }

  void stop(std::exception_ptr why) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(why);
  }
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::vector<Work> work_;
  const std::function<void(const record::ResultRow&)>& take_;
  Progress progress_;
  std::mutex mutex_;
  std::size_t next_ = 0;
  int64_t n_taken_ = 0;
  std::map<int64_t, record::ResultRow> waiting_;
  std::exception_ptr failure_;
};

/// What CLIP's text tower reads: the question, or the whole turn without the pictures' places.
std::string clip_question(const eval::Item& item, const std::string& prompt,
                          const engine::PruneOptions& prune) {
  const bool whole_turn = std::any_of(prune.steps.begin(), prune.steps.end(), [](const prune::Step& step) {
    return step.use.method->info().reads_whole_turn;
  });
  if (!whole_turn) return item.question;
  constexpr std::string_view kImage = "<image>";
  std::string text = prompt;
  for (std::size_t at = text.find(kImage); at != std::string::npos; at = text.find(kImage))
    text.erase(at, kImage.size());
  return text.substr(std::min(text.find_first_not_of('\n'), text.size()));
}

/// One thread: a session and its pictures.
class Answerer {
 public:
  Answerer(const std::shared_ptr<const engine::Model>& model, std::span<const Configuration> configurations,
           const SweepOptions& options)
      : configurations_(configurations),
        options_(options),
        session_(model, session_options(options)),
        form_(engine::choose_template(options.prompt_template, model->text_file(), model->tokenizer())),
        encodings_(session_, configurations, options.fit, options.limits) {}

  void answer(const Work& work, Desk& desk) {
    encodings_.next_question();
    for (std::size_t i = 0; i < work.configurations.size(); ++i)
      desk.put(work.first_row + static_cast<int64_t>(i), row_of(work, work.configurations[i]));
  }

 private:
  static engine::SessionOptions session_options(const SweepOptions& options) {
    engine::SessionOptions out = options.session;
    out.n_threads = std::max(options.session.n_threads / options.n_jobs, 1);
    return out;
  }

  record::ResultRow row_of(const Work& work, std::size_t configuration_idx) {
    const eval::Item& item = work.questions->items[work.item_idx];
    const eval::Benchmark& benchmark = *work.questions->benchmark;
    record::ResultRow row;
    row.benchmark = benchmark.info().name;
    row.index = static_cast<int64_t>(work.item_idx);
    row.question_id = item.id;
    row.convention = eval::convention_name(options_.convention);
    row.config = configurations_[configuration_idx].name;
    row.group = item.group;
    row.category = item.category;
    row.subcategory = item.subcategory;
    row.split = item.split;
    row.answer = item.answers.front();
    row.seed = question_seed(options_.seed, item.id);
    try {
      row.prompt = benchmark.prompt(item, options_.convention);
      ask(benchmark, item, configuration_idx, row);
      take_score(benchmark.score(item, row.prediction, options_.convention), row);
    } catch (const std::exception& error) {
      row.prediction.clear();
      row.error = error.what();
    }
    return row;
  }

  static void take_score(eval::Score score, record::ResultRow& row) {
    row.score = score.value;
    row.extracted = std::move(score.extracted);
    row.valid = score.valid;
    row.detail = std::move(score.detail);
  }

  void ask(const eval::Benchmark& benchmark, const eval::Item& item, std::size_t configuration_idx,
           record::ResultRow& row) {
    const std::vector<EncodingPtr> pictures = encodings_.of(item, configuration_idx);
    std::vector<const engine::EncodedImage*> images;
    for (const EncodingPtr& picture : pictures) {
      images.push_back(&picture->image);
      row.stage_ms.image += picture->read_ms + picture->image.preprocess_ms;
      row.stage_ms.tower += picture->image.tower_ms;
      row.stage_ms.projector += picture->image.projector_ms;
    }
    engine::PruneOptions prune = configurations_[configuration_idx].prune;
    prune.seed = row.seed;
    prune.question = clip_question(item, row.prompt, prune);
    engine::GenerateOptions generate;
    generate.max_tokens =
        options_.max_tokens > 0 ? options_.max_tokens : benchmark.max_new_tokens(options_.convention);
    session_.clear();
    const engine::Prompt prompt = engine::make_turn(form_, row.prompt, static_cast<int32_t>(images.size()),
                                                    true, session_.model().tokenizer());
    engine::PrefillResult prefill = session_.prefill(prompt, images, prune, generate.max_tokens);
    const engine::Generation answer = engine::generate(session_, std::move(prefill.logits), generate);
    row.prediction = answer.text;
    row.ended = answer.ended;
    row.n_decoded = answer.n_decoded;
    row.stage_ms.prefill = prefill.prefill_ms + answer.first_token_ms;
    row.stage_ms.select = prefill.select_ms;
    row.stage_ms.gather = prefill.gather_ms;
    row.stage_ms.decode = answer.decode_ms;
    take_counts(prefill, row);
    if (options_.keep_indices) {
      row.kept = kept_indices(prefill, images);
      row.kept_maps = kept_maps(prefill, pictures);
    }
  }

  static void take_counts(const engine::PrefillResult& prefill, record::ResultRow& row) {
    row.n_text = prefill.n_text;
    row.n_visual_before = prefill.n_visual_before;
    row.n_visual_after = prefill.n_visual_after;
    row.n_visual_average = prefill.n_visual_average;
    row.kv_bytes = prefill.kv_bytes;
    row.kv_bytes_unpruned = prefill.kv_bytes_unpruned;
  }

  /// [image] what the last step left; nothing when tokens were merged, are those of a smaller picture's grid,
  /// or of tiles, which make no square.
  static std::optional<std::vector<std::vector<int32_t>>> kept_indices(
      const engine::PrefillResult& prefill, const std::vector<const engine::EncodedImage*>& images) {
    const bool smaller =
        std::any_of(prefill.steps.begin(), prefill.steps.end(),
                    [](const engine::StepResult& step) { return step.layer == prune::kBeforeTower; });
    if (smaller) return std::nullopt;
    std::vector<std::vector<int32_t>> kept;
    for (std::size_t i = 0; i < images.size(); ++i) {
      if (images[i]->layout.is_tiled()) return std::nullopt;
      auto of_image = engine::kept_tokens(*images[i], static_cast<int32_t>(i), prefill);
      if (!of_image) return std::nullopt;
      kept.push_back(std::move(*of_image));
    }
    return kept;
  }

  static std::optional<std::vector<std::vector<record::KeptMap>>> kept_maps(
      const engine::PrefillResult& prefill, const std::vector<EncodingPtr>& pictures) {
    std::vector<std::vector<record::KeptMap>> out;
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      const auto inputs = engine::kept_patches(pictures[i]->image, static_cast<int32_t>(i), prefill);
      if (!inputs) return std::nullopt;
      std::vector<record::KeptMap>& maps = out.emplace_back();
      for (const engine::KeptPatches& input : *inputs) {
        maps.push_back({input.rows, input.cols, box_of(input, pictures[i]->picture), input.kept});
      }
    }
    return out;
  }

  /// Where an input of the tower lies on its picture, in widths and heights of the picture.
  static std::array<double, 4> box_of(const engine::KeptPatches& input, const engine::PixelSize& picture) {
    const engine::ImageMap& map = input.map;
    return {map.left / picture.width, map.top / picture.height,
            (map.left + input.size.width * map.scale_x) / picture.width,
            (map.top + input.size.height * map.scale_y) / picture.height};
  }

  std::span<const Configuration> configurations_;
  const SweepOptions& options_;
  engine::Session session_;
  engine::PromptTemplate form_;
  Encodings encodings_;
};

/// Questions of the shard: their groups in order of appearance are dealt out in turn, so that pairs and
/// rotations stay together.
std::vector<std::size_t> items_of_shard(const std::vector<eval::Item>& items, const record::Shard& shard) {
  std::map<std::string_view, std::size_t> group_idx;
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::size_t idx = group_idx.try_emplace(items[i].group, group_idx.size()).first->second;
    if (idx % static_cast<std::size_t>(shard.count) + 1 == static_cast<std::size_t>(shard.number))
      out.push_back(i);
  }
  return out;
}

}  // namespace

void sweep(const std::shared_ptr<const engine::Model>& model, std::span<const Questions> questions,
           std::span<const Configuration> configurations, const SweepOptions& options,
           const std::function<bool(const std::string& benchmark, int64_t index, const std::string& config)>&
               is_done,
           const std::function<void(const record::ResultRow&)>& take) {
  WINNOW_CHECK(options.n_jobs >= 1 && options.session.n_threads >= options.n_jobs, InvalidArgument, kWhere,
               "jobs, got {} with {} threads, expected at least one thread for each", options.n_jobs,
               options.session.n_threads);
  std::vector<Work> work;
  int64_t n_rows = 0, n_done = 0;
  for (const Questions& part : questions) {
    for (const std::size_t i : items_of_shard(part.items, options.shard)) {
      Work one{&part, i, {}, n_rows};
      for (std::size_t c = 0; c < configurations.size(); ++c) {
        if (!is_done(part.benchmark->info().name, static_cast<int64_t>(i), configurations[c].name))
          one.configurations.push_back(c);
      }
      n_rows += std::ssize(one.configurations);
      n_done += std::ssize(configurations) - std::ssize(one.configurations);
      if (!one.configurations.empty()) work.push_back(std::move(one));
    }
  }
  if (work.empty()) return;
  Desk desk(std::move(work), n_rows, n_done, take);
  const auto answer_all = [&] {
    try {
      Answerer answerer(model, configurations, options);
      while (const Work* next = desk.next()) answerer.answer(*next, desk);
    } catch (...) {
      desk.stop(std::current_exception());
    }
  };
  std::vector<std::jthread> others;
  for (int32_t i = 1; i < options.n_jobs; ++i) others.emplace_back(answer_all);
  answer_all();
  others.clear();  // joins
  desk.rethrow();
}

std::string digest_of(const Questions& questions, eval::Convention convention) {
  std::string text;
  const auto add = [&](std::string_view part) { text += fmt::format("{}:{}\n", part.size(), part); };
  for (const eval::Item& item : questions.items) {
    add(item.id);
    add(item.group);
    add(questions.benchmark->prompt(item, convention));
    for (const std::string& answer : item.answers) add(answer);
  }
  return record::sha256_of(text);
}

uint64_t question_seed(uint64_t seed, const std::string& question_id) {
  uint64_t stream = 14695981039346656037U;  // FNV-1a, 64 bit
  for (const char c : question_id) stream = (stream ^ static_cast<uint8_t>(c)) * 1099511628211U;
  return Rng(seed, stream).next();
}

}  // namespace winnow::sweep
