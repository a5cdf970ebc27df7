// The kernels against the same formulas as tensor operations: values and every gradient.

#include "winnow/train/ops.h"

#include <gtest/gtest.h>

#include <functional>

namespace winnow::train {
namespace {

using torch::Tensor;

constexpr double kTolerance = 2e-5;

Tensor leaf(std::vector<int64_t> shape) { return torch::randn(shape).requires_grad_(true); }

/// Compares f and plain on the same leaves: result, and gradients of a random weighting of it.
void expect_same(const std::vector<Tensor>& inputs,
                 const std::function<Tensor(const std::vector<Tensor>&)>& fast,
                 const std::function<Tensor(const std::vector<Tensor>&)>& plain) {
  std::vector<Tensor> a, b;
  for (const Tensor& x : inputs) {
    a.push_back(x.detach().clone().requires_grad_(true));
    b.push_back(x.detach().clone().requires_grad_(true));
  }
  const Tensor ya = fast(a), yb = plain(b);
  ASSERT_EQ(ya.sizes(), yb.sizes());
  EXPECT_LE((ya - yb).abs().max().item<double>(), kTolerance);
  const Tensor weight = torch::randn(ya.sizes());
  (ya * weight).sum().backward();
  (yb * weight).sum().backward();
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_TRUE(a[i].grad().defined()) << "input " << i;
    const double scale = std::max(1.0, b[i].grad().abs().max().item<double>());
    EXPECT_LE((a[i].grad() - b[i].grad()).abs().max().item<double>(), kTolerance * scale)
        << "gradient of input " << i;
  }
}

/// Two prompts: a prefix of 5 rows with questions of 3 and 2 rows, and one of 4 rows with a question of 6.
LayoutPtr small_layout() {
  auto layout = std::make_shared<AttentionLayout>();
  int64_t row = 0;
  const auto add_group = [&](int64_t n_prefix, const std::vector<int64_t>& questions) {
    AttentionLayout::Group group;
    group.query_start = group.key_start = row;
    group.n_prefix = n_prefix;
    for (int64_t i = 0; i < n_prefix; ++i, ++row) {
      layout->limit.push_back(static_cast<int32_t>(i + 1));
      layout->own_start.push_back(0);
      layout->n_own.push_back(0);
    }
    for (const int64_t n : questions) {
      const int64_t start = row;
      for (int64_t i = 0; i < n; ++i, ++row) {
        layout->limit.push_back(static_cast<int32_t>(n_prefix));
        layout->own_start.push_back(static_cast<int32_t>(start));
        layout->n_own.push_back(static_cast<int32_t>(i + 1));
      }
    }
    group.n_query = group.n_key = row - group.key_start;
    layout->groups.push_back(group);
  };
  add_group(5, {3, 2});
  add_group(4, {6});
  return layout;
}

/// The same with the last row of every question as the only queries.
LayoutPtr last_rows(const AttentionLayout& all, std::vector<int64_t>& rows) {
  rows = {7, 9, 19};
  auto layout = std::make_shared<AttentionLayout>();
  layout->groups = {{0, 2, 0, 5, 10}, {2, 1, 10, 4, 10}};
  for (const int64_t row : rows) {
    layout->limit.push_back(all.limit[static_cast<std::size_t>(row)]);
    layout->own_start.push_back(all.own_start[static_cast<std::size_t>(row)]);
    layout->n_own.push_back(all.n_own[static_cast<std::size_t>(row)]);
  }
  return layout;
}

TEST(TrainOps, AttentionOfPackedQuestions) {
  torch::manual_seed(1);
  const LayoutPtr layout = small_layout();
  expect_same(
      {leaf({20, 32}), leaf({20, 32}), leaf({20, 32})},
      [&](const auto& x) { return packed_attention(x[0], x[1], x[2], layout, 4); },
      [&](const auto& x) { return plain_attention(x[0], x[1], x[2], *layout, 4); });
}

TEST(TrainOps, AttentionOfSomeRowsIsThatOfAll) {
  torch::manual_seed(2);
  const LayoutPtr all = small_layout();
  std::vector<int64_t> rows;
  const LayoutPtr some = last_rows(*all, rows);
  const Tensor index = torch::tensor(rows, torch::kLong);
  expect_same(
      {leaf({20, 32}), leaf({20, 32}), leaf({20, 32})},
      [&](const auto& x) { return packed_attention(x[0].index_select(0, index), x[1], x[2], some, 4); },
      [&](const auto& x) { return plain_attention(x[0], x[1], x[2], *all, 4).index_select(0, index); });
}

TEST(TrainOps, AQuestionDoesNotSeeItsNeighbours) {
  torch::manual_seed(3);
  const LayoutPtr layout = small_layout();
  const Tensor q = torch::randn({20, 16}), k = torch::randn({20, 16}), v = torch::randn({20, 16});
  const Tensor before = packed_attention(q, k, v, layout, 2);
  k.narrow(0, 5, 3).fill_(9.0);  // the first question's rows
  v.narrow(0, 5, 3).fill_(9.0);
  const Tensor change = (packed_attention(q, k, v, layout, 2) - before).abs().amax(1);
  for (int64_t row = 0; row < 20; ++row) {
    const double moved = change[row].item<double>();
    if (row >= 5 && row < 8)
      EXPECT_GT(moved, 1e-3) << row;
    else
      EXPECT_EQ(moved, 0.0) << row;
  }
}

TEST(TrainOps, RmsNorm) {
  torch::manual_seed(4);
  expect_same(
      {leaf({7, 48}), leaf({48})}, [](const auto& x) { return rms_norm(x[0], x[1], 1e-5); },
      [](const auto& x) { return plain_rms_norm(x[0], x[1], 1e-5); });
}

TEST(TrainOps, SwiGlu) {
  torch::manual_seed(5);
  expect_same(
      {4.0 * leaf({9, 40}), leaf({9, 40})}, [](const auto& x) { return swiglu(x[0], x[1]); },
      [](const auto& x) { return plain_swiglu(x[0], x[1]); });
}

TEST(TrainOps, QuickGelu) {
  torch::manual_seed(6);
  expect_same(
      {4.0 * leaf({9, 40})}, [](const auto& x) { return quick_gelu(x[0]); },
      [](const auto& x) { return plain_quick_gelu(x[0]); });
}

TEST(TrainOps, LargeValuesStayFinite) {
  const Tensor x = torch::tensor({-1e4F, -200.0F, -88.0F, 0.0F, 88.0F, 200.0F, 1e4F}).view({1, 7});
  EXPECT_TRUE(torch::isfinite(quick_gelu(x)).all().item<bool>());
  EXPECT_LE((swiglu(x, torch::ones_like(x)) - torch::silu(x)).abs().max().item<double>(), 1e-3);
}

TEST(TrainOps, Rope) {
  torch::manual_seed(7);
  const Tensor angle = torch::rand({6, 8}) * 6.0;
  const Tensor cos = torch::cos(angle), sin = torch::sin(angle);
  expect_same(
      {leaf({6, 48})}, [&](const auto& x) { return rope(x[0], cos, sin, 3); },
      [&](const auto& x) { return plain_rope(x[0], cos, sin, 3); });
}

TEST(TrainOps, Bfloat16ProductsAreNear) {
  torch::manual_seed(8);
  const Tensor x = torch::randn({5, 64}), w = torch::randn({32, 64}), b = torch::randn({32});
  const Tensor exact = linear(x, w, b, false), rounded = linear(x, w, b, true);
  EXPECT_LE((exact - rounded).abs().max().item<double>(), 0.3);
  EXPECT_GT((exact - rounded).abs().max().item<double>(), 0.0);
}

}  // namespace
}  // namespace winnow::train
