#include "winnow/engine/prefill.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/engine/tile_step.h"
#include "winnow/engine/tower_request.h"
#include "winnow/prune/streams.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.prefill";
/// llama.cpp's own chunk (n_ubatch): scratch memory grows with it. Other sizes have not been compared.
constexpr int32_t kDefaultBatch = 512;

/// run_method() does not ask a method about an image of which everything stays or everything goes.
bool is_asked(const std::vector<int32_t>& quotas, const std::vector<int32_t>& tokens) {
  for (std::size_t i = 0; i < quotas.size(); ++i) {
    if (quotas[i] != tokens[i] && quotas[i] != 0) return true;
  }
  return false;
}

/// Which of the image's tokens, as if nothing had been merged in the tower, a row of it is.
int32_t token_of_row(const EncodedImage& image, int32_t row) {
  return image.merge ? image.merge->position_of[static_cast<std::size_t>(row)] : row;
}

bool reads(const prune::Step& step, prune::Signal signal) {
  const auto needs = step.use.method->needs(step.use.params);
  return std::any_of(needs.begin(), needs.end(), [&](const prune::Need& n) { return n.signal == signal; });
}

/// What the plan of a step acts on.
prune::Signal acted_on(const prune::Step& step) {
  return step.layer == prune::kAfterTower ? prune::Signal::Projected : prune::Signal::Hidden;
}

/// Newlines do not come from the tower: those that a plan keeps are taken as they are.
void keep_newlines(const TokenLayout& layout, const prune::Plan& plan, const MatrixView& rows,
                   std::vector<float>& outputs) {
  if (layout.cells.empty()) return;
  for (int32_t o = 0; o < plan.n_out(); ++o) {
    const int32_t token = plan.sources(o).front();
    if (token >= rows.rows || layout.tile_of(layout.cells[static_cast<std::size_t>(token)]) >= 0) continue;
    std::copy_n(rows.row(token).begin(), rows.cols, outputs.begin() + o * rows.cols);
  }
}

}  // namespace

Prefill::Prefill(Session& session, const Prompt& prompt, const std::vector<const EncodedImage*>& images,
                 const PruneOptions& prune, int32_t reserve)
    : session_(session), llama_(session.model().llama()), prune_(prune), reserve_(std::max(reserve, 0)) {
  assemble(prompt, images);
  if (!sequence_.images.empty()) {
    const std::vector<prune::Step> steps = resolve_steps(session.model(), prune.steps);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (!reads(steps[i], prune::Signal::ClipText) || reads(prune.steps[i], prune::Signal::ClipText))
        continue;
      result_.notes.push_back(fmt::format("{} asks CLIP's text tower for relevance (relevance=clip)",
                                          steps[i].use.method->info().name));
    }
    steps_ = prune::expand_steps(steps, sequence_.n_visual(), llama_.n_layer);
    check_steps();
  }
  if (is_read(prune::Signal::TextEmbeds, prune::kAfterTower)) {
    const auto rows = sequence_.rows(sequence_.first_text(), sequence_.n_text()).all();
    sequence_.text_embeds.assign(rows.begin(), rows.end());
  }
}

void Prefill::assemble(const Prompt& prompt, const std::vector<const EncodedImage*>& images) {
  Sequence& s = sequence_;
  s.width = llama_.n_embd;
  s.hidden = embed_tokens(llama_, session_.model().text_file(), session_.deferred_);
  for (const PromptPiece& piece : prompt) {
    if (piece.image < 0) {
      const auto rows = embed_tokens(llama_, session_.model().text_file(), piece.ids);
      s.hidden.insert(s.hidden.end(), rows.begin(), rows.end());
      result_.n_text += static_cast<int32_t>(piece.ids.size());
    } else {
      WINNOW_CHECK(piece.image < static_cast<int32_t>(images.size()), InvalidArgument, kWhere,
                   "the prompt names image {}, got {} images", piece.image, images.size());
      const EncodedImage& image = *images[static_cast<std::size_t>(piece.image)];
      WINNOW_CHECK(std::ssize(image.projected) == int64_t{image.n_token()} * llama_.n_embd, InvalidArgument,
                   kWhere, "image {}, got {} features for {} tokens of width {}: encode it with this model",
                   piece.image, image.projected.size(), image.n_token(), llama_.n_embd);
      ImageRun& run = s.images.emplace_back();
      run.image = &image;
      run.first = static_cast<int32_t>(std::ssize(s.hidden) / s.width);
      run.count = image.n_token();
      run.token_of = image.merge ? image.merge->position_of : image.layout.cells;
      s.hidden.insert(s.hidden.end(), image.projected.begin(), image.projected.end());
      result_.n_visual_before += image.layout.n();
    }
  }
  s.ids.resize(s.hidden.size() / static_cast<std::size_t>(s.width));
  WINNOW_CHECK(!s.ids.empty(), InvalidArgument, kWhere, "the prompt has no tokens");
  number(s);
}

