// CLIP's joint space against plain loops in double that share nothing with the engine, and whole runs of the
// methods that read it.

#include "winnow/engine/vision/clip_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/engine_models.h"
#include "tests/support/recorder_method.h"
#include "winnow/base/error.h"
#include "winnow/engine/step_signals.h"

namespace winnow::engine {
namespace {

using prune::Need;
using prune::Signal;
using testing::RecorderMethod;
using testing::RefMatrix;
using testing::threads;
using testing::worst_error;

using Row = std::vector<double>;

// The text tower of synth "tiny".
constexpr int32_t kHeads = 4;
constexpr int32_t kBlocks = 3;
constexpr int32_t kContext = 16;
constexpr int32_t kJoint = 32;
const std::string kQuestion = "What color is the red left in this picture?";

SynthShape shape_with_tower(bool gelu = false) {
  SynthShape shape = synth_shape("tiny");
  shape.name = gelu ? "text-tower-gelu" : "text-tower";
  shape.text_tower = true;
  shape.use_gelu = gelu;
  return shape;
}

std::shared_ptr<const Model> towered_model() {
  static const auto model = testing::load_model(testing::synth_files(shape_with_tower()));
  return model;
}

testing::ReferenceLlava reference_of(const SynthShape& shape) {
  const SynthFiles files = testing::synth_files(shape);
  return testing::ReferenceLlava(files.text, files.mmproj);
}

ClipTokenizer tokenizer_of(const Model& model) { return ClipTokenizer(model.mmproj_file()); }

Row normed(const Row& x, const RefMatrix& weight, const RefMatrix& bias) {
  const auto n = static_cast<double>(x.size());
  double mean = 0.0, variance = 0.0;
  for (const double v : x) mean += v / n;
  for (const double v : x) variance += (v - mean) * (v - mean) / n;
  Row out;
  for (std::size_t c = 0; c < x.size(); ++c) {
    const auto at = static_cast<int64_t>(c);
    out.push_back((x[c] - mean) / std::sqrt(variance + 1e-5) * weight.at(0, at) + bias.at(0, at));
  }
  return out;
}

Row times(const RefMatrix& weight, const Row& x) {
  Row out;
  for (int64_t r = 0; r < weight.rows; ++r) {
    double sum = 0.0;
    for (std::size_t c = 0; c < x.size(); ++c) sum += weight.at(r, static_cast<int64_t>(c)) * x[c];
    out.push_back(sum);
  }
  return out;
}

/// CLIP's text tower by the formulas, every token of one segment; returns the joint vector of token `read`.
Row reference_text(const testing::ReferenceLlava& file, const std::vector<int32_t>& ids, std::size_t read,
                   bool gelu) {
  const auto tensor = [&](const std::string& name) -> const RefMatrix& { return file.mmproj_tensor(name); };
  std::vector<Row> x;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    Row& row = x.emplace_back();
    for (int64_t c = 0; c < tensor("t.token_embd.weight").cols; ++c) {
      row.push_back(tensor("t.token_embd.weight").at(ids[i], c) +
                    tensor("t.position_embd.weight").at(static_cast<int64_t>(i), c));
    }
  }
  const std::size_t d = x[0].size(), d_head = d / kHeads;
  for (int32_t block = 0; block < kBlocks; ++block) {
    const std::string blk = fmt::format("t.blk.{}.", block);
    const auto layer = [&](const char* name, const Row& in) {
      Row out = times(tensor(fmt::format("{}{}.weight", blk, name)), in);
      for (std::size_t c = 0; c < out.size(); ++c) {
        out[c] += tensor(fmt::format("{}{}.bias", blk, name)).at(0, static_cast<int64_t>(c));
      }
      return out;
    };
    const auto norm = [&](const char* name, const Row& in) {
      return normed(in, tensor(fmt::format("{}{}.weight", blk, name)),
                    tensor(fmt::format("{}{}.bias", blk, name)));
    };
    std::vector<Row> q, k, v;
    for (const Row& row : x) {
      const Row h = norm("ln1", row);
      q.push_back(layer("attn_q", h));
      k.push_back(layer("attn_k", h));
      v.push_back(layer("attn_v", h));
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
      Row mixed(d, 0.0);
      for (std::size_t head = 0; head < kHeads; ++head) {
        Row weights;
        double sum = 0.0;
        for (std::size_t j = 0; j <= i; ++j) {
          double logit = 0.0;
          for (std::size_t c = head * d_head; c < (head + 1) * d_head; ++c) logit += q[i][c] * k[j][c];
          weights.push_back(std::exp(logit / std::sqrt(static_cast<double>(d_head))));
          sum += weights.back();
        }
        for (std::size_t j = 0; j <= i; ++j) {
          for (std::size_t c = head * d_head; c < (head + 1) * d_head; ++c)
            mixed[c] += weights[j] / sum * v[j][c];
        }
      }
      const Row out = layer("attn_out", mixed);
      for (std::size_t c = 0; c < d; ++c) x[i][c] += out[c];
    }
    for (Row& row : x) {
      Row inner = layer("ffn_up", norm("ln2", row));
      for (double& value : inner) {
        value = gelu ? 0.5 * value * (1.0 + std::erf(value / std::sqrt(2.0)))
                     : value / (1.0 + std::exp(-1.702 * value));
      }
      const Row out = layer("ffn_down", inner);
      for (std::size_t c = 0; c < d; ++c) row[c] += out[c];
    }
  }
  return times(tensor("text_projection.weight"),
               normed(x[read], tensor("t.post_ln.weight"), tensor("t.post_ln.bias")));
}

std::vector<double> reference_image(const testing::ReferenceLlava& file, const RefMatrix& features) {
  std::vector<double> out;
  for (int64_t r = 0; r < features.rows; ++r) {
    const auto row = features.row(r);
    const Row joint = times(file.mmproj_tensor("visual_projection.weight"),
                            normed({row.begin(), row.end()}, file.mmproj_tensor("v.post_ln.weight"),
                                   file.mmproj_tensor("v.post_ln.bias")));
    out.insert(out.end(), joint.begin(), joint.end());
  }
  return out;
}

/// One picture and one question through a method.
struct Seen {
  EncodedImage image;
  PrefillResult prefill;
  std::vector<float> pixels;
};

Seen run(const std::shared_ptr<const Model>& model, PruneOptions options, const std::string& question) {
  Seen out;
  Session session(model, threads(1));
  session.set_observer([&](std::string_view name, std::span<const int64_t>, std::span<const float> values) {
    if (name == "pixel_values") out.pixels.assign(values.begin(), values.end());
  });
  options.question = question;
  out.image = session.encode(testing::picture(3, 56, 56), ImageFit::Crop, session.tower_request(options));
  const Prompt prompt = {{testing::text_ids(1, 5), -1}, {{}, 0}, {testing::text_ids(2, 6), -1}};
  out.prefill = session.prefill(prompt, {&out.image}, options, 0);
  return out;
}

/// clip_text as a method gets it.
std::vector<float> text_signal(const std::shared_ptr<const Model>& model, const std::string& question) {
  const RecorderMethod method({{Signal::ClipText}});
  PruneOptions options;
  options.steps = {method.step("4", prune::kAfterTower)};
  run(model, options, question);
  EXPECT_EQ(method.seen.at(0).of_need[0].cols, kJoint);
  return method.seen[0].of_need[0].values;
}

TEST(ClipText, EqualsTheReference) {
  for (const bool gelu : {false, true}) {
    const SynthShape shape = shape_with_tower(gelu);
    const auto model = testing::load_model(testing::synth_files(shape));
    const std::vector<int32_t> ids = tokenizer_of(*model).tokenize(kQuestion);
    ASSERT_LE(std::ssize(ids), kContext);
    const Row expected = reference_text(reference_of(shape), ids, ids.size() - 1, gelu);
    EXPECT_LE(worst_error(text_signal(model, kQuestion), expected), 2e-5) << "gelu " << gelu;
  }
}

TEST(ClipText, FusedAttentionIsClose) {
  const SynthShape shape = shape_with_tower();
  const auto model = testing::load_model(testing::synth_files(shape), false);
  const std::vector<int32_t> ids = tokenizer_of(*model).tokenize(kQuestion);
  const Row expected = reference_text(reference_of(shape), ids, ids.size() - 1, false);
  EXPECT_LE(worst_error(text_signal(model, kQuestion), expected), 1e-2);
}

TEST(ClipText, LongQuestionsAreCutIntoSegments) {
  const std::string question = kQuestion + " How many of the red are there in the picture, and what is left?";
  const std::vector<int32_t> ids = tokenizer_of(*towered_model()).tokenize(question);
  ASSERT_GT(std::ssize(ids), kContext);
  ASSERT_LE(std::ssize(ids), 2 * kContext);
  // As the authors do it: cut, padded with token 0 to whole segments, each read at the largest id.
  std::vector<int32_t> padded = ids;
  padded.resize(2 * kContext, 0);
  Row expected;
  for (int32_t segment = 0; segment < 2; ++segment) {
    const std::vector<int32_t> part(padded.begin() + segment * kContext,
                                    padded.begin() + (segment + 1) * kContext);
    const auto read = std::max_element(part.begin(), part.end()) - part.begin();
    const Row row =
        reference_text(reference_of(shape_with_tower()), part, static_cast<std::size_t>(read), false);
    expected.insert(expected.end(), row.begin(), row.end());
  }
  EXPECT_LE(worst_error(text_signal(towered_model(), question), expected), 2e-5);
}

TEST(ClipText, SegmentsEndAtTheTokenThatIsRead) {
  using Segments = std::vector<std::vector<int32_t>>;
  const std::vector<int32_t> ids = {8, 3, 5, 7, 6, 7, 2, 9};
  EXPECT_EQ(clip_segments(ids, 16, 9), (Segments{ids}));
  EXPECT_EQ(clip_segments(ids, 4, 9), (Segments{{8}, {6, 7, 2, 9}})) << "8, the start, is the largest";
  EXPECT_EQ(clip_segments(ids, 3, 9), (Segments{{8}, {7}, {2, 9}}));
  EXPECT_EQ(clip_segments(std::vector<int32_t>{8, 9, 5, 9}, 4, 9), (Segments{{8, 9}})) << "the first end";
}

TEST(ClipText, AnImageMarkerIsASpace) {
  EXPECT_EQ(text_signal(towered_model(), "What<image>is this"),
            text_signal(towered_model(), "what  is this"));
}

TEST(ClipImage, EqualsTheReference) {
  const RecorderMethod method({{Signal::ClipImage}});
  PruneOptions options;
  options.steps = {method.step("4", prune::kAfterTower)};
  const Seen got = run(towered_model(), options, "");
  const testing::ReferenceLlava reference = reference_of(shape_with_tower());
  const RefMatrix features = reference.encode(got.pixels, 4).selected;
  const auto& seen = method.seen.at(0).of_need[0];
  EXPECT_EQ(seen.rows, 16);
  EXPECT_EQ(seen.cols, kJoint);
  EXPECT_LE(worst_error(seen.values, reference_image(reference, features)), 2e-5);
  EXPECT_EQ(got.image.computed, std::vector<Need>{{Signal::ClipImage}});
}

TEST(ClipImage, OfMergedPatchesIsTheMean) {
  SynthShape shape = shape_with_tower();
  shape.name = "text-tower-merged";
  shape.merge = 2;
  const RecorderMethod method({{Signal::ClipImage}});
  PruneOptions options;
  options.steps = {method.step("2", prune::kAfterTower)};
  const Seen got = run(testing::load_model(testing::synth_files(shape)), options, "");
  const testing::ReferenceLlava reference = reference_of(shape);
  RefMatrix joint(16, kJoint);
  joint.values = reference_image(reference, reference.encode(got.pixels, 4).selected);
  EXPECT_LE(worst_error(method.seen.at(0).of_need[0].values, testing::ref_square_means(joint, 2).values),
            2e-5);
}

/// The tokens that CDPruner's formulas keep, in double: greedy on det K by explicit elimination.
std::vector<int32_t> reference_cdpruner(const RefMatrix& projected, const std::vector<double>& image,
                                        const Row& text, int32_t n_keep) {
  const auto cosine = [](std::span<const double> a, std::span<const double> b) {
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (std::size_t c = 0; c < a.size(); ++c) {
      ab += a[c] * b[c];
      aa += a[c] * a[c];
      bb += b[c] * b[c];
    }
    return ab / std::sqrt(aa * bb);
  };
  const auto n = static_cast<std::size_t>(projected.rows);
  Row relevance;
  for (std::size_t i = 0; i < n; ++i)
    relevance.push_back(-cosine(std::span(image).subspan(i * text.size(), text.size()), text));
  const auto [low_at, high_at] = std::minmax_element(relevance.begin(), relevance.end());
  const double low = *low_at, high = *high_at;
  for (double& value : relevance) value = (value - low + 1e-6) / (high - low);
  std::vector<Row> kernel(n, Row(n));
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      kernel[i][j] = relevance[i] * relevance[j] *
                     cosine(projected.row(static_cast<int64_t>(i)), projected.row(static_cast<int64_t>(j)));
    }
  }
  std::vector<int32_t> kept;
  for (int32_t pick = 0; pick < n_keep; ++pick) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < n; ++i) {
      if (kernel[i][i] > kernel[best][best]) best = i;
    }
    kept.push_back(static_cast<int32_t>(best));
    const Row row = kernel[best];
    for (std::size_t i = 0; i < n; ++i) {  // the Schur complement
      for (std::size_t j = 0; j < n; ++j) kernel[i][j] -= row[i] * row[j] / row[best];
    }
    kernel[best][best] = -1.0;
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

