#pragma once

// The CLIP tower as a ggml graph while it grows: embedding, halves of blocks, and beside them the signals
// that were asked for.

#include <ggml.h>

#include <optional>
#include <span>
#include <vector>

#include "winnow/engine/vision/clip.h"
#include "winnow/engine/vision/windows.h"

namespace winnow::engine {

/// A signal of this graph that was asked for.
struct Wanted {
  TowerSignal signal;
  ggml_tensor* tensor;
  int64_t n_token;  ///< columns of attention, rows of keys; [CLS] among them if there is one
};

/// Rows of attention that are held at once for its column means: all of this many, else kMapRows at a time.
inline constexpr int64_t kWholeMap = 1024;
inline constexpr int64_t kMapRows = 128;
/// Nodes of one signal at most.
inline std::size_t n_tap_node(const ClipConfig& config) {
  return 16 + 10 * static_cast<std::size_t>(config.n_token() / kMapRows + 1);
}

/// Some of the tower's blocks in one graph. Rows are tokens, [CLS] in front if there is one.
class ClipGraph {
 public:
  ClipGraph(const ClipConfig& config, const Weights& weights, std::size_t n_tap, const Execution& execution)
      : graph(static_cast<std::size_t>(config.n_layer_run) * 64 + n_tap * n_tap_node(config) + 256,
              execution.observer),
        config_(config),
        w_(weights),
        fused_(execution.fused),
        blocks_(config.block(), weights, execution.fused) {}

  /// Patches of each frame, as run_clip() takes frames; they must stay alive until the graph has run.
  ggml_tensor* embed(std::span<const std::vector<float>> frames);
  /// Rows [t, n_embd] that come from outside; they must stay alive until the graph has run.
  ggml_tensor* rows(const std::vector<float>& values);
  /// x + attention(LN(x)). log_sizes: [t] added to the logits of each key, or empty; alive until the run.
  ggml_tensor* attention_half(ggml_tensor* x, int32_t il, const TowerRequest& request,
                              const std::vector<float>& log_sizes = {});
  /// x + mlp(LN(x))
  ggml_tensor* mlp_half(ggml_tensor* x, int32_t il);
  /// Keys of the block that attention_half() built last, ne {n_embd, t}.
  ggml_tensor* keys() const { return keys_; }
  bool taps_block(int32_t il, const TowerRequest& request) const;
  /// Signals of a block that is not run itself.
  void taps_alone(ggml_tensor* x, int32_t il, const TowerRequest& request);

  Graph graph;
  std::vector<Wanted> wanted;

 private:
  ggml_tensor* patch_embedding(std::span<const std::vector<float>> frames);
  ggml_tensor* positions();
  ClipQueryKey query_key(ggml_tensor* h, int32_t il);
  ggml_tensor* mask(const std::vector<float>& log_sizes);
  ggml_tensor* key_mask(ggml_tensor* row, int64_t n_query);
  const WindowRows* windows(int32_t il);
  void taps(int32_t il, const ClipQueryKey& qk, const TowerRequest& request);
  ggml_tensor* tap(prune::Signal signal, const ClipQueryKey& qk, const WindowRows* windows) const;
  ggml_tensor* column_means(ggml_tensor* q, ggml_tensor* k) const;
  ggml_tensor* window_means(const ClipQueryKey& qk, const WindowRows& windows) const;

  const ClipConfig& config_;
  const Weights& w_;
  bool fused_;
  ClipBlocks blocks_;
  ggml_tensor* keys_ = nullptr;
  std::vector<float> positions_;  ///< interpolated, if the grid is not the stored one; read by the run
  std::vector<int32_t> rotary_;   ///< rows and columns, if they turn queries and keys; read by the run
  ggml_tensor* rotary_input_ = nullptr;
  WindowBatch batch_;          ///< if attention is in windows; read by the run
  std::vector<float> unused_;  ///< [n_window, n_row] 0, or -infinity for what fills up; read by the run
  std::optional<WindowRows> windows_;
};

}  // namespace winnow::engine
