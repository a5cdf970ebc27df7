#include "winnow/prune/staged.h"

#include <algorithm>
#include <cmath>

#include "winnow/base/error.h"

namespace winnow::prune {
namespace {

constexpr int32_t kPublishedLayers = 32;
constexpr double kPublishedTokens = 576.0;

/// Shares at t of the line 0, settings, 1, whose corners are evenly spaced in t.
std::vector<double> on_line(std::span<const Setting> settings, double t) {
  const double along = t * static_cast<double>(settings.size() + 1);
  const std::size_t corner = std::min(static_cast<std::size_t>(along), settings.size());
  const double part = along - static_cast<double>(corner);
  std::vector<double> shares;
  for (std::size_t step = 0; step < settings.front().shares.size(); ++step) {
    const double from = corner == 0 ? 0.0 : settings[corner - 1].shares[step];
    const double to = corner == settings.size() ? 1.0 : settings[corner].shares[step];
    shares.push_back(from + part * (to - from));
  }
  return shares;
}

}  // namespace

double average_seen(int32_t n_visual, std::span<const int32_t> layers, const Counts& counts, int32_t n_layer,
                    int32_t shift) {
  WINNOW_ASSERT(layers.size() == counts.size() && n_layer >= 1);
  double sum = 0.0;
  int32_t from = 0;
  int32_t there = n_visual;
  for (std::size_t step = 0; step < layers.size(); ++step) {
    sum += static_cast<double>(there) * (layers[step] + shift - from);
    from = layers[step] + shift;
    there = counts[step];
  }
  return (sum + static_cast<double>(there) * (n_layer - from)) / n_layer;
}

int32_t whole_tokens(double share, int32_t n_visual, int32_t least) {
  constexpr double kRounding = 1e-6;  // 300 / 576 x 576 is 300
  return std::clamp(static_cast<int32_t>(share * n_visual + kRounding), std::min(least, n_visual), n_visual);
}

Counts geometric_counts(int32_t n_visual, std::size_t n_step, double ratio) {
  Counts counts;
  double share = 1.0;
  for (std::size_t step = 0; step < n_step; ++step) {
    share *= ratio;
    counts.push_back(whole_tokens(share, n_visual, 1));
  }
  return counts;
}

std::vector<int32_t> Staged::scaled_layers(int32_t n_layer) const {
  std::vector<int32_t> layers;
  for (const int32_t layer : layers_) layers.push_back(scaled_layer(layer, n_layer));
  return layers;
}

std::vector<Scheduled> Staged::steps(const ScheduleRequest& request, const Counts& counts) const {
  WINNOW_ASSERT(counts.size() == layers_.size());
  std::vector<Scheduled> steps;
  const std::vector<int32_t> layers = scaled_layers(request.n_layer);
  for (std::size_t step = 0; step < layers.size(); ++step) {
    if (layers[step] >= request.n_layer) break;
    if (!steps.empty() && steps.back().layer == layers[step]) steps.pop_back();
    steps.push_back({layers[step], counts[step], {}});
  }
  return steps;
}

std::vector<Scheduled> Staged::solved(const ScheduleRequest& request, const Family& family) const {
  const std::vector<int32_t> layers = scaled_layers(request.n_layer);
  const auto average = [&](double t) {
    return average_seen(request.n_visual, layers, family(t), request.n_layer, shift_);
  };
  const double target = std::min(request.average, static_cast<double>(request.n_visual));
  double low = 0.0;
  double high = 1.0;
  WINNOW_CHECK(
      average(low) <= target + 0.5, InvalidArgument, "prune.schedule",
      "layer average of {}, got {:.6g} of {} tokens, expected at least {:.1f}: it prunes before layer {} "
      "of {} for the first time",
      method_, request.average, request.n_visual, average(low), layers.front(), request.n_layer);
  for (int step = 0; step < 50; ++step) {
    const double middle = (low + high) / 2.0;
    (average(middle) <= target ? low : high) = middle;
  }
  return steps(request, family(target - average(low) <= average(high) - target ? low : high));
}

std::vector<Scheduled> Staged::solved_on_line(const ScheduleRequest& request,
                                              std::span<const Setting> settings,
                                              const InTokens& in_tokens) const {
  return solved(request, [&](double t) { return in_tokens(on_line(settings, t)); });
}

std::vector<Scheduled> Staged::published(const ScheduleRequest& request, std::span<const Setting> settings,
                                         double default_average, const InTokens& in_tokens) const {
  const bool asked = request.average > 0.0;
  const double wanted = asked ? request.average * kPublishedTokens / request.n_visual : default_average;
  for (const Setting& setting : settings) {
    const bool same = std::abs(setting.average - wanted) < 0.5;
    if (same && (!asked || request.n_layer == kPublishedLayers)) {
      return steps(request, in_tokens(setting.shares));
    }
  }
  return solved_on_line(request, settings, in_tokens);
}

}  // namespace winnow::prune
