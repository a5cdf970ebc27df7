#include "winnow/report/published.h"

#include <charconv>

#include "winnow/base/error.h"
#include "winnow/report/page_files.h"

namespace winnow::report {
namespace {

constexpr const char* kWhere = "report.published";
constexpr std::string_view kColumns = "table,model,benchmark,metric,method,budget,value,unit,tag,note";
constexpr std::size_t kCells = 10;

std::optional<double> number_of(std::string_view text) {
  double value = 0.0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string> cells_of(std::string_view line, const std::string& place) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (quoted && line[i] == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      cells.back() += line[i++];
    } else if (line[i] == '"') {
      quoted = !quoted;
    } else if (line[i] == ',' && !quoted) {
      cells.emplace_back();
    } else {
      cells.back() += line[i];
    }
  }
  WINNOW_CHECK(!quoted && cells.size() == kCells, Corrupt, kWhere, "{}: got {} cells{}, expected {}", place,
               cells.size(), quoted ? " and an open quote" : "", kCells);
  return cells;
}

PublishedNumber number_from(std::vector<std::string> cells, const std::string& place) {
  const auto value = number_of(cells[6]);
  WINNOW_CHECK(value, Corrupt, kWhere, "{}: value, got '{}', expected a number", place, cells[6]);
  for (std::size_t i = 0; i < 6; ++i)
    WINNOW_CHECK(!cells[i].empty(), Corrupt, kWhere, "{}: cell {} is empty, expected text", place, i + 1);
  PublishedNumber out{cells[0], cells[1], cells[2], cells[3], cells[4],
                      cells[5], *value,   cells[7], cells[8], cells[9]};
  share_of_budget(out.budget);
  return out;
}

}  // namespace

double share_of_budget(const std::string& budget) {
  const std::string_view text = budget;
  const std::size_t slash = text.find('/');
  std::optional<double> share;
  if (text.ends_with('%')) {
    share = number_of(text.substr(0, text.size() - 1));
    if (share) *share /= 100.0;
  } else if (slash != std::string_view::npos) {
    const auto kept = number_of(text.substr(0, slash)), all = number_of(text.substr(slash + 1));
    if (kept && all && *all > 0.0) share = *kept / *all;
  }
  WINNOW_CHECK(share && *share > 0.0 && *share <= 1.0, InvalidArgument, kWhere,
               "budget, got '{}', expected KEPT/ALL or a percentage", budget);
  return *share;
}

std::vector<PublishedNumber> parse_published(std::string_view csv, const std::string& place) {
  std::vector<PublishedNumber> out;
  for (int64_t number = 1; !csv.empty(); ++number) {
    const std::size_t end = csv.find('\n');
    const std::string_view line = csv.substr(0, end);
    csv.remove_prefix(end == std::string_view::npos ? csv.size() : end + 1);
    const std::string here = fmt::format("{}:{}", place, number);
    if (number == 1) {
      WINNOW_CHECK(line == kColumns, Corrupt, kWhere, "{}: columns, got '{}', expected '{}'", here, line,
                   kColumns);
    } else if (!line.empty()) {
      out.push_back(number_from(cells_of(line, here), here));
    }
  }
  return out;
}

std::vector<PublishedNumber> paper_numbers() { return parse_published(page_files::paper_csv(), "paper.csv"); }

}  // namespace winnow::report
