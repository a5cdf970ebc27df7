#include "winnow/eval/box.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "winnow/eval/python_text.h"

namespace winnow::eval {
namespace {

using Corners = std::array<double, 4>;

Box box_of(const Corners& c) { return {c[0], c[1], c[2], c[3]}; }

std::size_t skip_digits(std::string_view text, std::size_t at) {
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

bool take(std::string_view text, std::size_t& at, char c) {
  if (at >= text.size() || text[at] != c) return false;
  ++at;
  return true;
}

bool digit_at(std::string_view text, std::size_t at) { return at < text.size() && is_digit(text[at]); }

/// `-?\d+(?:\.\d+)?` at `at`.
bool take_plain_number(std::string_view text, std::size_t& at, double& value) {
  std::size_t end = at;
  take(text, end, '-');
  if (!digit_at(text, end)) return false;
  end = skip_digits(text, end);
  if (end < text.size() && text[end] == '.' && digit_at(text, end + 1)) end = skip_digits(text, end + 1);
  value = parse_float(text.substr(at, end - at)).value_or(0.0);
  at = end;
  return true;
}

/// `[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?` at `at`.
bool take_any_number(std::string_view text, std::size_t& at, double& value) {
  std::size_t end = at;
  if (end < text.size() && (text[end] == '-' || text[end] == '+')) ++end;
  const bool whole = digit_at(text, end);
  end = skip_digits(text, end);
  const bool fraction = end < text.size() && text[end] == '.' && digit_at(text, end + 1);
  if (!whole && !fraction) return false;
  if (fraction) end = skip_digits(text, end + 1);
  if (end < text.size() && (text[end] == 'e' || text[end] == 'E')) {
    const std::size_t sign = end + 1 < text.size() && (text[end + 1] == '-' || text[end + 1] == '+') ? 1 : 0;
    if (digit_at(text, end + 1 + sign)) end = skip_digits(text, end + 1 + sign);
  }
  value = parse_float(text.substr(at, end - at)).value_or(0.0);
  at = end;
  return true;
}

/// `[ a, b, c, d ]` at `at`, which is moved behind it.
bool take_box_lmms(std::string_view text, std::size_t& at, Corners& corners) {
  std::size_t next = at;
  if (!take(text, next, '[')) return false;
  for (std::size_t i = 0; i < corners.size(); ++i) {
    if (i > 0 && !take(text, next, ',')) return false;
    next = skip_spaces(text, next);
    if (!take_plain_number(text, next, corners[i])) return false;
  }
  next = skip_spaces(text, next);
  if (!take(text, next, ']')) return false;
  at = next;
  return true;
}

bool take_box_vlmeval(std::string_view text, std::size_t& at, Corners& corners) {
  std::size_t next = at;
  if (!take(text, next, '[')) return false;
  next = skip_spaces(text, next);
  for (std::size_t i = 0; i < corners.size(); ++i) {
    if (i > 0) {
      const std::size_t start = next;
      next = skip_spaces(text, next);
      const bool comma = take(text, next, ',');
      if (!comma && next == start) return false;
      next = skip_spaces(text, next);
    }
    if (!take_any_number(text, next, corners[i])) return false;
  }
  next = skip_spaces(text, next);
  if (!take(text, next, ']')) return false;
  at = next;
  return true;
}

struct FoundBox {
  Box box;
  std::size_t start = 0, end = 0;
};

std::optional<FoundBox> find_box_vlmeval(std::string_view text) {
  Corners corners{};
  for (std::size_t at = text.find('['); at != std::string_view::npos; at = text.find('[', at + 1)) {
    std::size_t end = at;
    if (take_box_vlmeval(text, end, corners)) return FoundBox{box_of(corners), at, end};
  }
  std::size_t n = 0, start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t before = at;
    if (!take_any_number(text, at, corners[n])) {
      ++at;
      continue;
    }
    if (n == 0) start = before;
    if (++n == corners.size()) return FoundBox{box_of(corners), start, at};
  }
  return std::nullopt;
}

}  // namespace

double iou(const Box& a, const Box& b) {
  const double width = std::max(0.0, std::min(a.x1, b.x1) - std::max(a.x0, b.x0));
  const double height = std::max(0.0, std::min(a.y1, b.y1) - std::max(a.y0, b.y0));
  const double both = width * height;
  const double all = (a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - both;
  return both > 0.0 && all > 0.0 ? both / all : 0.0;
}

bool holds_centre(const Box& outer, const Box& inner) {
  const double x = (inner.x0 + inner.x1) / 2.0, y = (inner.y0 + inner.y1) / 2.0;
  return outer.x0 <= x && x <= outer.x1 && outer.y0 <= y && y <= outer.y1;
}

std::optional<Box> parse_box_lmms(std::string_view answer) {
  Corners corners{};
  for (std::size_t at = answer.find('['); at != std::string_view::npos; at = answer.find('[', at + 1)) {
    std::size_t end = at;
    if (take_box_lmms(answer, end, corners)) return box_of(corners);
  }
  return std::nullopt;
}

std::optional<Box> parse_box_vlmeval(std::string_view answer) {
  const auto found = find_box_vlmeval(answer);
  if (!found) return std::nullopt;
  return found->box;
}

Box as_shares_vlmeval(const Box& box, double width_px, double height_px) {
  const double largest = std::max({std::abs(box.x0), std::abs(box.y0), std::abs(box.x1), std::abs(box.y1)});
  double x_unit = width_px, y_unit = height_px;
  if (largest <= 1.5) {
    x_unit = y_unit = 1.0;
  } else if (largest <= 1000.0) {
    x_unit = y_unit = 1000.0;
  }
  const auto share = [](double value, double unit) { return std::clamp(value / unit, 0.0, 1.0); };
  Box out{share(box.x0, x_unit), share(box.y0, y_unit), share(box.x1, x_unit), share(box.y1, y_unit)};
  if (out.x1 < out.x0) std::swap(out.x0, out.x1);
  if (out.y1 < out.y0) std::swap(out.y0, out.y1);
  return out;
}

std::string with_box_rescaled(std::string_view answer, double x_unit, double y_unit) {
  const auto found = find_box_vlmeval(answer);
  if (!found) return std::string(answer);
  const Box& box = found->box;
  const std::string text = fmt::format("[{:.6f}, {:.6f}, {:.6f}, {:.6f}]", box.x0 / x_unit, box.y0 / y_unit,
                                       box.x1 / x_unit, box.y1 / y_unit);
  return std::string(answer.substr(0, found->start)) + text + std::string(answer.substr(found->end));
}

std::string to_text(const Box& box) {
  return fmt::format("[{}, {}, {}, {}]", box.x0, box.y0, box.x1, box.y1);
}

}  // namespace winnow::eval
