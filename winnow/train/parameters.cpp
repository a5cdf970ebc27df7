#include "winnow/train/parameters.h"

#include <fmt/format.h>

#include <cmath>

#include "winnow/base/rng.h"

namespace winnow::train {
namespace {

constexpr float kStd = 0.03F;
constexpr float kTowerStd = 0.03F;
constexpr float kEmbeddingStd = 0.5F;
constexpr double kPi = 3.14159265358979323846;

class Table {
 public:
  explicit Table(std::vector<ParameterSpec>& specs) : specs_(specs) {}

  void matrix(const std::string& name, int64_t n_out, int64_t n_in, Part part, float std) {
    specs_.push_back({name, {n_out, n_in}, part, Update::Muon, std, 0.0F});
  }
  void vector(const std::string& name, int64_t n, Part part, float value) {
    specs_.push_back({name, {n}, part, Update::Adam, 0.0F, value});
  }
  void linear(const std::string& name, int64_t n_out, int64_t n_in, Part part, float std) {
    matrix(name + ".weight", n_out, n_in, part, std);
    vector(name + ".bias", n_out, part, 0.0F);
  }
  void norm(const std::string& name, int64_t n, Part part) {
    vector(name + ".weight", n, part, 1.0F);
    vector(name + ".bias", n, part, 0.0F);
  }
  /// A table or head: rows are looked up or compete, so Muon's whole-matrix step does not fit.
  void rows(const std::string& name, std::vector<int64_t> shape, Part part, float std, Update update) {
    specs_.push_back({name, std::move(shape), part, update, std, 0.0F});
  }

 private:
  std::vector<ParameterSpec>& specs_;
};

void add_tower(Table& table, const ModelShape& s) {
  const int64_t d = s.tower_embd;
  const float residual = kTowerStd / std::sqrt(2.0F * static_cast<float>(s.tower_layers));
  table.rows("v.class_embd", {d}, Part::Tower, kTowerStd, Update::Adam);
  table.rows("v.patch_embd.weight", {d, s.patch_values()}, Part::Tower, kTowerStd, Update::AdamDecayed);
  table.rows("v.position_embd.weight", {s.n_patch() + 1, d}, Part::Tower, kTowerStd, Update::Adam);
  table.norm("v.pre_ln", d, Part::Tower);
  for (int32_t il = 0; il < s.tower_layers; ++il) {
    const std::string blk = fmt::format("v.blk.{}.", il);
    table.norm(blk + "ln1", d, Part::Tower);
    for (const char* name : {"attn_q", "attn_k", "attn_v"})
      table.linear(blk + name, d, d, Part::Tower, kTowerStd);
    table.linear(blk + "attn_out", d, d, Part::Tower, residual);
    table.norm(blk + "ln2", d, Part::Tower);
    table.linear(blk + "ffn_up", s.tower_ff, d, Part::Tower, kTowerStd);
    table.linear(blk + "ffn_down", d, s.tower_ff, Part::Tower, residual);
  }
  table.norm("v.post_ln", d, Part::Tower);
  table.rows("dense.weight", {DenseHeads::kTotal, d}, Part::TowerHead, kTowerStd, Update::AdamDecayed);
  table.vector("dense.bias", DenseHeads::kTotal, Part::TowerHead, 0.0F);
  table.rows("cls.weight", {DenseHeads::kPairs + DenseHeads::kCount, d}, Part::TowerHead, kTowerStd,
             Update::AdamDecayed);
  table.vector("cls.bias", DenseHeads::kPairs + DenseHeads::kCount, Part::TowerHead, 0.0F);
}

void add_decoder(Table& table, const ModelShape& s) {
  const int64_t d = s.n_embd;
  const float residual = kStd / std::sqrt(2.0F * static_cast<float>(s.n_layer));
  table.rows("token_embd.weight", {s.n_vocab, d}, Part::Decoder, kEmbeddingStd, Update::Adam);
  for (int32_t il = 0; il < s.n_layer; ++il) {
    const std::string blk = fmt::format("blk.{}.", il);
    table.vector(blk + "attn_norm.weight", d, Part::Decoder, 1.0F);
    for (const char* name : {"attn_q", "attn_k", "attn_v"})
      table.matrix(blk + name + ".weight", d, d, Part::Decoder, kStd);
    table.matrix(blk + "attn_output.weight", d, d, Part::Decoder, residual);
    table.vector(blk + "ffn_norm.weight", d, Part::Decoder, 1.0F);
    table.matrix(blk + "ffn_gate.weight", s.n_ff, d, Part::Decoder, kStd);
    table.matrix(blk + "ffn_up.weight", s.n_ff, d, Part::Decoder, kStd);
    table.matrix(blk + "ffn_down.weight", d, s.n_ff, Part::Decoder, residual);
  }
  table.vector("output_norm.weight", d, Part::Decoder, 1.0F);
  table.rows("output.weight", {s.n_vocab, d}, Part::Decoder, kStd, Update::AdamDecayed);
}

uint64_t hash_of(const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  return hash;
}

/// Rows of a matrix become random combinations of cos(j pi c) and sin(j pi c), with the matrix' own
/// deviation.
void make_smooth(torch::Tensor& matrix, const std::map<int32_t, float>& rows, float std, Rng& rng) {
  constexpr int64_t kWaves = 8;
  const int64_t n = matrix.size(1);
  std::vector<double> mix(static_cast<std::size_t>(2 * kWaves * n));
  for (double& value : mix) value = rng.normal();
  float* values = matrix.data_ptr<float>();
  for (const auto& [token, coordinate] : rows) {
    for (int64_t i = 0; i < n; ++i) {
      double sum = 0.0;
      for (int64_t j = 0; j < kWaves; ++j) {
        const double angle = static_cast<double>(j + 1) * kPi * static_cast<double>(coordinate);
        sum += mix[static_cast<std::size_t>(2 * j * n + i)] * std::cos(angle) +
               mix[static_cast<std::size_t>((2 * j + 1) * n + i)] * std::sin(angle);
      }
      values[token * n + i] = std * static_cast<float>(sum / std::sqrt(static_cast<double>(kWaves)));
    }
  }
}

}  // namespace

std::vector<ParameterSpec> parameter_specs(const ModelShape& s) {
  std::vector<ParameterSpec> specs;
  Table table(specs);
  add_tower(table, s);
  const float projector_std = 0.05F;
  table.linear("mm.0", s.n_embd, s.projector_in(), Part::Projector, projector_std);
  table.linear("mm.2", s.n_embd, s.n_embd, Part::Projector, projector_std);
  add_decoder(table, s);
  return specs;
}

Parameters initial_parameters(const ModelShape& shape, uint64_t seed,
                              const std::map<int32_t, float>& coordinate_rows) {
  Parameters out;
  for (const ParameterSpec& spec : parameter_specs(shape)) {
    torch::Tensor value = torch::full(spec.shape, spec.init_value, torch::kFloat);
    Rng rng(seed, hash_of(spec.name));
    if (spec.init_std > 0.0F) {
      float* data = value.data_ptr<float>();
      for (int64_t i = 0; i < value.numel(); ++i) data[i] = spec.init_std * static_cast<float>(rng.normal());
    }
    if (spec.name == "token_embd.weight" || spec.name == "output.weight")
      make_smooth(value, coordinate_rows, spec.init_std, rng);
    out.emplace(spec.name, value);
  }
  return out;
}

Parameters leaves(const Parameters& parameters) {
  Parameters out;
  for (const auto& [name, value] : parameters) out.emplace(name, value.detach().requires_grad_(true));
  return out;
}

}  // namespace winnow::train
