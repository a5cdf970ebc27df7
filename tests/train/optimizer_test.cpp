#include "winnow/train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "winnow/base/error.h"

namespace winnow::train {
namespace {

using torch::Tensor;

std::vector<ParameterSpec> two_specs() {
  return {{"matrix", {6, 4}, Part::Decoder, Update::Muon, 0.0F, 0.0F},
          {"vector", {3}, Part::Decoder, Update::Adam, 0.0F, 0.0F},
          {"tower", {3}, Part::Tower, Update::Adam, 0.0F, 0.0F}};
}

Parameters start() {
  return {{"matrix", torch::ones({6, 4})},
          {"vector", torch::tensor({1.0F, 2.0F, 3.0F})},
          {"tower", torch::ones({3})}};
}

std::vector<Parameters> with_gradients(const Parameters& parameters, const std::vector<double>& scales) {
  std::vector<Parameters> out;
  for (const double scale : scales) {
    Parameters mine = leaves(parameters);
    for (auto& [name, value] : mine) {
      const Tensor ramp = torch::arange(value.numel(), torch::kFloat).view(value.sizes()) - 1.5;
      value.mutable_grad() = ramp * scale;
    }
    out.push_back(std::move(mine));
  }
  return out;
}

TEST(Optimizer, OrthogonalisedHasSingularValuesNearOne) {
  torch::manual_seed(1);
  for (const auto& [rows, cols] : {std::pair{32, 32}, {16, 64}, {64, 16}}) {
    const Tensor matrices = torch::randn({3, rows, cols}) * 100.0;
    const Tensor x = orthogonalised(matrices);
    ASSERT_EQ(x.size(1), rows);
    EXPECT_TRUE(torch::allclose(x[1], orthogonalised(matrices.narrow(0, 1, 1))[0], 1e-4, 1e-5));
    const Tensor values = std::get<1>(torch::svd(x));
    EXPECT_LE(values.max().item<double>(), 1.25);
    EXPECT_GE(values.median().item<double>(), 0.6);
  }
}

/// AdamW written as plain loops from Kingma and Ba 2015 and Loshchilov and Hutter 2019.
TEST(Optimizer, AdamFollowsTheFormula) {
  Workers workers(1);
  Optimizer optimizer(two_specs());
  Parameters parameters = start();
  StepRates rates{{{Part::Decoder, 0.01}}, 0.0, 1e9};
  std::vector<double> w{1.0, 2.0, 3.0}, m(3, 0.0), v(3, 0.0);
  for (int t = 1; t <= 3; ++t) {
    const double scale = t == 2 ? -0.5 : 1.0;
    optimizer.step(parameters, with_gradients(parameters, {scale}), rates, workers);
    for (int i = 0; i < 3; ++i) {
      const double g = (i - 1.5) * scale;
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.98 * v[i] + 0.02 * g * g;
      w[i] -= 0.01 * (m[i] / (1 - std::pow(0.9, t))) / (std::sqrt(v[i] / (1 - std::pow(0.98, t))) + 1e-8);
      EXPECT_NEAR(parameters.at("vector")[i].item<double>(), w[i], 1e-6) << "step " << t;
    }
  }
}

TEST(Optimizer, MuonStepHasTheStatedSize) {
  Workers workers(1);
  Optimizer optimizer(two_specs());
  Parameters parameters = start();
  optimizer.step(parameters, with_gradients(parameters, {1.0}), {{{Part::Decoder, 0.01}}, 0.0, 1e9}, workers);
  const Tensor change = parameters.at("matrix") - 1.0;
  // rank 2 gradient: the spectral norm of the step is about lr * 0.2 * sqrt(6)
  EXPECT_NEAR(std::get<1>(torch::svd(change))[0].item<double>(), 0.01 * 0.2 * std::sqrt(6.0), 0.3 * 0.005);
}

TEST(Optimizer, WorkersAreAveragedAndPartsWithoutRateStandStill) {
  Workers workers(2);
  Optimizer one(two_specs()), two(two_specs());
  Parameters a = start(), b = start();
  const StepRates rates{{{Part::Decoder, 0.01}}, 0.02, 1.0};
  const double norm = one.step(a, with_gradients(a, {1.0, 3.0}), rates, workers);
  EXPECT_DOUBLE_EQ(norm, two.step(b, with_gradients(b, {2.0}), rates, workers));
  EXPECT_TRUE(torch::equal(a.at("matrix"), b.at("matrix")));
  EXPECT_TRUE(torch::equal(a.at("vector"), b.at("vector")));
  EXPECT_TRUE(torch::equal(a.at("tower"), torch::ones({3})));
}

TEST(Optimizer, DecayShrinksAndClippingScales) {
  Workers workers(1);
  Optimizer optimizer(two_specs());
  Parameters parameters = start();
  const auto zero = with_gradients(parameters, {0.0});
  optimizer.step(parameters, zero, {{{Part::Decoder, 0.1}}, 0.5, 1.0}, workers);
  EXPECT_NEAR(parameters.at("matrix")[0][0].item<double>(), 1.0 - 0.1 * 0.5, 1e-6);
  EXPECT_NEAR(parameters.at("vector")[1].item<double>(), 2.0, 1e-6);  // vectors do not decay

  Optimizer clipped(two_specs());
  Parameters b = start();
  const double norm =
      clipped.step(b, with_gradients(b, {100.0}), {{{Part::Decoder, 0.01}}, 0.0, 1.0}, workers);
  const double first = clipped.state().at("vector.first").norm().item<double>();
  EXPECT_NEAR(first, 0.1 * std::sqrt(1.5 * 1.5 + 0.5 * 0.5 + 0.5 * 0.5) * 100.0 / norm, 1e-5);
}

TEST(Optimizer, AGradientThatIsNoNumberChangesNothing) {
  Workers workers(1);
  Optimizer optimizer(two_specs());
  Parameters parameters = start();
  auto gradients = with_gradients(parameters, {1.0});
  gradients[0].at("vector").mutable_grad()[1] = std::nan("");
  EXPECT_THROW(optimizer.step(parameters, gradients, {{{Part::Decoder, 0.01}}, 0.02, 1.0}, workers), Error);
  EXPECT_TRUE(torch::equal(parameters.at("matrix"), start().at("matrix")));
  EXPECT_TRUE(torch::equal(parameters.at("vector"), start().at("vector")));
}

TEST(Workers, FailureOfOneReachesTheCallerAndTheyGoOn) {
  Workers workers(2);
  EXPECT_THROW(workers.run([](int32_t worker) {
    if (worker == 1) throw std::runtime_error("one");
  }),
               std::runtime_error);
  std::atomic<int> calls = 0;
  workers.run([&](int32_t) { ++calls; });
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace winnow::train
