#include "tests/support/reference_llava.h"

#include <ggml.h>
#include <gguf.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>
#include <numeric>
#include <stdexcept>
#include <utility>

namespace winnow::testing {
namespace {

template <class T>
const T& find(const std::map<std::string, T>& map, const std::string& key) {
  const auto it = map.find(key);
  if (it == map.end()) throw std::runtime_error("reference: no " + key);
  return it->second;
}

double number_or(const std::map<std::string, double>& map, const std::string& key, double otherwise) {
  const auto it = map.find(key);
  return it == map.end() ? otherwise : it->second;
}

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// y = x W^T + b, W [n_out, n_in]; bias optional.
RefMatrix linear(const RefMatrix& x, const RefMatrix& weight, const RefMatrix* bias = nullptr) {
  if (x.cols != weight.cols) throw std::runtime_error("reference: widths differ");
  RefMatrix y(x.rows, weight.rows);
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t c = 0; c < weight.rows; ++c) {
      y.at(r, c) = dot(x.row(r), weight.row(c)) + (bias != nullptr ? bias->at(0, c) : 0.0);
    }
  }
  return y;
}

void add(RefMatrix& x, const RefMatrix& y) {
  for (std::size_t i = 0; i < x.values.size(); ++i) x.values[i] += y.values[i];
}

template <class F>
void apply(RefMatrix& x, F f) {
  for (double& value : x.values) value = f(value);
}

RefMatrix layer_norm(RefMatrix x, const RefMatrix& weight, const RefMatrix& bias, double eps) {
  const auto n = static_cast<double>(x.cols);
  for (int64_t r = 0; r < x.rows; ++r) {
    double mean = 0.0;
    double variance = 0.0;
    for (const double v : x.row(r)) mean += v / n;
    for (const double v : x.row(r)) variance += (v - mean) * (v - mean) / n;
    for (int64_t c = 0; c < x.cols; ++c) {
      x.at(r, c) = (x.at(r, c) - mean) / std::sqrt(variance + eps) * weight.at(0, c) + bias.at(0, c);
    }
  }
  return x;
}

RefMatrix rms_norm(RefMatrix x, const RefMatrix& weight, double eps) {
  for (int64_t r = 0; r < x.rows; ++r) {
    const double mean_square = dot(x.row(r), x.row(r)) / static_cast<double>(x.cols);
    for (int64_t c = 0; c < x.cols; ++c) x.at(r, c) *= weight.at(0, c) / std::sqrt(mean_square + eps);
  }
  return x;
}

void softmax(std::span<double> x) {
  const double top = *std::max_element(x.begin(), x.end());
  double sum = 0.0;
  for (double& v : x) sum += v = std::exp(v - top);
  for (double& v : x) v /= sum;
}

/// softmax(q k^T / sqrt(d)) v per head, heads side by side in the columns. Query head h reads key head h /
/// (n_head / n_head_kv). q [n, n_head * d], k and v [n, n_head_kv * d]. Adds the probabilities [n, n] of
/// every head to `attention`. key_bias: added to the logits of each key, unless it is empty.
RefMatrix attend(const RefMatrix& q, const RefMatrix& k, const RefMatrix& v, int64_t n_head, bool causal,
                 std::vector<RefMatrix>& attention, const std::vector<double>& key_bias = {}) {
  const int64_t d = q.cols / n_head;
  const int64_t group = q.cols / k.cols;
  const auto size = static_cast<std::size_t>(d);
  RefMatrix context(q.rows, q.cols);
  for (int64_t head = 0; head < n_head; ++head) {
    const auto q_at = static_cast<std::size_t>(head * d);
    const auto k_at = static_cast<std::size_t>(head / group * d);
    RefMatrix probs(q.rows, k.rows);
    for (int64_t i = 0; i < q.rows; ++i) {
      const int64_t n_seen = causal ? i + 1 : k.rows;
      for (int64_t j = 0; j < n_seen; ++j) {
        probs.at(i, j) = dot(q.row(i).subspan(q_at, size), k.row(j).subspan(k_at, size)) /
                         std::sqrt(static_cast<double>(d));
        if (!key_bias.empty()) probs.at(i, j) += key_bias[static_cast<std::size_t>(j)];
      }
      softmax(probs.row(i).first(static_cast<std::size_t>(n_seen)));
      for (int64_t j = 0; j < n_seen; ++j) {
        for (std::size_t c = 0; c < size; ++c)
          context.row(i)[q_at + c] += probs.at(i, j) * v.row(j)[k_at + c];
      }
    }
    attention.push_back(std::move(probs));
  }
  return context;
}

