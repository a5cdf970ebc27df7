// CLIP ViT forward pass, equal to transformers' CLIPVisionTransformer: [CLS] first, positions, pre-LayerNorm,
// then blocks of x + attention(LN(x)) and x + mlp(LN(x)).

#include "winnow/engine/vision/clip.h"

#include <memory>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/engine/vision/clip_graph.h"
#include "winnow/engine/vision/patches.h"
#include "winnow/engine/vision/windows.h"
#include "winnow/prune/tome.h"
#include "winnow/prune/tower_method.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.clip";

/// Reads a signal, drops [CLS] (its row of keys, its column of attention) and undoes the order of windows.
TowerSignal without_cls(const Wanted& item, const Graph& graph, const ClipConfig& config) {
  const std::vector<float> all = graph.read(item.tensor);
  TowerSignal signal = item.signal;
  const int64_t n_cls = config.has_cls ? 1 : 0;
  if (signal.need.signal == prune::Signal::TowerKeys) {
    signal.values =
        groups_in_raster_order(config, {all.begin() + n_cls * config.n_embd, all.end()}, 1, config.n_embd);
    return signal;
  }
  for (int64_t r = 0; r < signal.rows; ++r) {
    const auto row = all.begin() + r * item.n_token;
    signal.values.insert(signal.values.end(), row + n_cls, row + item.n_token);
  }
  signal.values = groups_in_raster_order(config, std::move(signal.values), signal.rows, 1);
  return signal;
}

/// A plan over rows with [CLS] in front, as one over the patches alone.
prune::Plan of_patches(const prune::Plan& rows, int32_t n_cls) {
  prune::Plan out;
  for (int32_t o = n_cls; o < rows.n_out(); ++o) {
    std::vector<int32_t> sources(rows.sources(o).begin(), rows.sources(o).end());
    for (int32_t& source : sources) source -= n_cls;
    out.add_merged(sources, rows.weights(o), rows.position_of[static_cast<std::size_t>(o)] - n_cls);
  }
  return out;
}

/// The tower from pixels to features, cut into graphs where rows are merged.
class ClipRun {
 public:
  ClipRun(const ClipConfig& config, const Weights& weights, const TowerRequest& request,
          const Execution& execution);
  TowerOutput run(std::span<const Pixels> frames);

 private:
  void check_signals() const;
  void begin();
  void end();
  ggml_tensor* merged(ggml_tensor* x, int32_t il, prune::MergePlace place);
  void merge(const std::vector<float>& keys, int32_t n_merge);

  const ClipConfig& config_;
  const Weights& weights_;
  const TowerRequest& request_;
  const Execution& execution_;
  int32_t n_cls_;
  const prune::TowerMethod* method_ = nullptr;
  std::vector<int32_t> rows_to_merge_;  // [n_layer]
  std::unique_ptr<ClipGraph> clip_;
  TowerOutput out_;
  std::vector<float> hidden_;     ///< rows behind the last cut
  std::vector<float> sizes_;      ///< patches that each row stands for
  std::vector<float> log_sizes_;  ///< empty where attention does not weigh them
  prune::Plan plan_;              ///< rows, of the rows that entered block 0
};

ClipRun::ClipRun(const ClipConfig& config, const Weights& weights, const TowerRequest& request,
                 const Execution& execution)
    : config_(config),
      weights_(weights),
      request_(request),
      execution_(execution),
      n_cls_(config.has_cls ? 1 : 0) {
  for (const prune::Need& need : request.needs) {
    const std::string missing = missing_tower_signal(config, need);
    WINNOW_CHECK(missing.empty(), Unsupported, kWhere, "{} is wanted {}", prune::signal_name(need.signal),
                 missing);
  }
  if (!request.merge) return;
  method_ = prune::as_tower_method(request.merge->use);
  WINNOW_ASSERT(method_ != nullptr);
  rows_to_merge_ = method_->rows_to_merge(config.n_patch(), config.has_cls, config.n_layer,
                                          request.merge->n_keep, request.merge->use.params);
  sizes_.assign(static_cast<std::size_t>(config.n_token()), 1.0F);
  plan_ = prune::identity_plan(config.n_token());
  check_signals();
}

/// Signals are of the tokens that come out, so no rows may be merged behind them.
void ClipRun::check_signals() const {
  int32_t last = -1;
  for (int32_t il = 0; il < config_.n_layer; ++il) {
    if (rows_to_merge_[static_cast<std::size_t>(il)] != 0) last = il;
  }
  for (const prune::Need& need : request_.needs) {
    if (!prune::is_tower_tap(need.signal)) continue;
    const int32_t block = prune::resolve_block(need.block, config_.n_layer);
    WINNOW_CHECK(block > last, Unsupported, kWhere,
                 "{} is wanted of tower block {}, but {} merges rows up to block {}",
                 prune::signal_name(need.signal), block, method_->info().name, last);
  }
}

void ClipRun::begin() {
  clip_ = std::make_unique<ClipGraph>(config_, weights_, request_.needs.size(), execution_);
}

