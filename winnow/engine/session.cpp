#include "winnow/engine/session.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/engine/step_signals.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.session";

int32_t default_threads() {
  const auto n = static_cast<int32_t>(std::thread::hardware_concurrency());
  return std::clamp(n, 1, 64);
}

ggml_type kv_type_of(const std::string& name, bool f32) {
  if (f32 || name == "f32") return GGML_TYPE_F32;
  if (name == "f16") return GGML_TYPE_F16;
  if (name == "bf16") return GGML_TYPE_BF16;
  if (name == "q8_0") return GGML_TYPE_Q8_0;
  fail(ErrorCode::InvalidArgument, kWhere, "KV type, got '{}', expected f32, f16, bf16 or q8_0", name);
}

/// Features and signals of the tower per visual token. Where the projector merges patches, all of them become
/// means over the group, so that methods see one row (or column) for each token they choose from: a mean of
/// features and keys points the group's common way, and a mean of attention keeps the scale of one patch. No
/// paper says what they should be; methods were published for towers without merging.
void reduce_to_tokens(const PatchMerge& merge, int64_t d_tower, TowerOutput& tower) {
  if (merge.side == 1) return;
  tower.features = group_means(merge, tower.features, d_tower);
  for (TowerSignal& signal : tower.signals) {
    const bool per_token = prune::signal_shape(signal.need.signal) == prune::SignalShape::PerToken;
    const int64_t width = per_token ? std::ssize(signal.values) / signal.rows : 1;
    signal.values = group_means(merge, signal.values, width);
    if (per_token) signal.rows = merge.grid().size();
  }
}

/// Tower and projector for one picture.
struct VisionConfig {
  ClipConfig clip;
  MlpConfig mlp;
};

/// The model's own, or for the smaller picture of a request. Throws InvalidArgument for a grid that is none.
VisionConfig vision_for(const Model& model, const TowerRequest& request) {
  VisionConfig vision{model.clip(), model.mlp()};
  if (!request.grid) return vision;
  const prune::Grid& grid = *request.grid;
  WINNOW_CHECK(grid.rows == grid.cols && grid.rows >= 1 && grid.rows <= model.grid().rows, InvalidArgument,
               kWhere,
               "visual tokens of a smaller picture, got {} x {}, expected a square of at most {} x {}",
               grid.rows, grid.cols, model.grid().rows, model.grid().cols);
  vision.clip = with_side(vision.clip, grid.rows * vision.mlp.merge.side);
  vision.mlp.merge.patches = vision.clip.grid();
  return vision;
}

}  // namespace

FlashAttention parse_flash_attention(const std::string& name) {
  if (name == "auto") return FlashAttention::Auto;
  if (name == "on") return FlashAttention::On;
  if (name == "off") return FlashAttention::Off;
  fail(ErrorCode::InvalidArgument, kWhere, "flash attention, got '{}', expected auto, on or off", name);
}

std::string flash_attention_name(FlashAttention flash) {
  switch (flash) {
    case FlashAttention::Auto: return "auto";
    case FlashAttention::On: return "on";
    case FlashAttention::Off: return "off";
  }
  fail(ErrorCode::Internal, kWhere, "unknown flash attention");
}

Session::Session(std::shared_ptr<const Model> model, const SessionOptions& options)
    : model_(std::move(model)),
      options_(options),
      backends_(model_->device(), options.n_threads > 0 ? options.n_threads : default_threads()),
      cache_(model_->llama().n_layer, model_->llama().n_embd_kv(),
             kv_type_of(options.kv_type, model_->options().f32), model_->device()) {
  const ggml_type kv_type = kv_type_of(options.kv_type, model_->options().f32);
  const int64_t block = ggml_blck_size(kv_type);
  WINNOW_CHECK(model_->llama().d_head % block == 0, InvalidArgument, kWhere,
               "KV type {} stores blocks of {} values, the model's heads have {}", ggml_type_name(kv_type),
               block, model_->llama().d_head);
  const int32_t trained = model_->llama().n_ctx;
  WINNOW_CHECK(options.n_ctx >= 0, InvalidArgument, kWhere, "context, got {}, expected >= 1", options.n_ctx);
  n_ctx_ = options.n_ctx > 0 ? options.n_ctx : trained;
}

