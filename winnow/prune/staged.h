#pragma once

// Counts of methods that prune before several layers. Layers are written for a decoder of 32 and counts as
// shares of the visual tokens, so that one published setting fits any decoder and any image.

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "winnow/prune/method.h"

namespace winnow::prune {

/// Tokens that remain after each step.
using Counts = std::vector<int32_t>;

/// Mean over the decoder's layers of the visual tokens that each sees. layers: [steps], ascending. A step
/// before layer K counts from layer K + shift on; with shift = -1 a layer counts by what it hands on.
double average_seen(int32_t n_visual, std::span<const int32_t> layers, const Counts& counts, int32_t n_layer,
                    int32_t shift = 0);

/// Counts whose average never falls while t goes from 0 (fewest) to 1 (all tokens kept).
using Family = std::function<Counts(double t)>;

/// n x ratio, n x ratio^2 ... (whole tokens, at least one): the family of a pyramid, with t as the ratio.
Counts geometric_counts(int32_t n_visual, std::size_t n_step, double ratio);

/// Share of the tokens in whole tokens, at least `least`.
int32_t whole_tokens(double share, int32_t n_visual, int32_t least);

/// One setting that was published: the layer average it goes by, of 576 tokens in 32 layers, and the share of
/// all tokens that remains after each step.
struct Setting {
  double average = 0.0;
  std::vector<double> shares;
};

/// Turns the shares that remain after each step into tokens.
using InTokens = std::function<Counts(std::span<const double> shares)>;

class Staged {
 public:
  /// layers: [steps] of a 32-layer decoder. Where several meet in a shallow one, the last of them stays.
  Staged(std::string_view method, std::vector<int32_t> layers, int32_t shift = 0)
      : method_(method), layers_(std::move(layers)), shift_(shift) {}

  /// These counts, before the layers of this decoder.
  std::vector<Scheduled> steps(const ScheduleRequest& request, const Counts& counts) const;

  /// The member of the family whose average is nearest to request.average. Throws InvalidArgument when that
  /// is less than what the layers before the first step come to.
  std::vector<Scheduled> solved(const ScheduleRequest& request, const Family& family) const;

  /// solved() on the line through the settings, whose averages ascend: from no tokens at all through each of
  /// them to all tokens.
  std::vector<Scheduled> solved_on_line(const ScheduleRequest& request, std::span<const Setting> settings,
                                        const InTokens& in_tokens) const;

  /// A setting as published where it is asked for by its average (in a decoder of 32 layers), or where
  /// nothing is asked for (the one of default_average); else solved_on_line().
  std::vector<Scheduled> published(const ScheduleRequest& request, std::span<const Setting> settings,
                                   double default_average, const InTokens& in_tokens) const;

 private:
  std::vector<int32_t> scaled_layers(int32_t n_layer) const;

  std::string_view method_;
  std::vector<int32_t> layers_;
  int32_t shift_;
};

}  // namespace winnow::prune
