#pragma once

// Which visual tokens the configurations keep: where they stand in the image, and how far two configurations
// keep the same ones. From rows recorded with `winnow eval --kept`.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "winnow/record/run_folder.h"

namespace winnow::report {

/// How often each position is kept (arXiv 2502.11501, section 4: FastV prefers the end of the sequence).
struct PositionShares {
  std::string config;
  std::vector<double> share;  ///< [tokens of an image] of the images that keep it, 0..1
  double last_quarter = 0.0;  ///< of all kept tokens those in the last quarter of the sequence; uniform: 0.25
  int64_t n_images = 0;
};

struct Positions {
  int64_t n_tokens = 0;                ///< of an image, before pruning
  std::vector<PositionShares> shares;  ///< configurations that dropped something
  int64_t n_other = 0;                 ///< images left out because they have another number of tokens
};

/// Empty shares without recorded indices.
Positions kept_positions(std::span<const record::Run> runs);

/// Mean over images of |A and B| / |A or B|, A and B the sets of kept tokens.
struct Overlap {
  std::string budget;
  std::vector<std::string> configs;
  std::vector<std::vector<double>> iou;  ///< [configs, configs]
  double chance = 0.0;                   ///< of two independent random sets of these sizes, k / (2 n - k)
  int64_t n_images = 0;
};

/// For every budget under which at least two configurations recorded their tokens.
std::vector<Overlap> overlaps(std::span<const record::Run> runs);

}  // namespace winnow::report
