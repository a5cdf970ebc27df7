#pragma once

// Accuracy over alpha, the weight of importance against redundancy (arXiv 2502.11501, Eq. 6 and Table 6).

#include <span>
#include <string>
#include <vector>

#include "winnow/record/run_header.h"

namespace winnow::report {

struct AlphaPoint {
  double alpha = 0.0;
  std::string config;
  std::size_t idx = 0;  ///< of the configuration in the header, and so in every BenchmarkResult
};

/// One method at one budget; points in ascending order of alpha, at least two.
struct AlphaCurve {
  std::string family;  ///< the method with "alpha=*"
  std::string budget;
  std::vector<AlphaPoint> points;
};

/// In the order in which they appear.
std::vector<AlphaCurve> alpha_curves(std::span<const record::ConfigurationPart> configurations);

}  // namespace winnow::report