/// Position ids as if nothing were merged in the tower, and then what the policy of that step makes of them.
void Prefill::number(Sequence& s) const {
  int32_t next = 0;
  int32_t id = 0;
  const auto number_text = [&](int32_t end) {
    for (; next < end; ++next) s.ids[static_cast<std::size_t>(next)] = id++;
  };
  for (ImageRun& run : s.images) {
    number_text(run.first);
    run.first_id = id;
    run.n_ids = run.image->layout.n();
    for (int32_t i = 0; i < run.count; ++i, ++next) {
      s.ids[static_cast<std::size_t>(next)] = id + token_of_row(*run.image, i);
    }
    id += run.n_ids;
  }
  number_text(s.n());
  s.id_span = id;
  s.origin = s.ids;
  if (llama_.rope.has_axes()) number_axes(s);
  const auto merging = std::find_if(prune_.steps.begin(), prune_.steps.end(),
                                    [](const prune::Step& step) { return step.layer == prune::kInTower; });
  if (merging == prune_.steps.end()) return;
  std::vector<prune::VisualSpan> spans;
  for (const ImageRun& run : s.images) spans.push_back({run.first, run.count, run.first_id, run.n_ids});
  renumber(s, spans, prune_.position.value_or(prune::default_position(*merging)));
}

/// Ids on three axes, as transformers' Qwen2VLModel.get_rope_index: the tokens of a picture, or of a temporal
/// step of a video, share an id in time and have its rows and columns; all axes begin behind the text, which
/// goes on behind the largest id.
void Prefill::number_axes(Sequence& s) {
  int32_t next = 0;
  int32_t id = 0;
  s.row_ids = s.col_ids = s.ids;
  const auto set = [&](int32_t time, int32_t row, int32_t col) {
    const auto i = static_cast<std::size_t>(next++);
    s.ids[i] = time;
    s.row_ids[i] = row;
    s.col_ids[i] = col;
  };
  for (ImageRun& run : s.images) {
    for (; next < run.first; ++id) set(id, id, id);
    const TokenLayout& layout = run.image->layout;
    const prune::Grid grid{layout.grid.rows / layout.n_step, layout.grid.cols};
    for (int32_t i = 0; i < run.count; ++i) {
      const int32_t cell = run.token_of.empty() ? i : run.token_of[static_cast<std::size_t>(i)];
      const int32_t in_step = cell % grid.size();
      set(id + cell / grid.size(), id + in_step / grid.cols, id + in_step % grid.cols);
    }
    run.first_id = id;
    run.id_grid = grid;
    run.n_time = layout.n_step;
    run.n_ids = std::max({layout.n_step, grid.rows, grid.cols});
    id += run.n_ids;
  }
  for (; next < s.n(); ++id) set(id, id, id);
  s.id_span = id;
}

/// Before anything is run: a step that is out of place, a signal that the model cannot give or a budget that
/// cannot be met should not cost the layers before it. Behind a step whose method decides the count, budgets
/// are checked against all that could be left.
void Prefill::check_steps() const {
  check_pictures();
  std::vector<int32_t> tokens = sequence_.image_tokens();
  int32_t layer = prune::kAfterTower;
  for (const prune::Step& step : steps_) {
    if (step.layer == prune::kBeforeTower) continue;
    if (step.layer == prune::kInTower) {
      check_merged(step);
      continue;
    }
    // One step per layer: a second one would read attention over tokens that the first has dropped.
    const bool ascends = step.layer > layer || step.layer == prune::kAfterTower;
    WINNOW_CHECK(ascends && step.layer >= layer && step.layer < llama_.n_layer, InvalidArgument, kWhere,
                 "pruning steps, got one at layer {} after one at {}, expected ascending layers below {}",
                 step.layer, layer, llama_.n_layer);
    layer = step.layer;
    const std::vector<int32_t> left = quotas(step, tokens);
    if (is_asked(left, tokens)) {
      check_step(session_.model(), step);
      WINNOW_CHECK(!prune_.question.empty() || !reads(step, prune::Signal::ClipText), InvalidArgument, kWhere,
                   "{} reads the question through CLIP's text tower, got none, expected a text in "
                   "PruneOptions::question",
                   step.use.method->info().name);
    }
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (left[i] != prune::kMethodDecides) tokens[i] = left[i];
    }
  }
}

