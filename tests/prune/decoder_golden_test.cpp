// The kept sets of the authors' own code for methods inside the decoder, from tests/data/prune. SparseVLM's
// are in sparsevlm_golden_test.cpp.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/prune/golden_signals.h"
#include "winnow/prune/cpython_set.h"

namespace winnow::prune {
namespace {

using Ints = std::vector<int32_t>;
using test::Matrix;
using test::OwnedSignals;
using winnow::test::TensorFixture;

std::string stage_name_in(const std::string& kind, int stage, const char* what) {
  return kind + ".stage" + std::to_string(stage) + "." + what;
}

// ---- PyramidDrop: the attention is computed here from the fixture's weights, in double.

using Rows = std::vector<std::vector<double>>;

/// y = x W^T
Rows project(const Rows& x, const Matrix& weight) {
  Rows y(x.size(), std::vector<double>(static_cast<std::size_t>(weight.rows), 0.0));
  for (std::size_t i = 0; i < x.size(); ++i) {
    for (int64_t o = 0; o < weight.rows; ++o) {
      for (int64_t c = 0; c < weight.cols; ++c) y[i][o] += x[i][c] * weight.view()(o, c);
    }
  }
  return y;
}

Rows normed(const Matrix& hidden, const std::vector<float>& weight, double eps) {
  Rows rows;
  for (int64_t r = 0; r < hidden.rows; ++r) {
    double square = 0;
    for (const float value : hidden.view().row(r)) square += static_cast<double>(value) * value;
    const double scale = 1.0 / std::sqrt(square / static_cast<double>(hidden.cols) + eps);
    std::vector<double>& row = rows.emplace_back();
    for (int64_t c = 0; c < hidden.cols; ++c) row.push_back(hidden.view()(r, c) * scale * weight[c]);
  }
  return rows;
}

/// Rotary embedding by halves of every head, position = row.
void rotate(Rows& rows, int32_t d_head, double base) {
  for (std::size_t position = 0; position < rows.size(); ++position) {
    for (std::size_t head = 0; head < rows[position].size(); head += d_head) {
      for (int32_t i = 0; i < d_head / 2; ++i) {
        const double angle = static_cast<double>(position) * std::pow(base, -2.0 * i / d_head);
        double& a = rows[position][head + i];
        double& b = rows[position][head + i + d_head / 2];
        const double rotated = a * std::cos(angle) - b * std::sin(angle);
        b = b * std::cos(angle) + a * std::sin(angle);
        a = rotated;
      }
    }
  }
}

/// Softmaxed attention of the last row, all heads, columns [first, first + n).
Matrix last_row_attention(const Rows& queries, const Rows& keys, int32_t n_head, int64_t first, int64_t n) {
  Matrix attention{{}, n_head, n};
  const std::size_t d = keys.front().size() / n_head;
  for (int32_t head = 0; head < n_head; ++head) {
    std::vector<double> weights;
    double sum = 0;
    for (const std::vector<double>& key : keys) {
      double product = 0;
      for (std::size_t c = 0; c < d; ++c) product += queries.back()[head * d + c] * key[head * d + c];
      weights.push_back(std::exp(product / std::sqrt(static_cast<double>(d))));
      sum += weights.back();
    }
    for (int64_t j = 0; j < n; ++j) attention.values.push_back(static_cast<float>(weights[first + j] / sum));
  }
  return attention;
}

TEST(PyramidDropGolden, KeepsWhatTheAuthorsKeep) {
  const TensorFixture fixture = test::golden("pyramiddrop/g6_D64_H4");
  const int32_t heads = fixture.i32("param.heads").at(0);
  const int32_t start = fixture.i32("param.image_start").at(0);
  const int32_t n_text = fixture.i32("param.n_text").at(0);
  for (int stage = 0; stage < 3; ++stage) {
    SCOPED_TRACE("stage " + std::to_string(stage));
    const auto in = [&](const char* what) { return stage_name_in("in", stage, what); };
    const Matrix hidden = test::golden_rows(fixture, in("hidden"));
    const int64_t n = hidden.rows - start - n_text;
    const Rows x = normed(hidden, fixture.f32(in("ln_weight")), fixture.f32("param.rms_eps").at(0));
    Rows queries = project(x, test::golden_rows(fixture, in("q_weight")));
    Rows keys = project(x, test::golden_rows(fixture, in("k_weight")));
    const auto d_head = static_cast<int32_t>(hidden.cols / heads);
    rotate(queries, d_head, fixture.f32("param.rope_base").at(0));
    rotate(keys, d_head, fixture.f32("param.rope_base").at(0));

    OwnedSignals signals = test::first_tokens(6, n);
    signals.of[Signal::NextAttention] = last_row_attention(queries, keys, heads, start, n);
    const Ints kept = fixture.i32(stage_name_in("out", stage, "kept"));
    const Plan plan = test::run("pyramiddrop", signals, static_cast<int32_t>(kept.size()));
    EXPECT_EQ(plan.index, kept);
    EXPECT_TRUE(plan.is_selection());
    test::expect_near(plan.scores, fixture.f32(stage_name_in("out", stage, "score")), 2e-6, "score");
    // int(36 x 0.5), int(36 x 0.25), int(36 x 0.125)
    EXPECT_EQ(kept.size(), std::vector<std::size_t>({18, 9, 4})[stage]);
  }
}

// ---- DART

/// [heads, L, d] as one row of all heads per token.
Matrix heads_side_by_side(const TensorFixture& fixture, const std::string& name, int64_t first,
                          int64_t count) {
  const std::vector<int64_t> shape = fixture.shape(name);
  const std::vector<float> values = fixture.f32(name);
  Matrix rows{{}, count, shape[0] * shape[2]};
  for (int64_t token = first; token < first + count; ++token) {
    for (int64_t head = 0; head < shape[0]; ++head) {
      const auto from = values.begin() + (head * shape[1] + token) * shape[2];
      rows.values.insert(rows.values.end(), from, from + shape[2]);
    }
  }
  return rows;
}

class DartGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(DartGolden, KeepsWhatTheAuthorsKeep) {
  const TensorFixture fixture = test::golden(std::string("dart/") + GetParam());
  const int32_t start = fixture.i32("param.image_start").at(0);
  const int32_t n = fixture.i32("param.n_image").at(0);
  const int32_t n_text = fixture.i32("param.n_text").at(0);

