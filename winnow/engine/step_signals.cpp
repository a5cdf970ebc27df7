#include "winnow/engine/step_signals.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <map>
#include <numeric>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/engine/tile_step.h"

namespace winnow::engine {
namespace {

using prune::Need;
using prune::Signal;

constexpr const char* kWhere = "engine.step_signals";
/// Rows of one graph of make_next_attention().
constexpr int32_t kBatch = 512;

/// Signals that layer K-1 gives, so that there are none before layer 0.
bool is_of_previous_layer(Signal signal) {
  constexpr std::array kSignals = {
      Signal::PreviousHidden,    Signal::LayerKeys,           Signal::TextKeys,
      Signal::LastTextAttention, Signal::LastVisualAttention, Signal::TextAttention};
  return std::find(kSignals.begin(), kSignals.end(), signal) != kSignals.end();
}

/// A parameter set to one of its choices.
using Choice = std::pair<std::string, std::string>;

/// Whether the model can give all that the method reads when some parameters are chosen otherwise.
bool gives_all(const Model& model, const prune::MethodUse& use, std::initializer_list<Choice> choices) {
  const prune::MethodInfo& info = use.method->info();
  std::map<std::string, std::string> values(use.params.values().begin(), use.params.values().end());
  for (const auto& [name, value] : choices) values[name] = value;
  const auto needs = use.method->needs(prune::Params(info.name, info.params, values));
  return std::all_of(needs.begin(), needs.end(),
                     [&](const Need& need) { return missing_signal(model, need).empty(); });
}

/// "importance=last_text", or two of them: choices of parameters with which the model can give everything;
/// empty if none can.
std::string way_out(const Model& model, const prune::MethodUse& use) {
  std::vector<Choice> all;
  for (const prune::ParamSpec& spec : use.method->info().params) {
    for (const std::string& choice : spec.choices) all.emplace_back(spec.name, choice);
  }
  for (const Choice& one : all) {
    if (gives_all(model, use, {one})) return fmt::format("{}={}", one.first, one.second);
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = i + 1; j < all.size(); ++j) {
      if (all[i].first == all[j].first || !gives_all(model, use, {all[i], all[j]})) continue;
      return fmt::format("{}={},{}={}", all[i].first, all[i].second, all[j].first, all[j].second);
    }
  }
  return "";
}

/// Rows of values [n, width], `width` from their number.
std::vector<float> pick_rows(const std::vector<float>& values, int64_t n, const std::vector<int32_t>& rows) {
  const int64_t width = std::ssize(values) / n;
  std::vector<float> out;
  out.reserve(rows.size() * static_cast<std::size_t>(width));
  for (const int32_t row : rows) {
    out.insert(out.end(), values.begin() + row * width, values.begin() + (row + 1) * width);
  }
  return out;
}

/// Columns of values [rows, n].
std::vector<float> pick_columns(const std::vector<float>& values, int64_t n,
                                const std::vector<int32_t>& columns) {
  std::vector<float> out;
  out.reserve(values.size() / static_cast<std::size_t>(n) * columns.size());
  for (auto row = values.begin(); row != values.end(); row += n) {
    for (const int32_t column : columns) out.push_back(row[column]);
  }
  return out;
}

MatrixView view(const std::vector<float>& values, int64_t cols) {
  return {values.data(), std::ssize(values) / cols, cols};
}

/// What a step's method reads of these images.
std::vector<Need> needs_of(const prune::Step& step, const Sequence& sequence) {
  const bool tiled = std::any_of(sequence.images.begin(), sequence.images.end(), [&](const ImageRun& run) {
    return is_tilewise(step, *run.image) && run.image->layout.arrangement.size() > 0;
  });
  return encoder_needs(step.use, tiled);
}

}  // namespace

std::vector<Need> encoder_needs(const prune::MethodUse& use, bool tiled) {
  std::vector<Need> needs = use.method->needs(use.params);
  if (!tiled) return needs;
  for (const Need& need : use.method->tile_needs(use.params)) {
    if (std::find(needs.begin(), needs.end(), need) == needs.end()) needs.push_back(need);
  }
  return needs;
}

bool is_of_tower(Signal signal) {
  return prune::is_tower_tap(signal) || signal == Signal::ClsToken || signal == Signal::ClipImage;
}