/// auto is on: measured faster than materialised attention for prompts, decoding and the tower
/// (docs/performance.md). f32 mode is for exact comparison, and the fused kernels round to f16.
Execution Session::execution(bool watched) {
  const bool fused = !model_->options().f32 && options_.flash != FlashAttention::Off;
  return {backends_, watched && observer_ ? &observer_ : nullptr, fused};
}

EncodedImage Session::encode(const Image& image, ImageFit fit, const TowerRequest& request) {
  const VisionConfig vision = vision_for(*model_, request);
  const ClipConfig& clip = vision.clip;
  for (const prune::Need& need : request.needs) {
    const std::string missing = missing_signal(*model_, need);
    WINNOW_CHECK(missing.empty(), Unsupported, kWhere, "{} is wanted {}", prune::signal_name(need.signal),
                 missing);
  }
  WINNOW_CHECK(!request.merge || model_->mlp().merge.side == 1, Unsupported, kWhere,
               "{} merges rows in the tower, but the projector of {} merges squares of its patches",
               request.merge->use.method->info().name, model_->options().mmproj_path);
  EncodedImage out;
  Stopwatch watch;
  Pixels pixels = preprocess(image, {clip.image_size_px, clip.mean, clip.std, fit});
  out.preprocess_ms = watch.lap();
  if (observer_) {
    const int64_t shape[] = {1, 3, clip.image_size_px, clip.image_size_px};
    observer_("pixel_values", shape, pixels.values);
  }
  TowerOutput tower = run_clip(clip, model_->tower_weights(), pixels, request, execution());
  out.tower_ms = watch.lap();
  out.projected = run_mlp(vision.mlp, model_->projector_weights(), tower.features, execution());
  if (!tower.cls.empty()) {
    out.cls_token = run_mlp(vision.mlp, model_->projector_weights(), tower.cls, execution(false));
    out.cls_feature = std::move(tower.cls);
    out.computed.push_back({prune::Signal::ClsToken});
  }
  if (request.wants(prune::Signal::ClipImage)) {
    const int64_t n = std::ssize(tower.features) / clip.n_embd;
    tower.signals.push_back(
        {{prune::Signal::ClipImage}, n, model_->clip_joint()->image(tower.features, execution(false))});
  }
  reduce_to_tokens(vision.mlp.merge, clip.n_embd, tower);
  out.merge = std::move(tower.merge);
  if (request.merge) out.merged_by = request.merge->use.to_string();
  out.projector_ms = watch.lap();
  out.features = std::move(tower.features);
  out.signals = std::move(tower.signals);
  for (const TowerSignal& signal : out.signals) out.computed.push_back(signal.need);
  out.tower_rows = std::move(tower.rows);
  out.grid = vision.mlp.merge.grid();
  pixels.values.clear();
  pixels.values.shrink_to_fit();
  out.pixels = std::move(pixels);
  return out;
}

std::vector<float> Session::decode(int32_t token) {
  for (const int32_t earlier : std::exchange(deferred_, {})) decode(earlier);
  const LlamaConfig& llama = model_->llama();
  WINNOW_CHECK(n_ids_ < n_ctx_, InvalidArgument, kWhere, "the context of {} tokens is full", n_ctx_);
  constexpr int32_t kGrow = 256;
  for (int32_t il = 0; il < llama.n_layer; ++il) {
    if (cache_.layer(il).n == cache_.layer(il).capacity) cache_.reserve(il, cache_.layer(il).n + kGrow);
  }
  const int32_t ids[] = {token};
  const std::vector<float> hidden = embed_tokens(llama, model_->text_file(), ids);
  const int32_t zero[] = {0};  // each layer adds its own next id
  DecoderChunk chunk;
  chunk.hidden = hidden;
  chunk.ids = zero;
  chunk.last_layer = llama.n_layer;
  chunk.out_rows = {0};
  chunk.logits = true;
  DecoderOutput out = run_llama(llama, model_->decoder_weights(), chunk, cache_, execution(false));
  for (int32_t il = 0; il < llama.n_layer; ++il) ++cache_.layer(il).next_id;
  ++n_ids_;
  return std::move(out.hidden);
}

void Session::clear() {
  cache_.clear();
  deferred_.clear();
  n_ids_ = 0;
}

}  // namespace winnow::engine
