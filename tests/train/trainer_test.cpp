// A miniature of the real training: loss falls, an interrupted training is the uninterrupted one, failures
// lose nothing.

#include "winnow/train/trainer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "winnow/base/error.h"

namespace winnow::train {
namespace {

namespace fs = std::filesystem;

class TrainerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("winnow_trainer_test_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  TrainOptions options(const std::string& name) const {
    TrainOptions o;
    o.out_dir = (folder_ / name).string();
    o.recipe = "mini";
    o.workers = 2;
    o.device = "cpu";
    o.precision = "f32";
    o.seed = 4;
    return o;
  }
  std::vector<nlohmann::json> curve(const std::string& name) const {
    std::ifstream file(folder_ / name / "curve.jsonl");
    std::vector<nlohmann::json> rows;
    for (std::string line; std::getline(file, line);) rows.push_back(nlohmann::json::parse(line));
    return rows;
  }

  fs::path folder_;
};

std::string failure_of(const TrainOptions& options) {
  try {
    Trainer trainer(options);
    trainer.run();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_F(TrainerTest, LossFallsInEveryStage) {
  TrainOptions o = options("falls");
  o.scale = 4.0;
  Trainer trainer(o);
  ASSERT_TRUE(trainer.run());
  std::map<std::string, std::vector<double>> losses;
  for (const auto& row : curve("falls"))
    if (row.contains("loss")) losses[row["stage"]].push_back(row["loss"]);
  ASSERT_EQ(losses.size(), 4U);
  EXPECT_LT(losses["tower"].back(), 0.75 * losses["tower"].front());
  EXPECT_LT(losses["text"].back(), losses["text"].front());
  EXPECT_LT(losses["decoder"].back(), losses["decoder"].front());
  EXPECT_LT(losses["all"].back(), 0.85 * losses["text"].front());
  const Validation validation = trainer.validate(2);
  int64_t n = 0;
  for (const auto& row : validation.rows) n += row.n;
  EXPECT_GT(n, 40);
}

TEST_F(TrainerTest, AnInterruptedTrainingGoesOnExactly) {
  Trainer whole(options("whole"));
  ASSERT_TRUE(whole.run());
  // Three stops, at the steps 7, 20 and 68 of 80: inside the tower's stage, at a checkpoint, in the last
  // stage.
  int32_t n_stops = 0;
  for (const int32_t stop_after : {7, 13, 48, 1000}) {
    TrainOptions o = options("parts");
    int32_t steps = 0;
    o.interrupted = [&] { return ++steps >= stop_after; };
    Trainer part(o);
    if (!part.run()) {
      ++n_stops;
      continue;
    }
    for (const auto& [name, value] : whole.parameters())
      EXPECT_TRUE(torch::equal(value, part.parameters().at(name))) << name;
  }
  EXPECT_EQ(n_stops, 3);
  std::set<std::pair<int64_t, int64_t>> seen;
  for (const auto& row : curve("parts"))
    if (row.contains("loss")) {
      EXPECT_TRUE(seen.emplace(row["stage_idx"], row["step"]).second) << row.dump();
    }
  EXPECT_EQ(seen.size(), 5U);  // steps 20 and 30 of the tower, the last ones of the others
}

TEST_F(TrainerTest, RowsBehindTheLastCheckpointAreWrittenOnce) {
  TrainOptions o = options("killed");
  o.interrupted = [n = 0]() mutable { return ++n >= 12; };
  Trainer(o).run();
  {  // as a kill leaves it: reports of steps that the checkpoint does not know, and half a line
    std::ofstream file(folder_ / "killed" / "curve.jsonl", std::ios::app);
    file << R"({"stage":"tower","stage_idx":0,"step":20,"loss":1.0})"
         << "\n"
         << R"({"stage":"tow)";
  }
  o.interrupted = [] { return false; };
  ASSERT_TRUE(Trainer(o).run());
  std::set<std::pair<int64_t, int64_t>> seen;
  for (const auto& row : curve("killed"))
    if (row.contains("loss")) {
      EXPECT_TRUE(seen.emplace(row["stage_idx"], row["step"]).second) << row.dump();
    }
}

TEST_F(TrainerTest, OtherSettingsDoNotOverwriteATraining) {
  TrainOptions o = options("taken");
  o.interrupted = [] { return true; };
  Trainer(o).run();
  const auto other = [&](const std::function<void(TrainOptions&)>& change) {
    TrainOptions changed = o;
    change(changed);
    return failure_of(changed);
  };
  constexpr const char* kMessage = "training of other settings";
  EXPECT_NE(other([](auto& c) { c.seed = 5; }).find(std::string(kMessage) + ": 'seed' is 4 there and 5 here"),
            std::string::npos);
  EXPECT_NE(other([](auto& c) { c.variant = Variant::Merge; }).find(kMessage), std::string::npos);
  EXPECT_NE(other([](auto& c) { c.recipe = "default"; }).find(kMessage), std::string::npos);
  EXPECT_NE(other([](auto& c) { c.precision = "bf16"; }).find(kMessage), std::string::npos);
  EXPECT_EQ(other([](auto& c) { c.precision = "auto"; }), "");
}

TEST_F(TrainerTest, ABrokenCheckpointIsNamedAndStays) {
  TrainOptions o = options("broken");
  o.interrupted = [] { return true; };
  Trainer(o).run();
  const fs::path path = folder_ / "broken" / "checkpoint.pt";
  fs::resize_file(path, 1000);
  EXPECT_NE(failure_of(o).find("no whole checkpoint"), std::string::npos);
  EXPECT_EQ(fs::file_size(path), 1000U);
}

TEST_F(TrainerTest, AChangedByteInACheckpointIsSeen) {
  TrainOptions o = options("changed");
  o.interrupted = [] { return true; };
  Trainer(o).run();
  const fs::path path = folder_ / "changed" / "checkpoint.pt";
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const auto middle = static_cast<std::streamoff>(fs::file_size(path) / 2);
    file.seekg(middle);
    const int byte = file.get();
    file.seekp(middle);
    file.put(static_cast<char>(byte ^ 1));
  }
  EXPECT_NE(failure_of(o).find("no whole checkpoint (their SHA-256"), std::string::npos);
}

TEST_F(TrainerTest, ACurveWithoutItsCheckpointIsNotMixedWithANewOne) {
  TrainOptions o = options("curve_alone");
  o.scale = 0.2;
  ASSERT_TRUE(Trainer(o).run());
  fs::remove(folder_ / "curve_alone" / "checkpoint.pt");
  EXPECT_NE(failure_of(o).find("curve.jsonl is of a training whose checkpoint is gone"), std::string::npos);
}

TEST_F(TrainerTest, OneTrainingAtATimeHasAFolder) {
  TrainOptions o = options("shared");
  o.scale = 0.2;
  {
    const Trainer first(o);
    EXPECT_NE(failure_of(o).find("in use by another training"), std::string::npos);
  }
  EXPECT_EQ(failure_of(o), "");
}

TEST_F(TrainerTest, GoesOnWithAsManyWorkersAsItBeganWith) {
  TrainOptions o = options("one_worker");
  o.workers = 1;
  o.interrupted = [n = 0]() mutable { return ++n >= 5; };
  Trainer(o).run();
  o.workers = 0;
  o.interrupted = [] { return false; };
  Trainer parts(o);
  ASSERT_TRUE(parts.run());
  TrainOptions plain = options("one_worker_whole");
  plain.workers = 1;
  Trainer whole(plain);
  ASSERT_TRUE(whole.run());
  for (const auto& [name, value] : whole.parameters())
    EXPECT_TRUE(torch::equal(value, parts.parameters().at(name))) << name;
}

TEST_F(TrainerTest, AFinishedTrainingMayBeLengthenedAndIsNotShortened) {
  TrainOptions o = options("longer");
  double seconds = 0.0;
  std::string settings;
  for (const double scale : {0.2, 0.2, 0.1}) {  // after the first nothing is left to do
    o.scale = scale;
    Trainer trainer(o);
    ASSERT_TRUE(trainer.run());
    if (seconds == 0.0) seconds = trainer.state().seconds, settings = trainer.state().settings;
    EXPECT_EQ(trainer.state().seconds, seconds);
    EXPECT_EQ(trainer.state().settings, settings);
    EXPECT_EQ(trainer.state().stage, 4);
    EXPECT_EQ(curve("longer").back()["step"], 4);
  }
  o.scale = 0.4;
  Trainer longer(o);
  EXPECT_EQ(longer.state().stage, 3);
  EXPECT_EQ(longer.state().step, 4);
  ASSERT_TRUE(longer.run());
  EXPECT_GT(longer.state().seconds, seconds);
}

TEST_F(TrainerTest, ATimeLimitShortensANewTrainingAndNoOther) {
  TrainOptions o = options("hurried");
  o.scale = 50.0;
  o.within = 0.2;
  int32_t steps = -1000;  // no interruption while it is timed
  o.interrupted = [&] { return ++steps == 3; };
  std::string settings;
  Parameters weights;
  {
    Trainer first(o);
    steps = 0;
    ASSERT_FALSE(first.run());
    settings = first.state().settings;
    weights = first.parameters();
  }
  EXPECT_LT(nlohmann::json::parse(settings)["scale"], 50.0);

  // Its weights are those of a training that was given the shorter length.
  TrainOptions plain = o;
  plain.out_dir = (folder_ / "plain").string();
  plain.scale = nlohmann::json::parse(settings)["scale"];
  plain.within = 0.0;
  steps = 0;
  Trainer same(plain);
  ASSERT_FALSE(same.run());
  for (const auto& [name, value] : weights) EXPECT_TRUE(value.equal(same.parameters().at(name))) << name;

  o.within = 0.01;  // a training that goes on keeps its length
  EXPECT_EQ(Trainer(o).state().settings, settings);
}

TEST_F(TrainerTest, AnInterruptionOfTheTimingLeavesNothingToGoOnFrom) {
  TrainOptions o = options("timing");
  o.within = 100.0;
  int32_t asked = 0;
  o.interrupted = [&] { return ++asked == 2; };
  Trainer trainer(o);
  EXPECT_FALSE(trainer.run());
  EXPECT_EQ(asked, 2);
  EXPECT_FALSE(std::filesystem::exists(trainer.checkpoint_path()));
}

TEST_F(TrainerTest, BadOptionsAreErrors) {
  const auto with = [&](const std::function<void(TrainOptions&)>& change) {
    TrainOptions o = options("bad");
    change(o);
    return failure_of(o);
  };
  EXPECT_NE(with([](auto& o) { o.recipe = "huge"; }).find("'huge'"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.workers = 3; }).find("workers, got 3"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.scale = 0.0; }).find("scale"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.device = "tpu"; }).find("'tpu'"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.precision = "f8"; }).find("'f8'"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.skip_to = "end"; }).find("'end'"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.prune = {"fastv"}; }).find("fastv"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.keep = {1.5}; }).find("1.5"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.start_text = "x.gguf"; }).find("needs the mmproj"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.batch = 0; }).find("batch, got 0"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.within = -1.0; }).find("within, got -1"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.within = 1e-6; }).find("expected at least"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.shift = -1; }).find("shift, got -1, expected 0 to 1024"), std::string::npos);
  EXPECT_NE(with([](auto& o) { o.out_dir = "/proc/nothing/here"; }).find("/proc/nothing/here"),
            std::string::npos);
}

