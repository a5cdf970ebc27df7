#pragma once

// LLaVA-1.5, and LLaVA-OneVision's tower and decoder, in plain loops and double precision, for tests: written
// from the published formulas, sharing no code with the engine, recomputing everything at every call. CLIP
// (Radford et al., arXiv 2103.00020), LLaVA-1.5 (Liu et al., arXiv 2310.03744), Llama (Touvron et al., arXiv
// 2302.13971), RoPE (Su et al., arXiv 2104.09864), FastV (Chen et al., arXiv 2403.06764), SigLIP (Zhai et
// al., arXiv 2303.15343), Qwen2 (Yang et al., arXiv 2407.10671).

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace winnow::testing {

/// Row-major matrix that owns its values; a vector is one row.
struct RefMatrix {
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<double> values;

  RefMatrix() = default;
  RefMatrix(int64_t n_rows, int64_t n_cols)
      : rows(n_rows), cols(n_cols), values(static_cast<std::size_t>(n_rows * n_cols)) {}
  double& at(int64_t r, int64_t c) { return values[static_cast<std::size_t>(r * cols + c)]; }
  double at(int64_t r, int64_t c) const { return values[static_cast<std::size_t>(r * cols + c)]; }
  std::span<double> row(int64_t r) { return {values.data() + r * cols, static_cast<std::size_t>(cols)}; }
  std::span<const double> row(int64_t r) const {
    return {values.data() + r * cols, static_cast<std::size_t>(cols)};
  }
};

/// The rows of `m` with the given numbers, in that order.
RefMatrix ref_rows(const RefMatrix& m, std::span<const int32_t> rows);

/// A g x g grid of rows cut into squares of k x k, in raster order, and so are the rows in a square: their
/// features side by side [n / k^2, k^2 * d], or their mean [n / k^2, d].
RefMatrix ref_side_by_side(const RefMatrix& features, int64_t k);
RefMatrix ref_square_means(const RefMatrix& features, int64_t k);

/// Position embeddings of a from x from grid behind n_cls other rows, as those of a to x to grid: Keys' cubic
/// convolution (1981, a = -0.75) at pixel centres, the border repeated, the other rows as they are.
RefMatrix ref_resized_positions(const RefMatrix& table, int64_t n_cls, int64_t from, int64_t to);

/// What the tower and the projector give for one image; n patches, d = tower width. A tower without a [CLS]
/// token (none is stored) has n rows where 1 + n are written.
struct RefFeatures {
  RefMatrix input;                                // [1 + n, d] after pre_ln, [CLS] in row 0
  std::vector<RefMatrix> blocks;                  // output of every stored block, [1 + n, d]
  std::vector<std::vector<RefMatrix>> attention;  // [block][head], softmaxed, [1 + n, 1 + n]
  std::vector<RefMatrix> queries;                 // of every stored block, [1 + n, d]
  std::vector<RefMatrix> keys;                    // the same of its keys
  RefMatrix selected;                             // [n, d] what the projector reads, before it merges patches
  RefMatrix projected;                            // [n, n_embd], or one row per group of merged patches
};

/// Makes rows fewer inside the tower: what to do with the rows [t, d] of block `block` behind its attention
/// (with the block's keys [t, d]) and behind the whole block.
struct RefBetween {
  std::function<void(int32_t block, RefMatrix& rows, const RefMatrix& keys)> behind_attention = {};
  std::function<void(int32_t block, RefMatrix& rows)> behind_block = {};
  std::vector<double> key_bias = {};  ///< [t] added to every logit of a key; empty: nothing
};

/// One drop of visual tokens before decoder layer `layer`. The rows to choose from are given as rows of the
/// prompt. Which stay: `kept` when given; otherwise FastV's rule: the n_keep with the largest attention of
/// row `query_row` in layer - 1, mean over heads, lower row first when equal.
struct RefPrune {
  int32_t layer = 2;
  int32_t n_keep = 0;
  std::vector<int32_t> visual_rows = {};
  int32_t query_row = -1;  ///< the prompt's last row in FastV; always name it when decoding
  std::optional<std::vector<int32_t>> kept = std::nullopt;  ///< indices into visual_rows
  /// Position of every input row from `layer` on; empty: as given. Rows beyond its end go on by one each.
  std::vector<int32_t> positions_after = {};
};

/// One forward pass over n rows; after a drop before layer K the matrices of layers >= K have n_left rows.
struct RefForward {
  std::vector<RefMatrix> layers;                  // output of every layer
  std::vector<std::vector<RefMatrix>> attention;  // [layer][head], softmaxed and causal, square
  std::vector<RefMatrix> keys;                    // rotated keys of every layer, heads side by side
  RefMatrix norm;                                 // [n_left, n_embd]
  RefMatrix logits;                               // [n_left, n_vocab]
  std::vector<int32_t> rows;                      ///< [n_left] which rows of the input are left
  std::vector<int32_t> kept;                      ///< indices into RefPrune::visual_rows, ascending
  std::vector<double> scores;  ///< FastV's, one per visual row; empty when `kept` was given
};

class ReferenceLlava {
 public:
  /// Any type ggml can convert to float. Throws std::runtime_error for a missing file, tensor or key, and for
  /// yarn scaling. An empty mmproj path: text model only.
  ReferenceLlava(const std::string& text_path, const std::string& mmproj_path);

  /// pixels: [3, image, image], normalised; of another size than the file's the position embeddings are
  /// resized. Features come from the output of the last block but one of the
  /// whole tower. `tower_layers`: blocks of the whole tower; the file stores all of them or all but the last.
  /// A file without the norm in front of the blocks is SigLIP's.
  RefFeatures encode(std::span<const float> pixels, int32_t tower_layers,
                     RefBetween* between = nullptr) const;

  /// A tensor of the mmproj file, [ne1 * ne2 * ne3, ne0].
  const RefMatrix& mmproj_tensor(const std::string& name) const { return mmproj_.tensors.at(name); }
  /// What the projector makes of features [n, d] -> [n, n_embd], or of groups of them that it merges.
  RefMatrix project(const RefMatrix& features) const;
  /// The norm in front of the output head, [n, n_embd].
  RefMatrix final_norm(const RefMatrix& hidden) const;

  /// Token embeddings [n, n_embd]; the k-th id equal to image_token becomes row k of `projected`.
  RefMatrix embed(std::span<const int32_t> ids, int32_t image_token, const RefMatrix& projected) const;

  /// embeds [n, n_embd], positions [n] for RoPE. Attention is causal in row order.
  RefForward forward(const RefMatrix& embeds, std::span<const int32_t> positions,
                     const std::optional<RefPrune>& prune = std::nullopt) const;

  /// n_tokens of greedy decoding, recomputing the whole sequence for each; new tokens go on from the last
  /// position + 1.
  std::vector<int32_t> greedy(RefMatrix embeds, std::vector<int32_t> positions, int32_t n_tokens,
                              const std::optional<RefPrune>& prune = std::nullopt) const;

 private:
  struct File {
    std::map<std::string, RefMatrix> tensors;  // [ne1 * ne2 * ne3, ne0]
    std::map<std::string, double> numbers;
    std::map<std::string, std::string> strings;
  };
  static File read(const std::string& path);
  RefMatrix tower_block(int32_t block, const RefMatrix& x, RefFeatures& out, RefBetween& between) const;
  RefMatrix decoder_layer(int32_t layer, const RefMatrix& x, std::span<const int32_t> positions,
                          RefForward& out) const;
  void rope(RefMatrix& x, std::span<const int32_t> positions) const;

  File text_;
  File mmproj_;
  bool is_qwen2_ = false;
  int32_t n_layer_ = 0, n_head_ = 0, n_head_kv_ = 0, n_rot_ = 0;
  double rope_base_ = 10000.0, rope_scale_ = 1.0, rms_eps_ = 0.0;
};

}  // namespace winnow::testing
