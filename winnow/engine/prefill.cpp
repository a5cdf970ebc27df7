#include "winnow/engine/prefill.h"

#include <algorithm>
#include <numeric>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.prefill";
/// llama.cpp's own chunk (n_ubatch): scratch memory grows with it. Other sizes have not been compared.
constexpr int32_t kDefaultBatch = 512;

bool needs_signal(const prune::Step* step, prune::Signal signal) {
  if (step == nullptr) return false;
  const auto needs = step->use.method->needs(step->use.params);
  return std::any_of(needs.begin(), needs.end(), [&](const prune::Need& n) { return n.signal == signal; });
}

/// Columns [first, first + count) of [n_head, n_key].
std::vector<float> columns(const std::vector<float>& rows, int32_t n_key, int32_t first, int32_t count) {
  std::vector<float> out;
  if (rows.empty()) return out;
  const auto n_head = static_cast<int64_t>(rows.size()) / n_key;
  out.reserve(static_cast<std::size_t>(n_head * count));
  for (int64_t head = 0; head < n_head; ++head) {
    const auto start = rows.begin() + head * n_key + first;
    out.insert(out.end(), start, start + count);
  }
  return out;
}

MatrixView view(const std::vector<float>& values, int64_t cols) {
  if (values.empty()) return {};
  return {values.data(), static_cast<int64_t>(values.size()) / cols, cols};
}

/// Rows of a per-token signal (or columns of a per-head one) for the tokens that are still there.
std::vector<float> still_there(const TowerSignal& signal, const std::vector<int32_t>& token_of,
                               int64_t n_cell) {
  const bool keys = signal.need.signal == prune::Signal::TowerKeys;
  const int64_t n_rows = keys ? static_cast<int64_t>(token_of.size()) : signal.rows;
  const int64_t width = static_cast<int64_t>(signal.values.size()) / signal.rows;
  std::vector<float> out;
  for (int64_t r = 0; r < n_rows; ++r) {
    if (keys) {
      const auto start = signal.values.begin() + token_of[static_cast<std::size_t>(r)] * width;
      out.insert(out.end(), start, start + width);
    } else {
      for (const int32_t cell : token_of)
        out.push_back(signal.values[static_cast<std::size_t>(r * n_cell + cell)]);
    }
  }
  return out;
}

std::vector<float> pick_rows(const std::vector<float>& values, const std::vector<int32_t>& rows,
                             int64_t n_cell) {
  const int64_t width = static_cast<int64_t>(values.size()) / n_cell;
  std::vector<float> out;
  out.reserve(rows.size() * static_cast<std::size_t>(width));
  for (const int32_t row : rows) {
    out.insert(out.end(), values.begin() + row * width, values.begin() + (row + 1) * width);
  }
  return out;
}

}  // namespace

Prefill::Prefill(Session& session, const Prompt& prompt, const std::vector<const EncodedImage*>& images,
                 const PruneOptions& prune, int32_t reserve)
    : session_(session), llama_(session.model().llama()), prune_(prune), reserve_(std::max(reserve, 0)) {
  int32_t layer = prune::kAfterTower;
  for (const prune::Step& step : prune.steps) {
    // One step per layer: a second one would read attention over tokens that the first has dropped.
    const bool ascends = step.layer > layer || step.layer == prune::kAfterTower;
    WINNOW_CHECK(ascends && step.layer >= layer && step.layer < llama_.n_layer, InvalidArgument, kWhere,
                 "pruning steps, got one at layer {} after one at {}, expected ascending layers below {}",
                 step.layer, layer, llama_.n_layer);
    layer = step.layer;
  }
  assemble(prompt, images);
  share_budgets();
}

