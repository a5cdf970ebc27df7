#pragma once

// Tables of VLMEvalKit: tab-separated, a header row, quotes as pandas writes and reads them ("" inside quotes
// is one quote; tabs and line breaks may stand inside quotes). Tables hold whole pictures, so long cells stay
// in the file until they are asked for.

#include <cstdint>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace winnow::eval {

/// One table. Not for several threads: reading a long cell moves in the file.
class TsvTable {
 public:
  /// Reads the file once. Throws NotFound, Io, Corrupt (FILE:LINE in the message).
  explicit TsvTable(const std::string& path);
  /// The same from a stream that can be moved in; `name` stands in messages.
  TsvTable(std::unique_ptr<std::istream> stream, std::string name);

  std::size_t n_rows() const { return rows_.size(); }
  const std::vector<std::string>& columns() const { return columns_; }
  std::optional<std::size_t> find_column(std::string_view name) const;
  std::size_t column(std::string_view name) const;  ///< throws Corrupt when it is missing
  /// The cell without its quotes.
  std::string text(std::size_t row, std::size_t column) const;
  /// Bytes of the same.
  int64_t size(std::size_t row, std::size_t column) const;
  std::string place(std::size_t row) const;  ///< "FILE:LINE"
  const std::string& name() const { return name_; }

 private:
  friend class TsvReader;
  struct Cell {
    std::string head;  ///< the text, or the beginning of a long one
    int64_t offset = 0, n_raw = 0, size = 0;
  };
  struct Row {
    int64_t line = 0;
    std::vector<Cell> cells;
  };

  std::string name_;
  std::unique_ptr<std::istream> stream_;
  std::vector<std::string> columns_;
  std::vector<Row> rows_;
};

/// What pandas reads as a missing value: "", "NA", "NaN", "None", "null" and the like.
bool is_missing(std::string_view cell);

}  // namespace winnow::eval
