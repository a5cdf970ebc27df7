#pragma once

#include <torch/torch.h>

#include <map>
#include <string>
#include <vector>

#include "winnow/train/parameters.h"
#include "winnow/train/workers.h"

namespace winnow::train {

/// Learning rates of one step, by part; 0: the part stands still.
struct StepRates {
  std::map<Part, double> lr;
  double decay = 0.02;     ///< decoupled weight decay of matrices
  double clip_norm = 1.0;  ///< of the whole gradient
};

/// Muon (Jordan et al. 2024) for matrices, with the scale 0.2 sqrt(max(rows, columns)) of Liu et al. 2025
/// (arXiv 2502.16982) so that one learning rate suits both; AdamW (Loshchilov and Hutter 2019) for tables,
/// norms and biases.
class Optimizer {
 public:
  explicit Optimizer(std::vector<ParameterSpec> specs);

  /// gradients: one map for each worker, averaged here; parameters change in place. Returns the gradient's
  /// norm. Throws Internal, with nothing changed, when it is not finite.
  double step(Parameters& parameters, const std::vector<Parameters>& leaves, const StepRates& rates,
              Workers& workers);

  /// Moments and counts, for checkpoints: "NAME.first", "NAME.second", "NAME.steps".
  Parameters& state() { return state_; }

 private:
  struct Batch;
  std::vector<Batch> batches(const Parameters& parameters, const Parameters& gradients,
                             const StepRates& rates, int64_t n_workers);
  std::vector<torch::Tensor> moments(const Batch& batch, const char* which);
  void update_matrices(const Batch& batch, std::vector<torch::Tensor> values, double decay);
  void update_vectors(const Batch& batch, std::vector<torch::Tensor> values, double decay);

  std::vector<ParameterSpec> specs_;
  Parameters state_;
};

/// The nearest matrices with singular values about 1: five Newton-Schulz steps with Jordan's coefficients.
/// matrices [n, rows, columns].
torch::Tensor orthogonalised(const torch::Tensor& matrices);

}  // namespace winnow::train