TEST(CdPrunerWithATextTower, KeepsWhatTheFormulasKeep) {
  const testing::ReferenceLlava reference = reference_of(shape_with_tower());
  const std::vector<int32_t> ids = tokenizer_of(*towered_model()).tokenize(kQuestion);
  const Row text = reference_text(reference, ids, ids.size() - 1, false);
  const Seen got = run(towered_model(),
                       testing::prune_with("cdpruner:relevance=clip", "6", -1, *towered_model()), kQuestion);
  const testing::RefFeatures features = reference.encode(got.pixels, 4);
  const std::vector<double> image = reference_image(reference, features.selected);
  EXPECT_EQ(got.prefill.steps.at(0).kept, reference_cdpruner(features.projected, image, text, 6));
}

TEST(TrimWithATextTower, KeepsTheLargestOfTheAuthorsScores) {
  const testing::ReferenceLlava reference = reference_of(shape_with_tower());
  const std::vector<int32_t> ids = tokenizer_of(*towered_model()).tokenize(kQuestion);
  const Row text = reference_text(reference, ids, ids.size() - 1, false);
  const Seen got = run(towered_model(), testing::prune_with("trim", "5", -1, *towered_model()), kQuestion);
  const auto image = reference_image(reference, reference.encode(got.pixels, 4).selected);
  std::vector<std::pair<double, int32_t>> products;
  for (int32_t i = 0; i < 16; ++i) {
    double product = 0.0;
    for (std::size_t c = 0; c < text.size(); ++c)
      product += image[static_cast<std::size_t>(i) * text.size() + c] * text[c];
    products.emplace_back(product, i);
  }
  std::sort(products.begin(), products.end());  // the smallest product has the largest score
  std::vector<int32_t> expected;
  for (std::size_t i = 0; i < 4; ++i) expected.push_back(products[i].second);
  std::sort(expected.begin(), expected.end());
  const prune::Plan& plan = got.prefill.steps.at(0).plan;
  ASSERT_EQ(plan.n_out(), 5);
  EXPECT_EQ(std::vector<int32_t>(plan.position_of.begin(), plan.position_of.begin() + 4), expected);
}

