#include "winnow/record/run_folder.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "tests/record/run_fixture.h"
#include "tests/support/expect_error.h"

namespace winnow::record {
namespace {

using namespace test;

TEST(RunFolder, RowsAndHeaderComeBack) {
  const TempFolder temp;
  const RunHeader header = small_header();
  write_rest(temp.at("deep/run"), header);
  const record::Run run = read_run(temp.at("deep/run"));
  EXPECT_EQ(to_text(run.header), to_text(header));
  EXPECT_EQ(lines_of(run.rows), lines_of(small_rows(header)));
  check_complete(run);
  expect_error(ErrorCode::NotFound, "expected a folder with run.json", [&] { read_run(temp.at("none")); });
}

TEST(RunFolder, OnlyATornLastLineIsCutOff) {
  const TempFolder temp;
  const RunHeader header = small_header();
  const std::string folder = temp.at("run");
  write_rest(folder, header);
  const std::string whole = read_text(rows_path(folder));
  const std::size_t last = whole.rfind('\n', whole.size() - 2) + 1;
  for (std::size_t size = last; size < whole.size(); ++size) {
    write_text(rows_path(folder), whole.substr(0, size));
    ASSERT_EQ(read_run(folder).rows.size(), 9u);
    ASSERT_EQ(read_text(rows_path(folder)).size(), size);  // readers change nothing
    {
      const RunWriter writer(folder, header);
      ASSERT_EQ(writer.n_rows(), 9);
      ASSERT_EQ(read_text(rows_path(folder)), whole.substr(0, last));
    }
    write_rest(folder, header);
    ASSERT_EQ(read_text(rows_path(folder)), whole);
  }
}

TEST(RunFolder, NoRowTwice) {
  const TempFolder temp;
  const RunHeader header = small_header();
  const std::string folder = temp.at("run");
  const std::string there = "question 'pope-1' of pope with 'fast' is there already";
  {
    RunWriter writer(folder, header);
    writer.append(small_row("pope", 1, "fast"));
    expect_error(ErrorCode::InvalidArgument, there, [&] { writer.append(small_row("pope", 1, "fast")); });
    EXPECT_EQ(writer.n_rows(), 1);
  }
  RunWriter writer(folder, header);
  EXPECT_TRUE(writer.has({"pope", 1, "fast"}));
  expect_error(ErrorCode::InvalidArgument, there, [&] { writer.append(small_row("pope", 1, "fast")); });
  EXPECT_EQ(read_run(folder).rows.size(), 1u);
}

TEST(RunFolder, RowsThatDoNotBelongAreNotWritten) {
  const TempFolder temp;
  const std::string folder = temp.at("run");
  RunWriter writer(folder, small_header());
  const auto expect_refused = [&](const ResultRow& row, ErrorCode code, const std::string& text) {
    expect_error(code, text, [&] { writer.append(row); });
  };
  expect_refused(small_row("mme", 0, "full"), ErrorCode::Corrupt, "benchmark 'mme' is not one of");
  expect_refused(small_row("pope", 3, "full"), ErrorCode::Corrupt,
                 "index, got 3, expected one of 3 questions");
  expect_refused(small_row("pope", 0, "slow"), ErrorCode::Corrupt, "config 'slow' is not one of");
  ResultRow row = small_row("pope", 0, "full");
  row.convention = "lmms-eval";
  expect_refused(row, ErrorCode::Corrupt, "convention, got 'lmms-eval', expected 'llava'");
  row = small_row("pope", 0, "full");
  row.score = NAN;
  expect_refused(row, ErrorCode::InvalidArgument, "score, got nan");
  EXPECT_EQ(read_text(rows_path(folder)), "");
  writer.append(small_row("pope", 0, "full"));  // a refused row may come again
  EXPECT_EQ(read_run(folder).rows.size(), 1u);
}

TEST(RunFolder, BadLinesAreNamedAndLeftAlone) {
  const TempFolder temp;
  const RunHeader header = small_header();
  const std::string folder = temp.at("run"), path = rows_path(folder);
  write_rest(folder, header);
  const std::vector<std::string> good = lines_of(small_rows(header));
  const auto expect_bad = [&](const std::string& line, const std::string& text) {
    const std::string all = good[0] + "\n" + line + "\n" + good[2] + "\n{\"torn";
    write_text(path, all);
    const std::string message = path + ":2: " + text;
    expect_error(ErrorCode::Corrupt, message, [&] { read_run(folder); });
    expect_error(ErrorCode::Corrupt, message, [&] { RunWriter(folder, header); });
    EXPECT_EQ(read_text(path), all);
  };
  expect_bad("", "not JSON");
  expect_bad("{\"benchmark\":", "not JSON");
  expect_bad(std::string(20, '\0'), "not JSON");
  expect_bad("3", "got number, expected an object");
  expect_bad("{}", "field 'benchmark' is missing");
  expect_bad(to_line(small_row("mme", 0, "full")), "benchmark 'mme'");
  expect_bad(to_line(small_row("gqa", 2, "full")), "index, got 2");
  expect_bad(to_line(small_row("gqa", 1, "slow")), "config 'slow'");
  expect_bad(good[0], "question 'pope-0' of pope with 'full' is there twice, first at line 1");
}

TEST(RunFolder, ResumeRefusesAnotherHeader) {
  const TempFolder temp;
  const std::string folder = temp.at("run");
  write_rest(folder, small_header());
  const std::string before = read_text(rows_path(folder)), run_json = read_text(header_path(folder));
  const auto expect_refused = [&](const std::string& text, auto change) {
    RunHeader other = small_header();
    change(other);
    expect_error(ErrorCode::InvalidArgument, "another run is there, with other settings: " + text,
                 [&] { RunWriter(folder, other); });
  };
  expect_refused("seed, got 1, expected 18446744073709551615", [](RunHeader& h) { h.seed = 1; });
  expect_refused("commit, got \"f\", expected \"0123abc\"", [](RunHeader& h) { h.commit = "f"; });
  expect_refused("model/text_sha256, got \"zz\", expected \"aa\"",
                 [](RunHeader& h) { h.model.text_sha256 = "zz"; });
  expect_refused("threads, got 4, expected 2", [](RunHeader& h) { h.n_threads = 4; });
  expect_refused("hardware, got", [](RunHeader& h) { h.hardware = "another"; });
  expect_refused("benchmarks/1/questions_sha256, got \"x\", expected \"dd\"",
                 [](RunHeader& h) { h.benchmarks[1].questions_sha256 = "x"; });
  expect_refused("configurations", [](RunHeader& h) { h.configurations.push_back({"new", "grid", "10%"}); });
  expect_refused("configurations", [](RunHeader& h) { h.configurations.pop_back(); });
  expect_refused("parameters/max-tokens, got \"32\", expected \"16\"",
                 [](RunHeader& h) { h.parameters["max-tokens"] = "32"; });
  expect_refused("parameters/more, got \"1\", expected nothing",
                 [](RunHeader& h) { h.parameters["more"] = "1"; });
  expect_refused("parameters/text-type, got nothing, expected \"q8_0\"",
                 [](RunHeader& h) { h.parameters.erase("text-type"); });
  expect_refused("shard/number, got 2, expected 1", [](RunHeader& h) { h.shard = {2, 2}; });
  RunHeader later = small_header();
  later.started = "2026-01-01T00:00:00Z";
  later.data = "moved";
  EXPECT_EQ(RunWriter(folder, later).n_rows(), 10);
  EXPECT_EQ(read_text(header_path(folder)), run_json);  // the first start's
  EXPECT_EQ(read_text(rows_path(folder)), before);
}

TEST(RunFolder, BadHeadersAreNamed) {
  const TempFolder temp;
  const std::string folder = temp.at("run"), path = header_path(folder);
  write_rest(folder, small_header());
  const std::string good = read_text(path);
  const auto expect_bad = [&](const std::string& from, const std::string& to, const std::string& text,
                              ErrorCode code = ErrorCode::Corrupt) {
    std::string bad = good;
    ASSERT_NE(bad.find(from), std::string::npos) << from;
    write_text(path, bad.replace(bad.find(from), from.size(), to));
    expect_error(code, path + ": " + text, [&] { read_run(folder); });
  };
  expect_bad("\"version\": 1", "\"version\": 2", "version, got 2, expected 1", ErrorCode::Unsupported);
  expect_bad("winnow.run", "other", "schema, got 'other', expected 'winnow.run'");
  expect_bad("{", "", "not JSON");
  expect_bad("\"threads\": 2", "\"threads\": 0", "threads, got 0, expected 1 to 1000000");
  expect_bad("\"benchmarks\": [", "\"benchmarks\": {}, \"was\": [",
             "benchmarks, got object, expected a list");
  expect_bad("\"name\": \"gqa\"", "\"name\": \"pope\"", "benchmark 'pope' is there twice");
  expect_bad("\"name\": \"fast\"", "\"name\": \"full\"", "configuration 'full' is there twice");
  expect_bad("\"questions\": 3", "\"questions\": -1", "questions of pope, got -1");
  expect_bad("\"number\": 1", "\"number\": 2", "shard, got 2 of 1, expected 1 to 1");
}

TEST(RunFolder, HeaderThatIsNotUtf8EqualsItself) {
  const TempFolder temp;
  RunHeader header = small_header();
  header.parameters["prompt"] = "\xff";
  write_rest(temp.at("run"), header);
  EXPECT_EQ(RunWriter(temp.at("run"), header).n_rows(), 10);
}

TEST(RunFolder, OneWriterAtATime) {
  const TempFolder temp;
  const RunWriter writer(temp.at("run"), small_header());
  expect_error(ErrorCode::Io, "another process is writing it",
               [&] { RunWriter(temp.at("run"), small_header()); });
}

TEST(RunFolder, WhereNothingCanBeWritten) {
  const TempFolder temp;
  write_text(temp.at("file"), "");
  expect_error(ErrorCode::Io,
               temp.at("file") + ": cannot be made: ", [&] { RunWriter(temp.at("file"), small_header()); });
  expect_error(ErrorCode::Io, "cannot be made: ", [&] { RunWriter(temp.at("file/run"), small_header()); });
  expect_error(ErrorCode::Io,
               "/proc/winnow_run: cannot be made: ", [&] { RunWriter("/proc/winnow_run", small_header()); });
  std::filesystem::create_directories(temp.at("run/rows.jsonl"));
  expect_error(ErrorCode::Io, "rows.jsonl: cannot be written: Is a directory",
               [&] { RunWriter(temp.at("run"), small_header()); });
  if (geteuid() == 0) return;  // who may write everywhere
  std::filesystem::create_directories(temp.at("locked"));
  std::filesystem::permissions(temp.at("locked"),
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  expect_error(ErrorCode::Io, "rows.jsonl: cannot be written: Permission denied",
               [&] { RunWriter(temp.at("locked"), small_header()); });
}

TEST(RunFolder, RowsWithoutAHeaderAreNotTakenOver) {
  const TempFolder temp;
  const std::string folder = temp.at("run");
  write_rest(folder, small_header());
  std::filesystem::remove(header_path(folder));
  expect_error(ErrorCode::Corrupt, "rows without a header", [&] { RunWriter(folder, small_header()); });
}

// A file system that is full, as a limit of the file's size.
TEST(RunFolder, HalfARowOfAFullDiskIsTakenBack) {
  const TempFolder temp;
  const std::string folder = temp.at("run");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  {
    RunWriter writer(folder, small_header());
    writer.append(small_row("pope", 0, "full"));
    const std::string one = read_text(rows_path(folder));
    rlimit small = before;
    small.rlim_cur = one.size() + 20;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    expect_error(ErrorCode::Io, "cannot be written", [&] { writer.append(small_row("pope", 0, "fast")); });
    setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_EQ(read_text(rows_path(folder)), one);
    writer.append(small_row("pope", 0, "fast"));
  }
  signal(SIGXFSZ, handler);
  EXPECT_EQ(read_run(folder).rows.size(), 2u);
}

/// Writes the run in a child that is killed once the file has at least `n_bytes`.
void kill_while_writing(const std::string& folder, const RunHeader& header, std::size_t n_bytes) {
  const pid_t child = fork();
  if (child == 0) {
    try {
      write_rest(folder, header);
    } catch (...) {
      _exit(1);
    }
    _exit(0);
  }
  std::error_code ignored;
  int status = 0;
  const auto size = [&] { return std::filesystem::file_size(rows_path(folder), ignored); };
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (std::filesystem::exists(rows_path(folder), ignored) && size() >= n_bytes) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      break;
    }
    usleep(100);
  }
  EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

TEST(RunFolder, KilledAndResumedLosesAndDoublesNothing) {
  const TempFolder temp;
  RunHeader header = small_header();
  header.benchmarks[0].n_questions = 1000;
  write_rest(temp.at("whole"), header);
  const std::string whole = read_text(rows_path(temp.at("whole")));
  int n_in_the_middle = 0;
  for (int i = 0; i < 4; ++i) {
    const std::string folder = temp.at("killed" + std::to_string(i));
    // Twice each: a run that goes on is killed too. The first may hit an empty file.
    for (const std::size_t part : {i, i + 2}) kill_while_writing(folder, header, whole.size() * part / 8);
    const std::string left = std::filesystem::exists(rows_path(folder)) ? read_text(rows_path(folder)) : "";
    EXPECT_TRUE(left == whole.substr(0, left.size()));
    n_in_the_middle += !left.empty() && left.size() < whole.size() ? 1 : 0;
    write_rest(folder, header);
    ASSERT_TRUE(read_text(rows_path(folder)) == whole) << folder;
    check_complete(read_run(folder));
  }
  EXPECT_GE(n_in_the_middle, 1);  // else nothing was tested
}

}  // namespace
}  // namespace winnow::record