/// Indices of the n largest, ascending; the lower index wins a tie.
std::vector<int32_t> top(std::span<const double> scores, int32_t n) {
  std::vector<int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  order.resize(static_cast<std::size_t>(n));
  std::sort(order.begin(), order.end());
  return order;
}

/// FastV: attention of the query row to each visual row, mean over heads.
std::vector<double> fastv_scores(const std::vector<RefMatrix>& attention, const RefPrune& prune) {
  std::vector<double> scores;
  const auto query = prune.query_row >= 0 ? prune.query_row : static_cast<int32_t>(attention[0].rows) - 1;
  for (const int32_t row : prune.visual_rows) {
    double sum = 0.0;
    for (const RefMatrix& probs : attention) sum += probs.at(query, row);
    scores.push_back(sum / static_cast<double>(attention.size()));
  }
  return scores;
}

/// The rows of [0, n) that are left when of the visual rows only the kept ones stay.
std::vector<int32_t> rows_left(int32_t n, const RefPrune& prune, std::span<const int32_t> kept) {
  std::vector<bool> stays(static_cast<std::size_t>(n), true);
  for (const int32_t row : prune.visual_rows) stays[static_cast<std::size_t>(row)] = false;
  for (const int32_t j : kept)
    stays[static_cast<std::size_t>(prune.visual_rows[static_cast<std::size_t>(j)])] = true;
  std::vector<int32_t> rows;
  for (int32_t row = 0; row < n; ++row) {
    if (stays[static_cast<std::size_t>(row)]) rows.push_back(row);
  }
  return rows;
}

/// Positions of all rows from the drop on.
std::vector<int32_t> continued(const RefPrune& prune, std::span<const int32_t> positions) {
  if (prune.positions_after.empty()) return {positions.begin(), positions.end()};
  std::vector<int32_t> after = prune.positions_after;
  while (after.size() < positions.size()) after.push_back(after.back() + 1);
  return after;
}

double quick_gelu(double x) { return x / (1.0 + std::exp(-1.702 * x)); }
double gelu_erf(double x) { return 0.5 * x * (1.0 + std::erf(x / std::numbers::sqrt2)); }
double gelu_tanh(double x) {
  return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}
double silu(double x) { return x / (1.0 + std::exp(-x)); }

}  // namespace

RefMatrix ref_rows(const RefMatrix& m, std::span<const int32_t> rows) {
  RefMatrix out(static_cast<int64_t>(rows.size()), m.cols);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::ranges::copy(m.row(rows[r]), out.row(static_cast<int64_t>(r)).begin());
  }
  return out;
}

RefMatrix ref_side_by_side(const RefMatrix& features, int64_t k) {
  const auto g = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(features.rows))));
  const int64_t d = features.cols;
  RefMatrix out(features.rows / (k * k), d * k * k);
  for (int64_t y = 0; y < g; ++y) {
    for (int64_t x = 0; x < g; ++x) {
      for (int64_t c = 0; c < d; ++c) {
        out.at(y / k * (g / k) + x / k, (y % k * k + x % k) * d + c) = features.at(y * g + x, c);
      }
    }
  }
  return out;
}

RefMatrix ref_square_means(const RefMatrix& features, int64_t k) {
  const RefMatrix wide = ref_side_by_side(features, k);
  RefMatrix out(wide.rows, features.cols);
  for (int64_t r = 0; r < wide.rows; ++r) {
    for (int64_t i = 0; i < wide.cols; ++i) {
      out.at(r, i % features.cols) += wide.at(r, i) / static_cast<double>(k * k);
    }
  }
  return out;
}

