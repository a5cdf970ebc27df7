// VisionZip, PruMerge, PruMerge+ and TRIM against plain loops in double precision, written from the formulas.
// Nothing here uses winnow/prune except to run the method under test.

#include <gtest/gtest.h>

#include "tests/prune/expect_error.h"
#include "tests/prune/merging_support.h"

namespace winnow::prune {
namespace {

using namespace test;

constexpr double kTolerance = 1e-6;  // of weights
constexpr int32_t kHeads = 4;        // random_signals' own

struct VisionZipCase {
  bool cls = true;
  bool column = false;
  bool average = false;
  int32_t contextual = 0;
};

/// Mean key over heads: [n, d / heads].
Matrix head_mean_keys(const Matrix& keys) {
  Matrix mean{{}, keys.rows, keys.cols / kHeads};
  for (int64_t row = 0; row < keys.rows; ++row) {
    for (int64_t c = 0; c < mean.cols; ++c) {
      double sum = 0;
      for (int64_t head = 0; head < kHeads; ++head) sum += at(keys, row, head * mean.cols + c);
      mean.values.push_back(static_cast<float>(sum / kHeads));
    }
  }
  return mean;
}

std::vector<Output> visionzip(const OwnedSignals& signals, int32_t n_keep, const VisionZipCase& c) {
  const Doubles scores =
      mean_of_heads(signals.of.at(c.column ? Signal::ColumnAttention : Signal::ClsAttention));
  const auto n = static_cast<int32_t>(scores.size());
  const int32_t contextual = std::min(c.contextual, n_keep - (c.cls ? 1 : 0));
  const Ints dominant = sorted(best(scores, n_keep - contextual - (c.cls ? 1 : 0)));
  std::vector<Output> outputs;
  if (c.cls) outputs.push_back({{n, 1.0}});
  for (const int32_t token : dominant) outputs.push_back({{token, 1.0}});
  if (contextual == 0) return outputs;

  const Ints rest = without(n, dominant);
  const auto step = std::max<std::size_t>(1, rest.size() / static_cast<std::size_t>(contextual));
  Ints targets;
  for (int32_t i = 0; i < contextual; ++i) targets.push_back(rest[static_cast<std::size_t>(i) * step]);
  std::vector<Ints> assigned(targets.size());
  const Matrix keys = head_mean_keys(signals.of.at(Signal::TowerKeys));
  for (const int32_t token : rest) {
    if (contains(targets, token)) continue;
    std::size_t nearest = 0;
    for (std::size_t i = 1; i < targets.size(); ++i) {
      if (cosine(keys, token, keys, targets[i]) > cosine(keys, token, keys, targets[nearest])) nearest = i;
    }
    assigned[nearest].push_back(token);
  }
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto count = static_cast<double>(assigned[i].size());
    Output output{{targets[i], c.average ? 1 / (1 + count) : 1.0}};
    for (const int32_t token : assigned[i]) output[token] = c.average ? 1 / (1 + count) : 1 / count;
    outputs.push_back(output);
  }
  return outputs;
}

/// The whole image and a part of it.
std::vector<OwnedSignals> images(uint64_t seed) {
  Rng rng(seed);
  return {random_signals({12, 12}, rng.next()), random_signals({9, 13}, rng.next()),
          random_signals({8, 9}, rng.next(), rng.sample(72, 40)), random_signals({1, 30}, rng.next())};
}

TEST(MergingReference, VisionZip) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    for (const OwnedSignals& image : images(seed)) {
      const int32_t n = image.view({}).n();
      for (const int32_t n_keep : {1, 2, 3, n / 4, n / 2, n - 1}) {
        for (const bool cls : {true, false}) {
          for (const bool column : {true, false}) {
            for (const bool average : {true, false}) {
              for (const int32_t contextual : {0, 1, n_keep / 2, n}) {
                const std::string use = std::string("visionzip:cls_token=") + (cls ? "on" : "off") +
                                        ",metric=" + (column ? "column" : "cls") +
                                        ",merge=" + (average ? "average" : "add") +
                                        ",contextual_count=" + std::to_string(contextual);
                SCOPED_TRACE(use + ", n_keep " + std::to_string(n_keep));
                expect_outputs(run(use, image, n_keep),
                               visionzip(image, n_keep, {cls, column, average, contextual}), kTolerance);
              }
            }
          }
        }
      }
    }
  }
}

