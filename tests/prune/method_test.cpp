#include "winnow/prune/method.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "tests/prune/expect_error.h"
#include "tests/prune/random_signals.h"

namespace winnow::prune {
namespace {

using test::expect_error;
using test::OwnedSignals;
using test::random_signals;
using test::run;

TEST(RegistryTest, EveryMethodIsComplete) {
  std::set<std::string> names;
  for (const Method* method : methods()) {
    const MethodInfo& info = method->info();
    EXPECT_TRUE(names.insert(info.name).second) << info.name << " is there twice";
    EXPECT_FALSE(info.summary.empty()) << info.name;
    EXPECT_FALSE(info.paper.empty()) << info.name;
    EXPECT_EQ(&find_method(info.name), method);
    EXPECT_NO_THROW(parse_method(info.name)) << "defaults of " << info.name << " break their own ranges";
    for (const ParamSpec& spec : info.params)
      EXPECT_FALSE(spec.help.empty()) << info.name << ":" << spec.name;
  }
  EXPECT_GE(names.size(), 9U);
}

TEST(RegistryTest, StageNames) {
  EXPECT_EQ(stage_name(Stage::AfterTower), "after_tower");
  EXPECT_EQ(stage_name(Stage::BeforeLayer), "before_layer");
  EXPECT_EQ(stage_name(Stage::Either), "either");
}

TEST(ParseMethodTest, NamesAndParameters) {
  EXPECT_EQ(parse_method("fastv").to_string(), "fastv");
  EXPECT_EQ(parse_method("window_fastv").to_string(), "window_fastv:window=2x2");
  EXPECT_EQ(parse_method("pooling").to_string(), "pooling");
  const MethodUse use = parse_method("balanced:alpha=0.30,redundancy=max");
  EXPECT_EQ(use.to_string(),
            "balanced:alpha=0.3,features=hidden,importance=last_text,normalise=minmax,redundancy=max");
  EXPECT_EQ(parse_method(use.to_string()).to_string(), use.to_string());
}

TEST(ParseMethodTest, BlanksDoNotCount) {
  EXPECT_EQ(parse_method(" fastv\t").to_string(), "fastv");
  EXPECT_EQ(parse_method(" balanced : alpha = 0.3 , redundancy = max ").to_string(),
            parse_method("balanced:alpha=0.3,redundancy=max").to_string());
}

TEST(ParseMethodTest, BadTextIsNamed) {
  expect_error(ErrorCode::NotFound, {"'fastw'", "none, random, grid"}, [] { parse_method("fastw"); });
  expect_error(ErrorCode::NotFound, {"''"}, [] { parse_method(""); });
  expect_error(ErrorCode::NotFound, {"'FastV'"}, [] { parse_method("FastV"); });
  expect_error(ErrorCode::InvalidArgument, {"fastv", "'beta'", "no parameters"},
               [] { parse_method("fastv:beta=1"); });
  expect_error(ErrorCode::InvalidArgument, {"balanced:alpha", "'2'"},
               [] { parse_method("balanced:alpha=2"); });
  for (const char* text :
       {"balanced:", "balanced:alpha", "balanced:=1", "balanced:alpha=0.5,", "balanced:,alpha=0.5"}) {
    expect_error(ErrorCode::InvalidArgument, {"balanced", "name=value"}, [&] { parse_method(text); });
  }
  expect_error(ErrorCode::InvalidArgument, {"'alpha' twice"},
               [] { parse_method("balanced:alpha=0.5,alpha=0.6"); });
}

TEST(RunMethodTest, CountsAreChecked) {
  const OwnedSignals signals = random_signals({6, 6}, 1);
  for (const int32_t n_keep : {0, -1, 37}) {
    expect_error(ErrorCode::InvalidArgument, {"random", "got " + std::to_string(n_keep), "1 to 36"},
                 [&] { run("random", signals, n_keep); });
  }
  expect_error(ErrorCode::InvalidArgument, {"none", "got 35", "all 36"}, [&] { run("none", signals, 35); });
  expect_error(ErrorCode::InvalidArgument, {"pooling:window=2x2", "got 8", "expected 9 on a 6x6 grid"},
               [&] { run("pooling:window=2x2", signals, 8); });
  expect_error(ErrorCode::InvalidArgument, {"pooling:window=2x2", "got 36", "expected 9"},
               [&] { run("pooling:window=2x2", signals, 36); });
}

TEST(RunMethodTest, KeepingEverythingAsksForNoSignals) {
  Signals bare;
  bare.grid = {5, 7};
  for (const Method* method : methods()) {
    Rng rng(1);
    const Plan plan = run_method(parse_method(method->info().name), bare, 35, rng);
    EXPECT_EQ(plan.index, identity_plan(35).index) << method->info().name;
    EXPECT_TRUE(plan.is_selection());
    EXPECT_EQ(rng.next(), Rng(1).next()) << method->info().name << " drew random numbers for nothing";
  }
}

TEST(RunMethodTest, GridsAreChecked) {
  Signals signals;
  Rng rng(1);
  for (const Grid grid : {Grid{0, 5}, Grid{5, 0}, Grid{-1, -1}, Grid{40000, 1}}) {
    signals.grid = grid;
    expect_error(ErrorCode::InvalidArgument, {"token grid"},
                 [&] { run_method(parse_method("random"), signals, 1, rng); });
  }
  signals.grid = {2, 2};
  for (const int32_t cell : {4, -1}) {
    signals.token_of = {0, cell};
    expect_error(ErrorCode::InvalidArgument, {"grid index", std::to_string(cell)},
                 [&] { run_method(parse_method("random"), signals, 1, rng); });
  }
}

TEST(RunMethodTest, IdsAreChecked) {
  OwnedSignals owned = random_signals({2, 3}, 1);
  Signals signals = owned.view({{Signal::Hidden}});
  signals.ids.pop_back();
  expect_error(ErrorCode::InvalidArgument, {"position ids, got 5", "6 tokens"},
               [&] { check_layout(signals); });
  signals.ids.clear();
  EXPECT_NO_THROW(check_layout(signals));
}

TEST(RunMethodTest, WidthOfTheLastTokenMustFit) {
  OwnedSignals signals = random_signals({6, 6}, 1);
  signals.of[Signal::HiddenLast] = test::random_matrix(1, 23, [] { return 1.0; });
  expect_error(ErrorCode::InvalidArgument, {"hidden_last", "got 23", "24"},
               [&] { run("balanced", signals, 9); });
}

TEST(RunMethodTest, ScoresBeyondFloat32AreAnError) {
  OwnedSignals signals = random_signals({6, 6}, 1);
  for (float& value : signals.of[Signal::LastTextAttention].values) value = std::numeric_limits<float>::max();
  expect_error(ErrorCode::InvalidArgument, {"scores of fastv"}, [&] { run("fastv", signals, 9); });
}

/// A method that breaks the contract on purpose.
class Broken final : public Method {
 public:
  explicit Broken(Plan plan) : plan_(std::move(plan)) {}
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params&) const override { return {}; }
  Plan select(const Signals&, int32_t, const Params&, Rng&) const override { return plan_; }

