// HoloV, HiPrune and HiRED, which share a budget out over the image, against plain loops in double precision,
// written from the formulas. Nothing here uses winnow/prune except to run the method under test.

#include <gtest/gtest.h>

#include "tests/prune/expect_error.h"
#include "tests/prune/merging_support.h"
#include "winnow/prune/hired_budgets.h"

namespace winnow::prune {
namespace {

using namespace test;

struct Part {
  int32_t begin = 0;
  int32_t end = 0;
  double score = 0;
};

/// Parts of HoloV with their mean scores.
std::vector<Part> parts_of(const OwnedSignals& signals, int32_t n_part, double beta) {
  const Doubles attention = mean_of_heads(signals.of.at(Signal::ClsAttention));
  const Matrix& features = signals.of.at(Signal::Projected);
  const auto n = static_cast<int32_t>(attention.size());
  n_part = std::min(n_part, n);
  std::vector<Part> parts;
  for (int32_t p = 0, begin = 0; p < n_part; ++p) {
    const int32_t size = n / n_part + (p < n % n_part ? 1 : 0);
    Part part{begin, begin + size, 0};
    begin += size;
    if (size == 1) {
      part.score = attention[part.begin];
    } else {
      Doubles variances;
      double sum_attention = 0;
      for (int32_t i = part.begin; i < part.end; ++i) {
        double mean = 0, variance = 0;
        for (int32_t j = part.begin; j < part.end; ++j)
          if (j != i) mean += cosine(features, i, features, j) / (size - 1);
        for (int32_t j = part.begin; j < part.end; ++j) {
          const double similarity = j == i ? 0.0 : cosine(features, i, features, j);
          variance += (similarity - mean) * (similarity - mean) / (size - 1);
        }
        variances.push_back(variance);
        sum_attention += 1000 * attention[i];
      }
      const double sum = std::accumulate(variances.begin(), variances.end(), 0.0);
      const double factor = (sum_attention / size) / (sum / size + 1e-6);
      part.score = sum_attention / size + beta * factor * sum / size;
    }
    parts.push_back(part);
  }
  return parts;
}

Ints quotas_of(const Doubles& weights, int32_t total) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  Ints quotas;
  for (const double weight : weights)
    quotas.push_back(static_cast<int32_t>(std::floor(weight / sum * total)));
  const int32_t left = total - std::accumulate(quotas.begin(), quotas.end(), 0);
  for (const int32_t part : best(weights, left)) ++quotas[part];
  return quotas;
}

/// Kept tokens of HoloV in output order, without padding.
Ints holov(const OwnedSignals& signals, const std::vector<Part>& parts, int32_t n_keep, bool share) {
  const Doubles attention = mean_of_heads(signals.of.at(Signal::ClsAttention));
  Ints counts(parts.size(), 0);
  int32_t left = n_keep;
  do {
    Doubles weights;
    Ints open;
    for (std::size_t p = 0; p < parts.size(); ++p) {
      if (counts[p] == parts[p].end - parts[p].begin) continue;
      open.push_back(static_cast<int32_t>(p));
      weights.push_back(parts[p].score);
    }
    const Ints quotas = quotas_of(weights, left);
    left = n_keep;
    for (std::size_t i = 0; i < open.size(); ++i) {
      const Part& part = parts[static_cast<std::size_t>(open[i])];
      counts[open[i]] = std::min(counts[open[i]] + quotas[i], part.end - part.begin);
    }
    for (const int32_t count : counts) left -= count;
  } while (share && left > 0);

  Ints kept;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    Ints tokens;
    for (int32_t token = parts[p].begin; token < parts[p].end; ++token) tokens.push_back(token);
    if (counts[p] < static_cast<int32_t>(tokens.size())) tokens = ranking(attention, tokens);
    kept.insert(kept.end(), tokens.begin(), tokens.begin() + counts[p]);
  }
  return kept;
}

