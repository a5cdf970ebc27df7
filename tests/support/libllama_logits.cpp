#include "tests/support/libllama_logits.h"

#include <ggml-backend.h>
#include <llama.h>

#include <algorithm>
#include <memory>

#include "winnow/engine/backend.h"

namespace winnow::testing {

std::vector<float> libllama_logits(const std::string& path, const std::vector<float>& embeddings,
                                   ggml_type kv_type, bool flash) {
  engine::load_backends();
  llama_model_params model_params = llama_model_default_params();
  model_params.n_gpu_layers = 0;
  const std::unique_ptr<llama_model, void (*)(llama_model*)> model(
      llama_model_load_from_file(path.c_str(), model_params), llama_model_free);
  if (model == nullptr) return {};
  llama_context_params params = llama_context_default_params();
  params.n_ctx = params.n_batch = params.n_ubatch = 256;
  params.n_threads = params.n_threads_batch = 1;
  params.type_k = params.type_v = kv_type;
  params.flash_attn_type = flash ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
  const std::unique_ptr<llama_context, void (*)(llama_context*)> context(
      llama_init_from_model(model.get(), params), llama_free);
  if (context == nullptr) return {};
  const int32_t n_embd = llama_model_n_embd(model.get());
  const auto n = static_cast<int32_t>(embeddings.size()) / n_embd;
  llama_batch batch = llama_batch_init(n, n_embd, 1);
  batch.n_tokens = n;
  std::copy(embeddings.begin(), embeddings.end(), batch.embd);
  for (int32_t i = 0; i < n; ++i) {
    batch.pos[i] = i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  std::vector<float> logits;
  if (llama_decode(context.get(), batch) == 0) {
    const int32_t n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(model.get()));
    for (int32_t i = 0; i < n; ++i) {
      const float* row = llama_get_logits_ith(context.get(), i);
      logits.insert(logits.end(), row, row + n_vocab);
    }
  }
  llama_batch_free(batch);
  return logits;
}

}  // namespace winnow::testing