void Prefill::assemble(const Prompt& prompt, const std::vector<const EncodedImage*>& images) {
  hidden_ = embed_tokens(llama_, session_.model().text_file(), session_.deferred_);
  for (const PromptPiece& piece : prompt) {
    if (piece.image < 0) {
      const auto rows = embed_tokens(llama_, session_.model().text_file(), piece.ids);
      hidden_.insert(hidden_.end(), rows.begin(), rows.end());
      result_.n_text += static_cast<int32_t>(piece.ids.size());
    } else {
      WINNOW_CHECK(piece.image < static_cast<int32_t>(images.size()), InvalidArgument, kWhere,
                   "the prompt names image {}, got {} images", piece.image, images.size());
      const EncodedImage& image = *images[static_cast<std::size_t>(piece.image)];
      WINNOW_CHECK(std::ssize(image.projected) == int64_t{image.grid.size()} * llama_.n_embd, InvalidArgument,
                   kWhere, "image {}, got {} features for {} tokens of width {}: encode it with this model",
                   piece.image, image.projected.size(), image.grid.size(), llama_.n_embd);
      const auto first = static_cast<int32_t>(hidden_.size() / static_cast<std::size_t>(llama_.n_embd));
      images_.push_back({&image, first, image.grid.size(), first, image.grid.size(), {}});
      hidden_.insert(hidden_.end(), image.projected.begin(), image.projected.end());
    }
  }
  ids_.resize(hidden_.size() / static_cast<std::size_t>(llama_.n_embd));
  WINNOW_CHECK(!ids_.empty(), InvalidArgument, kWhere, "the prompt has no tokens");
  std::iota(ids_.begin(), ids_.end(), 0);
  id_span_ = n();
  n_visual_before_ = n_visual();
}

/// How many tokens each image keeps at every step. Before anything is run: a budget that cannot be met should
/// not cost the layers before its step.
void Prefill::share_budgets() {
  if (images_.empty()) return;
  std::vector<int32_t> sizes;
  std::vector<prune::Grid> grids;
  for (const ImageRun& run : images_) {
    sizes.push_back(run.count);
    grids.push_back(run.image->grid);
  }
  for (const prune::Step& step : prune_.steps) {
    const int32_t n_before = std::accumulate(sizes.begin(), sizes.end(), 0);
    sizes = prune::step_quotas(step, grids, sizes, llama_.n_layer);
    quotas_.push_back(sizes);
    if (step.budget.percent || step.budget.value <= 0.0) continue;
    if (step.budget.value > n_before) {
      result_.notes.push_back(
          fmt::format("{} visual tokens are to be kept, there are only {}: all of them are kept",
                      step.budget.to_string(), n_before));
    } else if (step.budget.value < static_cast<double>(sizes.size())) {
      result_.notes.push_back(fmt::format("{} visual tokens are to be kept of {} images: one of each is kept",
                                          step.budget.to_string(), sizes.size()));
    }
  }
}

int32_t Prefill::n_visual() const {
  int32_t total = 0;
  for (const ImageRun& run : images_) total += run.count;
  return total;
}

void Prefill::check_context() const {
  WINNOW_CHECK(
      session_.n_ids_ + id_span_ <= session_.n_ctx_, InvalidArgument, kWhere,
      "the prompt is longer than the context: got {} tokens ({} of them visual){}, expected at most {}",
      id_span_, n_visual(),
      session_.n_ids_ > 0 ? fmt::format(" after {} of earlier turns", session_.n_ids_) : "", session_.n_ctx_);
}

/// One chunk of tokens through the layers; returns the rows that leave the last of them.
std::vector<float> Prefill::run_chunk(int32_t start, int32_t size, int32_t first, int32_t last,
                                      bool all_logits, Taps& taps) {
  const auto width = static_cast<std::size_t>(llama_.n_embd);
  DecoderChunk chunk;
  chunk.hidden = std::span(hidden_).subspan(start * width, size * width);
  chunk.ids = std::span(ids_).subspan(static_cast<std::size_t>(start), static_cast<std::size_t>(size));
  chunk.first_layer = first;
  chunk.last_layer = last;
  chunk.logits = last == llama_.n_layer;
  if (!chunk.logits || all_logits) {
    chunk.out_rows.resize(static_cast<std::size_t>(size));
    std::iota(chunk.out_rows.begin(), chunk.out_rows.end(), 0);
  } else if (start + size == n()) {
    chunk.out_rows = {size - 1};
  }
  std::vector<AttentionRow*> wanted;
  for (AttentionRow* row : {&taps.last_text, &taps.last_visual}) {
    if (row->row >= start && row->row < start + size) wanted.push_back(row);
  }
  chunk.tap.layer = wanted.empty() ? -1 : last - 1;
  for (const AttentionRow* row : wanted) chunk.tap.rows.push_back(row->row - start);
  DecoderOutput out =
      run_llama(llama_, session_.model().decoder_weights(), chunk, session_.cache_, session_.execution());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    wanted[i]->n_key = out.n_key;
    wanted[i]->values = std::move(out.attention[i]);
  }
  return std::move(out.hidden);
}