TEST(QuotaReference, HoloV) {
  int32_t padded = 0;
  for (uint64_t seed = 0; seed < 5; ++seed) {
    Rng rng(seed);
    for (const OwnedSignals& image :
         {random_signals({12, 12}, rng.next()), random_signals({9, 13}, rng.next()),
          random_signals({8, 9}, rng.next(), rng.sample(72, 40)), random_signals({1, 9}, rng.next())}) {
      const int32_t n = image.view({}).n();
      for (const int32_t n_part : {1, 4, 16, 30}) {
        for (const char* beta : {"0", "0.09", "5"}) {
          const std::vector<Part> parts = parts_of(image, n_part, std::stod(beta));
          for (const int32_t n_keep : {1, n / 9, n / 4, n / 2, n - 2, n - 1}) {
            if (n_keep < 1) continue;
            const std::string use = "holov:chunks=" + std::to_string(n_part) + ",beta=" + beta;
            SCOPED_TRACE(use + ", n_keep " + std::to_string(n_keep) + " of " + std::to_string(n));
            EXPECT_EQ(run(use, image, n_keep).position_of, holov(image, parts, n_keep, true));
            EXPECT_TRUE(run(use, image, n_keep).is_selection());

            const Plan plan = run(use + ",overflow=pad", image, n_keep);
            const Ints kept = holov(image, parts, n_keep, false);
            ASSERT_EQ(plan.n_out(), n_keep);
            EXPECT_EQ(
                Ints(plan.position_of.begin(), plan.position_of.begin() + static_cast<int64_t>(kept.size())),
                kept);
            const Matrix rows = apply(plan, image.of.at(Signal::Projected));
            for (int64_t out = static_cast<int64_t>(kept.size()); out < n_keep; ++out) {
              ++padded;
              for (int64_t c = 0; c < rows.cols; ++c) EXPECT_EQ(at(rows, out, c), 0.0);
            }
          }
        }
      }
    }
  }
  EXPECT_GT(padded, 100);  // or the padding was not tested at all
}

TEST(QuotaReference, HoloVWithoutAnyAttentionSharesEvenly) {
  OwnedSignals signals = random_signals({4, 4}, 1);
  std::fill(signals.of[Signal::ClsAttention].values.begin(), signals.of[Signal::ClsAttention].values.end(),
            0.0F);
  EXPECT_EQ(run("holov:chunks=4", signals, 4).index, (Ints{0, 4, 8, 12}));
}

Ints hiprune(const OwnedSignals& signals, int32_t n_keep, double alpha, bool flat) {
  const Doubles object = mean_of_heads(signals.of_block.at({Signal::ColumnAttention, block_at(9, 24)}));
  const Doubles deep = mean_of_heads(signals.of_block.at({Signal::ColumnAttention, kFeatureBlock}));
  const Grid grid = signals.grid;
  const auto n = static_cast<int32_t>(deep.size());
  const auto cell_of = [&](int32_t token) {
    return signals.token_of.empty() ? token : signals.token_of[static_cast<std::size_t>(token)];
  };
  const double exact = n_keep * alpha / 5;
  auto n_anchor = static_cast<int32_t>(std::floor(exact));
  if (exact - n_anchor > 0.5 || (exact - n_anchor == 0.5 && n_anchor % 2 == 1)) ++n_anchor;
  const Ints anchors = best(object, n_anchor);
  Ints kept = anchors;
  for (const int32_t anchor : anchors) {
    for (int32_t other = 0; other < n; ++other) {  // every token: is it a neighbour?
      const int32_t a = cell_of(anchor), b = cell_of(other);
      const int32_t last = grid.rows * grid.cols - 1;
      const bool beside =
          std::abs(a / grid.cols - b / grid.cols) + std::abs(a % grid.cols - b % grid.cols) == 1;
      const bool along = b == std::min(a + 1, last) || b == std::max(a - 1, 0) ||
                         b == std::min(a + grid.cols, last) || b == std::max(a - grid.cols, 0);
      if ((flat ? along : beside) && !contains(kept, other)) kept.push_back(other);
    }
  }
  if (static_cast<int32_t>(kept.size()) > n_keep) kept.resize(static_cast<std::size_t>(n_keep));
  for (const int32_t token : best(deep, n)) {
    if (static_cast<int32_t>(kept.size()) < n_keep && !contains(kept, token)) kept.push_back(token);
  }
  return sorted(kept);
}

TEST(QuotaReference, HiPrune) {
  int32_t different = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    Rng rng(seed);
    for (OwnedSignals image :
         {random_signals({12, 12}, rng.next()), random_signals({9, 13}, rng.next()),
          random_signals({30, 1}, rng.next()), random_signals({8, 9}, rng.next(), rng.sample(72, 50))}) {
      const int32_t n = image.view({}).n();
      for (const int32_t block : {block_at(9, 24), kFeatureBlock})
        image.of_block[{Signal::ColumnAttention, block}] =
            random_matrix(4, n, [&] { return std::exp(rng.normal()) / n; });
      for (const char* alpha : {"0", "0.1", "0.5", "1"}) {
        for (const int32_t n_keep : {5, 15, 25, n / 2, n - 1}) {
          const std::string use = std::string("hiprune:alpha=") + alpha;
          SCOPED_TRACE(use + ", n_keep " + std::to_string(n_keep));
          const Ints in_grid = hiprune(image, n_keep, std::stod(alpha), false);
          const Ints in_raster = hiprune(image, n_keep, std::stod(alpha), true);
          EXPECT_EQ(run(use, image, n_keep).index, in_grid);
          EXPECT_EQ(run(use + ",neighbours=flat", image, n_keep).index, in_raster);
          different += in_grid != in_raster ? 1 : 0;
        }
      }
    }
  }
  EXPECT_GT(different, 20);
}

