#include "winnow/report/names.h"

#include <charconv>
#include <filesystem>
#include <string_view>

#include "winnow/eval/config_name.h"

namespace winnow::report {
namespace {

constexpr std::string_view kAlpha = "alpha=";

/// At `pos`, and not the end of a longer name such as "my_alpha=".
bool begins_parameter(std::string_view text, std::size_t pos) {
  return pos > 0 && (text[pos - 1] == ':' || text[pos - 1] == ',');
}

}  // namespace

std::string plain_method_of(const std::string& config) {
  const std::string method = eval::method_of(config);
  const std::size_t end = method.find_first_of(":@");
  return method.find('(') != std::string::npos ? method : method.substr(0, end);
}

std::string last_part(const std::string& path) {
  const std::filesystem::path p(path);
  return (p.has_filename() ? p : p.parent_path()).filename().string();
}

std::optional<AlphaUse> alpha_of(const std::string& method) {
  const std::size_t pos = method.find(kAlpha);
  if (pos == std::string::npos || !begins_parameter(method, pos)) return std::nullopt;
  const std::size_t begin = pos + kAlpha.size();
  if (method.find(kAlpha, begin) != std::string::npos) return std::nullopt;
  AlphaUse out;
  const char* end = method.data() + method.size();
  const auto number = std::from_chars(method.data() + begin, end, out.alpha);
  if (number.ec != std::errc()) return std::nullopt;
  out.family = method.substr(0, begin) + "*" + std::string(number.ptr, end);
  return out;
}

}  // namespace winnow::report