/// Runs the sequence through layers [first, last), with logits when last is the end of the decoder.
/// `next`: the step that follows, whose attention rows are computed beside layer last - 1.
Prefill::Taps Prefill::run_layers(int32_t first, int32_t last, const prune::Step* next, bool all_logits) {
  KvCache& cache = session_.cache_;
  Taps taps;
  taps.n_past = cache.layer(last - 1).n;
  if (needs_signal(next, prune::Signal::LastTextAttention)) taps.last_text.row = n() - 1;
  if (needs_signal(next, prune::Signal::LastVisualAttention) && !images_.empty()) {
    taps.last_visual.row = images_.back().first + images_.back().count - 1;
  }
  const int32_t room = std::clamp(session_.n_ctx_ - session_.n_ids_ - id_span_, 0, reserve_);
  for (int32_t il = first; il < last; ++il) cache.reserve(il, cache.layer(il).n + n() + room);
  const int32_t wanted = session_.options_.n_batch > 0 ? session_.options_.n_batch : kDefaultBatch;
  const int32_t batch = session_.observer_ ? n() : wanted;
  std::vector<float> out;
  for (int32_t start = 0; start < n(); start += batch) {
    const auto rows = run_chunk(start, std::min(batch, n() - start), first, last, all_logits, taps);
    out.insert(out.end(), rows.begin(), rows.end());
  }
  for (int32_t il = first; il < last; ++il) cache.layer(il).next_id += id_span_;
  token_layers_ += static_cast<double>(last - first) * n_visual();
  (last == llama_.n_layer ? result_.logits : hidden_) = std::move(out);
  return taps;
}

/// Views of what the method needs for one image; `storage` owns what had to be copied.
prune::Signals Prefill::signals_of(const prune::Step& step, const ImageRun& run, const Taps& taps,
                                   std::vector<std::vector<float>>& storage) const {
  using prune::Signal;
  prune::Signals s;
  s.grid = run.image->grid;
  s.token_of = run.token_of;
  const int64_t n_cell = s.grid.size();
  const int64_t width = llama_.n_embd;
  const float* rows = hidden_.data() + run.first * width;
  const auto keep = [&](std::vector<float> values, int64_t cols) {
    storage.push_back(std::move(values));
    return view(storage.back(), cols);
  };
  const auto attention = [&](const AttentionRow& row) {
    return keep(columns(row.values, row.n_key, taps.n_past + run.first, run.count), run.count);
  };
  for (const prune::Need& need : step.use.method->needs(step.use.params)) {
    switch (need.signal) {
      case Signal::Projected:
      case Signal::Hidden:
        (need.signal == Signal::Hidden ? s.hidden : s.projected) = {rows, run.count, width};
        break;
      case Signal::HiddenLast: s.hidden_last = {hidden_.data() + (n() - 1) * width, 1, width}; break;
      case Signal::Tower: {
        const int64_t d_tower = session_.model().clip().n_embd;
        s.tower = run.token_of.empty() ? view(run.image->features, d_tower)
                                       : keep(pick_rows(run.image->features, run.token_of, n_cell), d_tower);
        break;
      }
      case Signal::LastTextAttention: s.last_text_attention = attention(taps.last_text); break;
      case Signal::LastVisualAttention: s.last_visual_attention = attention(taps.last_visual); break;
      case Signal::ClsAttention:
      case Signal::ColumnAttention:
      case Signal::TowerKeys: add_tower_tap(need, run, storage, s); break;
      case Signal::TextEmbeds: s.text_embeds = text_embeds(step); break;
      default:
        fail(ErrorCode::Unsupported, kWhere, "{} needs {}, which this engine cannot give yet",
             step.use.method->info().name, prune::signal_name(need.signal));
    }
  }
  return s;
}