ReferenceLlava::File ReferenceLlava::read(const std::string& path) {
  ggml_context* data = nullptr;
  const std::unique_ptr<gguf_context, void (*)(gguf_context*)> gguf(
      gguf_init_from_file(path.c_str(), {.no_alloc = false, .ctx = &data}), gguf_free);
  const std::unique_ptr<ggml_context, void (*)(ggml_context*)> data_owner(data, ggml_free);
  if (gguf == nullptr) throw std::runtime_error("reference: cannot read " + path);
  File file;
  for (int64_t i = 0; i < gguf_get_n_kv(gguf.get()); ++i) {
    const std::string key = gguf_get_key(gguf.get(), i);
    switch (gguf_get_kv_type(gguf.get(), i)) {
      case GGUF_TYPE_UINT32: file.numbers[key] = gguf_get_val_u32(gguf.get(), i); break;
      case GGUF_TYPE_FLOAT32: file.numbers[key] = static_cast<double>(gguf_get_val_f32(gguf.get(), i)); break;
      case GGUF_TYPE_BOOL: file.numbers[key] = gguf_get_val_bool(gguf.get(), i) ? 1.0 : 0.0; break;
      case GGUF_TYPE_STRING: file.strings[key] = gguf_get_val_str(gguf.get(), i); break;
      default: break;
    }
  }
  for (int64_t i = 0; i < gguf_get_n_tensors(gguf.get()); ++i) {
    const ggml_tensor* t = ggml_get_tensor(data, gguf_get_tensor_name(gguf.get(), i));
    std::vector<float> values(static_cast<std::size_t>(ggml_nelements(t)));
    if (t->type == GGML_TYPE_F32) {
      std::copy_n(static_cast<const float*>(t->data), values.size(), values.begin());
    } else {
      ggml_get_type_traits(t->type)->to_float(t->data, values.data(), ggml_nelements(t));
    }
    RefMatrix& matrix = file.tensors[ggml_get_name(t)];
    matrix = RefMatrix(ggml_nelements(t) / t->ne[0], t->ne[0]);
    std::ranges::copy(values, matrix.values.begin());
  }
  return file;
}

ReferenceLlava::ReferenceLlava(const std::string& text_path, const std::string& mmproj_path)
    : text_(read(text_path)) {
  if (!mmproj_path.empty()) mmproj_ = read(mmproj_path);
  const std::string arch = find(text_.strings, "general.architecture");
  is_qwen2_ = arch == "qwen2";
  const auto integer = [&](const char* key) {
    return static_cast<int32_t>(find(text_.numbers, arch + "." + key));
  };
  n_layer_ = integer("block_count");
  n_head_ = integer("attention.head_count");
  n_head_kv_ = integer("attention.head_count_kv");
  n_rot_ = integer("rope.dimension_count");
  rms_eps_ = find(text_.numbers, arch + ".attention.layer_norm_rms_epsilon");
  rope_base_ = number_or(text_.numbers, arch + ".rope.freq_base", 10000.0);
  if (const auto it = text_.strings.find(arch + ".rope.scaling.type");
      it != text_.strings.end() && it->second != "none") {
    if (it->second != "linear") throw std::runtime_error("reference: rope scaling " + it->second);
    rope_scale_ = 1.0 / find(text_.numbers, arch + ".rope.scaling.factor");
  }
}

