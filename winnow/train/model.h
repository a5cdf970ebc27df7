#pragma once

// The LLaVA-1.5 architecture in LibTorch: a second implementation of the engine's graphs, written from the
// papers and transformers' formulas and sharing no code with the engine.

#include <torch/torch.h>

#include <cstdint>

#include "winnow/train/ops.h"
#include "winnow/train/parameters.h"
#include "winnow/train/shape.h"

namespace winnow::train {

/// One decoder batch: flat rows, the text's tokens and the pictures' features already in their places.
struct DecoderInput {
  torch::Tensor x;          // [rows, n_embd]
  torch::Tensor cos, sin;   // [rows, d_head / 2]
  LayoutPtr layout;         ///< every row is a query
  torch::Tensor wanted;     // [n_wanted] int64: rows whose logits are wanted, ascending
  LayoutPtr wanted_layout;  ///< only those rows are queries
};

class Model {
 public:
  /// `parameters` outlives the model. Thread-safe for reading; each worker has its own leaves.
  Model(const ModelShape& shape, const Parameters& parameters, bool bf16)
      : shape_(shape), p_(parameters), bf16_(bf16) {}

  struct TowerOut {
    torch::Tensor features;       // [pictures * n_patch, tower_embd], second-last block, without [CLS]
    torch::Tensor cls;            // [pictures, tower_embd] after the last block and the final norm
    torch::Tensor cls_attention;  // [pictures, tower_head, n_patch] of the block behind the features
  };
  /// What else than features is wanted; the other members stay undefined.
  enum class TowerExtra { None, Cls, ClsAttention };
  /// patches [pictures * n_patch, 3 * patch * patch], normalised. Dosovitskiy et al. 2021; CLIP, Radford et
  /// al. 2021.
  TowerOut tower(const torch::Tensor& patches, int64_t n_pictures, TowerExtra extra = TowerExtra::None) const;

  /// features -> visual tokens [pictures * n_visual, n_embd]: Linear, GELU, Linear (Liu et al. 2023), behind
  /// a merge or a mean of neighbouring patches if the shape says so.
  torch::Tensor project(const torch::Tensor& features, int64_t n_pictures) const;

  /// Rows of the token embedding. ids [n] int64.
  torch::Tensor embed(const torch::Tensor& ids) const;

  /// Llama (Touvron et al. 2023): logits [n_wanted, n_vocab].
  torch::Tensor decode(const DecoderInput& input) const;

  const ModelShape& shape() const { return shape_; }
  torch::Tensor at(const std::string& name) const;

 private:
  torch::Tensor cls_attention(const torch::Tensor& x, int32_t il, int64_t n_pictures) const;
  torch::Tensor tower_block(const torch::Tensor& x, int32_t il, const LayoutPtr& layout) const;
  torch::Tensor biased(const torch::Tensor& x, const std::string& name) const;
  torch::Tensor product(const torch::Tensor& x, const std::string& name) const;
  torch::Tensor layer_norm(const torch::Tensor& x, const std::string& name) const;

  ModelShape shape_;
  const Parameters& p_;
  bool bf16_;
};

/// cos and sin of the rotary angles, [positions, d_head / 2] each.
std::pair<torch::Tensor, torch::Tensor> rope_table(const ModelShape& shape, const torch::Tensor& positions);

}  // namespace winnow::train
