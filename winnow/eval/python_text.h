#pragma once

// The published scorers are Python, so their rules speak of Python's strings: characters (not bytes), blanks
// of every kind, lower case beyond ASCII. These are those operations on UTF-8. A byte that is not UTF-8
// counts as one character. Letters with cases: Latin, Greek, Cyrillic, full-width Latin; digits: ASCII.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace winnow::eval {

struct Character {
  char32_t code = 0;        ///< U+FFFD for a byte that is not UTF-8
  std::size_t n_bytes = 1;  ///< 1 to 4
};
/// The character that begins at byte `at` < text.size().
Character character_at(std::string_view text, std::size_t at);

bool is_space(char32_t code);   ///< str.isspace
bool is_letter(char32_t code);  ///< str.isalpha, except rare scripts' marks
inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
/// The first byte from `at` on that is no blank.
std::size_t skip_spaces(std::string_view text, std::size_t at);

std::size_t n_characters(std::string_view text);                            ///< len(text)
std::string_view first_characters(std::string_view text, std::size_t n);    ///< text[:n]
std::string_view strip(std::string_view text);                              ///< text.strip()
std::string_view strip(std::string_view text, std::string_view ascii);      ///< text.strip(ascii)
std::string_view strip_end(std::string_view text, std::string_view ascii);  ///< text.rstrip(ascii)
std::vector<std::string_view> split_words(std::string_view text);           ///< text.split()
std::vector<std::string_view> split_at(std::string_view text, char mark);   ///< text.split(mark)
std::string lower(std::string_view text);                                   ///< text.lower(), equally long
std::string capitalize(std::string_view text);  ///< text.capitalize(): the rest becomes lower case
std::string replaced(std::string_view text, std::string_view from, std::string_view to);
inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// float(text): blanks at the ends, underscores between digits, "inf" and "nan" are numbers. Nothing where
/// Python raises.
std::optional<double> parse_float(std::string_view text);

/// A list of strings or numbers as Python prints it, "['a', \"b's\", 3]", each element as text. Nothing for
/// anything else.
std::optional<std::vector<std::string>> parse_list(std::string_view text);

}  // namespace winnow::eval
