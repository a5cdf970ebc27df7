#pragma once

// A run on disk: RUN/run.json (the header) and RUN/rows.jsonl (one line for each question and configuration,
// only ever appended to). A process may be killed at any time: what was written stays, a half written last
// line is cut off when the run goes on.

#include <cstdint>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "winnow/record/result_row.h"
#include "winnow/record/run_header.h"

namespace winnow::record {

std::string header_path(const std::string& folder);
std::string rows_path(const std::string& folder);
bool is_run(const std::string& folder);

struct Run {
  RunHeader header;
  std::vector<ResultRow> rows;
};
/// A run as far as it is. A torn last line is left out. Throws NotFound, Io, Corrupt (FILE:LINE): a line that
/// is no row, a row that is there twice or is not of the header's benchmarks and configurations.
Run read_run(const std::string& folder);

/// Benchmark, index of the question, configuration.
using RowKey = std::tuple<std::string, int64_t, std::string>;
RowKey key_of(const ResultRow& row);

/// Throws Corrupt (`place` in front) for a row that is not of the header's benchmarks, questions,
/// configurations and convention.
void check_belongs(const ResultRow& row, const RunHeader& header, const std::string& place);

/// Writes rows of one run. Not for several threads.
class RunWriter {
 public:
  /// Begins the run, or goes on with it when RUN/run.json is there: then the settings must be those of the
  /// header. Throws InvalidArgument (naming the first setting that differs), Io (not writable, or another
  /// process writes it), Corrupt.
  RunWriter(const std::string& folder, const RunHeader& header);
  ~RunWriter();
  RunWriter(const RunWriter&) = delete;
  RunWriter& operator=(const RunWriter&) = delete;

  /// In one system call, so that no later kill can take it back. Throws, with nothing written: Io;
  /// InvalidArgument for a row that is there or cannot be written; Corrupt for one that is not of the header.
  void append(const ResultRow& row);
  bool has(const RowKey& key) const { return done_.contains(key); }
  int64_t n_rows() const { return static_cast<int64_t>(done_.size()); }

 private:
  void cut_after(int64_t n_bytes);

  RunHeader header_;
  std::string path_;
  int file_ = -1;
  int64_t size_ = 0;  // of the file
  std::set<RowKey> done_;
};

/// The shards of one run, in any order, as one run with the rows in the order of a single process. Throws
/// InvalidArgument: headers of different runs, a shard that is missing or there twice, rows that are missing.
Run merge_shards(std::vector<Run> shards);
/// The same from folders into a folder; rows that are there from before are left alone. Returns how many rows
/// the folder has. Throws what reading, merging and RunWriter throw.
int64_t merge_shards(const std::vector<std::string>& folders, const std::string& out);

/// Throws InvalidArgument when something is missing and says what; else nothing happens.
void check_complete(const Run& run);

}  // namespace winnow::record