RefMatrix ref_resized_positions(const RefMatrix& table, int64_t n_cls, int64_t from, int64_t to) {
  if (from == to) return table;
  const auto weight = [&](int64_t target,
                          int64_t source) {  // of source cell `source`, maybe beyond the border
    constexpr double a = -0.75;
    const double centre =
        (static_cast<double>(target) + 0.5) * static_cast<double>(from) / static_cast<double>(to);
    const double x = std::abs(centre - (static_cast<double>(source) + 0.5));
    if (x < 1) return (a + 2) * x * x * x - (a + 3) * x * x + 1;
    return x < 2 ? a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a : 0.0;
  };
  RefMatrix out(n_cls + to * to, table.cols);
  for (int64_t c = 0; c < table.cols; ++c) {
    for (int64_t row = 0; row < n_cls; ++row) out.at(row, c) = table.at(row, c);
    for (int64_t cell = 0; cell < to * to; ++cell) {
      for (int64_t y = -2; y < from + 2; ++y) {
        for (int64_t x = -2; x < from + 2; ++x) {
          const int64_t source =
              std::clamp<int64_t>(y, 0, from - 1) * from + std::clamp<int64_t>(x, 0, from - 1);
          out.at(n_cls + cell, c) +=
              weight(cell / to, y) * weight(cell % to, x) * table.at(n_cls + source, c);
        }
      }
    }
  }
  return out;
}

RefFeatures ReferenceLlava::encode(std::span<const float> pixels, int32_t tower_layers,
                                   RefBetween* between) const {
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(pixels.size()) / 3.0)));
  const auto stored_side = static_cast<int64_t>(find(mmproj_.numbers, "clip.vision.image_size"));
  const auto patch = static_cast<int64_t>(find(mmproj_.numbers, "clip.vision.patch_size"));
  const double eps = find(mmproj_.numbers, "clip.vision.attention.layer_norm_epsilon");
  const RefMatrix& kernel = find(mmproj_.tensors, "v.patch_embd.weight");  // [d * 3 * patch, patch]
  const RefMatrix& position = find(mmproj_.tensors, "v.position_embd.weight");
  const int64_t grid = side / patch;
  const int64_t d = position.cols;

  const int64_t n_cls = mmproj_.tensors.contains("v.class_embd") ? 1 : 0;
  const bool siglip = !mmproj_.tensors.contains("v.pre_ln.weight");
  RefMatrix x = ref_resized_positions(position, n_cls, stored_side / patch, grid);  // [n_cls + n, d]
  for (int64_t c = 0; c < d && n_cls > 0; ++c) x.at(0, c) += find(mmproj_.tensors, "v.class_embd").at(0, c);
  for (int64_t token = 0; token < grid * grid; ++token) {
    const int64_t top_px = token / grid * patch;
    const int64_t left_px = token % grid * patch;
    for (int64_t c = 0; c < d; ++c) {
      if (siglip) x.at(token, c) += find(mmproj_.tensors, "v.patch_embd.bias").at(0, c);
      for (int64_t i = 0; i < 3 * patch; ++i) {  // i = channel * patch + row in the patch
        const int64_t from = (i / patch * side + top_px + i % patch) * side + left_px;
        for (int64_t j = 0; j < patch; ++j) {
          x.at(token + n_cls, c) += static_cast<double>(pixels[static_cast<std::size_t>(from + j)]) *
                                    kernel.at(c * 3 * patch + i, j);
        }
      }
    }
  }
  RefFeatures out;
  if (!siglip) {
    x = layer_norm(x, find(mmproj_.tensors, "v.pre_ln.weight"), find(mmproj_.tensors, "v.pre_ln.bias"), eps);
  }
  out.input = x;
  const auto n_stored = static_cast<int32_t>(find(mmproj_.numbers, "clip.vision.block_count"));
  RefBetween nothing;
  for (int32_t block = 0; block < n_stored; ++block) {
    x = tower_block(block, x, out, between != nullptr ? *between : nothing);
    out.blocks.push_back(x);
  }
  const RefMatrix& read = out.blocks[static_cast<std::size_t>(tower_layers - 2)];
  std::vector<int32_t> patches(static_cast<std::size_t>(read.rows - n_cls));
  std::iota(patches.begin(), patches.end(), static_cast<int32_t>(n_cls));
  out.selected = ref_rows(read, patches);
  out.projected = project(out.selected);
  return out;
}

