#pragma once

#include <cstdint>
#include <vector>

#include "winnow/engine/sequence.h"
#include "winnow/engine/session.h"
#include "winnow/engine/step_signals.h"

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
  /// Layers that ran on the same tokens, up to end_layer.
  struct Segment {
    int32_t end_layer;
    std::vector<int32_t> origin;  ///< Sequence::origin of these tokens
  };

  void assemble(const Prompt& prompt, const std::vector<const EncodedImage*>& images);
  void number(Sequence& s) const;
  static void number_axes(Sequence& s);
  void check_steps() const;
  void check_pictures() const;
  void check_merged(const prune::Step& step) const;
  bool is_read(prune::Signal signal, int32_t from_layer) const;
  std::vector<int32_t> quotas(const prune::Step& step, const std::vector<int32_t>& image_tokens) const;
  void read_question(const prune::Step& step);
  void check_context() const;
  void trim_caches();
  void enter_decoder();
  void show_axes() const;
  void run_step(std::size_t step_idx, int32_t first_layer);
  void run_to_step(int32_t first, int32_t last, StepSignals& signals);
  void run_layers(int32_t first, int32_t last, StepSignals* signals, bool all_logits);
  std::vector<float> run_chunk(int32_t start, int32_t size, int32_t first, int32_t last, bool all_logits,
                               StepSignals* signals);
  void apply(std::size_t step_idx, const std::vector<int32_t>& quotas, StepSignals& signals);
  void note_budget(const prune::Step& step, const std::vector<int32_t>& image_tokens);
  std::vector<float> outputs(const prune::Step& step, const ImageRun& run, const prune::Plan& plan);
  std::size_t show_encoded();
  void show(std::size_t step_idx, std::size_t image, int32_t n_keep, prune::Signals signals,
            const prune::Plan& plan) const;
  prune::Plan plan_of(std::size_t step_idx, std::size_t image, int32_t n_keep, StepSignals& signals);
  void record(std::size_t step_idx, std::size_t image, const prune::Plan& plan);
  int32_t n() const { return sequence_.n(); }

  Session& session_;
  const LlamaConfig& llama_;
  const PruneOptions& prune_;
  int32_t reserve_;
  Sequence sequence_;
  std::vector<prune::Step> steps_;  ///< as they are run
  std::vector<Segment> segments_;   ///< in the order in which they were run
  double token_layers_ = 0.0;       ///< sum over the layers of their visual tokens
  Stopwatch watch_;
  PrefillResult result_;
};

}  // namespace winnow::engine
