#include "tests/support/mtmd_run.h"

#include <llama.h>
#include <mtmd-helper.h>
#include <mtmd.h>

#include <algorithm>
#include <memory>

#include "winnow/engine/backend.h"
#include "winnow/engine/prompt.h"

namespace winnow::testing {
namespace {

template <typename T, void (*Free)(T*)>
struct Freed {
  void operator()(T* object) const { Free(object); }
};
template <typename T, void (*Free)(T*)>
using Owned = std::unique_ptr<T, Freed<T, Free>>;

using Chunks = Owned<mtmd_input_chunks, mtmd_input_chunks_free>;

struct Loaded {
  Owned<llama_model, llama_model_free> model;
  Owned<llama_context, llama_free> context;
  Owned<mtmd_context, mtmd_free> vision;
  int32_t n_embd() const { return llama_model_n_embd_inp(model.get()); }
  int32_t n_vocab() const { return llama_vocab_n_tokens(llama_model_get_vocab(model.get())); }
};

std::string load(const std::string& text_path, const std::string& mmproj_path, Loaded& out) {
  engine::load_backends();
  mtmd_helper_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  llama_model_params model_params = llama_model_default_params();
  model_params.n_gpu_layers = 0;
  out.model.reset(llama_model_load_from_file(text_path.c_str(), model_params));
  if (out.model == nullptr) return text_path + ": libllama cannot load it";
  llama_context_params params = llama_context_default_params();
  params.n_ctx = params.n_batch = params.n_ubatch = 256;
  params.n_threads = params.n_threads_batch = 1;
  params.type_k = params.type_v = GGML_TYPE_F32;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  out.context.reset(llama_init_from_model(out.model.get(), params));
  if (out.context == nullptr) return text_path + ": libllama makes no context";
  mtmd_context_params vision_params = mtmd_context_params_default();
  vision_params.use_gpu = false;
  vision_params.print_timings = false;
  vision_params.warmup = false;
  vision_params.n_threads = 1;
  vision_params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  out.vision.reset(mtmd_init_from_file(mmproj_path.c_str(), out.model.get(), vision_params));
  return out.vision != nullptr ? "" : mmproj_path + ": libmtmd cannot load it";
}

Chunks tokenize(const Loaded& l, const engine::Image& picture, std::string prompt) {
  const std::string_view marker = engine::kImageMarker;
  prompt.replace(prompt.find(marker), marker.size(), mtmd_default_marker());
  Chunks chunks(mtmd_input_chunks_init());
  mtmd_input_text text{};
  text.text = prompt.c_str();
  text.text_len = prompt.size();
  text.add_special = true;
  text.parse_special = true;
  const Owned<mtmd_bitmap, mtmd_bitmap_free> bitmap(mtmd_bitmap_init(
      static_cast<uint32_t>(picture.width), static_cast<uint32_t>(picture.height), picture.rgb.data()));
  const mtmd_bitmap* bitmaps[] = {bitmap.get()};
  if (mtmd_tokenize(l.vision.get(), chunks.get(), &text, bitmaps, 1) != 0) chunks.reset();
  return chunks;
}

/// The picture's embeddings and positions, through the tower and into the cache.
bool run_picture(const Loaded& l, const mtmd_input_chunk* chunk, llama_pos& n_past, MtmdRun& out) {
  if (mtmd_encode_chunk(l.vision.get(), chunk) != 0) return false;
  float* embeddings = mtmd_get_output_embd(l.vision.get());
  const std::size_t n = mtmd_input_chunk_get_n_tokens(chunk);
  out.embeddings.assign(embeddings, embeddings + n * static_cast<std::size_t>(l.n_embd()));
  const mtmd_image_tokens* tokens = mtmd_input_chunk_get_tokens_image(chunk);
  for (std::size_t i = 0; i < n; ++i) {
    const mtmd_decoder_pos p = mtmd_image_tokens_get_decoder_pos(tokens, 0, i);
    out.position.push_back({static_cast<int32_t>(p.t), static_cast<int32_t>(p.y), static_cast<int32_t>(p.x)});
  }
  return mtmd_helper_decode_image_chunk(l.vision.get(), l.context.get(), chunk, embeddings, n_past, 0, 256,
                                        &n_past, nullptr, nullptr) == 0;
}

bool run_text(const Loaded& l, const mtmd_input_chunk* chunk, bool last, llama_pos& n_past, MtmdRun& out) {
  std::size_t n = 0;
  const llama_token* ids = mtmd_input_chunk_get_tokens_text(chunk, &n);
  std::vector<int32_t>& side = out.embeddings.empty() ? out.before : out.after;
  side.insert(side.end(), ids, ids + n);
  return mtmd_helper_eval_chunk_single(l.vision.get(), l.context.get(), chunk, n_past, 0, 256, last,
                                       &n_past) == 0;
}

std::string run_greedy(const Loaded& l, int32_t n_greedy, MtmdRun& out) {
  for (int32_t i = 0; i < n_greedy; ++i) {
    const float* logits = llama_get_logits_ith(l.context.get(), -1);
    auto token = static_cast<llama_token>(std::max_element(logits, logits + l.n_vocab()) - logits);
    out.greedy.push_back(token);
    if (llama_decode(l.context.get(), llama_batch_get_one(&token, 1)) != 0) return "decoding failed";
  }
  return "";
}

}  // namespace

MtmdRun run_mtmd(const std::string& text_path, const std::string& mmproj_path, const engine::Image& picture,
                 const std::string& prompt, int32_t n_greedy) {
  MtmdRun out;
  Loaded loaded;
  out.error = load(text_path, mmproj_path, loaded);
  if (!out.error.empty()) return out;
  const Chunks chunks = tokenize(loaded, picture, prompt);
  if (chunks == nullptr) return {.error = "libmtmd cannot tokenise the prompt"};
  llama_pos n_past = 0;
  const std::size_t n_chunk = mtmd_input_chunks_size(chunks.get());
  for (std::size_t i = 0; i < n_chunk; ++i) {
    const mtmd_input_chunk* chunk = mtmd_input_chunks_get(chunks.get(), i);
    const bool is_text = mtmd_input_chunk_get_type(chunk) == MTMD_INPUT_CHUNK_TYPE_TEXT;
    const bool done = is_text ? run_text(loaded, chunk, i + 1 == n_chunk, n_past, out)
                              : run_picture(loaded, chunk, n_past, out);
    if (!done) return {.error = "llama.cpp failed on a part of the prompt"};
  }
  const float* logits = llama_get_logits_ith(loaded.context.get(), -1);
  out.logits.assign(logits, logits + loaded.n_vocab());
  out.error = run_greedy(loaded, n_greedy, out);
  return out;
}

}  // namespace winnow::testing
