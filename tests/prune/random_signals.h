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

inline constexpr int32_t kTextTokens = 7;

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
  std::map<std::pair<Signal, int32_t>, Matrix> of_block{};  ///< tower signals of one block; else `of`

  /// Views of the needed signals only.
  Signals view(const std::vector<Need>& needs) const {
    Signals signals;
    signals.grid = grid;
    signals.token_of = token_of;
    for (const Need& need : needs) {
      const auto own = of_block.find({need.signal, need.block});
      signals.set(need, (own != of_block.end() ? own->second : of.at(need.signal)).view());
    }
    const auto text = of.find(Signal::TextEmbeds);
    const int64_t n_text = text != of.end() ? text->second.rows : kTextTokens;
    for (int32_t j = 0; j < signals.n(); ++j) signals.ids.push_back(5 + signals.cell(j));
    for (int32_t t = 0; t < n_text; ++t) signals.text_ids.push_back(5 + grid.size() + t);
    signals.rope = {8, 10000.0F};
    return signals;
  }

  /// Views of every signal at the block of the features, and of what is needed besides (other blocks).
  Signals view_all(std::vector<Need> needs = {}) const {
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
                              Signal::LastVisualAttention, Signal::NextAttention}) {
    signals.of[signal] = random_matrix(n_head, n, attention);
  }
  signals.of[Signal::TextAttention] = random_matrix(n_head * kTextTokens, n, attention);
  signals.of[Signal::WideClsAttention] = random_matrix(1, n, attention);
  for (const Signal signal :
       {Signal::Projected, Signal::Tower, Signal::TowerKeys, Signal::ClipImage, Signal::Hidden,
        Signal::PreviousHidden, Signal::HiddenNormed, Signal::LayerKeys}) {
    signals.of[signal] = random_matrix(n, width, feature);
  }
  for (const Signal signal : {Signal::TextEmbeds, Signal::TextNormed, Signal::TextKeys}) {
    signals.of[signal] = random_matrix(kTextTokens, width, feature);
  }
  signals.of[Signal::ClipText] = random_matrix(2, width, feature);
  signals.of[Signal::InputEmbeds] = random_matrix(grid.size(), width, feature);
  signals.of[Signal::HiddenLast] = random_matrix(1, width, feature);
  signals.of[Signal::ClsToken] = random_matrix(1, width, feature);
  return signals;
}

/// Runs a method with only the signals that it declares.
inline Plan run(const std::string& use_text, const OwnedSignals& signals, int32_t n_keep, uint64_t seed = 1) {
  const MethodUse use = parse_method(use_text);
  Rng rng(seed);
  return run_method(use, signals.view(use.method->needs(use.params)), n_keep, rng);
}

}  // namespace winnow::prune::test
