#include "winnow/eval/python_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

namespace winnow::eval {
namespace {

constexpr char32_t kBroken = 0xFFFD;

/// Upper-case letters first, first + step ... last; the lower-case one is `delta` further on.
struct CaseRange {
  char32_t first, last;
  int32_t delta;
  char32_t step;
};
// Unicode's simple mappings. Each pair takes equally many bytes in UTF-8.
constexpr std::array<CaseRange, 20> kCases = {{
    {0x41, 0x5A, 32, 1},   {0xC0, 0xD6, 32, 1},    {0xD8, 0xDE, 32, 1},    {0x100, 0x12E, 1, 2},
    {0x132, 0x136, 1, 2},  {0x139, 0x147, 1, 2},   {0x14A, 0x176, 1, 2},   {0x178, 0x178, -121, 1},
    {0x179, 0x17D, 1, 2},  {0x386, 0x386, 38, 1},  {0x388, 0x38A, 37, 1},  {0x38C, 0x38C, 64, 1},
    {0x38E, 0x38F, 63, 1}, {0x391, 0x3A1, 32, 1},  {0x3A3, 0x3AB, 32, 1},  {0x400, 0x40F, 80, 1},
    {0x410, 0x42F, 32, 1}, {0x1E00, 0x1E94, 1, 2}, {0x1EA0, 0x1EFE, 1, 2}, {0xFF21, 0xFF3A, 32, 1},
}};

char32_t shifted(char32_t code, int32_t by) { return static_cast<char32_t>(static_cast<int64_t>(code) + by); }

char32_t lower_code(char32_t code) {
  for (const CaseRange& r : kCases) {
    if (code >= r.first && code <= r.last && (code - r.first) % r.step == 0) return shifted(code, r.delta);
  }
  return code;
}

char32_t upper_code(char32_t code) {
  for (const CaseRange& r : kCases) {
    const char32_t up = shifted(code, -r.delta);
    if (up >= r.first && up <= r.last && (up - r.first) % r.step == 0) return up;
  }
  return code;
}

void append(std::string& out, char32_t code) {
  const auto byte = [&out](char32_t bits) { out += static_cast<char>(static_cast<unsigned char>(bits)); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xC0U | code >> 6U);
    byte(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    byte(0xE0U | code >> 12U);
    byte(0x80U | (code >> 6U & 0x3FU));
    byte(0x80U | (code & 0x3FU));
  } else {
    byte(0xF0U | code >> 18U);
    byte(0x80U | (code >> 12U & 0x3FU));
    byte(0x80U | (code >> 6U & 0x3FU));
    byte(0x80U | (code & 0x3FU));
  }
}

/// Each character through `map`; bytes that are not UTF-8 stay.
template <class Map>
std::string mapped(std::string_view text, const Map& map) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    const char32_t code = map(c.code, at);
    if (code == c.code) {
      out += text.substr(at, c.n_bytes);
    } else {
      append(out, code);
    }
    at += c.n_bytes;
  }
  return out;
}

bool is_any_of(char c, std::string_view ascii) { return ascii.find(c) != std::string_view::npos; }

/// Digits with single underscores between them, from `at` on, appended to `out`; where they end.
std::size_t digit_part(std::string_view text, std::size_t at, std::string& out) {
  while (at < text.size()) {
    if (is_digit(text[at])) {
      out += text[at++];
    } else if (text[at] == '_' && at > 0 && is_digit(text[at - 1]) && at + 1 < text.size() &&
               is_digit(text[at + 1])) {
      ++at;
    } else {
      break;
    }
  }
  return at;
}

/// "e", a sign and digits from `at` on, appended to `out`; true if there is no exponent or a good one.
bool exponent_part(std::string_view text, std::size_t& at, std::string& out) {
  if (at >= text.size() || text[at] != 'e') return true;
  out += text[at++];
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
    if (text[at] == '-') out += '-';  // from_chars knows no plus
    ++at;
  }
  const std::size_t before = out.size();
  at = digit_part(text, at, out);
  return out.size() > before;
}

