// Which visual tokens stay, from an engine's own arrays, in C++: select.c's image of 3 x 4 tokens,
// FasterVLM's rule.

#include <cstdio>
#include <exception>
#include <vector>

#include "winnow/prune/method.h"

int main() try {
  using namespace winnow;
  const std::vector<float> attention = {
      0.01F, 0.20F, 0.02F, 0.01F, 0.03F, 0.10F, 0.20F, 0.02F, 0.02F, 0.01F, 0.10F, 0.03F,   // head 0
      0.02F, 0.05F, 0.01F, 0.02F, 0.02F, 0.30F, 0.10F, 0.01F, 0.01F, 0.02F, 0.15F, 0.02F};  // head 1
  prune::Signals signals;
  signals.grid = {3, 4};
  signals.set({prune::Signal::ClsAttention}, {attention.data(), 2, 12});
  Rng rng(0);
  const prune::Plan plan = prune::run_method(prune::parse_method("fastervlm"), signals, 4, rng);
  std::printf("fastervlm keeps %d of %d tokens:", plan.n_out(), signals.n());
  for (const int32_t token : plan.position_of) std::printf(" %d", token);
  std::printf("\n");
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
