#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace winnow {

enum class TableFormat { Text, Markdown, Csv };
/// "text", "markdown", "csv". Throws InvalidArgument.
TableFormat parse_table_format(std::string_view name);

/// Every row has as many cells as there are columns.
struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

/// Text: the first two columns to the left, the others to the right. Csv: RFC 4180, lines end with "\n".
std::string to_string(const Table& table, TableFormat format);

}  // namespace winnow