/// Rows of the tokens behind the last image, before the decoder has changed them; the last token without any.
MatrixView Prefill::text_embeds(const prune::Step& step) const {
  WINNOW_CHECK(step.layer <= 0, Unsupported, kWhere, "{} before layer {} needs text_embeds, expected layer 0",
               step.use.method->info().name, step.layer);
  const ImageRun& last = images_.back();
  const int32_t first = std::min(last.first + last.count, n() - 1);
  return {hidden_.data() + int64_t{first} * llama_.n_embd, n() - first, llama_.n_embd};
}

/// The recorded signal of a tower block, for the tokens that are still there.
void Prefill::add_tower_tap(const prune::Need& need, const ImageRun& run,
                            std::vector<std::vector<float>>& storage, prune::Signals& s) const {
  const auto& recorded = run.image->signals;
  const auto found =
      std::find_if(recorded.begin(), recorded.end(), [&](const TowerSignal& t) { return t.need == need; });
  WINNOW_CHECK(found != recorded.end(), InvalidArgument, kWhere,
               "the image was encoded without {} of block {}: encode it for the steps that are run",
               prune::signal_name(need.signal), need.block);
  auto tap = std::find_if(s.tower_taps.begin(), s.tower_taps.end(),
                          [&](const prune::TowerTap& t) { return t.block == need.block; });
  if (tap == s.tower_taps.end()) {
    tap = s.tower_taps.emplace(s.tower_taps.end());
    tap->block = need.block;
  }
  const bool keys = need.signal == prune::Signal::TowerKeys;
  const int64_t cols = keys ? session_.model().clip().n_embd : run.count;
  MatrixView values = view(found->values, keys ? cols : run.image->grid.size());
  if (!run.token_of.empty()) {
    storage.push_back(still_there(*found, run.token_of, run.image->grid.size()));
    values = view(storage.back(), cols);
  }
  switch (need.signal) {
    case prune::Signal::ClsAttention: tap->cls_attention = values; break;
    case prune::Signal::ColumnAttention: tap->column_attention = values; break;
    default: tap->keys = values; break;
  }
}

void Prefill::record(const prune::Step& step, int32_t image, const ImageRun& run, const prune::Plan& plan) {
  StepResult out;
  out.method = step.use.method->info().name;
  out.layer = step.layer;
  out.image = image;
  out.n_before = run.count;
  out.scores = plan.scores;
  if (plan.is_selection()) {
    for (const int32_t token : plan.index) {
      out.kept.push_back(run.token_of.empty() ? token : run.token_of[static_cast<std::size_t>(token)]);
    }
  }
  out.plan = plan;
  result_.steps.push_back(std::move(out));
}

void Prefill::apply(std::size_t step_idx, const Taps& taps) {
  if (images_.empty()) return;
  watch_.lap();
  const prune::Step& step = prune_.steps[step_idx];
  std::vector<prune::Plan> plans;
  for (std::size_t i = 0; i < images_.size(); ++i) {
    std::vector<std::vector<float>> storage;
    prune::Signals signals = signals_of(step, images_[i], taps, storage);
    Rng rng(prune_.seed, i);
    plans.push_back(prune::run_method(step.use, signals, quotas_[step_idx][i], rng));
    if (session_.selection_observer_) {
      const int64_t width = llama_.n_embd;
      (step.layer == prune::kAfterTower ? signals.projected : signals.hidden) = {
          hidden_.data() + images_[i].first * width, images_[i].count, width};
      session_.selection_observer_(
          {step_idx, static_cast<int32_t>(i), step, quotas_[step_idx][i], signals, plans.back()});
    }
    record(step, static_cast<int32_t>(i), images_[i], plans.back());
  }
  result_.select_ms += watch_.lap();
  gather(plans, prune_.position.value_or(prune::default_position(step)));
  result_.gather_ms += watch_.lap();
}

