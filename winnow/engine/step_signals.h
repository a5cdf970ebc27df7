#pragma once

// What the method of one pruning step looks at: made beside the layers in front of the step, handed out image
// by image. Nothing is made that the method does not declare.

#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "winnow/engine/kv_cache.h"
#include "winnow/engine/model.h"
#include "winnow/engine/sequence.h"
#include "winnow/prune/schedule.h"

namespace winnow::engine {

/// What a method reads; tiled: of pictures that are cut into tiles, for the tiles' budgets as well.
std::vector<prune::Need> encoder_needs(const prune::MethodUse& use, bool tiled);
/// True for signals that are made when an image is encoded, on request.
bool is_of_tower(prune::Signal signal);
/// The steps with what depends on the model filled in: relevance=auto of cdpruner and trim becomes clip where
/// the mmproj file has CLIP's text tower, else embeddings.
std::vector<prune::Step> resolve_steps(const Model& model, std::vector<prune::Step> steps);
/// Why the model cannot give a signal, as half a sentence behind the signal's name; empty when it can.
std::string missing_signal(const Model& model, const prune::Need& need);
/// Throws Unsupported for the first of a method's signals that the model cannot give, and names a parameter
/// that does without, if there is one.
void check_tower_needs(const Model& model, const prune::MethodUse& use);
/// Throws InvalidArgument for a step whose signals do not exist at its place: attention of layer K-1 before
/// layer 0, a [CLS] token inside the decoder. Throws as check_tower_needs().
void check_step(const Model& model, const prune::Step& step);

class StepSignals {
 public:
  /// Before the layers in front of the step are run on the sequence, which must not change until the signals
  /// have been read. asked: false when the method will not be (everything stays or goes): nothing is made.
  StepSignals(const Model& model, KvCache& cache, const Execution& execution, const Sequence& sequence,
              const prune::Step& step, bool asked);

  /// True when the hidden states that enter layer K-1 are read: run up to there, then call take_previous().
  bool wants_previous() const { return wants(prune::Signal::PreviousHidden); }
  void take_previous();
  /// What layer K-1 shall leave of the tokens [first, first + n), and what it left.
  LayerTap tap(int32_t first, int32_t n) const;
  void take(int32_t first, const LayerTap& tap, const DecoderOutput& out);

  /// Signals of an image that has tokens left, when layer K-1 is done. Valid until the next call; rows of the
  /// sequence are not copied.
  prune::Signals of_image(std::size_t image);
  /// In the order in which they were made.
  const std::vector<prune::Need>& computed() const { return computed_; }

 private:
  /// Attention of chosen queries of the sequence to the tokens of each image.
  struct AttentionRows {
    std::vector<int32_t> queries;              ///< indices in the sequence, ascending
    std::vector<std::vector<float>> of_image;  // [image][n_head * queries, count]
  };

  bool wants(prune::Signal signal) const;
  void made(const prune::Need& need);
  void take_attention(int32_t first, const LayerTap& tap, const std::vector<float>& values);
  void take_keys(int32_t first, const std::vector<float>& keys);
  void make_next_attention();
  MatrixView of_decoder(prune::Signal signal, std::size_t image);
  MatrixView of_encoder(const prune::Need& need, const ImageRun& run);
  MatrixView inputs(prune::Signal signal, const ImageRun& run);
  MatrixView keep(std::vector<float> values, int64_t cols);
  MatrixView normed(MatrixView rows);

  const Model& model_;
  const LlamaConfig& llama_;
  KvCache& cache_;
  Execution execution_;
  const Sequence& sequence_;
  const prune::Step& step_;
  std::vector<prune::Need> needs_;
  std::vector<prune::Need> computed_;
  int32_t n_past_ = 0;                       ///< tokens of earlier turns that layer K-1 has cached
  int32_t first_id_ = 0;                     ///< position id of the turn's first token there
  int32_t first_visual_ = 0, n_column_ = 0;  ///< from the first to the last visual token of the sequence
  std::map<prune::Signal, AttentionRows> attention_;
  std::vector<std::vector<float>> previous_;  // [image][count, n_embd]
  std::vector<std::vector<float>> keys_;      // [image][count, n_embd_kv]
  std::vector<float> text_keys_;              // [n_text, n_embd_kv]
  std::list<std::vector<float>> owned_;       ///< what was made for the image at hand
};

}  // namespace winnow::engine