/// Runs the graph at hand and keeps the signals in it.
void ClipRun::end() {
  clip_->graph.run(execution_.backends);
  for (const Wanted& item : clip_->wanted) out_.signals.push_back(without_cls(item, clip_->graph, config_));
}

/// x, or what is left of it in a new graph when the method merges rows at this place.
ggml_tensor* ClipRun::merged(ggml_tensor* x, int32_t il, prune::MergePlace place) {
  if (method_ == nullptr || il >= config_.n_layer || place != method_->place()) return x;
  const int32_t n_merge = rows_to_merge_[static_cast<std::size_t>(il)];
  if (n_merge == 0) return x;
  ggml_tensor* hidden = clip_->graph.output(ggml_cont(clip_->graph.ctx(), x));
  const bool reads_keys = place == prune::MergePlace::BehindAttention;
  ggml_tensor* keys =
      reads_keys ? clip_->graph.output(ggml_cont(clip_->graph.ctx(), clip_->keys())) : nullptr;
  end();
  hidden_ = clip_->graph.read(hidden);
  merge(keys != nullptr ? clip_->graph.read(keys) : std::vector<float>(), n_merge);
  begin();
  return clip_->rows(hidden_);
}

/// keys: [t, n_embd], heads side by side
void ClipRun::merge(const std::vector<float>& keys, int32_t n_merge) {
  const auto n = static_cast<int64_t>(sizes_.size());
  const int64_t d_head = config_.n_embd / config_.n_head;
  std::vector<float> mean(static_cast<std::size_t>(keys.empty() ? 0 : n * d_head), 0.0F);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto row = static_cast<int64_t>(i) / config_.n_embd;
    const auto at = static_cast<int64_t>(i) % d_head;
    mean[static_cast<std::size_t>(row * d_head + at)] += keys[i] / static_cast<float>(config_.n_head);
  }
  const MatrixView hidden{hidden_.data(), n, config_.n_embd};
  const MatrixView mean_keys = mean.empty() ? MatrixView{} : MatrixView{mean.data(), n, d_head};
  const prune::Params& params = request_.merge->use.params;
  prune::Merge merge =
      method_->merge({config_.grid(), config_.has_cls, hidden, mean_keys, sizes_}, n_merge, params);
  hidden_ = prune::apply_plan(merge.plan, hidden);
  plan_ = prune::compose_plans(plan_, merge.plan);
  sizes_ = std::move(merge.sizes);
  if (method_->weighs_sizes(params)) log_sizes_ = prune::log_size_bias(sizes_);
}

TowerOutput ClipRun::run(std::span<const Pixels> frames) {
  begin();
  std::vector<std::vector<float>> patches;  // read by the run
  for (const Pixels& frame : frames) patches.push_back(cut_patches(config_, frame));
  ggml_tensor* x = clip_->embed(patches);
  ggml_tensor* last = x;
  for (int32_t il = 0; il < config_.n_layer_run; ++il) {
    const auto n_attention = static_cast<int32_t>(x->ne[1]);
    x = clip_->attention_half(x, il, request_, log_sizes_);
    x = merged(x, il, prune::MergePlace::BehindAttention);
    out_.rows.push_back(
        {n_attention, static_cast<int32_t>(x->ne[1]), config_.is_windowed(il) ? window_pairs(config_) : 0});
    x = clip_->mlp_half(x, il);
    x = merged(x, il, prune::MergePlace::BehindBlock);
    if (il + 1 == config_.n_layer) last = x;
  }
  if (clip_->taps_block(config_.n_layer, request_) && config_.n_layer_run == config_.n_layer) {
    clip_->taps_alone(last, config_.n_layer, request_);
  }
  ggml_context* ctx = clip_->graph.ctx();
  const int64_t n_out = last->ne[1] - n_cls_;
  ggml_tensor* rows = ggml_view_2d(ctx, last, last->ne[0], n_out, last->nb[1],
                                   static_cast<std::size_t>(n_cls_) * last->nb[1]);
  ggml_tensor* selected = clip_->graph.output(ggml_cont(ctx, rows));
  clip_->graph.observe("selected", selected, config_.shape(n_out));
  ggml_tensor* cls = nullptr;
  if (request_.wants(prune::Signal::ClsToken)) {
    cls = clip_->graph.output(ggml_cont(ctx, ggml_view_2d(ctx, last, last->ne[0], 1, last->nb[1], 0)));
  }
  end();
  out_.features = groups_in_raster_order(config_, clip_->graph.read(selected), 1, config_.n_embd);
  if (cls != nullptr) out_.cls = clip_->graph.read(cls);
  if (method_ != nullptr) out_.merge = of_patches(plan_, n_cls_);
  return std::move(out_);
}

}  // namespace

TowerOutput run_clip(const ClipConfig& config, const Weights& weights, std::span<const Pixels> frames,
                     const TowerRequest& request, const Execution& execution) {
  WINNOW_ASSERT(!frames.empty() && std::ssize(frames) <= config.n_frame);
  return ClipRun(config, weights, request, execution).run(frames);
}

}  // namespace winnow::engine
