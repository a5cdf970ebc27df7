#include "winnow/record/result_row.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/record/run_fixture.h"
#include "tests/support/expect_error.h"
#include "winnow/record/jsonl.h"
#include "winnow/record/sha256.h"

namespace winnow::record {
namespace {

using test::expect_error;
using test::small_row;

ResultRow parse(const std::string& line) {
  const Json json = parse_json(line, "f:7");
  return result_row(JsonRow(json, "f:7"));
}

TEST(ResultRow, RoundTrip) {
  ResultRow row = small_row("pope", 2, "fast");
  row.group = "adversarial";
  row.category = "c";
  row.subcategory = "s";
  row.split = "val";
  row.prompt = "<image>\nIs it?";
  row.extracted = "yes";
  row.score = 0.1 + 0.2;
  row.valid = row.ended = true;
  row.detail = {{"iou", 1.0 / 3.0}};
  row.n_decoded = 3;
  row.seed = std::numeric_limits<uint64_t>::max();
  row.n_text = 40;
  row.n_visual_average = 301.5;
  row.kv_bytes = int64_t{1} << 40;
  row.kv_bytes_unpruned = int64_t{1} << 41;
  row.stage_ms = {1, 2, 3, 4, 5, 6, 7.125};
  row.kept = {{0, 5, 575}, {}};
  row.kept_maps = {{{2, 3, {0.0, -0.25, 1.0, 1.25}, {0, 5}}, {1, 1, {0.5, 0.0, 1.0, 1.0}, {}}}, {}};
  const ResultRow back = parse(to_line(row));
  EXPECT_EQ(to_line(back), to_line(row));
  EXPECT_EQ(back.score, row.score);
  EXPECT_EQ(back.seed, row.seed);
  EXPECT_EQ(back.prediction, row.prediction);
  EXPECT_EQ(back.detail, row.detail);
  EXPECT_EQ(back.kept, row.kept);
  ASSERT_EQ(back.kept_maps->size(), 2U);
  EXPECT_EQ(back.kept_maps->at(0).at(0).box, row.kept_maps->at(0).at(0).box);
  EXPECT_EQ(back.kv_bytes_unpruned, row.kv_bytes_unpruned);
  EXPECT_EQ(back.stage_ms.decode, 7.125);
  EXPECT_EQ(back.stage_ms.first_token(), 21.0);
  EXPECT_FALSE(back.failed());
}

TEST(ResultRow, FieldsOfTheIssueAreThere) {
  const Json json = parse_json(to_line(small_row("pope", 0, "full")), "row");
  for (const char* key : {"question_id", "benchmark", "convention", "config", "prediction", "answer", "score",
                          "visual_tokens", "stage_ms"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
}

TEST(ResultRow, FailedQuestionKeepsItsError) {
  ResultRow row = small_row("pope", 0, "full");
  row.prediction.clear();
  row.score = 0.0;
  row.error = "[engine.image] a.jpg: not a picture";
  const ResultRow back = parse(to_line(row));
  EXPECT_TRUE(back.failed());
  EXPECT_EQ(back.error, row.error);
}

TEST(ResultRow, BytesThatAreNotTextAreReplaced) {
  ResultRow row = small_row("pope", 0, "full");
  row.prediction =
      "a\xff"
      "b";
  EXPECT_EQ(parse(to_line(row)).prediction,
            "a\xEF\xBF\xBD"
            "b");
}

TEST(ResultRow, BadFieldsAreNamed) {
  const Json good = parse_json(to_line(small_row("pope", 0, "full")), "row");
  const auto expect_bad = [&](const char* pointer, const Json& value, const std::string& text) {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = value;
    expect_error(ErrorCode::Corrupt, "f:7: " + text, [&] { parse(bad.dump()); });
  };
  expect_bad("/score", "high", "field 'score', got string, expected a number");
  expect_bad("/score", nullptr, "field 'score', got null, expected a number");
  expect_bad("/valid", 1, "field 'valid', got number, expected true or false");
  expect_bad("/seed", -1, "field 'seed', got number, expected a whole number, 0 or more");
  expect_bad("/index", 0.5, "field 'index', got number, expected a whole number");
  expect_bad("/index", 9223372036854775808u, "field 'index'");
  expect_bad("/text_tokens", -1, "text_tokens, got -1, expected 0 to 2147483647");
  expect_bad("/kv_bytes", -1, "kv_bytes, got -1, expected 0 or more");
  expect_bad("/visual_tokens", 3, "visual_tokens: got number, expected an object");
  expect_bad("/stage_ms/tower", "x", "stage_ms: field 'tower', got string, expected a number");
  expect_bad("/kept", Json::parse("[[1.5]]"), "kept, got [[1.5]], expected a list of lists of indices");
  expect_bad("/kept", Json::parse("[[-1]]"), "kept, got [[-1]]");
  expect_bad("/kept", Json::parse("[3]"), "kept, got [3]");
  expect_bad("/kept", 3, "kept, got 3");
  expect_bad("/kept_maps", 3, "kept_maps, got 3, expected a list of lists of maps");
  const auto map = [](const char* box, const char* kept) {
    return Json::parse(fmt::format(R"([[{{"rows":2,"cols":3,"box":{},"kept":{}}}]])", box, kept));
  };
  expect_bad("/kept_maps", map("[0,0,1]", "[0]"), "kept_maps, got {\"box\":[0,0,1],");
  expect_bad("/kept_maps", map("[0,0,1,1]", "[6]"), "kept_maps, got {\"box\":[0,0,1,1],");
  expect_bad("/kept_maps", map("[0,0,1,1]", "[-1]"), "kept_maps, got {\"box\":[0,0,1,1],");
  expect_bad("/detail", Json::parse(R"({"iou":"x"})"), "detail: field 'iou'");
  for (const auto& entry : good.items()) {
    Json bad = good;
    bad.erase(entry.key());
    expect_error(ErrorCode::Corrupt, "f:7: field '" + entry.key() + "' is missing",
                 [&] { parse(bad.dump()); });
  }
  expect_error(ErrorCode::Corrupt, "f:7: got array, expected an object", [] { parse("[]"); });
  expect_error(ErrorCode::Corrupt, "f:7: not JSON", [] { parse("{\"a\":"); });
}

TEST(ResultRow, WhatCouldNotBeReadAgainIsNotWritten) {
  ResultRow row = small_row("pope", 0, "full");
  row.score = std::numeric_limits<double>::quiet_NaN();
  expect_error(ErrorCode::InvalidArgument, "score, got nan, expected a finite number", [&] { to_line(row); });
  row = small_row("pope", 0, "full");
  row.stage_ms.tower = std::numeric_limits<double>::infinity();
  expect_error(ErrorCode::InvalidArgument, "tower, got inf", [&] { to_line(row); });
  row = small_row("pope", 0, "full");
  row.n_text = -1;
  expect_error(ErrorCode::InvalidArgument, "got -1, expected 0 or more", [&] { to_line(row); });
}

// FIPS 180-4's examples.
TEST(Sha256, KnownVectors) {
  const std::string empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  const std::string abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(sha256_of(""), empty);
  EXPECT_EQ(sha256_of("abc"), abc);
  const test::TempFolder temp;
  test::write_text(temp.at("empty"), "");
  test::write_text(temp.at("abc"), "abc");
  EXPECT_EQ(sha256_of_file(temp.at("empty")), empty);
  EXPECT_EQ(sha256_of_file(temp.at("abc")), abc);
  const std::string large((std::size_t{1} << 20) + 3, 'a');  // more than one chunk
  test::write_text(temp.at("large"), large);
  EXPECT_EQ(sha256_of_file(temp.at("large")), sha256_of(large));
  expect_error(ErrorCode::NotFound, "no such file", [&] { sha256_of_file(temp.at("none")); });
  expect_error(ErrorCode::Io, "cannot be read", [&] { sha256_of_file(temp.at("")); });
}

}  // namespace
}  // namespace winnow::record
