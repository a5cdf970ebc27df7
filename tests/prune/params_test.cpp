#include "winnow/prune/params.h"

#include <gtest/gtest.h>

#include "tests/prune/expect_error.h"

namespace winnow::prune {
namespace {

using test::expect_error;

const std::vector<ParamSpec>& specs() {
  static const std::vector<ParamSpec> list{
      {.name = "alpha", .kind = ParamKind::Real, .default_value = "0.5", .min = 0, .max = 1},
      {.name = "count", .kind = ParamKind::Integer, .default_value = "3", .min = 1, .max = 9},
      {.name = "mode", .kind = ParamKind::Choice, .default_value = "near", .choices = {"near", "far"}},
      {.name = "window", .kind = ParamKind::Window}};
  return list;
}

Params with(const std::string& name, const std::string& value) { return {"some", specs(), {{name, value}}}; }

TEST(ParamsTest, DefaultsStandWhereNothingIsGiven) {
  const Params params("some", specs(), {});
  EXPECT_DOUBLE_EQ(params.real("alpha"), 0.5);
  EXPECT_EQ(params.integer("count"), 3);
  EXPECT_EQ(params.choice("mode"), "near");
  EXPECT_FALSE(params.has("window"));
  EXPECT_TRUE(params.has("alpha"));
  EXPECT_EQ(params.to_string(), "alpha=0.5,count=3,mode=near");
}

TEST(ParamsTest, GivenValuesWin) {
  const Params params("some", specs(),
                      {{"alpha", "0.25"}, {"count", "9"}, {"mode", "far"}, {"window", "3x2"}});
  EXPECT_DOUBLE_EQ(params.real("alpha"), 0.25);
  EXPECT_EQ(params.integer("count"), 9);
  EXPECT_EQ(params.choice("mode"), "far");
  EXPECT_EQ(params.window("window").rows, 3);
  EXPECT_EQ(params.window("window").cols, 2);
  EXPECT_EQ(params.to_string(), "alpha=0.25,count=9,mode=far,window=3x2");
}

TEST(ParamsTest, SameValueSameText) {
  EXPECT_EQ(with("alpha", "0.50").to_string(), with("alpha", "0.5").to_string());
  EXPECT_EQ(with("alpha", "-0").to_string(), with("alpha", "0").to_string());
  EXPECT_EQ(with("alpha", "1e-1").to_string(), with("alpha", "0.1").to_string());
  EXPECT_EQ(with("window", "02x2").to_string(), with("window", "2x2").to_string());
}

TEST(ParamsTest, RangesAreInclusive) {
  EXPECT_DOUBLE_EQ(with("alpha", "0").real("alpha"), 0.0);
  EXPECT_DOUBLE_EQ(with("alpha", "1").real("alpha"), 1.0);
  EXPECT_EQ(with("count", "1").integer("count"), 1);
}

TEST(ParamsTest, BadValuesAreNamed) {
  for (const char* value : {"1.01", "-0.01", "", "half", "0.5x", "nan", "inf", " 0.5"}) {
    expect_error(ErrorCode::InvalidArgument, {"some:alpha", std::string("'") + value + "'", "from 0 to 1"},
                 [&] { with("alpha", value); });
  }
  for (const char* value : {"0", "10", "2.5", "", "99999999999"}) {
    expect_error(ErrorCode::InvalidArgument, {"some:count", "whole number from 1 to 9"},
                 [&] { with("count", value); });
  }
  for (const char* value : {"2", "2x", "x2", "0x2", "2x0", "-1x2", "2x2x2", "2X2", "4097x1", ""}) {
    expect_error(ErrorCode::InvalidArgument, {"some:window", "2x2"}, [&] { with("window", value); });
  }
  expect_error(ErrorCode::InvalidArgument, {"some:mode", "'middle'", "near, far"},
               [] { with("mode", "middle"); });
}

TEST(ParamsTest, UnknownNamesListTheKnown) {
  expect_error(ErrorCode::InvalidArgument, {"beta", "alpha, count, mode, window"}, [] { with("beta", "1"); });
  expect_error(ErrorCode::InvalidArgument, {"beta", "no parameters"}, [] {
    Params("some", {}, {{"beta", "1"}});
  });
}

TEST(ParamsTest, ReadingWhatIsNotSetIsABug) {
  expect_error(ErrorCode::Internal, {"window"}, [] { Params("some", specs(), {}).window("window"); });
}

}  // namespace
}  // namespace winnow::prune