std::vector<prune::Step> resolve_steps(const Model& model, std::vector<prune::Step> steps) {
  for (prune::Step& step : steps) {
    const prune::MethodInfo& info = step.use.method->info();
    std::map<std::string, std::string> values(step.use.params.values().begin(),
                                              step.use.params.values().end());
    const auto relevance = values.find("relevance");
    if (relevance == values.end() || relevance->second != "auto") continue;
    relevance->second = model.clip_joint() != nullptr ? "clip" : "embeddings";
    step.use.params = prune::Params(info.name, info.params, values);
  }
  return steps;
}

std::string missing_signal(const Model& model, const Need& need) {
  if (need.signal == Signal::ClipImage || need.signal == Signal::ClipText) {
    if (model.clip_joint() != nullptr) return "";
    return "of CLIP's joint space, but this mmproj file does not hold CLIP's text tower";
  }
  if (need.signal == Signal::ClsToken && model.mlp().merge.side > 1) {
    return "of the [CLS] token, which a projector that merges patches cannot read";
  }
  return missing_tower_signal(model.clip(), need);
}

void check_tower_needs(const Model& model, const prune::MethodUse& use) {
  for (const Need& need : use.method->needs(use.params)) {
    const std::string missing = missing_signal(model, need);
    if (missing.empty()) continue;
    const std::string other = way_out(model, use);
    fail(ErrorCode::Unsupported, kWhere, "{} needs {} {}{}", use.method->info().name,
         prune::signal_name(need.signal), missing,
         other.empty() ? "" : fmt::format(": {} does without", other));
  }
}

void check_step(const Model& model, const prune::Step& step) {
  check_tower_needs(model, step.use);
  for (const Need& need : step.use.method->needs(step.use.params)) {
    WINNOW_CHECK(
        step.layer >= 1 || !is_of_previous_layer(need.signal), InvalidArgument, kWhere,
        "{} needs {} of the layer in front of it, got a step {}, expected one before layer 1 or later",
        step.use.method->info().name, prune::signal_name(need.signal),
        step.layer < 0 ? "after the tower" : "before layer 0");
    WINNOW_CHECK(
        step.layer <= 0 || need.signal != Signal::ClsToken, InvalidArgument, kWhere,
        "{} needs cls_token, which can join the sequence after the tower only, got a step before layer {}",
        step.use.method->info().name, step.layer);
  }
}

StepSignals::StepSignals(const Model& model, KvCache& cache, const Execution& execution,
                         const Sequence& sequence, const prune::Step& step, bool asked)
    : model_(model),
      llama_(model.llama()),
      cache_(cache),
      execution_(execution),
      sequence_(sequence),
      step_(step) {
  if (!asked) return;
  needs_ = needs_of(step, sequence);
  const KvLayer& layer = cache.layer(std::max(step.layer - 1, 0));
  n_past_ = layer.n;
  first_id_ = layer.next_id;
  first_visual_ = sequence.images.front().first;
  n_column_ = sequence.images.back().first + sequence.images.back().count - first_visual_;
  const auto want = [&](Signal signal, int32_t first, int32_t last) {
    if (!wants(signal)) return;
    AttentionRows& rows = attention_[signal];
    rows.queries.resize(static_cast<std::size_t>(last - first));
    std::iota(rows.queries.begin(), rows.queries.end(), first);
    for (const ImageRun& run : sequence.images) {
      rows.of_image.emplace_back(rows.queries.size() * static_cast<std::size_t>(llama_.n_head * run.count));
    }
  };
  want(Signal::LastTextAttention, sequence.n() - 1, sequence.n());
  want(Signal::TextAttention, sequence.first_text(), sequence.n());
  int32_t last_visual = 0;
  for (const ImageRun& run : sequence.images) {
    if (run.count > 0) last_visual = run.first + run.count - 1;
  }
  want(Signal::LastVisualAttention, last_visual, last_visual + 1);
  if (wants(Signal::LayerKeys)) keys_.resize(sequence.images.size());
}

bool StepSignals::wants(Signal signal) const {
  return std::any_of(needs_.begin(), needs_.end(), [&](const Need& n) { return n.signal == signal; });
}

void StepSignals::made(const Need& need) {
  if (std::find(computed_.begin(), computed_.end(), need) == computed_.end()) computed_.push_back(need);
}

void StepSignals::take_previous() {
  if (!wants_previous()) return;
  for (const ImageRun& run : sequence_.images) {
    const auto rows = sequence_.rows(run.first, run.count).all();
    previous_.emplace_back(rows.begin(), rows.end());
  }
  made({Signal::PreviousHidden});
}