/// The pictures were made smaller when they were encoded, or not at all.
void Prefill::check_pictures() const {
  const auto n_images = static_cast<int32_t>(sequence_.images.size());
  for (const ImageRun& run : sequence_.images) {
    const TokenLayout& layout = run.image->layout;
    const prune::Grid& grid = layout.tile;
    const prune::Grid wanted =
        picture_grid(session_.model(), steps_, n_images, run.image->full, layout.n_step);
    WINNOW_CHECK(grid.rows == wanted.rows && grid.cols == wanted.cols, InvalidArgument, kWhere,
                 "an image was encoded as {} x {} visual tokens, expected {} x {}: encode it for the steps "
                 "that are run",
                 grid.rows, grid.cols, wanted.rows, wanted.cols);
  }
}

/// A step in the tower was done when the images were encoded, or not at all.
void Prefill::check_merged(const prune::Step& step) const {
  const std::string wanted = step.use.to_string();
  WINNOW_CHECK(
      std::all_of(steps_.data(), &step, [](const prune::Step& s) { return s.layer == prune::kBeforeTower; }),
      InvalidArgument, kWhere, "{} acts in the tower, got another step in front of it",
      step.use.method->info().name);
  for (const ImageRun& run : sequence_.images) {
    WINNOW_CHECK(
        run.image->merged_by == wanted, InvalidArgument, kWhere,
        "an image was encoded with {} in the tower, expected {}: encode it for the steps that are run",
        run.image->merged_by.empty() ? "nothing" : run.image->merged_by, wanted);
  }
}

/// Does a step at `from_layer` or later read the signal?
bool Prefill::is_read(prune::Signal signal, int32_t from_layer) const {
  return std::any_of(steps_.begin(), steps_.end(), [&](const prune::Step& step) {
    return step.layer >= from_layer && reads(step, signal);
  });
}

/// The question in CLIP's joint space, if the step's method will look at it and no earlier one has.
void Prefill::read_question(const prune::Step& step) {
  if (!reads(step, prune::Signal::ClipText) || !sequence_.clip_text.empty()) return;
  std::string question = prune_.question;
  const std::string_view marker = kImageMarker;
  for (std::size_t at = question.find(marker); at != std::string::npos; at = question.find(marker, at)) {
    question.replace(at, marker.size(), 1, ' ');
  }
  sequence_.clip_text = session_.model().clip_joint()->text(question, session_.execution(false));
}

std::vector<int32_t> Prefill::quotas(const prune::Step& step,
                                     const std::vector<int32_t>& image_tokens) const {
  return picture_quotas(step, sequence_.images, image_tokens, llama_.n_layer);
}

void Prefill::check_context() const {
  const std::string length = llama_.rope.has_axes()
                                 ? fmt::format("{} position ids for {} tokens", sequence_.id_span, n())
                                 : fmt::format("{} tokens", sequence_.id_span);
  WINNOW_CHECK(session_.n_ids_ + sequence_.id_span <= session_.n_ctx_, InvalidArgument, kWhere,
               "the prompt is longer than the context: got {} ({} of them visual){}, expected at most {}",
               length, sequence_.n_visual(),
               session_.n_ids_ > 0 ? fmt::format(" after {} of earlier turns", session_.n_ids_) : "",
               session_.n_ctx_);
}

/// The sequence is what layer 0 reads.
void Prefill::enter_decoder() {
  check_context();
  session_.deferred_.clear();
  if (session_.observer_) {
    const int64_t shape[] = {1, n(), llama_.n_embd};
    session_.observer_("llm.embeds", shape, sequence_.hidden);
    if (llama_.rope.has_axes()) show_axes();
  }
  if (!is_read(prune::Signal::InputEmbeds, 1) && !is_read(prune::Signal::Projected, 1)) return;
  for (ImageRun& run : sequence_.images) {
    const auto rows = sequence_.rows(run.first, run.count).all();
    run.input.assign(rows.begin(), rows.end());
    run.input_of.clear();
  }
}