TEST(QuotaReference, HiPruneReadsTheBlockAtItsPlace) {
  const auto needs = [](const char* text) {
    const MethodUse use = parse_method(text);
    return use.method->needs(use.params);
  };
  // Block 8 of CLIP ViT-L (23 stored blocks and the one behind the features), block 4 of 12.
  EXPECT_EQ(resolve_block(needs("hiprune").front().block, 23), 8);
  EXPECT_EQ(resolve_block(needs("hiprune:object_block=16").front().block, 23), 15);
  EXPECT_EQ(needs("hiprune").back().block, kFeatureBlock);
}

TEST(QuotaReference, HiredBudgets) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rng rng(seed);
    const Grid grid{12, 12};
    for (const Grid crops : {Grid{2, 2}, Grid{1, 2}, Grid{3, 1}, Grid{2, 3}}) {
      const Matrix attention = random_matrix(4, 144, [&] { return std::exp(rng.normal()); });
      const Doubles scores = mean_of_heads(attention);
      for (const double alpha : {0.0, 0.25, 0.5, 1.0}) {
        for (const int32_t total : {1, 50, 144, 144 * (1 + crops.size())}) {
          const auto whole = std::min(144, static_cast<int32_t>(total * alpha));
          const int32_t rest = std::min(total - whole, 144 * crops.size());
          for (const bool bands : {true, false}) {
            const auto n_seen = static_cast<int32_t>(144 * (1 - alpha));
            const Ints seen = best(scores, n_seen);
            Ints expected{whole};
            for (int32_t crop = 0; crop < crops.size(); ++crop) {
              const auto inside = std::count_if(seen.begin(), seen.end(), [&](int32_t token) {
                const int32_t of_bands = token / (144 / crops.size());
                const int32_t of_blocks =
                    token / 12 / (12 / crops.rows) * crops.cols + token % 12 / (12 / crops.cols);
                return crop == (bands ? of_bands : of_blocks);
              });
              const auto share = n_seen == 0 ? 1.0F / static_cast<float>(crops.size())
                                             : static_cast<float>(inside) / static_cast<float>(n_seen);
              expected.push_back(std::min(144, static_cast<int32_t>(share * static_cast<float>(rest))));
            }
            EXPECT_EQ(hired_budgets(attention.view(), grid, crops, total, alpha,
                                    bands ? HiredRegions::Bands : HiredRegions::Blocks),
                      expected)
                << crops.rows << "x" << crops.cols << ", alpha " << alpha << ", total " << total;
          }
        }
      }
    }
  }
}

TEST(QuotaReference, HiredSeesQuadrantsAndNotBands) {
  // All attention in the upper right quarter of a 4x4 grid with 2x2 crops.
  Matrix attention{std::vector<float>(16, 0.0F), 1, 16};
  for (const int32_t token : {2, 3, 6, 7}) attention.values[token] = 1.0F;
  const auto budgets = [&](HiredRegions regions) {
    return hired_budgets(attention.view(), {4, 4}, {2, 2}, 16, 0.75, regions);
  };
  EXPECT_EQ(budgets(HiredRegions::Blocks), (Ints{12, 0, 4, 0, 0}));
  EXPECT_EQ(budgets(HiredRegions::Bands), (Ints{12, 2, 2, 0, 0}));
}

TEST(QuotaReference, HiredErrors) {
  Matrix attention = random_matrix(2, 16, [] { return 0.1; });
  const auto expect = [&](const std::vector<std::string>& parts, Grid grid, Grid crops, int32_t total,
                          double alpha) {
    expect_error(ErrorCode::InvalidArgument, parts,
                 [&] { hired_budgets(attention.view(), grid, crops, total, alpha, HiredRegions::Blocks); });
  };
  expect({"attention", "[2, 16]", "[heads, 20]"}, {4, 5}, {2, 2}, 8, 0.5);
  expect({"5x1 crops"}, {4, 4}, {5, 1}, 8, 0.5);
  expect({"0x2 crops"}, {4, 4}, {0, 2}, 8, 0.5);
  expect({"tokens to keep", "got 0", "1 to 80"}, {4, 4}, {2, 2}, 0, 0.5);
  expect({"tokens to keep", "got 81"}, {4, 4}, {2, 2}, 81, 0.5);
  expect({"alpha", "got 1.5"}, {4, 4}, {2, 2}, 8, 1.5);
  expect({"alpha", "nan"}, {4, 4}, {2, 2}, 8, std::nan(""));
  attention.values[3] = std::nanf("");
  expect({"attention", "NaN"}, {4, 4}, {2, 2}, 8, 0.5);
}

}  // namespace
}  // namespace winnow::prune
