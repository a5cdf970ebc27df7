#pragma once

// Signals of an image made of random numbers, owned by the test.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "winnow/base/rng.h"
#include "winnow/prune/method.h"

namespace winnow::prune::test {

/// A matrix that owns its values, row-major.
struct Matrix {
  std::vector<float> values;
  int64_t rows = 0;
  int64_t cols = 0;
  MatrixView view() const { return {values.data(), rows, cols}; }
};

inline Matrix random_matrix(int64_t rows, int64_t cols, const std::function<double()>& draw) {
  Matrix matrix{{}, rows, cols};
  for (int64_t i = 0; i < rows * cols; ++i) matrix.values.push_back(static_cast<float>(draw()));
  return matrix;
}

/// Every signal that exists, for one image.
struct OwnedSignals {
  Grid grid;
  std::vector<int32_t> token_of;
  std::map<Signal, Matrix> of;

  /// Views of the needed signals only.
  Signals view(const std::vector<Need>& needs) const {
    Signals signals;
    signals.grid = grid;
    signals.token_of = token_of;
    TowerTap tap;
    for (const Need& need : needs) {
      const MatrixView matrix = of.at(need.signal).view();
      switch (need.signal) {
        case Signal::Projected: signals.projected = matrix; break;
        case Signal::Tower: signals.tower = matrix; break;
        case Signal::ClsAttention: tap.cls_attention = matrix; break;
        case Signal::ColumnAttention: tap.column_attention = matrix; break;
        case Signal::TowerKeys: tap.keys = matrix; break;
        case Signal::Hidden: signals.hidden = matrix; break;
        case Signal::HiddenLast: signals.hidden_last = matrix; break;
        case Signal::LastTextAttention: signals.last_text_attention = matrix; break;
        case Signal::LastVisualAttention: signals.last_visual_attention = matrix; break;
      }
    }
    signals.tower_taps = {tap};
    return signals;
  }

  Signals view_all() const {
    std::vector<Need> needs;
    for (const auto& [signal, matrix] : of) needs.push_back({signal});
    return view(needs);
  }
};

/// n tokens of a grid (all of it unless token_of is given); attention like a softmax, features like a normal.
inline OwnedSignals random_signals(Grid grid, uint64_t seed, std::vector<int32_t> token_of = {},
                                   int64_t width = 24, int64_t n_head = 4) {
  Rng rng(seed);
  const int64_t n = token_of.empty() ? grid.size() : static_cast<int64_t>(token_of.size());
  const auto attention = [&] { return std::exp(rng.normal()) / (2.0 * static_cast<double>(n)); };
  const auto feature = [&] { return rng.normal(); };
  OwnedSignals signals{grid, std::move(token_of), {}};
  for (const Signal signal : {Signal::ClsAttention, Signal::ColumnAttention, Signal::LastTextAttention,
                              Signal::LastVisualAttention}) {
    signals.of[signal] = random_matrix(n_head, n, attention);
  }
  for (const Signal signal : {Signal::Projected, Signal::Tower, Signal::TowerKeys, Signal::Hidden}) {
    signals.of[signal] = random_matrix(n, width, feature);
  }
  signals.of[Signal::HiddenLast] = random_matrix(1, width, feature);
  return signals;
}

/// Runs a method with only the signals that it declares.
inline Plan run(const std::string& use_text, const OwnedSignals& signals, int32_t n_keep, uint64_t seed = 1) {
  const MethodUse use = parse_method(use_text);
  Rng rng(seed);
  return run_method(use, signals.view(use.method->needs(use.params)), n_keep, rng);
}

}  // namespace winnow::prune::test
