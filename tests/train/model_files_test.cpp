// The exported pair against the engine: two implementations of one model, written apart from each other.

#include "winnow/train/model_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "winnow/base/error.h"
#include "winnow/engine/generate.h"
#include "winnow/engine/session.h"
#include "winnow/scenes/render.h"
#include "winnow/train/losses.h"
#include "winnow/train/recipe.h"

namespace winnow::train {
namespace {

namespace fs = std::filesystem;
using torch::Tensor;

class ModelFilesTest : public ::testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("winnow_model_files_test_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    shape_ = shape_named("mini");
    shape_.tower_layers = 4;
    shape_.n_vocab = vocabulary_.size();
    if (GetParam() == Variant::Merge) shape_.merge = 2;
    if (GetParam() == Variant::Pool) shape_.pool = 2;
    parameters_ = initial_parameters(shape_, 11, vocabulary_.coordinates());
    // Small initial weights would make every comparison easy.
    torch::manual_seed(3);
    for (auto& [name, value] : parameters_) value.add_(torch::randn_like(value), 0.05);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
  Vocabulary vocabulary_;
  ModelShape shape_;
  Parameters parameters_;
};

TEST_P(ModelFilesTest, EngineHasTheSameLogits) {
  const ModelFiles files = write_model(shape_, parameters_, FileType::F32, "t", folder_.string());
  engine::ModelOptions options;
  options.text_path = files.text;
  options.mmproj_path = files.mmproj;
  options.f32 = true;
  const auto loaded = engine::Model::load(options);
  engine::SessionOptions session_options;
  session_options.n_threads = 1;
  session_options.kv_type = "f32";
  engine::Session session(loaded, session_options);

  BatchRequest request;
  request.first = 5;
  request.n_samples = 1;
  request.n_questions = 12;
  request.plain = true;
  const BatchMaker maker(shape_, vocabulary_);
  const torch::NoGradGuard no_grad;
  const Model model(shape_, parameters_, false);
  const PictureBatch pictures = maker.pictures(request);
  const QuestionBatch batch = maker.questions(request);
  const Model::TowerOut tower = model.tower(pictures.patches, 1, Model::TowerExtra::ClsAttention);
  const Tensor visual = model.project(tower.features, 1);
  const Tensor logits = model.decode(decoder_input(model, batch, visual));

  Rng rng = scenes::scene_rng(request.split, request.seed, request.first * 16);
  const scenes::Scene scene = scenes::make_scene({}, rng);
  const engine::Image image{scenes::kSide, scenes::kSide, scenes::render(scene)};
  const engine::TowerRequest request_cls{{{prune::Signal::ClsAttention}}};
  const auto encoded = session.encode(image, engine::ImageFit::Pad, request_cls);
  ASSERT_EQ(static_cast<int64_t>(encoded.projected.size()), visual.numel());
  const Tensor of_engine = torch::from_blob(const_cast<float*>(encoded.projected.data()), visual.sizes());
  EXPECT_LE((of_engine - visual).abs().max().item<double>(), 1e-3);

  ASSERT_EQ(encoded.signals.size(), 1U);
  if (GetParam() == Variant::None) {  // the variants' signals are means over groups
    const Tensor attention = torch::tensor(encoded.signals[0].values).view(tower.cls_attention.sizes());
    EXPECT_LE((attention - tower.cls_attention).abs().max().item<double>(), 1e-4);
  }

  const auto form = engine::choose_template("", loaded->text_file(), loaded->tokenizer());
  for (const AskedQuestion& question : batch.questions) {
    session.clear();
    const auto prompt = engine::make_turn(form, question.text, 1, true, loaded->tokenizer());
    const auto prefill = session.prefill(prompt, {&encoded}, {}, 1);
    const Tensor mine = logits[question.first_row];
    const Tensor theirs = torch::tensor(prefill.logits);
    EXPECT_LE((mine - theirs).abs().max().item<double>(), 1e-3) << question.text;
    EXPECT_GT(mine.abs().max().item<double>(), 0.1);
  }
}

TEST_P(ModelFilesTest, ReadsBackWhatWasWritten) {
  const ModelFiles files = write_model(shape_, parameters_, FileType::F32, "t", folder_.string());
  Parameters back = initial_parameters(shape_, 99, {});
  const Parameters untouched = initial_parameters(shape_, 99, {});
  read_model(files, shape_, back);
  int32_t n_equal = 0, n_kept = 0;
  for (const auto& [name, value] : parameters_) {
    if (torch::equal(back.at(name), value))
      ++n_equal;
    else
      n_kept += torch::equal(back.at(name), untouched.at(name)) ? 1 : 0;
  }
  EXPECT_EQ(n_equal + n_kept, static_cast<int32_t>(parameters_.size()));
  EXPECT_EQ(n_kept,
            16 + 2 + 4);  // the tower's last block, its final norm and the labels' heads are in no file

  ModelShape other = shape_;
  other.n_embd = 96;
  other.n_head = 3;
  Parameters wrong = initial_parameters(other, 1, {});
  EXPECT_THROW(read_model(files, other, wrong), Error);
  EXPECT_THROW(read_model({files.mmproj, files.text}, shape_, back), Error);
}

INSTANTIATE_TEST_SUITE_P(Variants, ModelFilesTest,
                         ::testing::Values(Variant::None, Variant::Merge, Variant::Pool),
                         [](const auto& variant) { return variant_name(variant.param); });

TEST(ModelFiles, AnUnwritableFolderIsAnError) {
  ModelShape shape = shape_named("mini");
  shape.n_vocab = 10;
  const Parameters parameters = initial_parameters(shape, 1, {});
  EXPECT_THROW(write_model(shape, parameters, FileType::F16, "t", "/proc/nothing"), Error);
}

}  // namespace
}  // namespace winnow::train