/// A lower-case number without a sign as from_chars reads it; nothing where Python would raise.
std::optional<std::string> float_digits(std::string_view text) {
  std::string out;
  std::size_t at = digit_part(text, 0, out);
  std::size_t n_digits = out.size();
  if (at < text.size() && text[at] == '.') {
    out += text[at++];
    if (at < text.size() && text[at] == '_') return std::nullopt;
    const std::size_t before = out.size();
    at = digit_part(text, at, out);
    n_digits += out.size() - before;
  }
  if (n_digits == 0 || !exponent_part(text, at, out) || at != text.size()) return std::nullopt;
  return out;
}

/// What from_chars cannot hold: Python rounds it to 0 or infinity.
double beyond_range(std::string_view digits) {
  const std::size_t exponent = digits.find('e');
  const bool small = exponent == std::string_view::npos ? digits.front() == '0' || digits.front() == '.'
                                                        : digits[exponent + 1] == '-';
  return small ? 0.0 : std::numeric_limits<double>::infinity();
}

}  // namespace

Character character_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const unsigned head = byte(0);
  if (head < 0x80) return {head, 1};
  const std::size_t n = head >= 0xF0 ? 4 : head >= 0xE0 ? 3 : head >= 0xC2 ? 2 : 1;
  if (n == 1 || head > 0xF4) return {kBroken, 1};
  char32_t code = head & (0xFFU >> (n + 1));
  for (std::size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return {kBroken, 1};
    code = code << 6U | (byte(i) & 0x3FU);
  }
  constexpr std::array<char32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[n] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {kBroken, 1};
  return {code, n};
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

std::size_t skip_spaces(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const Character c = character_at(text, at);
    if (!is_space(c.code)) break;
    at += c.n_bytes;
  }
  return at;
}

bool is_letter(char32_t c) {
  if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  if (c < 0xC0) return c == 0xAA || c == 0xB5 || c == 0xBA;
  const bool mark = c == 0xD7 || c == 0xF7 || (c >= 0x2000 && c <= 0x2BFF) || (c >= 0x3000 && c <= 0x3004) ||
                    (c >= 0x3007 && c <= 0x303F) || (c >= 0xFF00 && c <= 0xFF20) ||
                    (c >= 0xFF3B && c <= 0xFF40) || (c >= 0xFF5B && c <= 0xFF65) || c >= 0xFFE0;
  return !mark;
}

std::size_t n_characters(std::string_view text) {
  std::size_t n = 0;
  for (std::size_t at = 0; at < text.size(); at += character_at(text, at).n_bytes) ++n;
  return n;
}

std::string_view first_characters(std::string_view text, std::size_t n) {
  std::size_t at = 0;
  for (; n > 0 && at < text.size(); --n) at += character_at(text, at).n_bytes;
  return text.substr(0, at);
}

std::string_view strip(std::string_view text) {
  std::size_t first = text.size(), last = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    if (!is_space(c.code)) {
      if (first == text.size()) first = at;
      last = at + c.n_bytes;
    }
    at += c.n_bytes;
  }
  return first < last ? text.substr(first, last - first) : std::string_view();
}

std::string_view strip(std::string_view text, std::string_view ascii) {
  while (!text.empty() && is_any_of(text.front(), ascii)) text.remove_prefix(1);
  return strip_end(text, ascii);
}

std::string_view strip_end(std::string_view text, std::string_view ascii) {
  while (!text.empty() && is_any_of(text.back(), ascii)) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split_words(std::string_view text) {
  std::vector<std::string_view> words;
  std::size_t start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    if (is_space(c.code)) {
      if (at > start) words.push_back(text.substr(start, at - start));
      start = at + c.n_bytes;
    }
    at += c.n_bytes;
  }
  if (text.size() > start) words.push_back(text.substr(start));
  return words;
}

std::vector<std::string_view> split_at(std::string_view text, char mark) {
  std::vector<std::string_view> parts;
  std::size_t start = 0;
  for (std::size_t end = 0; (end = text.find(mark, start)) != std::string_view::npos; start = end + 1)
    parts.push_back(text.substr(start, end - start));
  parts.push_back(text.substr(start));
  return parts;
}

