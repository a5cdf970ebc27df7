#include "tests/support/scene_score.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace winnow::testing {
namespace {

constexpr double kZ = 1.959963984540054;  // 97.5 % point of the normal distribution
constexpr double kRightIou = 0.5;
constexpr std::string_view kBlanks = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::optional<float> parse_number(std::string_view text) {
  text = trimmed(text);
  float value = 0.0F;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  if (error != std::errc() || at != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

/// Pixels -> fractions of the side.
scenes::Box as_fractions(const scenes::Box& box) {
  constexpr auto kPx = static_cast<float>(scenes::kSide);
  return {box.x0 / kPx, box.y0 / kPx, box.x1 / kPx, box.y1 / kPx};
}

}  // namespace

std::string normalised(std::string_view answer) {
  std::string_view text = trimmed(answer);
  if (text.ends_with('.')) text = trimmed(text.substr(0, text.size() - 1));
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

std::optional<char> option_letter(std::string_view answer) {
  std::string_view text = trimmed(answer);
  if (text.starts_with('(')) text.remove_prefix(1);
  if (text.empty() || !is_letter(text[0])) return std::nullopt;
  constexpr std::string_view kBehindLetter = ".):,";
  if (text.size() > 1 && kBehindLetter.find(text[1]) == std::string_view::npos) return std::nullopt;
  return upper(text[0]);
}

std::optional<scenes::Box> parse_box(std::string_view answer) {
  const std::size_t open = answer.find('[');
  if (open == std::string_view::npos) return std::nullopt;
  const std::size_t close = answer.find(']', open);
  if (close == std::string_view::npos) return std::nullopt;
  std::string_view rest = answer.substr(open + 1, close - open - 1);
  std::array<float, 4> values{};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool last = i + 1 == values.size();
    const std::size_t end = last ? rest.size() : rest.find(',');
    if (end == std::string_view::npos) return std::nullopt;
    const auto value = parse_number(rest.substr(0, end));  // a fifth number: no number up to the end
    if (!value) return std::nullopt;
    values[i] = *value;
    if (!last) rest.remove_prefix(end + 1);
  }
  return scenes::Box{values[0], values[1], values[2], values[3]};
}

double iou(const scenes::Box& a, const scenes::Box& b) {
  const auto area = [](double x0, double y0, double x1, double y1) {
    return std::max(x1 - x0, 0.0) * std::max(y1 - y0, 0.0);
  };
  const double both =
      area(std::max(a.x0, b.x0), std::max(a.y0, b.y0), std::min(a.x1, b.x1), std::min(a.y1, b.y1));
  if (both <= 0.0) return 0.0;
  return both / (area(a.x0, a.y0, a.x1, a.y1) + area(b.x0, b.y0, b.x1, b.y1) - both);
}

Verdict judge(const scenes::Question& question, std::string_view answer) {
  if (question.task == scenes::Task::Ground) {
    const auto box = parse_box(answer);
    if (!box) return {};
    const double overlap = iou(*box, as_fractions(question.box));
    return {overlap >= kRightIou, overlap};
  }
  if (!question.choices.empty()) {
    const auto letter = option_letter(answer);
    return {letter && letter == option_letter(question.answer), std::nullopt};
  }
  return {normalised(answer) == normalised(question.answer), std::nullopt};
}

Estimate wilson(const Share& share) {
  if (share.n == 0) return {};
  const auto n = static_cast<double>(share.n);
  const double p = static_cast<double>(share.right) / n;
  const double shrink = 1.0 + kZ * kZ / n;
  const double centre = (p + kZ * kZ / (2.0 * n)) / shrink;
  const double half = kZ * std::sqrt(p * (1.0 - p) / n + kZ * kZ / (4.0 * n * n)) / shrink;
  return {p, std::max(centre - half, 0.0), std::min(centre + half, 1.0)};
}

Estimate mean_of(std::span<const Share> shares) {
  double sum = 0.0, variance = 0.0, n_shares = 0.0;
  for (const Share& share : shares) {
    if (share.n == 0) continue;
    const auto n = static_cast<double>(share.n);
    const double p = static_cast<double>(share.right) / n;
    sum += p;
    variance += p * (1.0 - p) / n;
    n_shares += 1.0;
  }
  if (n_shares == 0.0) return {};
  const double mean = sum / n_shares;
  const double half = kZ * std::sqrt(variance) / n_shares;
  return {mean, std::max(mean - half, 0.0), std::min(mean + half, 1.0)};
}

}  // namespace winnow::testing