 private:
  MethodInfo info_{.name = "broken", .summary = "", .paper = ""};
  Plan plan_;
};

TEST(RunMethodTest, BrokenPlansNeverReachTheEngine) {
  const std::vector<int32_t> good{0, 3};
  const auto breaks = [&](auto change) {
    Plan plan = selection_plan(good);
    change(plan);
    const Broken method(plan);
    Signals signals;
    signals.grid = {2, 2};
    Rng rng(1);
    expect_error(ErrorCode::Internal, {"plan of broken"}, [&] {
      run_method({&method, {}}, signals, 2, rng);
    });
  };
  breaks([](Plan& plan) { plan.index[0] = 4; });
  breaks([](Plan& plan) { plan.index[0] = -1; });
  breaks([](Plan& plan) { plan.position_of[1] = 4; });
  breaks([](Plan& plan) { plan.add_kept(1); });
  breaks([](Plan& plan) { plan.weight[0] = std::numeric_limits<float>::quiet_NaN(); });
  breaks([](Plan& plan) { plan.weight.pop_back(); });
  breaks([](Plan& plan) { plan.offsets = {0, 0, 2}; });
  breaks([](Plan& plan) { plan.offsets = {0, 2}; });
  breaks([](Plan& plan) { plan.scores = {1.0F}; });
}

}  // namespace
}  // namespace winnow::prune