RefMatrix ReferenceLlava::project(const RefMatrix& features) const {
  const auto merge = static_cast<int64_t>(number_or(mmproj_.numbers, "clip.vision.spatial_merge_size", 1.0));
  const auto pool = static_cast<int64_t>(number_or(mmproj_.numbers, "winnow.projector.pool_size", 1.0));
  const bool groups = merge > 1 || pool > 1;
  const RefMatrix read = groups ? ref_side_by_side(ref_square_means(features, pool), merge) : features;
  RefMatrix hidden = linear(read, find(mmproj_.tensors, "mm.0.weight"), &find(mmproj_.tensors, "mm.0.bias"));
  apply(hidden, gelu_erf);
  return linear(hidden, find(mmproj_.tensors, "mm.2.weight"), &find(mmproj_.tensors, "mm.2.bias"));
}

RefMatrix ReferenceLlava::final_norm(const RefMatrix& hidden) const {
  return rms_norm(hidden, find(text_.tensors, "output_norm.weight"), rms_eps_);
}

RefMatrix ReferenceLlava::tower_block(int32_t block, const RefMatrix& x, RefFeatures& out,
                                      RefBetween& between) const {
  const double eps = find(mmproj_.numbers, "clip.vision.attention.layer_norm_epsilon");
  const auto n_head = static_cast<int64_t>(find(mmproj_.numbers, "clip.vision.attention.head_count"));
  const bool exact_gelu = number_or(mmproj_.numbers, "clip.use_gelu", 0.0) != 0.0;
  const auto tensor = [&](const std::string& name) -> const RefMatrix& {
    return find(mmproj_.tensors, "v.blk." + std::to_string(block) + "." + name);
  };
  const auto dense = [&](const RefMatrix& in, const std::string& name) {
    return linear(in, tensor(name + ".weight"), &tensor(name + ".bias"));
  };
  const RefMatrix y = layer_norm(x, tensor("ln1.weight"), tensor("ln1.bias"), eps);
  out.queries.push_back(dense(y, "attn_q"));
  out.keys.push_back(dense(y, "attn_k"));
  RefMatrix sum = x;
  add(sum, dense(attend(out.queries.back(), out.keys.back(), dense(y, "attn_v"), n_head, false,
                        out.attention.emplace_back(), between.key_bias),
                 "attn_out"));
  if (between.behind_attention) between.behind_attention(block, sum, out.keys.back());
  RefMatrix hidden = dense(layer_norm(sum, tensor("ln2.weight"), tensor("ln2.bias"), eps), "ffn_up");
  const bool siglip = !mmproj_.tensors.contains("v.pre_ln.weight");
  apply(hidden, siglip ? gelu_tanh : exact_gelu ? gelu_erf : quick_gelu);
  add(sum, dense(hidden, "ffn_down"));
  if (between.behind_block) between.behind_block(block, sum);
  return sum;
}

RefMatrix ReferenceLlava::embed(std::span<const int32_t> ids, int32_t image_token,
                                const RefMatrix& projected) const {
  const RefMatrix& table = find(text_.tensors, "token_embd.weight");
  RefMatrix out(static_cast<int64_t>(ids.size()), table.cols);
  int64_t n_image = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto from = ids[i] == image_token ? projected.row(n_image++) : table.row(ids[i]);
    std::ranges::copy(from, out.row(static_cast<int64_t>(i)).begin());
  }
  return out;
}

/// GGUF's llama files have the rows of q and k permuted so that the rotated pairs are neighbours (2i, 2i +
/// 1); those of Qwen2 have them as they were, half of the dimensions apart.
void ReferenceLlava::rope(RefMatrix& x, std::span<const int32_t> positions) const {
  const int64_t d = find(text_.tensors, "token_embd.weight").cols / n_head_;
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t head = 0; head < x.cols / d; ++head) {
      for (int64_t i = 0; i + 1 < n_rot_; i += 2) {
        const double angle = positions[static_cast<std::size_t>(r)] * rope_scale_ *
                             std::pow(rope_base_, -static_cast<double>(i) / n_rot_);
        double& a = x.at(r, head * d + (is_qwen2_ ? i / 2 : i));
        double& b = x.at(r, head * d + (is_qwen2_ ? (i + n_rot_) / 2 : i + 1));
        const double rotated = a * std::cos(angle) - b * std::sin(angle);
        b = a * std::sin(angle) + b * std::cos(angle);
        a = rotated;
      }
    }
  }
}

