#pragma once

// Numbers that papers print, in one long table (docs/reference/README.md), read from the text of its CSV.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace winnow::report {

struct PublishedNumber {
  std::string table;  ///< number of the paper's table
  std::string model;
  std::string benchmark;  ///< Winnow's name, or "average"
  std::string metric;  ///< "score": the benchmark's first metric; "relative": % of the unpruned score; others
  std::string method;  ///< Winnow's name and parameters; "fastv_dagger": fastv with `--budget trr`
  std::string budget;  ///< "144/576" or "33.3%" of the visual tokens
  double value = 0.0;
  std::string unit;
  std::string tag;  ///< how sure it is: E2, E1, V, I, ?
  std::string note;
};

/// "144/576" -> 0.25, "33.3%" -> 0.333. Throws InvalidArgument.
double share_of_budget(const std::string& budget);

/// RFC 4180 without line breaks inside quotes; the first line names the columns above. `place` names the file
/// in messages. Throws Corrupt (line and column).
std::vector<PublishedNumber> parse_published(std::string_view csv, const std::string& place);

/// docs/reference/paper.csv: tables 1, 4, 5, 6, 7 and 8 of arXiv 2502.11501.
std::vector<PublishedNumber> paper_numbers();

}  // namespace winnow::report
