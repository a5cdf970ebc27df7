#include "winnow/train/optimizer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <tuple>
#include <utility>

#include "winnow/base/error.h"

namespace winnow::train {
namespace {

using torch::Tensor;

constexpr double kMuonMomentum = 0.95;
constexpr double kBeta1 = 0.9, kBeta2 = 0.98, kAdamEps = 1e-8;

using Tensors = std::vector<Tensor>;

}  // namespace

/// Parameters that one update changes together: matrices of one shape, or tables, norms and biases of equal
/// age.
struct Optimizer::Batch {
  std::vector<const ParameterSpec*> specs;
  Update update = Update::Adam;
  double lr = 0.0;
  Tensors gradients;
  Tensor square_norm;
};

Tensor orthogonalised(const Tensor& matrices) {
  constexpr double a = 3.4445, b = -4.7750, c = 2.0315;
  const bool tall = matrices.size(-2) > matrices.size(-1);
  Tensor x = tall ? matrices.transpose(-2, -1).contiguous() : matrices;
  x = x / (x.norm(2, {-2, -1}, true) + 1e-7);
  for (int i = 0; i < 5; ++i) {
    const Tensor square = torch::bmm(x, x.transpose(1, 2));
    const Tensor mix = torch::baddbmm(square, square, square, b, c);
    x = torch::baddbmm(x, mix, x, a, 1.0);
  }
  return tall ? x.transpose(-2, -1) : x;
}

Optimizer::Optimizer(std::vector<ParameterSpec> specs) : specs_(std::move(specs)) {}

Tensors Optimizer::moments(const Batch& batch, const char* which) {
  Tensors out;
  for (const ParameterSpec* spec : batch.specs) out.push_back(state_.at(spec->name + which));
  return out;
}

void Optimizer::update_matrices(const Batch& batch, Tensors values, double decay) {
  Tensors first = moments(batch, ".first");
  at::_foreach_mul_(first, kMuonMomentum);
  at::_foreach_add_(first, batch.gradients);
  const Tensor direction =
      orthogonalised(torch::stack(batch.gradients) + kMuonMomentum * torch::stack(first));
  const double scale = 0.2 * std::sqrt(static_cast<double>(std::max(direction.size(1), direction.size(2))));
  at::_foreach_mul_(values, 1.0 - batch.lr * decay);
  at::_foreach_add_(values, direction.unbind(0), -batch.lr * scale);
}

void Optimizer::update_vectors(const Batch& batch, Tensors values, double decay) {
  Tensors first = moments(batch, ".first"), second = moments(batch, ".second");
  Tensors steps = moments(batch, ".steps");
  for (Tensor& count : steps) count.add_(1.0);
  const double t = steps.front().item<double>();
  at::_foreach_mul_(first, kBeta1);
  at::_foreach_add_(first, batch.gradients, 1.0 - kBeta1);
  at::_foreach_mul_(second, kBeta2);
  at::_foreach_addcmul_(second, batch.gradients, batch.gradients, 1.0 - kBeta2);
  Tensors denominators = at::_foreach_div(second, 1.0 - std::pow(kBeta2, t));
  at::_foreach_sqrt_(denominators);
  at::_foreach_add_(denominators, kAdamEps);
  if (batch.update == Update::AdamDecayed) at::_foreach_mul_(values, 1.0 - batch.lr * decay);
  at::_foreach_addcdiv_(values, first, denominators, -batch.lr / (1.0 - std::pow(kBeta1, t)));
}

/// Makes moments where there are none yet. Batches of what moves, cut so that every worker has some.
std::vector<Optimizer::Batch> Optimizer::batches(const Parameters& parameters, const Parameters& gradients,
                                                 const StepRates& rates, int64_t n_workers) {
  std::map<std::tuple<Update, double, std::vector<int64_t>, double>, std::vector<const ParameterSpec*>> alike;
  for (const ParameterSpec& spec : specs_) {
    const auto rate = rates.lr.find(spec.part);
    if (rate == rates.lr.end() || rate->second == 0.0) continue;
    if (!gradients.at(spec.name).grad().defined()) continue;
    const Tensor& value = parameters.at(spec.name);
    state_.try_emplace(spec.name + ".first", torch::zeros_like(value));
    double age = 0.0;
    if (spec.update != Update::Muon) {
      state_.try_emplace(spec.name + ".second", torch::zeros_like(value));
      age = state_.try_emplace(spec.name + ".steps", torch::zeros({1}, torch::kDouble))
                .first->second.item<double>();
    }
    const auto shape = spec.update == Update::Muon ? value.sizes().vec() : std::vector<int64_t>();
    alike[{spec.update, rate->second, shape, age}].push_back(&spec);
  }
  std::vector<Batch> out;
  for (const auto& [key, specs] : alike) {
    const auto n = static_cast<int64_t>(specs.size()), n_cuts = std::min(n, n_workers);
    for (int64_t i = 0; i < n_cuts; ++i)
      out.push_back({{specs.begin() + i * n / n_cuts, specs.begin() + (i + 1) * n / n_cuts},
                     std::get<0>(key),
                     std::get<1>(key),
                     {},
                     {}});
  }
  return out;
}

double Optimizer::step(Parameters& parameters, const std::vector<Parameters>& leaves, const StepRates& rates,
                       Workers& workers) {
  std::vector<Batch> work = batches(parameters, leaves[0], rates, workers.n());
  const auto of_batch = [](const Batch& batch, const auto& tensor) {
    Tensors out;
    for (const ParameterSpec* spec : batch.specs) out.push_back(tensor(spec->name));
    return out;
  };
  const auto share = [&](const auto& one) {
    std::atomic<std::size_t> next = 0;
    workers.run([&](int32_t) {
      const torch::NoGradGuard no_grad;
      for (std::size_t i = next++; i < work.size(); i = next++) one(work[i]);
    });
  };
  share([&](Batch& batch) {  // in the order of the workers, so that the sum does not depend on who is faster
    const auto gradients = [&](const Parameters& of) {
      return of_batch(batch, [&](const std::string& name) { return of.at(name).grad(); });
    };
    batch.gradients = at::_foreach_div(gradients(leaves[0]), static_cast<double>(leaves.size()));
    for (std::size_t w = 1; w < leaves.size(); ++w)
      at::_foreach_add_(batch.gradients, gradients(leaves[w]), 1.0 / static_cast<double>(leaves.size()));
    batch.square_norm = torch::stack(at::_foreach_norm(batch.gradients)).square().sum();
  });
  Tensors squares;
  for (const Batch& batch : work) squares.push_back(batch.square_norm);
  const double norm = squares.empty() ? 0.0 : std::sqrt(torch::stack(squares).sum().item<double>());
  WINNOW_CHECK(std::isfinite(norm), Internal, "train.optimizer",
               "the gradient is not a number; the weights are as they were before the step");
  const double factor = std::min(1.0, rates.clip_norm / (norm + 1e-12));
  share([&](Batch& batch) {
    if (factor < 1.0) at::_foreach_mul_(batch.gradients, factor);
    Tensors values = of_batch(batch, [&](const std::string& name) { return parameters.at(name); });
    if (batch.update == Update::Muon) {
      update_matrices(batch, values, rates.decay);
    } else {
      update_vectors(batch, values, rates.decay);
    }
  });
  return norm;
}

}  // namespace winnow::train