/// Time, row and column of every token.
void Prefill::show_axes() const {
  std::vector<float> values;
  const int32_t first_id = session_.cache_.layer(0).next_id;
  for (const auto* axis : {&sequence_.ids, &sequence_.row_ids, &sequence_.col_ids}) {
    for (const int32_t id : *axis) values.push_back(static_cast<float>(first_id + id));
  }
  const int64_t shape[] = {3, n()};
  session_.observer_("position_ids_thw", shape, values);
}

/// One chunk of tokens through the layers; returns the rows that leave the last of them.
std::vector<float> Prefill::run_chunk(int32_t start, int32_t size, int32_t first, int32_t last,
                                      bool all_logits, StepSignals* signals) {
  DecoderChunk chunk;
  chunk.hidden = sequence_.rows(start, size).all();
  chunk.ids = sequence_.position_ids().part(static_cast<std::size_t>(start), static_cast<std::size_t>(size));
  chunk.first_layer = first;
  chunk.last_layer = last;
  chunk.logits = last == llama_.n_layer;
  if (!chunk.logits || all_logits) {
    chunk.out_rows.resize(static_cast<std::size_t>(size));
    std::iota(chunk.out_rows.begin(), chunk.out_rows.end(), 0);
  } else if (start + size == n()) {
    chunk.out_rows = {size - 1};
  }
  if (signals != nullptr) chunk.tap = signals->tap(start, size);
  DecoderOutput out =
      run_llama(llama_, session_.model().decoder_weights(), chunk, session_.cache_, session_.execution());
  if (signals != nullptr) signals->take(start, chunk.tap, out);
  return std::move(out.hidden);
}

/// Runs the sequence through layers [first, last), with logits when last is the end of the decoder. signals:
/// of the step that follows, computed beside layer last - 1.
void Prefill::run_layers(int32_t first, int32_t last, StepSignals* signals, bool all_logits) {
  if (first == last) return;
  KvCache& cache = session_.cache_;
  const int32_t id_span = sequence_.id_span;
  const int32_t room = std::clamp(session_.n_ctx_ - session_.n_ids_ - id_span, 0, reserve_);
  for (int32_t il = first; il < last; ++il) cache.reserve(il, cache.layer(il).n + n() + room);
  const int32_t wanted = session_.options_.n_batch > 0 ? session_.options_.n_batch : kDefaultBatch;
  const int32_t batch = session_.observer_ ? n() : wanted;
  std::vector<float> out;
  for (int32_t start = 0; start < n(); start += batch) {
    const auto rows = run_chunk(start, std::min(batch, n() - start), first, last, all_logits, signals);
    out.insert(out.end(), rows.begin(), rows.end());
  }
  for (int32_t il = first; il < last; ++il) cache.layer(il).next_id += id_span;
  segments_.push_back({last, sequence_.origin});
  token_layers_ += static_cast<double>(last - first) * sequence_.n_visual();
  (last == llama_.n_layer ? result_.logits : sequence_.hidden) = std::move(out);
}

/// The layers in front of a step; cut before the last of them when the method reads what enters it.
void Prefill::run_to_step(int32_t first, int32_t last, StepSignals& signals) {
  if (signals.wants_previous()) {
    run_layers(first, last - 1, nullptr, false);
    signals.take_previous();
    first = last - 1;
  }
  run_layers(first, last, &signals, false);
}

void Prefill::run_step(std::size_t step_idx, int32_t first_layer) {
  const prune::Step& step = steps_[step_idx];
  const std::vector<int32_t> tokens = sequence_.image_tokens();
  const std::vector<int32_t> left = quotas(step, tokens);
  note_budget(step, tokens);
  StepSignals signals(session_.model(), session_.cache_, session_.execution(false), sequence_, step,
                      is_asked(left, tokens));
  run_to_step(first_layer, std::max(step.layer, 0), signals);
  result_.prefill_ms += watch_.lap();
  if (is_asked(left, tokens)) read_question(step);
  apply(step_idx, left, signals);
}

void Prefill::note_budget(const prune::Step& step, const std::vector<int32_t>& image_tokens) {
  const bool scheduled = prune::runs_own_schedule(prune_.steps);
  if (scheduled || step.budget.percent || step.budget.value <= 0.0) return;
  const int32_t n_before = std::accumulate(image_tokens.begin(), image_tokens.end(), 0);
  const auto n_images =
      image_tokens.size() - static_cast<std::size_t>(std::count(image_tokens.begin(), image_tokens.end(), 0));
  if (step.budget.value > n_before) {
    result_.notes.push_back(
        fmt::format("{} visual tokens are to be kept, there are only {}: all of them are kept",
                    step.budget.to_string(), n_before));
  } else if (step.budget.value < static_cast<double>(n_images)) {
    result_.notes.push_back(fmt::format("{} visual tokens are to be kept of {} images: one of each is kept",
                                        step.budget.to_string(), n_images));
  }
}

