#include "winnow/train/losses.h"

#include <algorithm>

namespace winnow::train {
namespace {

using torch::Tensor;
namespace F = torch::nn::functional;

struct DenseOut {
  Tensor shape, colour, size, left, right, box;
};

DenseOut dense_heads(const Model& model, const Tensor& features) {
  const Tensor all = torch::linear(features, model.at("dense.weight"), model.at("dense.bias"));
  const auto parts = all.split_with_sizes({DenseHeads::kShape, DenseHeads::kColour, DenseHeads::kSize,
                                           DenseHeads::kGlyph, DenseHeads::kGlyph, DenseHeads::kBox},
                                          1);
  return {parts[0], parts[1], parts[2], parts[3], parts[4], parts[5]};
}

/// Cross-entropy in which "nothing here" (class 0) weighs less: most patches show nothing.
Tensor class_loss(const Tensor& logits, const Tensor& target, float background) {
  Tensor weight = torch::ones({logits.size(1)}, logits.options());
  weight[0] = background;
  return F::cross_entropy(logits, target, F::CrossEntropyFuncOptions().weight(weight));
}

Tensor dense_sum(const DenseOut& out, const PictureBatch& b) {
  constexpr float kBackground = 0.12F, kNoGlyph = 0.05F;
  constexpr double kBoxWeight = 6.0;
  const Tensor box = ((out.box - b.box).abs().sum(1) * b.boxed).sum() / (4.0 * b.boxed.sum().clamp_min(1.0));
  return class_loss(out.shape, b.shape, kBackground) + class_loss(out.colour, b.colour, kBackground) +
         class_loss(out.size, b.size, kBackground) + class_loss(out.left, b.left, kNoGlyph) +
         class_loss(out.right, b.right, kNoGlyph) + kBoxWeight * box;
}

double share_right(const Tensor& logits, const Tensor& target) {
  const Tensor there = target.gt(0);
  const double n = there.sum().item<double>();
  return n == 0.0 ? 0.0 : logits.argmax(1).eq(target).logical_and(there).sum().item<double>() / n;
}

}  // namespace

Tensor dense_loss(const Model& model, const Tensor& features, const PictureBatch& batch) {
  return dense_sum(dense_heads(model, features), batch);
}

TowerLosses tower_losses(const Model& model, const Model::TowerOut& out, const PictureBatch& b) {
  constexpr double kPairsWeight = 4.0, kPairsPositive = 4.0, kCountWeight = 0.2;
  const DenseOut dense = dense_heads(model, out.features);
  const Tensor whole = torch::linear(out.cls, model.at("cls.weight"), model.at("cls.bias"));
  const Tensor pairs = whole.slice(1, 0, DenseHeads::kPairs), count = whole.slice(1, DenseHeads::kPairs);
  TowerLosses losses;
  losses.total = dense_sum(dense, b) + kCountWeight * F::cross_entropy(count, b.count) +
                 kPairsWeight * F::binary_cross_entropy_with_logits(
                                    pairs, b.pairs,
                                    F::BinaryCrossEntropyWithLogitsFuncOptions().pos_weight(
                                        torch::full({DenseHeads::kPairs}, kPairsPositive, pairs.options())));
  const torch::NoGradGuard no_grad;
  losses.shape_right = share_right(dense.shape, b.shape);
  losses.glyph_right = 0.5 * (share_right(dense.left, b.left) + share_right(dense.right, b.right));
  losses.box_error_px = model.shape().image_px *
                        ((dense.box - b.box).abs().mean(1) * b.boxed).sum().item<double>() /
                        std::max(1.0, b.boxed.sum().item<double>());
  losses.count_right = count.argmax(1).eq(b.count).to(torch::kFloat).mean().item<double>();
  return losses;
}

DecoderInput decoder_input(const Model& model, const QuestionBatch& batch, const Tensor& visual) {
  DecoderInput input;
  input.x = torch::cat({model.embed(batch.ids), visual}, 0).index_select(0, batch.order);
  std::tie(input.cos, input.sin) = rope_table(model.shape(), batch.positions);
  input.cos = input.cos.to(visual.device());
  input.sin = input.sin.to(visual.device());
  input.layout = batch.layout;
  input.wanted = batch.wanted;
  input.wanted_layout = batch.wanted_layout;
  return input;
}

Tensor answer_loss(const Tensor& logits, const QuestionBatch& batch) {
  // Scenes of one object each offer no needle question: nothing to learn from such a sample.
  const auto n = static_cast<double>(std::max<int64_t>(1, logits.size(0)));
  return -(torch::log_softmax(logits, 1) * batch.soft).sum() / n;
}

}  // namespace winnow::train
