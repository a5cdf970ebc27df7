#pragma once

// A small run for the tests of run folders: two benchmarks, two configurations, ten rows.

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "winnow/record/run_folder.h"

namespace winnow::test {

/// A folder that goes with the test.
class TempFolder {
 public:
  TempFolder() {
    std::string path = testing::TempDir() + "winnow_run_XXXXXX";
    path_ = mkdtemp(path.data());
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::string at(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline record::RunHeader small_header() {
  record::RunHeader h;
  h.winnow = "0.1.0";
  h.commit = "0123abc";
  h.model = {"text.gguf", "mmproj.gguf", "aa", "bb"};
  h.convention = "llava";
  h.benchmarks = {{"pope", "", 3, "cc"}, {"gqa", "testdev", 2, "dd"}};
  h.configurations = {{"full", "none", ""}, {"fast", "fastv(layer=2)", "50%"}};
  h.parameters = {{"max-tokens", "16"}, {"text-type", "q8_0"}};
  h.seed = 18446744073709551615u;
  h.n_threads = 2;
  h.hardware = "a machine";
  h.started = "2025-01-02T03:04:05Z";
  h.data = "some folder";
  return h;
}

inline record::ResultRow small_row(const std::string& benchmark, int64_t index, const std::string& config) {
  record::ResultRow row;
  row.benchmark = benchmark;
  row.index = index;
  row.question_id = benchmark + "-" + std::to_string(index);
  row.convention = "llava";
  row.config = config;
  row.prediction = "yes, \"it\" is\nso";
  row.answer = "yes";
  row.score = 1.0;
  row.seed = static_cast<uint64_t>(index);
  row.n_visual_before = 576;
  row.n_visual_after = config == "full" ? 576 : 288;
  row.n_visual_average = row.n_visual_after;
  row.stage_ms.prefill = 12.5;
  return row;
}

/// In the order of a single process.
inline std::vector<record::ResultRow> small_rows(const record::RunHeader& header) {
  std::vector<record::ResultRow> rows;
  for (const auto& b : header.benchmarks) {
    for (int64_t i = 0; i < b.n_questions; ++i) {
      for (const auto& c : header.configurations) rows.push_back(small_row(b.name, i, c.name));
    }
  }
  return rows;
}

/// As `winnow eval` will: what is there is left out.
inline void write_rest(const std::string& folder, const record::RunHeader& header) {
  record::RunWriter writer(folder, header);
  for (const record::ResultRow& row : small_rows(header)) {
    if (!writer.has(record::key_of(row))) writer.append(row);
  }
}

inline std::vector<std::string> lines_of(const std::vector<record::ResultRow>& rows) {
  std::vector<std::string> lines;
  for (const record::ResultRow& row : rows) lines.push_back(record::to_line(row));
  return lines;
}

}  // namespace winnow::test