LayerTap StepSignals::tap(int32_t first, int32_t n) const {
  LayerTap tap;
  for (const auto& [signal, rows] : attention_) {
    for (const int32_t query : rows.queries) {
      if (query >= first && query < first + n) tap.rows.push_back(query - first);
    }
  }
  std::sort(tap.rows.begin(), tap.rows.end());
  tap.rows.erase(std::unique(tap.rows.begin(), tap.rows.end()), tap.rows.end());
  tap.keys = wants(Signal::LayerKeys) || wants(Signal::TextKeys);
  if (!tap.rows.empty() || tap.keys) tap.layer = step_.layer - 1;
  tap.first_key = n_past_ + first_visual_;
  tap.n_key = n_column_;
  return tap;
}

void StepSignals::take(int32_t first, const LayerTap& tap, const DecoderOutput& out) {
  if (!out.attention.empty()) take_attention(first, tap, out.attention);
  if (!out.keys.empty()) take_keys(first, out.keys);
}

/// values: [n_head, tap.rows, tap.n_key]
void StepSignals::take_attention(int32_t first, const LayerTap& tap, const std::vector<float>& values) {
  for (auto& [signal, rows] : attention_) {
    for (std::size_t q = 0; q < rows.queries.size(); ++q) {
      const auto tapped = std::find(tap.rows.begin(), tap.rows.end(), rows.queries[q] - first);
      if (tapped == tap.rows.end()) continue;
      made({signal});
      for (std::size_t head = 0; head < static_cast<std::size_t>(llama_.n_head); ++head) {
        const std::size_t from = head * tap.rows.size() + static_cast<std::size_t>(tapped - tap.rows.begin());
        const std::size_t to = head * rows.queries.size() + q;
        for (std::size_t i = 0; i < rows.of_image.size(); ++i) {
          const ImageRun& run = sequence_.images[i];
          std::copy_n(values.begin() + static_cast<int64_t>(from) * tap.n_key + run.first - first_visual_,
                      run.count, rows.of_image[i].begin() + static_cast<int64_t>(to) * run.count);
        }
      }
    }
  }
}

/// keys: [n, n_embd_kv] of the tokens from `first` on
void StepSignals::take_keys(int32_t first, const std::vector<float>& keys) {
  const int64_t width = llama_.n_embd_kv();
  const auto last = first + static_cast<int32_t>(std::ssize(keys) / width);
  const auto take = [&](Signal signal, int32_t from, int32_t to, std::vector<float>& rows) {
    from = std::max(from, first);
    to = std::min(to, last);
    if (from >= to) return;
    made({signal});
    rows.insert(rows.end(), keys.begin() + (from - first) * width, keys.begin() + (to - first) * width);
  };
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    const ImageRun& run = sequence_.images[i];
    take(Signal::LayerKeys, run.first, run.first + run.count, keys_[i]);
  }
  if (wants(Signal::TextKeys)) take(Signal::TextKeys, sequence_.first_text(), sequence_.n(), text_keys_);
}

void StepSignals::make_next_attention() {
  AttentionRows& rows = attention_[Signal::NextAttention];
  if (!rows.of_image.empty()) return;
  made({Signal::NextAttention});
  const int32_t layer = std::max(step_.layer, 0);
  const int64_t n_past = cache_.layer(layer).n;
  const std::vector<float> attention = last_row_attention(
      llama_, model_.decoder_weights(), layer, sequence_.hidden, sequence_.position_ids(), kBatch, cache_,
      execution_);  // [n_head, n_past + n]
  for (const ImageRun& run : sequence_.images) {
    std::vector<float>& columns = rows.of_image.emplace_back();
    for (int64_t head = 0; head < llama_.n_head; ++head) {
      const auto first = attention.begin() + head * (n_past + sequence_.n()) + n_past + run.first;
      columns.insert(columns.end(), first, first + run.count);
    }
  }
}

MatrixView StepSignals::keep(std::vector<float> values, int64_t cols) {
  owned_.push_back(std::move(values));
  return view(owned_.back(), cols);
}

MatrixView StepSignals::normed(MatrixView rows) {
  return keep(final_norm(llama_, model_.text_file(), rows.all()), rows.cols);
}