  Ints pivots = fixture.i32("out.image_pivots_by_norm");
  const Ints text_pivots = fixture.i32("out.text_pivots_by_norm");
  pivots.insert(pivots.end(), text_pivots.begin(), text_pivots.end());
  Ints visited;
  for (const int32_t index : cpython_set_order(pivots)) visited.push_back(pivots[index]);
  EXPECT_EQ(visited, fixture.i32("out.pivot_visit_order"));

  OwnedSignals owned{{6, 6}, {}, {}};
  owned.of[Signal::LayerKeys] = heads_side_by_side(fixture, "in.keys_postrope", start, n);
  owned.of[Signal::TextKeys] = heads_side_by_side(fixture, "in.keys_postrope", start + n, n_text);
  owned.of[Signal::HiddenNormed] = test::golden_rows(fixture, "in.hidden_finalnormed", start, n);
  owned.of[Signal::TextNormed] = test::golden_rows(fixture, "in.hidden_finalnormed", start + n, n_text);
  Signals signals = owned.view_all();
  signals.ids = signals.text_ids = {};
  for (int32_t j = 0; j < n; ++j) signals.ids.push_back(start + j);
  for (int32_t t = 0; t < n_text; ++t) signals.text_ids.push_back(start + n + t);

  const Ints kept = fixture.i32("out.kept");
  EXPECT_EQ(static_cast<int32_t>(kept.size()), 4 + 8 * fixture.i32("out.per_pivot_topk").at(0));
  Rng rng(1);
  const Plan plan = run_method(parse_method("dart"), signals, static_cast<int32_t>(kept.size()), rng);
  EXPECT_EQ(plan.index, kept);
  EXPECT_TRUE(plan.is_selection());
}

INSTANTIATE_TEST_SUITE_P(Cases, DartGolden, ::testing::Values("g6_r250", "g6_r500"));

// ---- MustDrop

/// The tokens `at` of `ids`.
Ints pick(const Ints& ids, const Ints& at) {
  Ints picked;
  for (const int32_t i : at) picked.push_back(ids[i]);
  return picked;
}

TEST(MustDropGolden, KeepsWhatTheAuthorsKeep) {
  const TensorFixture fixture = test::golden("mustdrop/stage3_n36_g0p02_i0p03");
  const Matrix cls = test::golden_rows(fixture, "in.cls_attn_block23");
  const Ints key_set = fixture.i32("out.key_set");
  Ints there = test::first_integers(36);
  for (int stage = 0; stage < 4; ++stage) {
    SCOPED_TRACE("stage " + std::to_string(stage));
    OwnedSignals owned{{6, 6}, there, {}};
    Matrix cls_there{{}, cls.rows, static_cast<int64_t>(there.size())};
    for (int64_t head = 0; head < cls.rows; ++head) {
      for (const int32_t token : there) cls_there.values.push_back(cls.view()(head, token));
    }
    owned.of_block[{Signal::ClsAttention, kNextBlock}] = cls_there;
    owned.of[Signal::TextAttention] =
        test::golden_rows(fixture, stage_name_in("in", stage, "attn_text_rows_image_cols"));
    const MethodUse use = parse_method("mustdrop:global=0.02,individual=0.03");
    Signals signals = owned.view(use.method->needs(use.params));
    signals.text_ids = test::first_integers(fixture.i32("param.n_text").at(0));

    const Ints kept = fixture.i32(stage_name_in("out", stage, "kept_original_index"));
    Rng rng(1);
    EXPECT_EQ(pick(there, run_method(use, signals, kMethodDecides, rng).index), kept);
    EXPECT_EQ(pick(there, run_method(use, signals, static_cast<int32_t>(kept.size()), rng).index), kept)
        << "the same count, asked for";
    for (const int32_t key : key_set) EXPECT_TRUE(std::ranges::count(kept, key)) << "key token " << key;
    // Asked for as many as there are key tokens, and at the first stage all of them are there.
    EXPECT_EQ(pick(there, run_method(use, signals, static_cast<int32_t>(key_set.size()), rng).index),
              key_set);
    there = kept;
  }
  // What the authors' last stage leaves in the caches: the prompt's 14 other tokens and the last kept set.
  const Ints lengths = fixture.i32("out.kv_len_per_layer");
  EXPECT_EQ(lengths.back(), 14 + static_cast<int32_t>(there.size()));
}

// ---- V2Drop

TEST(V2DropGolden, KeepsWhatTheAuthorsKeep) {
  const TensorFixture fixture = test::golden("v2drop/n576_D64");
  for (int stage = 0; stage < 3; ++stage) {
    SCOPED_TRACE("stage " + std::to_string(stage));
    const Matrix now = test::golden_rows(fixture, stage_name_in("in", stage, "cur_in"));
    OwnedSignals signals = test::first_tokens(24, now.rows);
    signals.of[Signal::Hidden] = now;
    signals.of[Signal::PreviousHidden] = test::golden_rows(fixture, stage_name_in("in", stage, "prev_in"));
    const Ints kept = fixture.i32(stage_name_in("out", stage, "kept"));
    const Plan plan = test::run("v2drop", signals, static_cast<int32_t>(kept.size()));
    EXPECT_EQ(plan.index, kept);
    EXPECT_TRUE(plan.is_selection());
  }
}

// ---- BTP

TEST(BtpGolden, FarthestPointsInTheAuthorsOrder) {
  const Ints order = test::golden("btp/fps_6x6_k12").i32("out.kept_pick_order");
  const OwnedSignals signals{{6, 6}, {}, {}};
  for (int32_t count = 1; count <= 12; ++count) {
    Ints expected(order.begin(), order.begin() + count);
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(test::run("btp:spatial=1,diversity=0,attention=0", signals, count).index, expected);
  }
}

OwnedSignals btp_signals(const TensorFixture& fixture, int stage) {
  const Matrix hidden = test::golden_rows(fixture, stage_name_in("in", stage, "hidden_image"));
  OwnedSignals signals = test::first_tokens(24, hidden.rows);
  signals.of[Signal::Hidden] = hidden;
  signals.of[Signal::LastTextAttention] =
      test::columns(test::golden_rows(fixture, stage_name_in("in", stage, "attn_last_row")),
                    fixture.i32("param.image_start").at(0), hidden.rows);
  return signals;
}

TEST(BtpGolden, DiverseTokensInTheAuthorsOrder) {
  const TensorFixture fixture = test::golden("btp/llava576_D64");
  for (int stage = 0; stage < 2; ++stage) {
    const OwnedSignals signals = btp_signals(fixture, stage);
    const Ints order = fixture.i32(stage_name_in("out", stage, "div_part"));
    for (const std::size_t count : {std::size_t{1}, std::size_t{2}, std::size_t{9}, order.size()}) {
      Ints expected(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count));
      std::sort(expected.begin(), expected.end());
      EXPECT_EQ(
          test::run("btp:spatial=0,diversity=1,attention=0", signals, static_cast<int32_t>(count)).index,
          expected);
    }
  }
}

TEST(BtpGolden, KeepsWhatTheAuthorsKeep) {
  const TensorFixture fixture = test::golden("btp/llava576_D64");
  const MethodUse use = parse_method("btp");
  const std::vector<Scheduled> steps = use.method->schedule({576, 32, 0.0}, use.params);
  ASSERT_EQ(steps.size(), 4U);
  // At the second stage the authors keep tokens twice; what they mean is in kept_if_deduplicated.
  const char* const results[] = {"kept", "kept_if_deduplicated", "kept"};
  for (int stage = 0; stage < 3; ++stage) {
    SCOPED_TRACE("stage " + std::to_string(stage));
    const OwnedSignals owned = btp_signals(fixture, stage);
    const MethodUse staged{use.method, Params("btp", use.method->info().params, steps[stage].params)};
    const Ints kept = fixture.i32(stage_name_in("out", stage, results[stage]));
    EXPECT_EQ(steps[stage].n_keep, static_cast<int32_t>(kept.size()));
    Rng rng(1);
    const Plan plan =
        run_method(staged, owned.view(use.method->needs(staged.params)), steps[stage].n_keep, rng);
    EXPECT_EQ(plan.index, kept);
    for (const int32_t token : fixture.i32(stage_name_in("out", stage, "attn_part"))) {
      EXPECT_TRUE(std::ranges::count(plan.index, token)) << "attended token " << token;
    }
  }
}

}  // namespace
}  // namespace winnow::prune
