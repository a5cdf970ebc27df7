#include <llama.h>
#include <mtmd-helper.h>
#include <mtmd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "winnow/base/error.h"
#include "winnow/base/process.h"
#include "winnow/cli/peer.h"
#include "winnow/engine/backend.h"
#include "winnow/engine/prompt.h"
#include "winnow/engine/stopwatch.h"

namespace winnow::cli {
namespace {

constexpr const char* kWhere = "cli.peer";

struct Loaded {
  llama_model* model = nullptr;
  llama_context* context = nullptr;
  mtmd_context* vision = nullptr;

  ~Loaded() {
    if (vision != nullptr) mtmd_free(vision);
    if (context != nullptr) llama_free(context);
    if (model != nullptr) llama_model_free(model);
  }
};

void load(const PeerRequest& request, Loaded& out) {
  engine::load_backends();
  mtmd_helper_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  llama_model_params model_params = llama_model_default_params();
  model_params.n_gpu_layers = 0;
  out.model = llama_model_load_from_file(request.text_path.c_str(), model_params);
  WINNOW_CHECK(out.model != nullptr, Unsupported, kWhere, "{}: libllama cannot load it", request.text_path);
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<uint32_t>(request.n_ctx);
  params.n_threads = request.n_threads;
  params.n_threads_batch = request.n_threads;
  out.context = llama_init_from_model(out.model, params);
  WINNOW_CHECK(out.context != nullptr, Unsupported, kWhere, "{}: libllama makes no context",
               request.text_path);
  mtmd_context_params vision_params = mtmd_context_params_default();
  vision_params.use_gpu = false;
  vision_params.print_timings = false;
  vision_params.n_threads = request.n_threads;
  out.vision = mtmd_init_from_file(request.mmproj_path.c_str(), out.model, vision_params);
  WINNOW_CHECK(out.vision != nullptr, Unsupported, kWhere, "{}: libmtmd cannot load it", request.mmproj_path);
}

std::string with_marker(const std::string& prompt) {
  std::string out = prompt;
  const std::string_view ours = engine::kImageMarker;
  for (std::size_t at = out.find(ours); at != std::string::npos; at = out.find(ours, at)) {
    out.replace(at, ours.size(), mtmd_default_marker());
  }
  return out;
}

/// Prompt chunks through tower and decoder, timed apart. Logits of the last token are ready afterwards.
void run_chunks(const Loaded& l, const mtmd_input_chunks* chunks, PeerTimes& times, llama_pos& n_past) {
  engine::Stopwatch watch;
  constexpr int32_t kBatch = 2048;
  for (std::size_t i = 0; i < mtmd_input_chunks_size(chunks); ++i) {
    const mtmd_input_chunk* chunk = mtmd_input_chunks_get(chunks, i);
    const bool last = i + 1 == mtmd_input_chunks_size(chunks);
    int32_t status = 0;
    if (mtmd_input_chunk_get_type(chunk) == MTMD_INPUT_CHUNK_TYPE_TEXT) {
      status = mtmd_helper_eval_chunk_single(l.vision, l.context, chunk, n_past, 0, kBatch, last, &n_past);
    } else {
      watch.lap();
      status = mtmd_encode_chunk(l.vision, chunk);
      times.tower_ms += watch.lap();
      if (status == 0) {
        status = mtmd_helper_decode_image_chunk(l.vision, l.context, chunk, mtmd_get_output_embd(l.vision),
                                                n_past, 0, kBatch, &n_past, nullptr, nullptr);
      }
    }
    llama_synchronize(l.context);
    times.prefill_ms += watch.lap();
    WINNOW_CHECK(status == 0, Internal, kWhere, "llama.cpp failed with status {}", status);
  }
}

PeerTimes run_once(const Loaded& l, const PeerRequest& request, const std::string& prompt) {
  PeerTimes times;
  llama_memory_clear(llama_get_memory(l.context), true);
  engine::Stopwatch watch;
  const auto bitmap = mtmd_helper_bitmap_init_from_file(l.vision, request.image_path.c_str(), false,
                                                        mtmd_helper_init_opt_default());
  WINNOW_CHECK(bitmap.bitmap != nullptr, Unsupported, kWhere, "{}: libmtmd cannot read it",
               request.image_path);
  mtmd_input_chunks* chunks = mtmd_input_chunks_init();
  mtmd_input_text text{};
  text.text = prompt.c_str();
  text.text_len = prompt.size();
  text.add_special = true;
  text.parse_special = true;
  const mtmd_bitmap* bitmaps[] = {bitmap.bitmap};
  const int32_t status = mtmd_tokenize(l.vision, chunks, &text, bitmaps, 1);
  WINNOW_CHECK(status == 0, Internal, kWhere, "libmtmd cannot tokenise the prompt, status {}", status);
  times.image_ms = watch.lap();
  times.n_tokens = static_cast<int32_t>(mtmd_helper_get_n_tokens(chunks));
  llama_pos n_past = 0;
  run_chunks(l, chunks, times, n_past);
  const int32_t n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(l.model));
  watch.lap();
  for (int32_t i = 0; i < request.n_decode; ++i) {
    const float* logits = llama_get_logits_ith(l.context, -1);
    auto token = static_cast<llama_token>(std::max_element(logits, logits + n_vocab) - logits);
    WINNOW_CHECK(llama_decode(l.context, llama_batch_get_one(&token, 1)) == 0, Internal, kWhere,
                 "decoding failed");
  }
  llama_synchronize(l.context);
  times.decode_ms = watch.lap();
  times.peak_rss_bytes = peak_rss_bytes();
  mtmd_input_chunks_free(chunks);
  mtmd_bitmap_free(bitmap.bitmap);
  return times;
}

}  // namespace

bool peer_available() { return true; }

int serve_peer(const PeerRequest& request) {
  Loaded loaded;
  load(request, loaded);
  const std::string prompt = with_marker(request.prompt);
  std::puts("ready");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    const PeerTimes t = run_once(loaded, request, prompt);
    const nlohmann::json j = {{"image_ms", t.image_ms},     {"tower_ms", t.tower_ms},
                              {"prefill_ms", t.prefill_ms}, {"decode_ms", t.decode_ms},
                              {"n_tokens", t.n_tokens},     {"peak_rss_bytes", t.peak_rss_bytes}};
    std::puts(j.dump().c_str());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace winnow::cli
