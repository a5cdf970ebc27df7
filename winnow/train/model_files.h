#pragma once

#include <string>

#include "winnow/train/parameters.h"
#include "winnow/train/shape.h"

namespace winnow::train {

enum class FileType { F16, F32 };

struct ModelFiles {
  std::string text;
  std::string mmproj;
};

/// Writes DIR/NAME-text-TYPE.gguf and DIR/NAME-mmproj-TYPE.gguf, as llama.cpp's LLaVA-1.5 pairs are: norms,
/// biases and positions in f32, matrices in `type`, the tower without its last block, which nothing reads.
/// Throws Io.
ModelFiles write_model(const ModelShape& shape, const Parameters& parameters, FileType type,
                       const std::string& name, const std::string& dir);

/// Reads weights back into `parameters`, for training that starts from a model: every weight that the files
/// hold; the others keep what they have, those of the decoder too when `files.text` is empty. A projector
/// that merges other numbers of patches has another shape and is left out: false. Throws Error for missing
/// tensors and other shapes.
bool read_model(const ModelFiles& files, const ModelShape& shape, Parameters& parameters);

}  // namespace winnow::train
