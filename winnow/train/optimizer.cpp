#include "winnow/train/optimizer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>

#include "winnow/base/error.h"

namespace winnow::train {
namespace {

using torch::Tensor;

constexpr double kMuonMomentum = 0.95;
constexpr double kBeta1 = 0.9, kBeta2 = 0.98, kAdamEps = 1e-8;

}  // namespace

Tensor orthogonalised(const Tensor& matrix) {
  constexpr double a = 3.4445, b = -4.7750, c = 2.0315;
  const bool tall = matrix.size(0) > matrix.size(1);
  Tensor x = tall ? matrix.t().contiguous() : matrix;
  x = x / (x.norm() + 1e-7);
  for (int i = 0; i < 5; ++i) {
    const Tensor square = torch::mm(x, x.t());
    const Tensor mix = torch::addmm(square, square, square, b, c);
    x = torch::addmm(x, mix, x, a, 1.0);
  }
  return tall ? x.t() : x;
}

Optimizer::Optimizer(std::vector<ParameterSpec> specs) : specs_(std::move(specs)) {}

Tensor& Optimizer::moment(const std::string& key, const Tensor& like) {
  return state_.try_emplace(key, torch::zeros_like(like)).first->second;
}

void Optimizer::update(const ParameterSpec& spec, Tensor& value, const Tensor& gradient, double lr,
                       double decay) {
  Tensor& first = state_.at(spec.name + ".first");
  if (spec.update == Update::Muon) {
    first.mul_(kMuonMomentum).add_(gradient);
    const Tensor direction = orthogonalised(gradient + kMuonMomentum * first);
    const double scale = 0.2 * std::sqrt(static_cast<double>(std::max(value.size(0), value.size(1))));
    value.mul_(1.0 - lr * decay).add_(direction, -lr * scale);
    return;
  }
  Tensor& second = state_.at(spec.name + ".second");
  Tensor& steps = state_.at(spec.name + ".steps");
  steps.add_(1.0);
  const double t = steps.item<double>();
  first.mul_(kBeta1).add_(gradient, 1.0 - kBeta1);
  second.mul_(kBeta2).addcmul_(gradient, gradient, 1.0 - kBeta2);
  const Tensor denominator = (second / (1.0 - std::pow(kBeta2, t))).sqrt_().add_(kAdamEps);
  if (spec.update == Update::AdamDecayed) value.mul_(1.0 - lr * decay);
  value.addcdiv_(first, denominator, -lr / (1.0 - std::pow(kBeta1, t)));
}

double Optimizer::step(Parameters& parameters, const std::vector<Parameters>& leaves, const StepRates& rates,
                       Workers& workers) {
  std::vector<std::pair<const ParameterSpec*, Tensor>> work;
  for (const ParameterSpec& spec : specs_) {
    const auto rate = rates.lr.find(spec.part);
    if (rate == rates.lr.end() || rate->second == 0.0) continue;
    if (!leaves[0].at(spec.name).grad().defined()) continue;
    const Tensor& value = parameters.at(spec.name);
    moment(spec.name + ".first", value);
    if (spec.update != Update::Muon) {
      moment(spec.name + ".second", value);
      state_.try_emplace(spec.name + ".steps", torch::zeros({1}, torch::kDouble));
    }
    work.emplace_back(&spec, Tensor());
  }
  std::vector<double> squares(work.size());
  const auto share = [&](const auto& one) {
    std::atomic<std::size_t> next = 0;
    workers.run([&](int32_t) {
      const torch::NoGradGuard no_grad;
      for (std::size_t i = next++; i < work.size(); i = next++) one(i);
    });
  };
  share([&](std::size_t i) {  // in the order of the workers, so that the sum does not depend on who is faster
    Tensor sum = leaves[0].at(work[i].first->name).grad().clone();
    for (std::size_t w = 1; w < leaves.size(); ++w) sum.add_(leaves[w].at(work[i].first->name).grad());
    work[i].second = sum.div_(static_cast<double>(leaves.size()));
    squares[i] = work[i].second.square().sum().item<double>();
  });
  double square = 0.0;
  for (const double s : squares) square += s;
  const double norm = std::sqrt(square);
  WINNOW_CHECK(std::isfinite(norm), Internal, "train.optimizer",
               "the gradient is not a number; the weights are as they were before the step");
  const double factor = std::min(1.0, rates.clip_norm / (norm + 1e-12));
  share([&](std::size_t i) {
    const ParameterSpec& spec = *work[i].first;
    if (factor < 1.0) work[i].second.mul_(factor);
    update(spec, parameters.at(spec.name), work[i].second, rates.lr.at(spec.part), rates.decay);
  });
  return norm;
}

}  // namespace winnow::train
