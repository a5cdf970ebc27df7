#include "winnow/engine/flops.h"

namespace winnow::engine {

double decoder_prefill_flops(const LlamaConfig& c, std::span<const int32_t> tokens_per_layer) {
  const double n_embd = c.n_embd;
  const double n_q = static_cast<double>(c.n_head) * c.d_head;
  const double keys_values = 2.0 * 2.0 * n_embd * c.n_embd_kv();
  const double query_output = 2.0 * 2.0 * n_embd * n_q;
  const double mlp = 2.0 * 3.0 * n_embd * c.n_ff;
  double total = 2.0 * n_embd * c.n_vocab;
  for (std::size_t il = 0; il < tokens_per_layer.size(); ++il) {
    const double n = tokens_per_layer[il];
    const bool last = il + 1 == tokens_per_layer.size();
    const double n_query = last ? 1.0 : n;
    const double pairs = last ? n : n * (n + 1.0) / 2.0;
    total += n * keys_values + n_query * (query_output + mlp) + 4.0 * pairs * n_q;
  }
  return total;
}

double tower_flops(const ClipConfig& c, std::span<const BlockRows> rows) {
  const double d = c.n_embd;
  const double n_matrix = c.gated ? 3.0 : 2.0;
  double total = 0.0;
  for (const BlockRows& block : rows) {
    const double n = block.attention;
    const double pairs = block.pairs > 0 ? static_cast<double>(block.pairs) : n * n;
    total += n * 2.0 * 4.0 * d * d + 4.0 * pairs * d + block.mlp * 2.0 * n_matrix * d * c.n_ff;
  }
  const double n_patch = rows.empty() ? 0.0 : rows.front().attention - (c.has_cls ? 1.0 : 0.0);
  return total + 2.0 * n_patch * 3.0 * c.n_frame * c.patch_size_px * c.patch_size_px * d;
}

double projector_flops(const MlpConfig& c, int64_t n) {
  return 2.0 * static_cast<double>(n) * c.n_hidden * (static_cast<double>(c.n_in) + c.n_out);
}

}  // namespace winnow::engine
