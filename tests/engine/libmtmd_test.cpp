// Visual tokens against llama.cpp's libmtmd, which reads the same files: a second opinion beside the plain
// loops of the other tests.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <llama.h>
#include <mtmd-helper.h>
#include <mtmd.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/reference_qwen2_5_vl.h"
#include "tests/support/traced.h"
#include "winnow/engine/backend.h"

namespace winnow::engine {
namespace {

/// libmtmd's visual tokens [n, n_embd] of a picture that it needs not resize; empty when it refuses.
std::vector<float> mtmd_tokens(const std::string& text_path, const std::string& mmproj_path,
                               const Image& image) {
  load_backends();
  mtmd_helper_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  llama_model_params params = llama_model_default_params();
  params.n_gpu_layers = 0;
  const std::unique_ptr<llama_model, void (*)(llama_model*)> text(
      llama_model_load_from_file(text_path.c_str(), params), llama_model_free);
  if (text == nullptr) return {};
  mtmd_context_params options = mtmd_context_params_default();
  options.use_gpu = false;
  options.print_timings = false;
  options.warmup = false;
  options.n_threads = 1;
  options.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  const mtmd::context_ptr vision(mtmd_init_from_file(mmproj_path.c_str(), text.get(), options));
  if (vision == nullptr) return {};
  const mtmd::bitmap bitmap(static_cast<uint32_t>(image.width), static_cast<uint32_t>(image.height),
                            image.rgb.data());
  const mtmd::input_chunks_ptr chunks(mtmd_input_chunks_init());
  mtmd_input_text prompt{};
  prompt.text = mtmd_default_marker();
  prompt.text_len = std::string(prompt.text).size();
  prompt.parse_special = true;
  const mtmd_bitmap* bitmaps[] = {bitmap.ptr.get()};
  if (mtmd_tokenize(vision.get(), chunks.get(), &prompt, bitmaps, 1) != 0) return {};
  for (std::size_t i = 0; i < mtmd_input_chunks_size(chunks.get()); ++i) {
    const mtmd_input_chunk* chunk = mtmd_input_chunks_get(chunks.get(), i);
    if (mtmd_input_chunk_get_type(chunk) != MTMD_INPUT_CHUNK_TYPE_IMAGE) continue;
    if (mtmd_encode_chunk(vision.get(), chunk) != 0) return {};
    const float* values = mtmd_get_output_embd(vision.get());
    const auto n =
        mtmd_input_chunk_get_n_tokens(chunk) * static_cast<std::size_t>(llama_model_n_embd_inp(text.get()));
    return {values, values + n};
  }
  return {};
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double ab = 0.0, aa = 0.0, bb = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

void expect_close(const std::shared_ptr<const Model>& model, prune::Grid groups) {
  const Image image = testing::picture(3, 28 * groups.cols, 28 * groups.rows);
  const std::vector<float> theirs =
      mtmd_tokens(model->options().text_path, model->options().mmproj_path, image);
  ASSERT_EQ(theirs.size(), static_cast<std::size_t>(groups.size()) * 96);
  Session session(model, testing::threads(1));
  const std::vector<float> ours = session.encode(image, ImageFit::Pad, {}).projected;
  const double error = testing::worst_error(ours, theirs);
  ::testing::Test::RecordProperty("worst_error", fmt::format("{:.1e}", error));
  ::testing::Test::RecordProperty("cosine_below_1", fmt::format("{:.1e}", 1.0 - cosine(ours, theirs)));
  EXPECT_LE(error, 2e-3) << "libmtmd rounds patches and their kernels to f16, and its GELU is the tanh one";
  EXPECT_GE(cosine(ours, theirs), 1.0 - 1e-6);
}

TEST(Libmtmd, Qwen2Vl) { expect_close(testing::qwen_model(), {5, 6}); }

TEST(Libmtmd, Qwen25VlInFourWindows) { expect_close(testing::windowed_model(), {5, 6}); }

TEST(Libmtmd, Qwen25VlInNineWindows) { expect_close(testing::windowed_model(), {9, 11}); }

TEST(Libmtmd, Qwen25VlInEvenWindows) { expect_close(testing::windowed_model(), {8, 8}); }

/// Nothing but its roundings is between libmtmd and the formulas.
TEST(Libmtmd, Qwen25VlIsPlainLoopsWithItsRoundings) {
  const auto model = testing::windowed_model();
  const ModelOptions& files = model->options();
  const Image image = testing::picture(3, 28 * 6, 28 * 5);
  Session session(model, testing::threads(1));
  testing::Traced traced;
  session.set_observer(traced.observer());
  session.encode(image, ImageFit::Pad, {});
  const testing::RefQwenTower expected = testing::reference_qwen2_5_vl(
      files.mmproj_path, traced.tensors.at("pixel_values"), 10, 12, 8, testing::RefRounding::Libmtmd);
  const double error =
      testing::worst_error(mtmd_tokens(files.text_path, files.mmproj_path, image), expected.projected.values);
  RecordProperty("worst_error", fmt::format("{:.1e}", error));
  EXPECT_LE(error, 1e-4);
}

}  // namespace
}  // namespace winnow::engine
