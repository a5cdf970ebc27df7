#pragma once

// Is an answer to a question about a scene right, and how sure is a share of right answers?

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "winnow/scenes/question.h"

namespace winnow::testing {

/// Without blanks at its ends and without one full stop at the end, in lower case.
std::string normalised(std::string_view answer);
/// The option that "b", "B.", "(B)" or "B. red star" names, as 'B'; nothing for "red star" or "A star".
std::optional<char> option_letter(std::string_view answer);
/// What stands in the first brackets of a text, if it is four numbers and nothing else: "[x0, y0, x1, y1]".
std::optional<scenes::Box> parse_box(std::string_view answer);
/// Area of the intersection / area of the union; 0 for boxes without area.
double iou(const scenes::Box& a, const scenes::Box& b);

struct Verdict {
  bool right = false;
  std::optional<double> iou;  ///< Ground only; nothing: the answer holds no box
};
/// Multiple choice by the letter, Ground by IoU >= 0.5 with the true box (fractions of the picture's side),
/// the rest by equality of the normalised texts.
Verdict judge(const scenes::Question& question, std::string_view answer);

struct Share {
  int64_t right = 0;
  int64_t n = 0;
};
/// All in 0..1; low and high end the 95 % interval.
struct Estimate {
  double value = 0.0, low = 0.0, high = 1.0;
};
/// right / n with Wilson's score interval (1927). n = 0: knows nothing.
Estimate wilson(const Share& share);
/// The unweighted mean of the shares with a normal interval from their variances p (1 - p) / n; the answers
/// must be independent. Shares of nothing are left out.
Estimate mean_of(std::span<const Share> shares);

}  // namespace winnow::testing