/// Recorded when the image was encoded, for the tokens that are still there.
MatrixView StepSignals::of_encoder(const Need& need, const ImageRun& run) {
  const EncodedImage& image = *run.image;
  const int64_t n_row = image.n_token();
  if (need.signal == Signal::ClsToken) {
    WINNOW_CHECK(std::ssize(image.cls_token) == image.n_tile() * sequence_.width, InvalidArgument, kWhere,
                 "the image was encoded without cls_token: encode it for the steps that are run");
    return view(image.cls_token, sequence_.width);
  }
  if (need.signal == Signal::Tower) {
    const int64_t d_tower = model_.clip().n_embd;
    if (run.row_of.empty()) return view(image.features, d_tower);
    return keep(pick_rows(image.features, n_row, run.row_of), d_tower);
  }
  const auto found = std::find_if(image.signals.begin(), image.signals.end(),
                                  [&](const TowerSignal& t) { return t.need == need; });
  WINNOW_CHECK(found != image.signals.end(), InvalidArgument, kWhere,
               "the image was encoded without {} of block {}: encode it for the steps that are run",
               prune::signal_name(need.signal), need.block);
  const bool per_token = prune::signal_shape(need.signal) == prune::SignalShape::PerToken;
  const int64_t cols = per_token ? std::ssize(found->values) / n_row : run.count;
  if (run.row_of.empty()) return view(found->values, cols);
  return keep(per_token ? pick_rows(found->values, n_row, run.row_of)
                        : pick_columns(found->values, n_row, run.row_of),
              cols);
}

/// Rows as they entered layer 0: of all tokens that did, or of those still there.
MatrixView StepSignals::inputs(Signal signal, const ImageRun& run) {
  if (step_.layer <= 0) return sequence_.rows(run.first, run.count);
  const int64_t n_input = std::ssize(run.input) / sequence_.width;
  if (signal == Signal::InputEmbeds || run.input_of.empty()) return view(run.input, sequence_.width);
  return keep(pick_rows(run.input, n_input, run.input_of), sequence_.width);
}

MatrixView StepSignals::of_decoder(Signal signal, std::size_t image) {
  const ImageRun& run = sequence_.images[image];
  const int64_t width = sequence_.width;
  switch (signal) {
    case Signal::PreviousHidden: return view(previous_[image], width);
    case Signal::LayerKeys: return view(keys_[image], llama_.n_embd_kv());
    case Signal::TextKeys: return view(text_keys_, llama_.n_embd_kv());
    case Signal::NextAttention: make_next_attention(); [[fallthrough]];
    case Signal::LastTextAttention:
    case Signal::LastVisualAttention:
    case Signal::TextAttention: return view(attention_.at(signal).of_image[image], run.count);
    default: break;
  }
  made({signal});
  switch (signal) {
    case Signal::TextEmbeds: return view(sequence_.text_embeds, width);
    case Signal::ClipText: return view(sequence_.clip_text, model_.clip_joint()->n_joint());
    case Signal::Hidden: return sequence_.rows(run.first, run.count);
    case Signal::HiddenLast: return sequence_.rows(sequence_.n() - 1, 1);
    case Signal::HiddenNormed: return normed(sequence_.rows(run.first, run.count));
    case Signal::TextNormed: return normed(sequence_.rows(sequence_.first_text(), sequence_.n_text()));
    default: return inputs(signal, run);
  }
}

prune::Signals StepSignals::of_image(std::size_t image) {
  const ImageRun& run = sequence_.images[image];
  prune::Signals signals;
  signals.grid = run.image->layout.grid;
  signals.token_of = run.token_of;
  owned_.clear();
  for (const Need& need : needs_) {
    if (is_of_tower(need.signal) || need.signal == Signal::Tower) {
      made(need);
      signals.set(need, of_encoder(need, run));
    } else {
      signals.set(need, of_decoder(need.signal, image));
    }
  }
  if (step_.layer < 0) return signals;
  const bool axes = llama_.rope.has_axes();
  const std::vector<int32_t>& all = axes ? sequence_.origin : sequence_.ids;
  const auto ids_of = [&](int32_t first, int32_t n) {
    std::vector<int32_t> ids(all.begin() + first, all.begin() + first + n);
    for (int32_t& id : ids) id += axes ? n_past_ : first_id_;
    return ids;
  };
  signals.ids = ids_of(run.first, run.count);
  signals.text_ids = ids_of(sequence_.first_text(), sequence_.n_text());
  signals.rope = {axes ? 0 : llama_.d_head, llama_.rope.freq_base};
  return signals;
}

}  // namespace winnow::engine
