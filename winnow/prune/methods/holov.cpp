// HoloV: each part of the image gets a share of the budget by its attention and variety, and spends it on its
// most attended patches.
// Zou et al. 2025, "Don't Just Chase Highlighted Tokens in MLLMs: Revisiting Visual Holistic Context
// Retention", arXiv 2510.02912. Reference: obananas/HoloV @1d2e65e961, llava/model/utils.py, HoloV.
//   parts     `chunks` runs of the flat raster, the first (n mod chunks) one token longer
//   a_i       [CLS] attention of the block whose output the projector reads, mean over heads
//   v_i       variance of the cosines of projected features of token i and the others of its part, where the
//             token's own is counted as 0:  m_i = sum_j S_ij / (p - 1), v_i = sum_j (S_ij - m_i)^2 / (p - 1)
//   score_i   1000 a_i + beta v_i * mean(1000 a) / (mean(v) + 1e-6), means over the part; a part of one token
//             scores a_i alone (without the 1000)
//   quota     floor(w n_keep), w = share of the part's mean score; what is left one each to the largest w
// Outputs: part by part, inside a part by falling attention, a part that keeps all its tokens in raster
// order. A quota can exceed the part. The reference then fills up with zero vectors at the end: overflow=pad,
// here outputs whose one source has weight 0, at positions where nothing else stands. Default overflow=share:
// what does not fit is shared among the parts with room by the same rule. Code, not paper: the paper cuts the
// image in two dimensions and fetches dropped tokens again in the decoder. An image of fewer tokens than
// chunks has parts of one token.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "winnow/base/error.h"
#include "winnow/prune/importance.h"
#include "winnow/prune/method.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/similarity.h"

