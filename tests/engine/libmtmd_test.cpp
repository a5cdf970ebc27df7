// Unpruned Qwen2-VL and Qwen2.5-VL against libmtmd + libllama on the same files. (Their LLaVA-1.5 reads a
// wrong image, so that family is compared with libllama alone: libllama_test.cpp, docs/design.md.)

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/mtmd_run.h"
#include "tests/support/reference_qwen2_5_vl.h"
#include "tests/support/traced.h"
#include "winnow/engine/prompt.h"
#include "winnow/engine/synth.h"

namespace winnow::engine {
namespace {

using testing::MtmdRun;
using testing::threads;
using testing::worst_error;

/// libmtmd's convolution over patches is in f16 (Winnow's tower is within 2e-5 of Hugging Face:
/// qwen2_vl_test.cpp).
constexpr double kPictures = 3e-3;
constexpr double kLogits = 1e-3;
constexpr const char* kQuestion = "What is in the picture?";
constexpr int32_t kGreedy = 8;

/// One turn about one picture by both.
class Both {
 public:
  Both(const SynthFiles& files, const Image& picture)
      : model_(testing::load_model(files, true)),
        form_(choose_template("", model_->text_file(), model_->tokenizer())),
        session_(model_, threads(1)) {
    PromptTemplate bare = form_;  // libmtmd puts the marks around a picture itself
    bare.image_begin = bare.image_end = "";
    peer_ = testing::run_mtmd(files.text, files.mmproj, picture,
                              written_turn(bare, kQuestion, 1, true, model_->tokenizer()), kGreedy);
    image_ = session_.encode(picture, ImageFit::Pad, {});
  }

  void expect_equal_pictures() const {
    ASSERT_EQ(peer_.error, "");
    ASSERT_EQ(image_.n_token(), std::ssize(peer_.position));
    const int32_t cols = image_.layout.grid.cols;
    for (int32_t i = 0; i < image_.n_token(); ++i) {
      EXPECT_EQ(peer_.position[static_cast<std::size_t>(i)], (std::array<int32_t, 3>{0, i / cols, i % cols}));
    }
    EXPECT_LE(worst_error(image_.projected, peer_.embeddings), kPictures);
  }

  void expect_equal_answers() {
    const Prompt prompt = make_turn(form_, kQuestion, 1, true, model_->tokenizer());
    const PrefillResult prefill = session_.prefill(prompt, {&image_}, {}, kGreedy);
    ASSERT_EQ(prompt.size(), 3U);
    EXPECT_EQ(prompt[0].ids, peer_.before);
    EXPECT_EQ(prompt[2].ids, peer_.after);
    EXPECT_LE(worst_error(prefill.logits, peer_.logits), kLogits);
    EXPECT_EQ(testing::greedy_tokens(session_, prefill, kGreedy), peer_.greedy);
  }

 private:
  std::shared_ptr<const Model> model_;
  PromptTemplate form_;
  Session session_;
  MtmdRun peer_;
  EncodedImage image_;
};

/// Files in llama.cpp's conventions. Sizes are multiples of 28 px, so that neither side resizes, and have at
/// least the 8 tokens to which libmtmd enlarges smaller pictures.
TEST(Libmtmd, Qwen2Vl) {
  for (const auto& [width, height] : {std::pair{168, 112}, {280, 56}, {28, 252}, {84, 84}, {308, 252}}) {
    SCOPED_TRACE(fmt::format("{} x {}", width, height));
    Both both({testing::qwen_path("text.gguf"), testing::qwen_path("mmproj.gguf")},
              testing::picture(3, width, height));
    both.expect_equal_pictures();
    both.expect_equal_answers();
  }
}

/// Files that Winnow wrote. Pictures alone: the vocabulary has no marks around a picture.
TEST(Libmtmd, Qwen2VlOfWinnowsWriter) {
  SynthShape shape = synth_shape("tiny");
  shape.name = "mtmd_qwen";
  shape.merge = 2;
  shape.qwen2_vl = true;
  shape.all_blocks = true;
  shape.tower_cls = false;
  shape.text_tower = false;
  Both(testing::synth_files(shape), testing::picture(4, 112, 84)).expect_equal_pictures();
}

SynthFiles files_of(const Model& model) { return {model.options().text_path, model.options().mmproj_path}; }

/// Windows in part smaller at the edges, many of them, and all of one size.
TEST(Libmtmd, Qwen25Vl) {
  for (const prune::Grid& groups : {prune::Grid{5, 6}, {9, 11}, {8, 8}}) {
    SCOPED_TRACE(fmt::format("{} x {}", groups.rows, groups.cols));
    Both both(files_of(*testing::windowed_model()), testing::picture(3, 28 * groups.cols, 28 * groups.rows));
    both.expect_equal_pictures();
    both.expect_equal_answers();
  }
}

/// Nothing but libmtmd's roundings (patches and their kernels in f16, GELU in its tanh form) is between it
/// and the formulas.
TEST(Libmtmd, Qwen25VlIsPlainLoopsWithItsRoundings) {
  const auto model = testing::windowed_model();
  const Image picture = testing::picture(3, 28 * 6, 28 * 5);
  Session session(model, threads(1));
  testing::Traced traced;
  session.set_observer(traced.observer());
  session.encode(picture, ImageFit::Pad, {});
  const SynthFiles files = files_of(*model);
  const testing::RefQwenTower expected = testing::reference_qwen2_5_vl(
      files.mmproj, traced.tensors.at("pixel_values"), 10, 12, 8, testing::RefRounding::Libmtmd);
  const MtmdRun peer = testing::run_mtmd(files.text, files.mmproj, picture, kImageMarker, 0);
  ASSERT_EQ(peer.error, "");
  EXPECT_LE(worst_error(peer.embeddings, expected.projected.values), 1e-4);
}

}  // namespace
}  // namespace winnow::engine
