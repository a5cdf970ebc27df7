#include "winnow/prune/raters.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "winnow/base/error.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/similarity.h"

namespace winnow::prune {

std::vector<int32_t> text_raters(const MatrixView& visual, const MatrixView& text) {
  WINNOW_ASSERT(visual.rows >= 1 && text.rows >= 1 && visual.cols == text.cols);
  const auto n_text = static_cast<std::size_t>(text.rows);
  std::vector<double> mean(n_text, 0.0);
  std::vector<double> share(n_text);
  std::vector<float> products(n_text);
  for (int64_t j = 0; j < visual.rows; ++j) {
    inner_with(text, visual.row(j), products);
    for (std::size_t t = 0; t < n_text; ++t) {
      share[t] = std::isfinite(products[t]) ? products[t]
                                            : wide_dot(visual.row(j), text.row(static_cast<int64_t>(t)));
    }
    const double largest = *std::max_element(share.begin(), share.end());
    for (double& value : share) value = std::exp(value - largest);
    const double sum = std::accumulate(share.begin(), share.end(), 0.0);
    for (std::size_t t = 0; t < n_text; ++t) mean[t] += share[t] / sum / static_cast<double>(visual.rows);
  }
  const double threshold = std::accumulate(mean.begin(), mean.end(), 0.0) / static_cast<double>(n_text);
  std::vector<int32_t> raters;
  for (std::size_t t = 0; t < n_text; ++t) {
    if (mean[t] > threshold) raters.push_back(static_cast<int32_t>(t));
  }
  if (!raters.empty()) return raters;
  raters.resize(n_text);
  std::iota(raters.begin(), raters.end(), 0);
  return raters;
}

std::vector<float> text_mean(const MatrixView& attention, int64_t n_text, std::span<const int32_t> tokens) {
  WINNOW_ASSERT(n_text >= 1 && attention.rows % n_text == 0 && !tokens.empty());
  std::vector<float> mean(static_cast<std::size_t>(attention.cols), 0.0F);
  const int64_t n_head = attention.rows / n_text;
  for (int64_t head = 0; head < n_head; ++head) {
    for (const int32_t token : tokens) {
      const std::span<const float> row = attention.row(head * n_text + token);
      for (std::size_t j = 0; j < mean.size(); ++j) mean[j] += row[j];
    }
  }
  const auto n_row = static_cast<float>(n_head * static_cast<int64_t>(tokens.size()));
  for (float& value : mean) value /= n_row;
  return mean;
}

}  // namespace winnow::prune
