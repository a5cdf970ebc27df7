#include <gtest/gtest.h>

#include "tests/record/run_fixture.h"
#include "tests/support/expect_error.h"

namespace winnow::record {
namespace {

using namespace test;

/// The shards of the small run, every count-th question each.
std::vector<record::Run> shards_of(int32_t count) {
  std::vector<record::Run> shards;
  for (int32_t number = 1; number <= count; ++number) {
    record::Run run{small_header(), {}};
    run.header.shard = {number, count};
    for (const ResultRow& row : small_rows(run.header)) {
      if (row.index % count == number - 1) run.rows.push_back(row);
    }
    shards.push_back(std::move(run));
  }
  return shards;
}

void expect_refused(std::vector<record::Run> shards, const std::string& text,
                    ErrorCode code = ErrorCode::InvalidArgument) {
  expect_error(code, text, [&] { merge_shards(std::move(shards)); });
}

TEST(Merge, GivesTheRowsOfASingleProcess) {
  for (const int32_t count : {1, 2, 3}) {
    std::vector<record::Run> shards = shards_of(count);
    std::reverse(shards.begin(), shards.end());  // any order
    std::reverse(shards[0].rows.begin(), shards[0].rows.end());
    const record::Run merged = merge_shards(std::move(shards));
    EXPECT_EQ(lines_of(merged.rows), lines_of(small_rows(small_header())));
    EXPECT_EQ(to_text(merged.header), to_text(small_header()));
  }
}

TEST(Merge, OfFolders) {
  const TempFolder temp;
  std::vector<record::Run> read;
  for (const record::Run& shard : shards_of(2)) {
    const std::string folder = temp.at(std::to_string(shard.header.shard.number));
    RunWriter writer(folder, shard.header);
    for (const ResultRow& row : shard.rows) writer.append(row);
    read.push_back(read_run(folder));
  }
  EXPECT_EQ(lines_of(merge_shards(std::move(read)).rows), lines_of(small_rows(small_header())));
}

TEST(Merge, MachinesMayDiffer) {
  std::vector<record::Run> shards = shards_of(2);
  shards[0].header.hardware = "one";
  shards[1].header.hardware = "two";
  shards[1].header.started = "2024-12-31T00:00:00Z";
  const RunHeader merged = merge_shards(std::move(shards)).header;
  EXPECT_EQ(merged.hardware, "one; two");
  EXPECT_EQ(merged.started, "2024-12-31T00:00:00Z");
}

TEST(Merge, RefusesWhatIsNotTheShardsOfOneRun) {
  expect_refused({}, "no runs");
  std::vector<record::Run> shards = shards_of(3);
  expect_refused({shards[0], shards[2]}, "shards of 3, got 2, missing 2");
  expect_refused({shards[0], shards[1], shards[1], shards[2]}, "shard 2/3 is there twice");
  expect_refused({shards[0], shards_of(2)[1]}, "shard, got 2/2, expected one of 3");

  shards[1].header.seed = 5;
  expect_refused(shards, "shard 2/3 is of another run than the first: seed, got 5, expected");
  shards = shards_of(3);
  shards[2].header.model.text_sha256 = "zz";
  expect_refused(shards, "model/text_sha256, got \"zz\", expected \"aa\"");
  shards = shards_of(3);
  shards[2].header.shard.number = 4;
  expect_refused(shards, "shard, got 4 of 3, expected 1 to 3", ErrorCode::Corrupt);
}

TEST(Merge, RefusesRowsThatAreMissingOrThereTwice) {
  std::vector<record::Run> shards = shards_of(2);
  shards[1].rows.push_back(shards[0].rows[1]);
  expect_refused(shards, "question 'pope-0' of pope with 'fast' is in two shards");
  shards = shards_of(2);
  shards[0].rows.erase(shards[0].rows.begin(), shards[0].rows.begin() + 2);
  expect_refused(shards, "2 of 10 rows are missing, the first is question 0 of pope with 'full'");
  shards = shards_of(2);
  shards[0].rows[0].benchmark = "mme";
  expect_refused(shards, "shard 1: benchmark 'mme' is not one of the run's header", ErrorCode::Corrupt);
}

}  // namespace
}  // namespace winnow::record