void Prefill::record(std::size_t step_idx, std::size_t image, const prune::Plan& plan) {
  const prune::Step& step = steps_[step_idx];
  const ImageRun& run = sequence_.images[image];
  StepResult out;
  out.step = static_cast<int32_t>(step_idx);
  out.method = step.use.method->info().name;
  out.layer = step.layer;
  out.image = static_cast<int32_t>(image);
  out.n_before = run.count;
  out.scores = plan.scores;
  if (plan.is_selection()) {
    for (const int32_t token : plan.index) {
      const int32_t row = run.row_of.empty() ? token : run.row_of[static_cast<std::size_t>(token)];
      out.kept.push_back(token_of_row(*run.image, row));
    }
  }
  out.plan = plan;
  result_.steps.push_back(std::move(out));
}

/// Results of the steps that were done when the images were encoded: a smaller picture keeps all of its
/// tokens, the tower merged patches. How many steps these are.
std::size_t Prefill::show_encoded() {
  std::size_t n_step = 0;
  for (; n_step < steps_.size() && steps_[n_step].layer <= prune::kInTower; ++n_step) {
    const prune::Step& step = steps_[n_step];
    const bool resized = step.layer == prune::kBeforeTower;
    for (std::size_t i = 0; i < sequence_.images.size(); ++i) {
      const EncodedImage& image = *sequence_.images[i].image;
      StepResult& out = result_.steps.emplace_back();
      out.step = static_cast<int32_t>(n_step);
      out.method = step.use.method->info().name;
      out.layer = step.layer;
      out.image = static_cast<int32_t>(i);
      out.n_before = resized ? image.n_full() : image.layout.n();
      out.plan = resized ? prune::identity_plan(image.layout.n()) : *image.merge;
      if (resized) out.kept = out.plan.index;
    }
    result_.computed.emplace_back();
  }
  return n_step;
}

/// Shows a selection to who wants to see it, with what the plan acts on.
void Prefill::show(std::size_t step_idx, std::size_t image, int32_t n_keep, prune::Signals signals,
                   const prune::Plan& plan) const {
  if (!session_.selection_observer_) return;
  const ImageRun& run = sequence_.images[image];
  signals.set({acted_on(steps_[step_idx])}, sequence_.rows(run.first, run.count));
  session_.selection_observer_(
      {step_idx, static_cast<int32_t>(image), -1, steps_[step_idx], n_keep, signals, plan});
}

/// The plan of an image that has tokens left.
prune::Plan Prefill::plan_of(std::size_t step_idx, std::size_t image, int32_t n_keep, StepSignals& signals) {
  const prune::Step& step = steps_[step_idx];
  const ImageRun& run = sequence_.images[image];
  const prune::Signals of_image = signals.of_image(image);
  if (!is_tilewise(step, *run.image)) {
    Rng rng(prune_.seed, prune::random_stream(static_cast<int32_t>(image)));
    prune::Plan plan = prune::run_method(step.use, of_image, n_keep, rng);
    show(step_idx, image, n_keep, of_image, plan);
    return plan;
  }
  const auto show_tile = [&](int32_t tile, int32_t n, const std::vector<int32_t>& tokens,
                             prune::Signals of_tile, const prune::Plan& plan) {
    if (!session_.selection_observer_) return;
    std::vector<float> rows;
    for (const int32_t token : tokens) {
      const auto row = sequence_.rows(run.first + token, 1).all();
      rows.insert(rows.end(), row.begin(), row.end());
    }
    of_tile.set({acted_on(step)}, {rows.data(), std::ssize(tokens), sequence_.width});
    session_.selection_observer_({step_idx, static_cast<int32_t>(image), tile, step, n, of_tile, plan});
  };
  return plan_by_tile(step, run, of_image, n_keep, {prune_.seed, static_cast<int32_t>(image)}, show_tile);
}

