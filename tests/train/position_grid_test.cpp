// Position embeddings of a smaller grid against PyTorch, whose interpolation transformers calls.

#include "winnow/engine/vision/position_grid.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <vector>

namespace winnow {
namespace {

TEST(ResizePositions, EqualTorchInterpolate) {
  torch::manual_seed(1);
  constexpr int64_t kWidth = 7;
  for (const int32_t from : {2, 6, 12, 24}) {
    for (const int32_t to : {1, 2, 3, 5, 6, 11, 12, 17, 24}) {
      const torch::Tensor table = torch::randn({1 + int64_t{from} * from, kWidth});
      const auto grid = table.slice(0, 1).reshape({1, from, from, kWidth}).permute({0, 3, 1, 2});
      const auto options = torch::nn::functional::InterpolateFuncOptions()
                               .size(std::vector<int64_t>{to, to})
                               .mode(torch::kBicubic)
                               .align_corners(false);
      const torch::Tensor resized =
          torch::nn::functional::interpolate(grid, options).permute({0, 2, 3, 1}).reshape({-1, kWidth});
      const torch::Tensor expected = torch::cat({table.slice(0, 0, 1), resized}).contiguous();
      const std::vector<float> got = engine::resize_positions(
          {table.data_ptr<float>(), static_cast<std::size_t>(table.numel())}, 1, {from, from}, {to, to});
      ASSERT_EQ(static_cast<int64_t>(got.size()), expected.numel());
      for (std::size_t i = 0; i < got.size(); ++i) {
        ASSERT_NEAR(got[i], expected.data_ptr<float>()[i], 1e-5) << from << " to " << to << " at " << i;
      }
    }
  }
}

}  // namespace
}  // namespace winnow
