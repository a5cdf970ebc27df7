#pragma once

// CLIP's joint space of pictures and texts, for mmproj files that hold CLIP's text tower: the question as
// CDPruner (arXiv 2506.10967) and TRIM (arXiv 2409.10994) read it, and the patches beside it.

#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "winnow/engine/vision/clip.h"
#include "winnow/engine/vision/clip_text.h"
#include "winnow/engine/vision/clip_tokenizer.h"

namespace winnow::engine {

/// Checked when the file is opened, its weights loaded when they are first used. Thread-safe.
class ClipJoint {
 public:
  /// nullptr when the file has no text tower. Throws NotFound, Corrupt, Unsupported for one that is damaged
  /// or lacks the tower's way into the joint space (v.post_ln, visual_projection). The file must outlive the
  /// result.
  static std::unique_ptr<const ClipJoint> open(const GgufFile& file, const ClipConfig& tower,
                                               ggml_backend_dev_t device, bool f32);

  int32_t n_joint() const { return text_.n_joint; }
  /// Tower features [n, d_tower] -> visual_projection(post LN(features)) [n, n_joint], not normalised.
  std::vector<float> image(const std::vector<float>& features, const Execution& execution) const;
  /// [segments, n_joint], not normalised; a segment for each context_length tokens of the text (begin and end
  /// token counted), as CDPruner cuts it. Throws InvalidArgument for text that is no UTF-8.
  std::vector<float> text(std::string_view question, const Execution& execution) const;

 private:
  ClipJoint(const GgufFile& file, const ClipConfig& tower, const ClipTextConfig& text,
            ggml_backend_dev_t device, bool f32);
  const Weights& weights() const;
  std::vector<TensorSpec> tensors() const;

  const GgufFile& file_;
  ClipTextConfig text_;
  int32_t d_tower_;
  float tower_eps_;
  ggml_backend_dev_t device_;
  bool f32_;
  ClipTokenizer tokenizer_;
  mutable std::once_flag loaded_;
  mutable std::unique_ptr<const Weights> weights_;
};

}  // namespace winnow::engine