/// What a plan makes of an image. Authors who merge in front of the projector get that, as long as tokens are
/// patches of which none is gone yet; behind merged ones their rows are what there is.
std::vector<float> Prefill::outputs(const prune::Step& step, const ImageRun& run, const prune::Plan& plan) {
  const Model& model = session_.model();
  const EncodedImage& image = *run.image;
  const bool patches =
      run.row_of.empty() && run.count > 0 && model.mlp().merge.side == 1 && !image.layout.shrunk;
  const MatrixView rows = sequence_.rows(run.first, run.count);
  const std::span<const float> cls = step.layer <= 0 ? std::span(image.cls_token) : std::span<const float>();
  if (step.layer != prune::kAfterTower || !step.use.method->info().before_projector || !patches ||
      plan.is_selection()) {
    return plan_outputs(plan, rows, cls);
  }
  const MatrixView features{image.features.data(), run.count, model.clip().n_embd};
  std::vector<float> out =
      run_mlp(model.mlp(), model.projector_weights(), plan_outputs(plan, features, image.cls_feature),
              session_.execution(false));
  keep_newlines(image.layout, plan, rows, out);
  return out;
}

void Prefill::apply(std::size_t step_idx, const std::vector<int32_t>& quotas, StepSignals& signals) {
  const prune::Step& step = steps_[step_idx];
  std::vector<prune::Plan> plans(quotas.size());
  for (std::size_t i = 0; i < plans.size(); ++i) {
    if (sequence_.images[i].count > 0) {
      plans[i] = plan_of(step_idx, i, quotas[i], signals);
    }
    record(step_idx, i, plans[i]);
  }
  result_.computed.push_back(signals.computed());
  result_.select_ms += watch_.lap();
  std::vector<std::vector<float>> rows;
  for (std::size_t i = 0; i < plans.size(); ++i) rows.push_back(outputs(step, sequence_.images[i], plans[i]));
  gather(sequence_, plans, rows, prune_.position.value_or(prune::default_position(step)));
  WINNOW_CHECK(n() > 0, InvalidArgument, kWhere,
               "{} leaves nothing of a prompt without text, expected at least one token",
               step.use.method->info().name);
  result_.gather_ms += watch_.lap();
}

/// Cuts down the caches between the steps of a method that does so (MethodInfo::trims_cache).
void Prefill::trim_caches() {
  std::vector<int32_t> layers;
  for (const prune::Step& step : steps_) {
    if (step.use.method->info().trims_cache) layers.push_back(step.layer);
  }
  if (layers.size() < 2) return;
  const int32_t first = layers.front() - 1;
  const int32_t last = layers.back();
  const std::set<int32_t> left(sequence_.origin.begin(), sequence_.origin.end());
  auto segment = segments_.begin();
  for (int32_t il = std::max(first, 0); il < last; ++il) {
    while (segment->end_layer <= il) ++segment;
    const std::vector<int32_t>& origin = segment->origin;
    const int32_t n_past = session_.cache_.layer(il).n - static_cast<int32_t>(std::ssize(origin));
    std::vector<int32_t> rows(static_cast<std::size_t>(n_past));
    std::iota(rows.begin(), rows.end(), 0);
    for (std::size_t i = 0; i < origin.size(); ++i) {
      if (left.contains(origin[i])) rows.push_back(n_past + static_cast<int32_t>(i));
    }
    session_.cache_.keep_rows(il, rows, !llama_.rope.has_axes());
  }
}

PrefillResult Prefill::run(bool all_logits) {
  result_.prefill_ms += watch_.lap();  // token embeddings
  int32_t n_unpruned = n() - sequence_.n_visual();
  for (const ImageRun& run : sequence_.images) n_unpruned += run.image->n_full();
  std::size_t next = show_encoded();
  for (; next < steps_.size() && steps_[next].layer <= 0; ++next) run_step(next, 0);
  enter_decoder();
  const int64_t used_before = session_.cache_.bytes_used();
  int32_t layer = 0;
  result_.gather_ms += watch_.lap();
  for (; next < steps_.size(); layer = steps_[next++].layer) run_step(next, layer);
  run_layers(layer, llama_.n_layer, nullptr, all_logits);
  trim_caches();
  result_.prefill_ms += watch_.lap();

  int32_t used_ids = 0;
  for (int32_t il = 0; il < llama_.n_layer; ++il)
    used_ids = std::max(used_ids, session_.cache_.layer(il).next_id);
  session_.n_ids_ = used_ids;
  result_.schedule = std::move(steps_);
  result_.n_visual_after = sequence_.n_visual();
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
