#include "winnow/base/table.h"

#include <algorithm>

#include "winnow/base/error.h"

namespace winnow {
namespace {

using Row = std::vector<std::string>;

constexpr std::size_t kLeftColumns = 2;

std::string text_line(const Row& row, const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i > 0) line += "  ";
    line += i < kLeftColumns ? fmt::format("{:<{}}", row[i], widths[i])
                             : fmt::format("{:>{}}", row[i], widths[i]);
  }
  line.resize(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string markdown_line(const Row& row) {
  std::string line = "|";
  for (const std::string& cell : row) {
    std::string text;
    for (const char c : cell) text += c == '|' ? std::string("\\|") : std::string(1, c);
    line += fmt::format(" {} |", text);
  }
  return line + "\n";
}

std::string csv_line(const Row& row) {
  std::string line;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const std::string& cell = row[i];
    if (i > 0) line += ',';
    if (cell.find_first_of(",\"\r\n") == std::string::npos) {
      line += cell;
      continue;
    }
    line += '"';
    for (const char c : cell) line += c == '"' ? std::string("\"\"") : std::string(1, c);
    line += '"';
  }
  return line + "\n";
}

}  // namespace

TableFormat parse_table_format(std::string_view name) {
  if (name == "text") return TableFormat::Text;
  if (name == "markdown") return TableFormat::Markdown;
  if (name == "csv") return TableFormat::Csv;
  fail(ErrorCode::InvalidArgument, "base.table", "format, got '{}', expected text, markdown or csv", name);
}

std::string to_string(const Table& table, TableFormat format) {
  std::string out;
  if (format == TableFormat::Csv) {
    out = csv_line(table.columns);
    for (const Row& row : table.rows) out += csv_line(row);
  } else if (format == TableFormat::Markdown) {
    out = markdown_line(table.columns) + "|";
    for (std::size_t i = 0; i < table.columns.size(); ++i) out += i < kLeftColumns ? "---|" : "--:|";
    out += "\n";
    for (const Row& row : table.rows) out += markdown_line(row);
  } else {
    std::vector<std::size_t> widths;
    for (const std::string& column : table.columns) widths.push_back(column.size());
    for (const Row& row : table.rows) {
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    out = text_line(table.columns, widths);
    for (const Row& row : table.rows) out += text_line(row, widths);
  }
  return out;
}

}  // namespace winnow
