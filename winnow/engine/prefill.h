#pragma once

#include <cstdint>
#include <vector>

#include "winnow/engine/session.h"

namespace winnow::engine {

/// One turn's prompt on its way through the decoder: segments of layers with selections between them.
///   layers [0, K) on the full sequence -> selection on the host -> gather -> layers [K, L) on the shorter
///   sequence
class Prefill {
 public:
  Prefill(Session& session, const Prompt& prompt, const std::vector<const EncodedImage*>& images,
          const PruneOptions& prune, int32_t reserve);
  PrefillResult run(bool all_logits);

 private:
  /// The tokens of one image inside the sequence.
  struct ImageRun {
    const EncodedImage* image = nullptr;
    int32_t first = 0;  ///< index in the sequence
    int32_t count = 0;
    int32_t first_id = 0;  ///< position ids that the image covers
    int32_t n_ids = 0;
    std::vector<int32_t> token_of;  ///< [count] cell of each remaining token; empty: all cells
  };
  /// Attention of one query row. Rows of different chunks see different numbers of keys.
  struct AttentionRow {
    int32_t row = -1;  ///< index in the sequence; -1: not wanted
    int32_t n_key = 0;
    std::vector<float> values;  // [n_head, n_key]
  };
  struct Taps {
    AttentionRow last_text;
    AttentionRow last_visual;
    int32_t n_past = 0;  ///< keys of earlier turns, before this sequence's
  };

  void assemble(const Prompt& prompt, const std::vector<const EncodedImage*>& images);
  void share_budgets();
  void check_context() const;
  Taps run_layers(int32_t first, int32_t last, const prune::Step* next, bool all_logits);
  std::vector<float> run_chunk(int32_t start, int32_t size, int32_t first, int32_t last, bool all_logits,
                               Taps& taps);
  void apply(std::size_t step_idx, const Taps& taps);
  prune::Signals signals_of(const prune::Step& step, const ImageRun& run, const Taps& taps,
                            std::vector<std::vector<float>>& storage) const;
  MatrixView text_embeds(const prune::Step& step) const;
  void add_tower_tap(const prune::Need& need, const ImageRun& run, std::vector<std::vector<float>>& storage,
                     prune::Signals& s) const;
  void gather(const std::vector<prune::Plan>& plans, prune::PositionPolicy policy);
  void record(const prune::Step& step, int32_t image, const ImageRun& run, const prune::Plan& plan);
  int32_t n() const { return static_cast<int32_t>(ids_.size()); }
  int32_t n_visual() const;

  Session& session_;
  const LlamaConfig& llama_;
  const PruneOptions& prune_;
  int32_t reserve_;
  std::vector<float> hidden_;  // [n, n_embd]
  std::vector<int32_t> ids_;   // [n], relative to the turn
  std::vector<ImageRun> images_;
  std::vector<std::vector<int32_t>> quotas_;  ///< [n_step][n_image] tokens to keep
  int32_t id_span_ = 0;                       ///< ids that the turn uses up
  int32_t n_visual_before_ = 0;
  double token_layers_ = 0.0;  ///< sum over the layers of their visual tokens
  Stopwatch watch_;
  PrefillResult result_;
};

}  // namespace winnow::engine
