#pragma once

// A vision-language model = preprocessing + tower + projector + decoder + tokenizer, each described by data
// from the files.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "winnow/engine/decoder/llama.h"
#include "winnow/engine/gguf.h"
#include "winnow/engine/projector/mlp.h"
#include "winnow/engine/projector/tiling.h"
#include "winnow/engine/tokenizer.h"
#include "winnow/engine/vision/clip.h"
#include "winnow/engine/vision/clip_joint.h"
#include "winnow/engine/weights.h"

namespace winnow::engine {

struct ModelOptions {
  std::string text_path;
  std::string mmproj_path;
  std::string device = "auto";
  bool f32 = false;  ///< all weights as float32: exact comparison with a reference, slow and large
  std::string text_type = "auto";   ///< type of the decoder's matrices: auto, stored, or a ggml type
  std::string tower_type = "auto";  ///< of the tower's: auto, stored, or a ggml type such as q8_0
  bool all_blocks = false;   ///< run every stored tower block, also those behind the features (for tracing)
  int32_t tower_blocks = 0;  ///< > 0: read the features after this many tower blocks, whatever the file says
};

/// Loaded and checked; immutable, shared by sessions.
class Model {
 public:
  /// Reads and checks both files completely before a weight is loaded. Throws Error.
  static std::shared_ptr<const Model> load(const ModelOptions& options);

  const ModelOptions& options() const { return options_; }
  const ClipConfig& clip() const { return clip_; }
  const MlpConfig& mlp() const { return mlp_; }
  const LlamaConfig& llama() const { return llama_; }
  /// Pictures larger than the tower's input.
  const Tiling& tiling() const { return tiling_; }
  /// The token behind each row of tiles [n_embd]; empty without tiles.
  const std::vector<float>& image_newline() const { return image_newline_; }
  /// Visual tokens of one input of the tower: the patches, or the groups of them that the projector merges.
  prune::Grid grid() const { return mlp_.merge.grid(); }
  /// CLIP's joint space; nullptr when the mmproj file has no CLIP text tower.
  const ClipJoint* clip_joint() const { return clip_joint_.get(); }
  const Weights& tower_weights() const { return *tower_weights_; }
  const Weights& projector_weights() const { return *projector_weights_; }
  const Weights& decoder_weights() const { return *decoder_weights_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const GgufFile& text_file() const { return text_; }
  const GgufFile& mmproj_file() const { return mmproj_; }
  ggml_backend_dev_t device() const { return device_; }
  double load_ms() const { return load_ms_; }

 private:
  explicit Model(const ModelOptions& options);

  ModelOptions options_;
  GgufFile text_;
  GgufFile mmproj_;
  ggml_backend_dev_t device_;
  ClipConfig clip_;
  MlpConfig mlp_;
  Tiling tiling_;
  std::vector<float> image_newline_;
  LlamaConfig llama_;
  std::unique_ptr<const ClipJoint> clip_joint_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<Weights> tower_weights_;
  std::unique_ptr<Weights> projector_weights_;
  std::unique_ptr<Weights> decoder_weights_;
  double load_ms_ = 0.0;
};

}  // namespace winnow::engine
