#pragma once

#include <torch/torch.h>

#include "winnow/train/batch.h"
#include "winnow/train/model.h"

namespace winnow::train {

/// What the tower learns before there is a decoder: for every patch which shape, colour, size, letters and
/// box it lies on, and from [CLS] which shape-colour pairs and how many objects the picture holds.
struct TowerLosses {
  torch::Tensor total;
  double shape_right = 0.0, glyph_right = 0.0, box_error_px = 0.0,
         count_right = 0.0;  ///< where there is something
};
TowerLosses tower_losses(const Model& model, const Model::TowerOut& out, const PictureBatch& batch);
/// Only the patches' part of it, which keeps features apart while the whole model is trained.
torch::Tensor dense_loss(const Model& model, const torch::Tensor& features, const PictureBatch& batch);

/// Puts text and visual tokens in their places: everything decode() needs.
DecoderInput decoder_input(const Model& model, const QuestionBatch& batch, const torch::Tensor& visual);

/// Mean cross-entropy of the answers' tokens, end token included. logits [n_wanted, n_vocab].
torch::Tensor answer_loss(const torch::Tensor& logits, const QuestionBatch& batch);

}  // namespace winnow::train