TEST(Relevance, AutoIsClipWhereThereIsATextTower) {
  for (const char* name : {"cdpruner", "trim"}) {
    const auto clip = fmt::format("{}:relevance=clip", name);
    const auto embeddings = fmt::format("{}:relevance=embeddings", name);
    const Seen chosen = run(towered_model(), testing::prune_with(name, "6", -1, *towered_model()), kQuestion);
    EXPECT_EQ(chosen.prefill.schedule.at(0).use.to_string(), prune::parse_method(clip).to_string());
    ASSERT_EQ(chosen.prefill.notes.size(), 1U);
    EXPECT_NE(chosen.prefill.notes[0].find("relevance=clip"), std::string::npos);
    const Seen said = run(towered_model(), testing::prune_with(clip, "6", -1, *towered_model()), kQuestion);
    EXPECT_EQ(said.prefill.logits, chosen.prefill.logits);
    EXPECT_TRUE(said.prefill.notes.empty());

    const Seen without =
        run(testing::tiny_model(), testing::prune_with(name, "6", -1, *testing::tiny_model()), "");
    EXPECT_EQ(without.prefill.schedule.at(0).use.to_string(), prune::parse_method(embeddings).to_string());
    EXPECT_TRUE(without.prefill.notes.empty());
  }
}

