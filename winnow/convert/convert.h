#pragma once

// A LLaVA-1.5, LLaVA-NeXT, LLaVA-OneVision, Qwen2-VL or Qwen2.5-VL checkpoint of Hugging Face as the GGUF
// pair that the engine and llama.cpp read.

#include <ggml.h>

#include <string>

namespace winnow::convert {

struct ConvertOptions {
  std::string checkpoint;  ///< folder with config.json, safetensors and tokenizer.model
  std::string tower;       ///< folder of the CLIP checkpoint, for the original authors' layout; else empty
  std::string
      text_tower;  ///< folder of a whole CLIP checkpoint whose text tower goes into the mmproj; or empty
  ggml_type type = GGML_TYPE_F16;
  std::string out;  ///< folder, made if it is not there
};

struct ConvertedFiles {
  std::string text;
  std::string mmproj;
};

/// Writes OUT/NAME-text-TYPE.gguf and OUT/NAME-mmproj-{f16,f32}.gguf, NAME being the checkpoint folder's
/// name.
///
/// Types as weight_types.h says: matrices have `type`, of the mmproj f16 or f32; norms, biases, class and
/// position embeddings are f32. f32, f16 and bf16 weights are converted through f32. All blocks of the tower
/// are stored, and clip.vision.feature_layer says which one the projector reads. Rows of Llama's queries and
/// keys are reordered so that rotary pairs lie side by side, as GGUF's llama files have them.
///
/// Weights are read a few rows at a time, so memory does not grow with the model. Either both files are
/// written or none. Throws what Checkpoint, read_checkpoint_config and read_vocabulary throw; NotFound,
/// Corrupt for tensors that are missing, too many or of another shape; InvalidArgument for rows that the type
/// cannot store, or numbers that f16 cannot; Io.
ConvertedFiles convert_checkpoint(const ConvertOptions& options);

}  // namespace winnow::convert
