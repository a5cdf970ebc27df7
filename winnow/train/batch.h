#pragma once

// Scenes and questions -> tensors. One sample is a prompt's prefix (one or several pictures) and the
// questions about it, packed without padding.

#include <torch/torch.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "winnow/prune/plan.h"
#include "winnow/scenes/question.h"
#include "winnow/scenes/scene.h"
#include "winnow/train/ops.h"
#include "winnow/train/shape.h"
#include "winnow/train/vocabulary.h"

namespace winnow::train {

/// Pictures with what the tower's pre-training asks of each patch and of the whole.
struct PictureBatch {
  int64_t n_pictures = 0;
  torch::Tensor patches;                           // [pictures * n_patch, 3 * patch * patch], normalised
  torch::Tensor shape, colour, size, left, right;  // [pictures * n_patch] int64; 0: nothing there
  torch::Tensor box;                               // [pictures * n_patch, 4], 0..1
  torch::Tensor boxed;                             // [pictures * n_patch] 1 where `box` counts
  torch::Tensor pairs;                             // [pictures, 80] colour-shape pairs that are there
  torch::Tensor count;                             // [pictures] int64 objects
};

struct AskedQuestion {
  scenes::Task task;
  std::string text;                   ///< as asked, with suffix
  int64_t first_row = 0, n_rows = 0;  ///< of the wanted rows
};

struct QuestionBatch {
  torch::Tensor ids;        // [n_text] int64
  torch::Tensor order;      // [rows] int64 into (text rows, visual output tokens)
  torch::Tensor positions;  // [rows] int64
  LayoutPtr layout;
  torch::Tensor wanted;  // [n_wanted] int64
  LayoutPtr wanted_layout;
  torch::Tensor targets;  // [n_wanted] int64
  torch::Tensor
      soft;  // [n_wanted, n_vocab] the same as probabilities; coordinates are spread to their neighbours
  std::vector<AskedQuestion> questions;
};

/// What one worker draws for one step. Equal values give the same batch.
struct BatchRequest {
  scenes::Split split = scenes::Split::Train;
  uint64_t seed = 0;
  uint64_t first = 0;  ///< index of the first sample
  int32_t n_samples = 0;
  int32_t n_questions = 16;  ///< for each sample
  int32_t n_several = 0;     ///< the last so many samples show several pictures and ask needle questions
  int32_t n_pictures = 1;    ///< in each of those
  bool described = false;    ///< a description in words stands where the picture would
  bool late = false;         ///< more of the kinds that are learned last
  int32_t shift = 0;         ///< each prompt draws how many positions, up to so many, stay free before it
  bool plain = false;        ///< no suffixes and other forms of the prompt (validation)

  int32_t pictures_of(int32_t sample) const { return sample < n_samples - n_several ? 1 : n_pictures; }
  int32_t all_pictures() const { return n_samples - n_several + n_several * n_pictures; }
};

class BatchMaker {
 public:
  BatchMaker(const ModelShape& shape, const Vocabulary& vocabulary);

  PictureBatch pictures(const BatchRequest& request) const;
  /// The questions about the same pictures. plans: one for each picture, its output tokens in order; none:
  /// every token.
  QuestionBatch questions(const BatchRequest& request, std::span<const prune::Plan> plans = {}) const;

 private:
  ModelShape shape_;
  const Vocabulary& vocabulary_;
};

}  // namespace winnow::train
