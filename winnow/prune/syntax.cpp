#include "winnow/prune/syntax.h"

#include "winnow/base/error.h"

namespace winnow::prune {
namespace {

constexpr std::string_view kWhere = "prune.parse";

/// Depth of parentheses behind `c`, which stands at depth `depth`.
int64_t depth_behind(char c, int64_t depth, std::string_view text) {
  if (c == '(') ++depth;
  if (c == ')') --depth;
  WINNOW_CHECK(depth >= 0, InvalidArgument, kWhere, "parentheses, got '{}', expected a '(' for every ')'",
               text);
  return depth;
}

void check_closed(int64_t depth, std::string_view text) {
  WINNOW_CHECK(depth == 0, InvalidArgument, kWhere, "parentheses, got '{}', expected a ')' for every '('",
               text);
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return text.substr(0, 0);
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::vector<std::string_view> split_outside(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  int64_t depth = 0;
  std::size_t start = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    depth = depth_behind(text[i], depth, text);
    if (text[i] != separator || depth != 0) continue;
    parts.push_back(trimmed(text.substr(start, i - start)));
    start = i + 1;
  }
  check_closed(depth, text);
  parts.push_back(trimmed(text.substr(start)));
  return parts;
}

std::vector<std::string_view> split_uses(std::string_view text) {
  std::vector<std::string_view> uses;
  for (const std::string_view part : split_outside(text, ',')) {
    const std::size_t first = part.find_first_of("=:(@");
    const bool is_parameter = first != std::string_view::npos && part[first] == '=';
    if (uses.empty() || !is_parameter) {
      uses.push_back(part);
    } else {
      const char* begin = uses.back().data();
      uses.back() = {begin, static_cast<std::size_t>(part.data() + part.size() - begin)};
    }
  }
  return uses;
}

std::optional<Call> parse_call(std::string_view text) {
  text = trimmed(text);
  const std::size_t open = text.find_first_of("(:=,@");
  if (open == std::string_view::npos || text[open] != '(') return std::nullopt;
  int64_t depth = 0;
  std::size_t end = open;
  do {
    depth = depth_behind(text[end++], depth, text);
  } while (depth > 0 && end < text.size());
  check_closed(depth, text);
  WINNOW_CHECK(end == text.size(), InvalidArgument, kWhere,
               "'{}', got '{}' behind the closing parenthesis, expected nothing", text, text.substr(end));
  return Call{trimmed(text.substr(0, open)), trimmed(text.substr(open + 1, end - open - 2))};
}

}  // namespace winnow::prune