std::string lower(std::string_view text) {
  return mapped(text, [](char32_t code, std::size_t) { return lower_code(code); });
}

std::string capitalize(std::string_view text) {
  return mapped(text,
                [](char32_t code, std::size_t at) { return at == 0 ? upper_code(code) : lower_code(code); });
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  std::size_t start = 0;
  for (std::size_t at = 0; (at = text.find(from, start)) != std::string_view::npos;
       start = at + from.size()) {
    out += text.substr(start, at - start);
    out += to;
  }
  return out.append(text.substr(start));
}

std::optional<double> parse_float(std::string_view text) {
  text = strip(text);
  double sign = 1.0;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    sign = text[0] == '-' ? -1.0 : 1.0;
    text.remove_prefix(1);
  }
  const std::string word = lower(text);
  if (word == "inf" || word == "infinity") return sign * std::numeric_limits<double>::infinity();
  if (word == "nan") return std::numeric_limits<double>::quiet_NaN();
  const auto digits = float_digits(word);
  if (!digits) return std::nullopt;
  double value = 0.0;
  const auto [end, error] = std::from_chars(digits->data(), digits->data() + digits->size(), value);
  if (error == std::errc::result_out_of_range) return sign * beyond_range(*digits);
  if (error != std::errc()) return std::nullopt;
  return sign * value;
}

namespace {

/// Reads Python's list literals. Every function says whether it could, and moves on if so.
class ListReader {
 public:
  explicit ListReader(std::string_view text) : text_(text) {}

  std::optional<std::vector<std::string>> read() {
    std::vector<std::string> out;
    if (!take('[')) return std::nullopt;
    while (!take(']')) {
      std::string element;
      if (!read_element(element)) return std::nullopt;
      out.push_back(std::move(element));
      if (take(',')) continue;
      if (!take(']')) return std::nullopt;
      break;
    }
    skip_blanks();
    return at_ == text_.size() ? std::optional(std::move(out)) : std::nullopt;
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && is_any_of(text_[at_], " \t\r\n")) ++at_;
  }
  bool take(char c) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool read_element(std::string& out) {
    skip_blanks();
    if (at_ >= text_.size()) return false;
    if (text_[at_] == '\'' || text_[at_] == '"') return read_string(out);
    const std::size_t start = at_;
    while (at_ < text_.size() && (is_digit(text_[at_]) || is_any_of(text_[at_], "+-.eE"))) ++at_;
    out = text_.substr(start, at_ - start);
    return parse_float(out).has_value();
  }

  bool read_string(std::string& out) {
    const char quote = text_[at_++];
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] == '\n') return false;
      if (text_[at_] != '\\') {
        out += text_[at_++];
      } else if (++at_ >= text_.size() || !read_escape(out)) {
        return false;
      }
    }
    return at_ < text_.size() && text_[at_++] == quote;
  }

  bool read_escape(std::string& out) {
    const char c = text_[at_++];
    switch (c) {
      case 'n': out += '\n'; return true;
      case 't': out += '\t'; return true;
      case 'r': out += '\r'; return true;
      case '\\':
      case '\'':
      case '"': out += c; return true;
      case 'x': return read_code(2, out);
      case 'u': return read_code(4, out);
      case 'U': return read_code(8, out);
      default:
        out += '\\';
        out += c;
        return true;
    }
  }

  bool read_code(std::size_t n_digits, std::string& out) {
    if (at_ + n_digits > text_.size()) return false;
    uint32_t code = 0;
    const char* first = text_.data() + at_;
    const auto [end, error] = std::from_chars(first, first + n_digits, code, 16);
    if (error != std::errc() || end != first + n_digits || code > 0x10FFFF) return false;
    at_ += n_digits;
    append(out, code);
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::optional<std::vector<std::string>> parse_list(std::string_view text) { return ListReader(text).read(); }

}  // namespace winnow::eval