TEST(MergingReference, VisionZipSplitsAsTheAuthorsDo) {
  const OwnedSignals signals = random_signals({24, 24}, 1);
  // dominant ([CLS] among them) + contextual of the published settings
  for (const auto& [dominant, contextual] :
       {std::pair{162, 30}, std::pair{108, 20}, std::pair{54, 10}, std::pair{27, 5}}) {
    const Plan plan = run("visionzip", signals, dominant + contextual);
    expect_outputs(plan, visionzip(signals, dominant + contextual, {true, false, false, contextual}),
                   kTolerance);
  }
  const Plan half = run("visionzip:contextual=0.5,cls_token=off", signals, 100);
  EXPECT_EQ(Ints(half.position_of.begin(), half.position_of.begin() + 50),
            sorted(best(mean_of_heads(signals.of.at(Signal::ClsAttention)), 50)));
}

TEST(MergingReference, VisionZipClsStandsWhereNothingElseDoes) {
  const OwnedSignals signals = random_signals({6, 6}, 2);
  for (int32_t n_keep = 1; n_keep < 36; ++n_keep) {
    const Plan plan = run("visionzip:contextual=0", signals, n_keep);
    const Ints others(plan.position_of.begin() + 1, plan.position_of.end());
    EXPECT_EQ(plan.position_of.front(), without(36, others).front());
  }
}

TEST(MergingReference, VisionZipNeedsKeysThatTheHeadsDivide) {
  OwnedSignals signals = random_signals({6, 6}, 3);
  signals.of[Signal::TowerKeys] = random_matrix(36, 23, [] { return 1.0; });
  expect_error(ErrorCode::InvalidArgument, {"tower_keys", "got 23", "4 heads"},
               [&] { run("visionzip", signals, 20); });
}

Doubles wide_attention(const OwnedSignals& signals) {
  return mean_of_heads(signals.of.at(Signal::WideClsAttention));
}

/// Outputs of PruMerge for these kept tokens.
std::vector<Output> prumerge(const OwnedSignals& signals, const Ints& kept, int32_t neighbours, bool mean) {
  const Doubles attention = wide_attention(signals);
  const Matrix& keys = signals.of.at(Signal::TowerKeys);
  const auto n = static_cast<int32_t>(attention.size());
  std::vector<Output> outputs;
  const auto add = [&](Output output) {
    double sum = 0;
    for (const auto& [token, weight] : output) sum += weight;
    if (mean) {
      for (auto& [token, weight] : output) weight /= sum;
    }
    outputs.push_back(std::move(output));
  };
  for (const int32_t token : kept) {
    Doubles cosines;
    for (int32_t j = 0; j < n; ++j) cosines.push_back(cosine(keys, token, keys, j));
    Ints order = ranking(cosines, without(n, {token}));
    order.resize(std::min<std::size_t>(order.size(), static_cast<std::size_t>(neighbours)));
    Output output{{token, mean ? attention[token] : 1.0}};
    for (const int32_t near : order) output[near] = attention[near];
    add(output);
  }
  Output rest;
  for (const int32_t token : without(n, kept)) rest[token] = attention[token];
  if (!rest.empty()) add(rest);
  return outputs;
}

/// The authors' adaptive count, in the double arithmetic of their code.
int32_t adaptive_count(const Doubles& scores) {
  const auto n = static_cast<double>(scores.size());
  return static_cast<int32_t>(n * (outliers(scores) / n));
}

/// The authors' adaptive rule for the tokens spread over the image.
Ints plus_kept(const Doubles& attention) {
  const auto n = static_cast<int32_t>(attention.size());
  const int32_t k = outliers(attention);
  Ints kept = best(attention, adaptive_count(attention));
  const double ratio = static_cast<double>(std::max(1, k)) / n;
  const int32_t step = std::max(1, static_cast<int32_t>(1 / ratio) / 3);
  const Ints chosen = kept;
  for (int32_t token = 0; token < n - 1; token += step) {
    if (!contains(chosen, token)) kept.push_back(token);
  }
  return kept;
}

TEST(MergingReference, PruMerge) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    for (const OwnedSignals& image : images(10 + seed)) {
      const Doubles attention = wide_attention(image);
      const int32_t n = image.view({}).n();
      const int32_t k = adaptive_count(attention);
      for (const bool mean : {true, false}) {
        for (const int32_t neighbours : {1, 4, 32}) {
          const std::string params =
              std::string("merge=") + (mean ? "mean" : "sum") + ",neighbours=" + std::to_string(neighbours);
          for (const int32_t n_keep : {1, 2, n / 4, n - 1}) {
            SCOPED_TRACE(params + ", n_keep " + std::to_string(n_keep));
            expect_outputs(run("prumerge:" + params, image, n_keep),
                           prumerge(image, best(attention, n_keep - 1), neighbours, mean), kTolerance);
          }
          expect_outputs(run("prumerge:" + params, image, kMethodDecides),
                         prumerge(image, best(attention, k), neighbours, mean), kTolerance);
          expect_outputs(run("prumerge_plus:" + params, image, kMethodDecides),
                         prumerge(image, plus_kept(attention), neighbours, mean), kTolerance);
        }
      }
    }
  }
}