TEST(Relevance, OnlyWhatIsReadIsComputed) {
  const auto& model = towered_model();
  const Seen clip = run(model, testing::prune_with("cdpruner", "6", -1, *model), kQuestion);
  EXPECT_EQ(clip.image.computed, std::vector<Need>{{Signal::ClipImage}});
  EXPECT_EQ(clip.prefill.computed.at(0),
            (std::vector<Need>{{Signal::Projected}, {Signal::ClipImage}, {Signal::ClipText}}));
  const Seen embeddings =
      run(model, testing::prune_with("cdpruner:relevance=embeddings", "6", -1, *model), "");
  EXPECT_TRUE(embeddings.image.computed.empty());
  EXPECT_EQ(embeddings.prefill.computed.at(0),
            (std::vector<Need>{{Signal::Projected}, {Signal::TextEmbeds}}));
  const Seen all = run(model, testing::prune_with("cdpruner", "100%", -1, *model), "");
  EXPECT_TRUE(all.prefill.computed.at(0).empty()) << "everything stays, so nothing is asked";
}

TEST(Relevance, AMissingQuestionIsRefused) {
  try {
    run(towered_model(), testing::prune_with("cdpruner", "6", -1, *towered_model()), "");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::InvalidArgument);
    EXPECT_NE(std::string(error.what()).find("expected a text in PruneOptions::question"), std::string::npos);
  }
}

TEST(Relevance, WithoutATextTowerClipIsRefused) {
  try {
    run(testing::tiny_model(),
        testing::prune_with("cdpruner:relevance=clip", "6", -1, *testing::tiny_model()), kQuestion);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported);
    EXPECT_NE(std::string(error.what())
                  .find("this mmproj file does not hold CLIP's text tower: "
                        "relevance=embeddings does without"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace winnow::engine