TEST_F(TrainerTest, VariantsAndPruningTrain) {
  for (const Variant variant : {Variant::Merge, Variant::Pool}) {
    TrainOptions o = options(variant_name(variant));
    o.variant = variant;
    o.scale = 0.2;
    EXPECT_TRUE(Trainer(o).run());
  }
  for (const char* method : {"random", "fastervlm", "pooling:window=2x2"}) {
    TrainOptions o = options(std::string("prune_") + method[0]);
    o.prune = {method};
    o.keep = {0.25};
    o.scale = 0.2;
    EXPECT_TRUE(Trainer(o).run()) << method;
  }
  TrainOptions larger = options("larger");
  larger.batch = 2;
  larger.scale = 0.2;
  EXPECT_TRUE(Trainer(larger).run());
  TrainOptions mixed = options("mixed");
  mixed.prune = {"random", "pooling"};
  mixed.keep = {1.0, 0.25};
  mixed.shift = 200;
  mixed.scale = 0.2;
  EXPECT_TRUE(Trainer(mixed).run());
}

TEST_F(TrainerTest, AnExportedModelIsAStart) {
  TrainOptions o = options("first");
  o.scale = 0.2;
  Trainer first(o);
  ASSERT_TRUE(first.run());
  const ModelFiles files =
      write_model(first.shape(), first.parameters(), FileType::F32, "m", (folder_ / "m").string());
  TrainOptions next = options("next");
  next.start_text = files.text;
  next.start_mmproj = files.mmproj;
  next.skip_to = "all";
  next.scale = 0.2;
  const Trainer second(next);
  EXPECT_TRUE(torch::equal(first.parameters().at("blk.1.ffn_up.weight"),
                           second.parameters().at("blk.1.ffn_up.weight")));
  EXPECT_EQ(second.state().stage, 3);

  next = options("tower_only");
  next.start_mmproj = files.mmproj;
  const Trainer afresh(next);
  EXPECT_TRUE(torch::equal(first.parameters().at("mm.0.weight"), afresh.parameters().at("mm.0.weight")));
  EXPECT_FALSE(torch::equal(first.parameters().at("blk.1.ffn_up.weight"),
                            afresh.parameters().at("blk.1.ffn_up.weight")));

  next = options("merged");  // its projector has another shape
  next.start_text = files.text;
  next.start_mmproj = files.mmproj;
  next.variant = Variant::Merge;
  next.recipe = "mini";
  const Trainer merged(next);
  EXPECT_TRUE(torch::equal(first.parameters().at("blk.1.ffn_up.weight"),
                           merged.parameters().at("blk.1.ffn_up.weight")));
  EXPECT_EQ(merged.parameters().at("mm.0.weight").size(1), 4 * merged.shape().tower_embd);
}

}  // namespace
}  // namespace winnow::train
