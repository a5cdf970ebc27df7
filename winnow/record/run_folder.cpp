#include "winnow/record/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <system_error>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/record/jsonl.h"

namespace winnow::record {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWhere = "record.run";

/// Appears under its name when it is whole.
void write_header(const std::string& folder, const RunHeader& header) {
  const std::string path = header_path(folder), partial = path + ".partial";
  std::ofstream file(partial, std::ios::binary | std::ios::trunc);
  file << to_text(header);
  file.close();
  std::error_code error;
  if (file.good()) fs::rename(partial, path, error);
  WINNOW_CHECK(file.good() && !error, Io, kWhere, "{}: cannot be written", path);
}

void make_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  WINNOW_CHECK(!error, Io, kWhere, "{}: cannot be made: {}", folder, error.message());
}

/// The file's bytes up to the last line end.
std::string whole_lines(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  WINNOW_CHECK(file.good(), Io, kWhere, "{}: cannot be read", path);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  text.resize(text.rfind('\n') + 1);  // npos + 1 is 0
  return text;
}

/// Of the whole lines of a file; `path` is for messages.
std::vector<ResultRow> parse_rows(std::string_view text, const std::string& path, const RunHeader& header) {
  std::vector<ResultRow> rows;
  std::map<RowKey, int64_t> line_of;
  int64_t number = 0;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = text.find('\n', start);
    const std::string place = fmt::format("{}:{}", path, ++number);
    const Json json = parse_json(text.substr(start, end - start), place);
    rows.push_back(result_row(JsonRow(json, place)));
    check_belongs(rows.back(), header, place);
    const auto [first, is_new] = line_of.try_emplace(key_of(rows.back()), number);
    WINNOW_CHECK(is_new, Corrupt, kWhere,
                 "{}: question '{}' of {} with '{}' is there twice, first at line {}", place,
                 rows.back().question_id, rows.back().benchmark, rows.back().config, first->second);
    start = end + 1;
  }
  return rows;
}

}  // namespace

std::string header_path(const std::string& folder) { return (fs::path(folder) / "run.json").string(); }
std::string rows_path(const std::string& folder) { return (fs::path(folder) / "rows.jsonl").string(); }

bool is_run(const std::string& folder) {
  std::error_code ignored;
  return fs::exists(header_path(folder), ignored);
}

void check_belongs(const ResultRow& row, const RunHeader& header, const std::string& place) {
  const auto named = [](const std::string& name) {
    return [&](const auto& part) { return part.name == name; };
  };
  const auto benchmark = std::ranges::find_if(header.benchmarks, named(row.benchmark));
  WINNOW_CHECK(benchmark != header.benchmarks.end(), Corrupt, kWhere,
               "{}: benchmark '{}' is not one of the run's header", place, row.benchmark);
  WINNOW_CHECK(row.index >= 0 && row.index < benchmark->n_questions, Corrupt, kWhere,
               "{}: index, got {}, expected one of {} questions", place, row.index, benchmark->n_questions);
  WINNOW_CHECK(std::ranges::any_of(header.configurations, named(row.config)), Corrupt, kWhere,
               "{}: config '{}' is not one of the run's header", place, row.config);
  WINNOW_CHECK(row.convention == header.convention, Corrupt, kWhere,
               "{}: convention, got '{}', expected '{}'", place, row.convention, header.convention);
}

RowKey key_of(const ResultRow& row) { return {row.benchmark, row.index, row.config}; }

Run read_run(const std::string& folder) {
  WINNOW_CHECK(is_run(folder), NotFound, kWhere, "{}: no run, expected a folder with run.json", folder);
  Run run{read_header(header_path(folder)), {}};
  std::error_code ignored;
  if (fs::exists(rows_path(folder), ignored)) {
    const std::string path = rows_path(folder);
    run.rows = parse_rows(whole_lines(path), path, run.header);
  }
  return run;
}

RunWriter::RunWriter(const std::string& folder, const RunHeader& header)
    : header_(header), path_(rows_path(folder)) {
  check_header(header, folder);
  make_folder(folder);
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  WINNOW_CHECK(file_ >= 0, Io, kWhere, "{}: cannot be written: {}", path_, std::strerror(errno));
  try {
    WINNOW_CHECK(::flock(file_, LOCK_EX | LOCK_NB) == 0, Io, kWhere, "{}: {}", path_,
                 errno == EWOULDBLOCK ? "another process is writing it" : std::strerror(errno));
    if (is_run(folder)) {
      const auto differs = difference(header, read_header(header_path(folder)), Sameness::Resume);
      WINNOW_CHECK(!differs, InvalidArgument, kWhere,
                   "{}: another run is there, with other settings: {}. Give another folder", folder,
                   differs.value_or(""));
      // Before anything is cut: a file with a bad row stays as it is.
      const std::string text = whole_lines(path_);
      for (const ResultRow& row : parse_rows(text, path_, header)) done_.insert(key_of(row));
      size_ = std::ssize(text);
      if (size_ < static_cast<int64_t>(fs::file_size(path_))) cut_after(size_);
    } else {
      WINNOW_CHECK(fs::file_size(path_) == 0, Corrupt, kWhere, "{}: rows without a header, expected {}",
                   path_, header_path(folder));
      write_header(folder, header);
    }
  } catch (...) {
    ::close(file_);
    throw;
  }
}

RunWriter::~RunWriter() {
  if (file_ >= 0) ::close(file_);
}

void RunWriter::cut_after(int64_t n_bytes) {
  size_ = n_bytes;
  WINNOW_CHECK(::ftruncate(file_, size_) == 0, Io, kWhere, "{}: cannot be written: {}", path_,
               std::strerror(errno));
}

void RunWriter::append(const ResultRow& row) {
  check_belongs(row, header_, path_);
  WINNOW_CHECK(!has(key_of(row)), InvalidArgument, kWhere, "question '{}' of {} with '{}' is there already",
               row.question_id, row.benchmark, row.config);
  const std::string line = to_line(row) + '\n';
  const ssize_t written = ::write(file_, line.data(), line.size());
  if (written != std::ssize(line)) {
    const std::string reason = written < 0 ? std::strerror(errno) : "no space left";
    // The next row must not continue half a line: it goes now, or a resume cuts it off and nothing follows
    // here.
    if (::ftruncate(file_, size_) != 0) ::close(std::exchange(file_, -1));
    fail(ErrorCode::Io, kWhere, "{}: cannot be written: {}", path_, reason);
  }
  size_ += written;
  done_.insert(key_of(row));
}

}  // namespace winnow::record
