#include "winnow/engine/session.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "winnow/base/error.h"

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
  chunk.ids = {zero};
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
