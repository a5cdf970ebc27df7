#pragma once

// JSON and JSON lines with messages that name the file, the line and the field.

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace winnow::record {

using Json = nlohmann::json;

/// One JSON object of a file and where it stands: "FILE:12" or "FILE: annotations[12]". Holds a reference.
class JsonRow {
 public:
  /// Throws Corrupt when the value is no object.
  JsonRow(const Json& value, std::string place);

  bool has(std::string_view key) const;                        ///< there and not null
  const Json& at(std::string_view key) const;                  ///< throws Corrupt when it is missing
  std::string text(std::string_view key) const;                ///< a string, or a number as it is written
  int64_t integer(std::string_view key) const;                 ///< throws Corrupt for anything else
  uint64_t natural(std::string_view key) const;                ///< the same, 0 or more, up to 2^64 - 1
  double number(std::string_view key) const;                   ///< throws Corrupt for anything else
  bool boolean(std::string_view key) const;                    ///< throws Corrupt for anything else
  std::vector<double> numbers(std::string_view key) const;     ///< a list of numbers
  std::vector<std::string> texts(std::string_view key) const;  ///< a list of strings or numbers
  /// An object inside, or in element `idx` of a list inside.
  JsonRow row(std::string_view key) const;
  JsonRow row(std::string_view key, std::size_t idx) const;
  const Json& value() const { return value_; }
  const std::string& place() const { return place_; }

 private:
  [[noreturn]] void fail_field(std::string_view key, std::string_view expected) const;

  const Json& value_;
  std::string place_;
};

/// A text that is one JSON value; `place` says where it stands. Throws Corrupt.
Json parse_json(std::string_view text, const std::string& place);

/// The whole file. Throws NotFound, Io, Corrupt.
Json read_json(const std::string& path);

/// Each line that is not empty. Throws NotFound, Io, Corrupt.
void for_each_line(const std::string& path, const std::function<void(const JsonRow&)>& take);

/// Each object of the list `key` at the top of the file, or of the list that is the file (empty key), one at
/// a time: a list may be too long to hold. Throws NotFound, Io, Corrupt.
void for_each_element(const std::string& path, std::string_view key,
                      const std::function<void(const JsonRow&)>& take);

}  // namespace winnow::record
