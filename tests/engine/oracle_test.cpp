// The engine in float32 against Hugging Face's results for the same files (tests/data/llava15).

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "tests/support/traced.h"
#include "winnow/engine/image.h"

namespace winnow::engine {
namespace {

using testing::argmax;
using testing::kOracleImageToken;
using testing::kOracleVisual;
using testing::oracle_path;
using testing::oracle_results;
using testing::worst_error;

// Measured 1.6e-6 over all tensors; the requirement is 1e-3.
constexpr double kTolerance = 2e-5;

struct OracleTrace : testing::Traced {
  std::vector<int32_t> greedy;
};

OracleTrace trace(const std::string& mmproj, const std::string& image, const std::vector<int32_t>& ids,
                  int32_t n_greedy) {
  OracleTrace out;
  ModelOptions options;
  options.text_path = oracle_path("text.gguf");
  options.mmproj_path = oracle_path(mmproj);
  options.device = "cpu";
  options.f32 = true;
  options.all_blocks = true;
  Session session(Model::load(options), testing::threads(1));
  session.set_observer(out.observer());
  const EncodedImage encoded = session.encode(load_image(oracle_path(image)), ImageFit::Crop, {});
  const Prompt prompt = prompt_from_ids(ids, kOracleImageToken, kOracleVisual, 1);
  const PrefillResult prefill = session.prefill(prompt, {&encoded}, {}, n_greedy, true);
  EXPECT_EQ(prefill.logits, out.tensors["logits"]);
  session.set_observer({});
  out.greedy = testing::greedy_tokens(session, prefill, static_cast<std::size_t>(n_greedy));
  return out;
}

class Oracle : public ::testing::TestWithParam<std::string> {};

TEST_P(Oracle, EveryNamedTensorAndGreedyTokensEqualHuggingFace) {
  const record::TensorFile& results = oracle_results();
  const OracleTrace actual = trace(GetParam(), "exact.png", results.at("input_ids").i32, 8);
  std::vector<std::string> names = {"pixel_values", "vis.in", "vis.0.out", "vis.1.out", "vis.2.out",
                                    "selected",     "proj",   "llm.norm",  "logits",    "llm.embeds"};
  for (int layer = 0; layer < 5; ++layer) names.push_back("llm." + std::to_string(layer) + ".out");
  if (GetParam() == "mmproj-all.gguf") names.push_back("vis.3.out");  // stored, though no feature reads it
  for (const std::string& name : names) {
    ASSERT_TRUE(actual.tensors.contains(name)) << name;
    EXPECT_EQ(actual.shapes.at(name), results.at(name).shape) << name;
    EXPECT_LE(worst_error(actual.tensors.at(name), results.at(name).f32), kTolerance) << name;
  }
  EXPECT_EQ(actual.greedy, results.at("greedy").i32);
}

INSTANTIATE_TEST_SUITE_P(BothTowerFiles, Oracle, ::testing::Values("mmproj-legacy.gguf", "mmproj-all.gguf"));

/// A graph with more results must not inherit the memory of the same one without them.
TEST(OracleObserver, MayComeLater) {
  using Tensors = std::map<std::string, std::vector<float>>;
  Session session(testing::oracle_model(), testing::threads(1));
  const EncodedImage image = session.encode(load_image(oracle_path("exact.png")), ImageFit::Crop, {});
  const auto watch = [&](Session& watched) {
    Tensors seen;
    watched.set_observer([&](std::string_view name, std::span<const int64_t>, std::span<const float> values) {
      seen[std::string(name)].assign(values.begin(), values.end());
    });
    watched.prefill(testing::oracle_prompt(), {&image}, {}, 0, true);
    return seen;
  };
  session.prefill(testing::oracle_prompt(), {&image}, {}, 0, true);
  session.clear();
  Session fresh(testing::oracle_model(), testing::threads(1));
  EXPECT_EQ(watch(session), watch(fresh));
}

TEST(OracleResize, ResizedAndCroppedImageGivesTheSamePixelsAndLogits) {
  const auto results = record::read_safetensors(oracle_path("resize.safetensors"));
  const OracleTrace actual = trace("mmproj-legacy.gguf", "resize.png", results.at("input_ids").i32, 8);
  const auto& pixels = results.at("pixel_values").f32;
  ASSERT_EQ(actual.tensors.at("pixel_values").size(), pixels.size());
  double worst_pixel = 0.0;
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    worst_pixel = std::max(worst_pixel,
                           static_cast<double>(std::abs(actual.tensors.at("pixel_values")[i] - pixels[i])));
  }
  EXPECT_LE(worst_pixel, 0.02);
  const auto& logits = results.at("logits").f32;
  ASSERT_EQ(actual.tensors.at("logits").size(), logits.size());
  constexpr std::size_t kVocab = 512;
  for (std::size_t at = 0; at < logits.size(); at += kVocab) {
    EXPECT_EQ(argmax(std::span(actual.tensors.at("logits")).subspan(at, kVocab)),
              argmax(std::span(logits).subspan(at, kVocab)))
        << "position " << at / kVocab;
  }
  EXPECT_LE(worst_error(actual.tensors.at("logits"), logits), 1e-3);
  EXPECT_EQ(actual.greedy, results.at("greedy").i32);
}

TEST(OracleHalf, StoredTypesAndHalfPrecisionCacheStayWithinTheDocumentedBound) {
  Session session(testing::oracle_model(false), testing::threads(1));
  const EncodedImage encoded = session.encode(load_image(oracle_path("exact.png")), ImageFit::Crop, {});
  const PrefillResult prefill = session.prefill(testing::oracle_prompt(), {&encoded}, {}, 0, true);
  EXPECT_LE(worst_error(prefill.logits, oracle_results().at("logits").f32), 2e-2);
}

}  // namespace
}  // namespace winnow::engine