RefMatrix ReferenceLlava::decoder_layer(int32_t layer, const RefMatrix& x, std::span<const int32_t> positions,
                                        RefForward& out) const {
  const auto tensor = [&](const std::string& name) -> const RefMatrix& {
    return find(text_.tensors, "blk." + std::to_string(layer) + "." + name + ".weight");
  };
  const RefMatrix y = rms_norm(x, tensor("attn_norm"), rms_eps_);
  const auto dense = [&](const std::string& name) {
    const auto bias = text_.tensors.find("blk." + std::to_string(layer) + "." + name + ".bias");
    return linear(y, tensor(name), bias == text_.tensors.end() ? nullptr : &bias->second);
  };
  RefMatrix q = dense("attn_q");
  RefMatrix k = dense("attn_k");
  rope(q, positions);
  rope(k, positions);
  out.keys.push_back(k);
  RefMatrix sum = x;
  add(sum, linear(attend(q, k, dense("attn_v"), n_head_, true, out.attention.emplace_back()),
                  tensor("attn_output")));
  const RefMatrix z = rms_norm(sum, tensor("ffn_norm"), rms_eps_);
  RefMatrix gate = linear(z, tensor("ffn_gate"));
  const RefMatrix up = linear(z, tensor("ffn_up"));
  for (std::size_t i = 0; i < gate.values.size(); ++i) gate.values[i] = silu(gate.values[i]) * up.values[i];
  add(sum, linear(gate, tensor("ffn_down")));
  return sum;
}

RefForward ReferenceLlava::forward(const RefMatrix& embeds, std::span<const int32_t> positions,
                                   const std::optional<RefPrune>& prune) const {
  RefForward out;
  RefMatrix x = embeds;
  std::vector<int32_t> position(positions.begin(), positions.end());
  out.rows.resize(static_cast<std::size_t>(x.rows));
  std::iota(out.rows.begin(), out.rows.end(), 0);
  for (int32_t layer = 0; layer < n_layer_; ++layer) {
    if (prune && prune->layer == layer) {
      if (!prune->kept)
        out.scores = fastv_scores(out.attention.at(static_cast<std::size_t>(layer - 1)), *prune);
      out.kept = prune->kept ? *prune->kept : top(out.scores, prune->n_keep);
      out.rows = rows_left(static_cast<int32_t>(x.rows), *prune, out.kept);
      x = ref_rows(x, out.rows);
      const std::vector<int32_t> after = continued(*prune, positions);
      for (std::size_t r = 0; r < out.rows.size(); ++r)
        position[r] = after[static_cast<std::size_t>(out.rows[r])];
    }
    x = decoder_layer(layer, x, position, out);
    out.layers.push_back(x);
  }
  out.norm = final_norm(x);
  const bool tied = !text_.tensors.contains("output.weight");
  out.logits = linear(out.norm, find(text_.tensors, tied ? "token_embd.weight" : "output.weight"));
  return out;
}

std::vector<int32_t> ReferenceLlava::greedy(RefMatrix embeds, std::vector<int32_t> positions,
                                            int32_t n_tokens, const std::optional<RefPrune>& prune) const {
  std::optional<RefPrune> fixed = prune;
  if (fixed && fixed->query_row < 0) fixed->query_row = static_cast<int32_t>(embeds.rows) - 1;
  std::vector<int32_t> tokens;
  while (static_cast<int32_t>(tokens.size()) < n_tokens) {
    const RefForward step = forward(embeds, positions, fixed);
    const auto last = step.logits.row(step.logits.rows - 1);
    tokens.push_back(static_cast<int32_t>(std::max_element(last.begin(), last.end()) - last.begin()));
    const auto next = find(text_.tensors, "token_embd.weight").row(tokens.back());
    embeds.values.insert(embeds.values.end(), next.begin(), next.end());
    ++embeds.rows;
    positions.push_back(positions.back() + 1);
  }
  return tokens;
}

}  // namespace winnow::testing
