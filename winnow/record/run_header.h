#pragma once

// What a run was: RUN/run.json, written once before the first row. docs/runs.md is the schema.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace winnow::record {

inline constexpr std::string_view kRunSchema = "winnow.run";
/// Goes up when a reader of the older version would misread the files.
inline constexpr int64_t kRunVersion = 1;

struct ModelFiles {
  std::string text, mmproj;                ///< names without folders
  std::string text_sha256, mmproj_sha256;  ///< of the whole files
};

struct BenchmarkPart {
  std::string name;
  std::string split;             ///< as asked for; empty: the benchmark's default
  int64_t n_questions = 0;       ///< of all shards together
  std::string questions_sha256;  ///< of ids, prompts and answers, so that changed data is noticed
};

struct ConfigurationPart {
  std::string name;    ///< as rows and tables say
  std::string method;  ///< "none" or the steps with every parameter spelled out
  std::string keep;    ///< budgets of the steps
};

struct Shard {
  int32_t number = 1;  ///< 1 .. count
  int32_t count = 1;
};

struct RunHeader {
  std::string winnow;  ///< version
  std::string commit;  ///< of its sources
  ModelFiles model;
  std::string convention;
  std::vector<BenchmarkPart> benchmarks;
  std::vector<ConfigurationPart> configurations;  ///< in the order of the rows of a question
  std::map<std::string, std::string> parameters;  ///< every other option that can change a row
  uint64_t seed = 0;
  int32_t n_threads = 0;  ///< of all jobs together
  int32_t n_jobs = 1;     ///< questions answered at once
  std::string hardware;
  Shard shard;

  std::string started;  ///< UTC, ISO 8601; the run may go on with another
  std::string data;     ///< where the questions came from; likewise
};

/// Throws Corrupt (`place` in front) for numbers out of range, a shard beyond the count, a name that is there
/// twice.
void check_header(const RunHeader& header, const std::string& place);
/// Indented JSON. Bytes that are not UTF-8 become U+FFFD.
std::string to_text(const RunHeader& header);
/// Throws NotFound, Io, Corrupt; Unsupported for a newer version of the schema.
RunHeader read_header(const std::string& path);

/// What must be equal. Resume: everything but started and data. Merge: also shard and hardware may differ.
enum class Sameness { Resume, Merge };
/// The first setting that differs, "seed, got 2, expected 1"; nothing when all are equal. `got` is the new
/// one.
std::optional<std::string> difference(const RunHeader& got, const RunHeader& expected, Sameness sameness);

}  // namespace winnow::record
