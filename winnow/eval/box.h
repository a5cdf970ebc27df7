#pragma once

// Boxes of grounding tasks: reading them off an answer, and how much two overlap.

#include <optional>
#include <string>
#include <string_view>

namespace winnow::eval {

/// Corners, x to the right, y down. Shares of the picture's width and height unless said otherwise.
struct Box {
  double x0 = 0.0, y0 = 0.0, x1 = 0.0, y1 = 0.0;
};

/// Area of the intersection / area of the union; 0 without a union. The corners' order is not repaired: a box
/// whose second corner is above or left of the first overlaps with nothing, as in lmms-eval.
double iou(const Box& a, const Box& b);
/// Is the middle of `inner` inside `outer`, edges included?
bool holds_centre(const Box& outer, const Box& inner);

/// lmms-eval (lmms_eval/tasks/refcoco/utils_rec.py): the first "[a, b, c, d]". A number is
/// -?digits(.digits)?: no
/// ".5", no "+1", no "1e-3"; no blank in front of a comma. Numbers as they stand.
std::optional<Box> parse_box_lmms(std::string_view answer);

/// VLMEvalKit (vlmeval/dataset/refcoco.py): the first four numbers in brackets with commas or blanks between
/// them, else the first four numbers anywhere; signs, ".5" and "1e-3" are numbers.
std::optional<Box> parse_box_vlmeval(std::string_view answer);
/// VLMEvalKit's guess of the unit, then shares of the picture: all at most 1.5: shares already; at most 1000:
/// thousandths; else pixels of the width x height picture. Clipped to the picture, corners put in order.
Box as_shares_vlmeval(const Box& box, double width_px, double height_px);

/// The answer with its first box (read as VLMEvalKit does) divided by x_unit and y_unit and written as
/// "[a, b, c, d]": models that answer in thousandths (1000, 1000) or in pixels of the resized picture (its
/// width and height) are made to answer in shares before lmms-eval's rule reads them. Without a box:
/// unchanged.
std::string with_box_rescaled(std::string_view answer, double x_unit, double y_unit);

/// "[a, b, c, d]"
std::string to_text(const Box& box);

}  // namespace winnow::eval