/// Builds the shorter sequence: text rows as they are, per image the plan's weighted sums.
void Prefill::gather(const std::vector<prune::Plan>& plans, prune::PositionPolicy policy) {
  const auto width = static_cast<std::size_t>(llama_.n_embd);
  std::vector<float> hidden;
  std::vector<int32_t> ids;
  std::vector<prune::VisualSpan> spans;
  const auto copy = [&](int32_t first, int32_t last) {
    hidden.insert(hidden.end(), hidden_.begin() + static_cast<int64_t>(first * width),
                  hidden_.begin() + static_cast<int64_t>(last * width));
    ids.insert(ids.end(), ids_.begin() + first, ids_.begin() + last);
  };
  std::size_t n_rows = hidden_.size() / width;
  for (std::size_t i = 0; i < images_.size(); ++i) {
    n_rows -= static_cast<std::size_t>(images_[i].count - plans[i].n_out());
  }
  hidden.reserve(n_rows * width);
  ids.reserve(n_rows);
  int32_t done = 0;
  for (std::size_t i = 0; i < images_.size(); ++i) {
    ImageRun& run = images_[i];
    const prune::Plan& plan = plans[i];
    copy(done, run.first);
    done = run.first + run.count;
    const auto new_first = static_cast<int32_t>(ids.size());
    std::vector<int32_t> token_of;
    for (int32_t out = 0; out < plan.n_out(); ++out) {
      const auto sources = plan.sources(out);
      const auto weights = plan.weights(out);
      const std::size_t at = hidden.size();
      hidden.resize(at + width, 0.0f);
      for (std::size_t s = 0; s < sources.size(); ++s) {
        const float* row = hidden_.data() + static_cast<std::size_t>(run.first + sources[s]) * width;
        for (std::size_t c = 0; c < width; ++c) hidden[at + c] += weights[s] * row[c];
      }
      const int32_t token = plan.position_of[static_cast<std::size_t>(out)];
      const int32_t at_before = run.first + token;
      ids.push_back(ids_[static_cast<std::size_t>(at_before)]);
      token_of.push_back(run.token_of.empty() ? token : run.token_of[static_cast<std::size_t>(token)]);
    }
    run.first = new_first;
    run.count = plan.n_out();
    run.token_of = std::move(token_of);
    spans.push_back({run.first, run.count, run.first_id, run.n_ids});
  }
  copy(done, n());
  hidden_ = std::move(hidden);
  ids_ = prune::position_ids(policy, ids, spans, 0);
  if (policy == prune::PositionPolicy::Compact) {
    id_span_ = n();
    for (ImageRun& run : images_) {
      run.first_id = run.first;
      run.n_ids = run.count;
    }
  }
}

PrefillResult Prefill::run(bool all_logits) {
  result_.n_visual_before = n_visual_before_;
  result_.prefill_ms += watch_.lap();  // token embeddings
  const int32_t n_unpruned = n();
  int32_t layer = 0;
  std::size_t next = 0;
  const auto& steps = prune_.steps;
  for (; next < steps.size() && steps[next].layer <= 0; ++next) apply(next, {});
  check_context();
  session_.deferred_.clear();
  if (session_.observer_) {
    const int64_t shape[] = {1, n(), llama_.n_embd};
    session_.observer_("llm.embeds", shape, hidden_);
  }
  const int64_t used_before = session_.cache_.bytes_used();
  watch_.lap();
  while (layer < llama_.n_layer) {
    const prune::Step* step = next < steps.size() ? &steps[next] : nullptr;
    const int32_t end = step != nullptr ? step->layer : llama_.n_layer;
    const Taps taps = run_layers(layer, end, step, all_logits);
    result_.prefill_ms += watch_.lap();
    layer = end;
    for (; next < steps.size() && steps[next].layer == layer; ++next) apply(next, taps);
    watch_.lap();
  }
  int32_t used_ids = 0;
  for (int32_t il = 0; il < llama_.n_layer; ++il)
    used_ids = std::max(used_ids, session_.cache_.layer(il).next_id);
  session_.n_ids_ = used_ids;
  result_.n_visual_after = n_visual();
  result_.n_visual_average = token_layers_ / llama_.n_layer;
  result_.kv_bytes = session_.cache_.bytes_used() - used_before;
  result_.kv_bytes_unpruned = session_.cache_.bytes_per_token() * llama_.n_layer * n_unpruned;
  return std::move(result_);
}

PrefillResult Session::prefill(const Prompt& prompt, const std::vector<const EncodedImage*>& images,
                               const PruneOptions& prune, int32_t reserve, bool all_logits) {
  const std::vector<KvCache::Mark> marks = cache_.marks();
  const std::vector<int32_t> deferred = deferred_;
  try {
    return Prefill(*this, prompt, images, prune, reserve).run(all_logits);
  } catch (...) {
    cache_.rewind(marks);
    deferred_ = deferred;
    throw;
  }
}

}  // namespace winnow::engine