namespace winnow::prune {
namespace {

struct Chunk {
  int32_t begin = 0;
  int32_t end = 0;
  int32_t size() const { return end - begin; }
};

std::vector<Chunk> cut(int32_t n, int32_t n_chunk) {
  n_chunk = std::min(n, n_chunk);
  std::vector<Chunk> chunks;
  for (int32_t i = 0, begin = 0; i < n_chunk; ++i) {
    const int32_t size = n / n_chunk + (i < n % n_chunk ? 1 : 0);
    chunks.push_back({begin, begin + size});
    begin += size;
  }
  return chunks;
}

/// 1 / length of every row, from the products of the rows with each other; nothing where a square leaves the
/// range of float32.
std::optional<std::vector<double>> inverse_lengths(const MatrixView& products) {
  std::vector<double> inverse;
  for (int64_t i = 0; i < products.rows; ++i) {
    if (!std::isnormal(products(i, i))) return std::nullopt;
    inverse.push_back(1.0 / std::sqrt(static_cast<double>(products(i, i))));
  }
  return inverse;
}

/// Calls visit(i, j, cosine) for all pairs i < j of rows [n, d].
template <class Visit>
void for_each_cosine(const MatrixView& rows, Visit visit) {
  const auto visit_all = [&](int64_t first, const MatrixView& products, const double* inverse) {
    for (int64_t i = 0; i < products.rows; ++i) {
      for (int64_t j = i + 1; j < products.cols; ++j) {
        const auto product = static_cast<double>(products(i, j));
        visit(first + i, first + j, inverse != nullptr ? product * inverse[i] * inverse[j] : product);
      }
    }
  };
  bool done = false;
  if (rows.rows <= kPairStrip) {  // lengths lie on the diagonal: no copy of the rows has to be scaled
    for_each_pair_strip(rows, [&](int64_t first, const MatrixView& products) {
      const auto inverse = inverse_lengths(products);
      done = inverse.has_value();
      if (done) visit_all(first, products, inverse->data());
    });
  }
  if (done) return;
  const std::vector<float> units = unit_rows(rows);
  for_each_pair_strip({units.data(), rows.rows, rows.cols}, [&](int64_t first, const MatrixView& products) {
    visit_all(first, products, nullptr);
  });
}

/// v_i of the tokens of a chunk of at least two, from sums of cosines and of their squares.
std::vector<double> varieties_of(const MatrixView& features, const Chunk& chunk) {
  const auto n = static_cast<std::size_t>(chunk.size());
  std::vector<double> sums(n, 0.0), squares(n, 0.0);
  const MatrixView part{features.row(chunk.begin).data(), chunk.size(), features.cols};
  for_each_cosine(part, [&](int64_t i, int64_t j, double cosine) {
    for (const int64_t token : {i, j}) {
      sums[static_cast<std::size_t>(token)] += cosine;
      squares[static_cast<std::size_t>(token)] += cosine * cosine;
    }
  });
  const auto others = static_cast<double>(n - 1);
  std::vector<double> out;
  for (std::size_t i = 0; i < n; ++i) {
    const double mean = sums[i] / others;
    const double sum = squares[i] - 2.0 * mean * sums[i] + static_cast<double>(n) * mean * mean;
    out.push_back(std::max(sum, 0.0) / others);
  }
  return out;
}

/// Score of every token.
std::vector<float> score(const MatrixView& features, const std::vector<float>& attention,
                         const std::vector<Chunk>& chunks, double beta) {
  constexpr double kScale = 1000.0, kTiny = 1e-6;
  std::vector<float> scores = attention;
  for (const Chunk& chunk : chunks) {
    if (chunk.size() == 1) continue;
    const std::vector<double> varieties = varieties_of(features, chunk);
    const double sum_variety = std::accumulate(varieties.begin(), varieties.end(), 0.0);
    double sum_attention = 0.0;
    for (int32_t i = chunk.begin; i < chunk.end; ++i) {
      sum_attention += kScale * std::abs(static_cast<double>(attention[i]));
    }
    const double size = chunk.size();
    const double factor = sum_attention / size / (sum_variety / size + kTiny);
    for (int32_t i = chunk.begin; i < chunk.end; ++i) {
      scores[i] = static_cast<float>(kScale * static_cast<double>(attention[i]) +
                                     beta * factor * varieties[i - chunk.begin]);
    }
  }
  WINNOW_CHECK(all_finite(scores), InvalidArgument, "prune.holov",
               "scores, got values beyond float32, expected smaller attention");
  return scores;
}

std::vector<float> chunk_means(const std::vector<float>& scores, const std::vector<Chunk>& chunks) {
  std::vector<float> means;
  for (const Chunk& chunk : chunks) {
    const double sum = std::accumulate(scores.begin() + chunk.begin, scores.begin() + chunk.end, 0.0);
    means.push_back(static_cast<float>(sum / chunk.size()));
  }
  return means;
}

/// Shares total in proportion to the weights; equal weights if they are all 0. Sum = total.
std::vector<int32_t> quotas_of(std::vector<float> weights, int32_t total) {
  double sum = 0.0;
  for (float& weight : weights) {
    weight = std::max(weight, 0.0F);
    sum += static_cast<double>(weight);
  }
  if (sum <= 0.0) {
    std::fill(weights.begin(), weights.end(), 1.0F);
    sum = static_cast<double>(weights.size());
  }
  std::vector<int32_t> quotas;
  int32_t left = total;
  for (const float weight : weights) {
    quotas.push_back(std::min(left, static_cast<int32_t>(static_cast<double>(weight) / sum * total)));
    left -= quotas.back();
  }
  const std::vector<int32_t> order = best_first(weights, static_cast<int32_t>(weights.size()));
  for (int32_t i = 0; left > 0; ++i, --left) ++quotas[order[i % order.size()]];
  return quotas;
}

/// Tokens that each chunk keeps. share: what does not fit goes to the chunks that have room.
std::vector<int32_t> counts_of(const std::vector<float>& weights, const std::vector<Chunk>& chunks,
                               int32_t n_keep, bool share) {
  std::vector<int32_t> counts(chunks.size(), 0);
  for (int32_t left = n_keep; left > 0;) {
    std::vector<int32_t> open;
    std::vector<float> open_weights;
    for (int32_t c = 0; c < static_cast<int32_t>(chunks.size()); ++c) {
      if (counts[c] == chunks[c].size()) continue;
      open.push_back(c);
      open_weights.push_back(weights[c]);
    }
    const std::vector<int32_t> quotas = quotas_of(open_weights, left);
    for (std::size_t i = 0; i < open.size(); ++i) {
      const int32_t more = std::min(quotas[i], chunks[open[i]].size() - counts[open[i]]);
      counts[open[i]] += more;
      left -= more;
    }
    if (!share) break;
  }
  return counts;
}

class HoloV final : public Method {
 public:
  const MethodInfo& info() const override { return info_; }
  std::vector<Need> needs(const Params&) const override { return {kFeatureAttention, {Signal::Projected}}; }

  Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng&) const override {
    const std::vector<float> attention = head_mean(signals.view(kFeatureAttention));
    const std::vector<Chunk> chunks = cut(signals.n(), params.integer("chunks"));
    std::vector<float> scores = score(signals.projected, attention, chunks, params.real("beta"));
    const std::vector<int32_t> counts =
        counts_of(chunk_means(scores, chunks), chunks, n_keep, params.choice("overflow") == "share");
    Plan plan;
    std::vector<bool> is_kept(scores.size(), false);
    for (std::size_t c = 0; c < chunks.size(); ++c) {
      std::vector<int32_t> inside(chunks[c].size());
      std::iota(inside.begin(), inside.end(), 0);
      if (counts[c] < chunks[c].size()) {
        inside = best_first(std::span(attention).subspan(chunks[c].begin, chunks[c].size()), counts[c]);
      }
      for (const int32_t i : inside) {
        plan.add_kept(chunks[c].begin + i);
        is_kept[chunks[c].begin + i] = true;
      }
    }
    for (int32_t token = 0; plan.n_out() < n_keep; ++token) {
      if (!is_kept[token]) plan.add_merged(std::vector{token}, std::vector{0.0F}, token);
    }
    plan.scores = std::move(scores);
    return plan;
  }

 private:
  MethodInfo info_{
      .name = "holov",
      .summary =
          "quotas for runs of the raster by attention and variance of features, inside "
          "them most [CLS] attention",
      .paper = "Zou et al. 2025, arXiv 2510.02912",
      .stage = Stage::AfterTower,
      .outputs = Outputs::Sums,  // overflow=pad: zero vectors
      .raster_order = false,
      .params = {{.name = "chunks",
                  .kind = ParamKind::Integer,
                  .default_value = "16",
                  .min = 1,
                  .max = 4096,
                  .help = "parts of the image"},
                 {.name = "beta",
                  .kind = ParamKind::Real,
                  .default_value = "0.09",
                  .min = 0.0,
                  .max = 100.0,
                  .help = "weight of the variance"},
                 {.name = "overflow",
                  .kind = ParamKind::Choice,
                  .default_value = "share",
                  .choices = {"share", "pad"},
                  .help = "quotas beyond a part: to the other parts, or zero vectors (the code)"}}};
};

}  // namespace

const Method& holov_method() {
  static const HoloV method;
  return method;
}

}  // namespace winnow::prune