TEST(MergingReference, PruMergePlusWithACount) {
  for (const OwnedSignals& image : images(20)) {
    const Doubles attention = wide_attention(image);
    const int32_t n = image.view({}).n();
    const int32_t k = adaptive_count(attention);
    ASSERT_GT(k, 0);
    for (const int32_t n_keep : {1, k, k + 1, k + 2, n / 2, n - 1}) {
      Ints kept = best(attention, std::min(k, n_keep - 1));
      const Ints rest = without(n, kept);
      const int32_t extra = n_keep - 1 - static_cast<int32_t>(kept.size());
      for (int32_t i = 0; i < extra; ++i)
        kept.push_back(rest[static_cast<std::size_t>(i) * rest.size() / static_cast<std::size_t>(extra)]);
      SCOPED_TRACE("n_keep " + std::to_string(n_keep));
      expect_outputs(run("prumerge_plus", image, n_keep), prumerge(image, kept, 32, false), kTolerance);
    }
  }
}

TEST(MergingReference, PruMergeWithoutOutliers) {
  OwnedSignals signals = random_signals({6, 6}, 4);
  std::fill(signals.of[Signal::WideClsAttention].values.begin(),
            signals.of[Signal::WideClsAttention].values.end(), 0.02F);
  const Plan plan = run("prumerge", signals, kMethodDecides);
  ASSERT_EQ(plan.n_out(), 1);  // the token of the rest alone
  EXPECT_EQ(plan.index, range(36));
  const Plan plus = run("prumerge_plus", signals, kMethodDecides);
  EXPECT_EQ(plus.position_of, (Ints{0, 12, 24, 35}));  // a third of the image apart, then the rest
}

TEST(MergingReference, PruMergePlusMayKeepAll) {
  // 8 outliers of 36, the last token among them: share above 1/6, so every token but the last is spread.
  OwnedSignals signals = random_signals({6, 6}, 5);
  Matrix& attention = signals.of[Signal::WideClsAttention];
  for (int32_t j = 0; j < 36; ++j) attention.values[j] = j >= 28 ? 0.1F : 0.001F;
  const Plan plan = run("prumerge_plus", signals, kMethodDecides);
  EXPECT_EQ(plan.n_out(), 36);
  EXPECT_EQ(sorted(plan.position_of), range(36));
}

TEST(MergingReference, Trim) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    for (const OwnedSignals& image : images(30 + seed)) {
      const int32_t n = image.view({}).n();
      for (const bool clip : {true, false}) {
        Doubles scores;
        for (int32_t i = 0; i < n; ++i) {
          double fit = 0;
          if (clip) {
            fit = -product(image.of.at(Signal::ClipImage), i, image.of.at(Signal::ClipText), 0);
          } else {
            for (int32_t t = 0; t < kTextTokens; ++t)
              fit +=
                  cosine(image.of.at(Signal::Projected), i, image.of.at(Signal::TextEmbeds), t) / kTextTokens;
          }
          scores.push_back(std::exp(fit));
        }
        const double sum = std::accumulate(scores.begin(), scores.end(), 0.0);
        for (double& value : scores) value /= sum;
        const std::string use = std::string("trim:relevance=") + (clip ? "clip" : "embeddings");
        for (const int32_t n_keep : {kMethodDecides, 1, 2, n / 4, n - 1}) {
          SCOPED_TRACE(use + ", n_keep " + std::to_string(n_keep));
          const int32_t k = n_keep > 0 ? n_keep - 1 : adaptive_count(scores);
          const Ints kept = sorted(best(scores, k));
          std::vector<Output> outputs;
          for (const int32_t token : kept) outputs.push_back({{token, 1.0}});
          outputs.emplace_back();
          for (const int32_t token : without(n, kept)) outputs.back()[token] = 1.0 / (n - k);
          const Plan plan = run(use, image, n_keep);
          expect_outputs(plan, outputs, kTolerance);
          expect_scores(plan, scores, 1e-5);
        }
      }
    }
  }
}

TEST(MergingReference, TrimReadsTheFirst77TokensAlone) {
  OwnedSignals signals = random_signals({6, 6}, 6);
  const Plan plan = run("trim:relevance=clip", signals, 9);
  signals.of[Signal::ClipText].values.back() += 10.0F;  // of the second row
  EXPECT_EQ(run("trim:relevance=clip", signals, 9).index, plan.index);
}

}  // namespace
}  // namespace winnow::prune
