#include "winnow/engine/image_own_size.h"

#include <gtest/gtest.h>

#include "tests/support/expect_error.h"

namespace winnow::engine {
namespace {

using test::expect_error;

constexpr int32_t kFactor = 28;
constexpr PixelRange kSmall{3136, 50176};         // 4 to 64 visual tokens
constexpr PixelRange kPublished{3136, 12845056};  // Qwen2-VL's checkpoints

void expect_size(PixelSize picture, PixelRange range, PixelSize expected) {
  const PixelSize got = smart_resize(picture, kFactor, range);
  EXPECT_EQ(got.width, expected.width) << picture.width << " x " << picture.height;
  EXPECT_EQ(got.height, expected.height) << picture.width << " x " << picture.height;
}

/// By hand from the formula of transformers' smart_resize.
TEST(SmartResize, MultiplesOfTheFactor) {
  expect_size({168, 112}, kSmall, {168, 112});
  expect_size({190, 120}, kSmall, {196, 112});
  expect_size({70, 98}, kSmall, {56, 112});  // halves to even: 2.5 -> 2, 3.5 -> 4
  expect_size({4000, 3000}, kPublished, {4004, 2996});
}

TEST(SmartResize, TooSmallAndTooLarge) {
  expect_size({28, 28}, kSmall, {56, 56});
  expect_size({1, 1}, kSmall, {56, 56});
  expect_size({10, 400}, kSmall, {28, 364});
  expect_size({1, 200}, kSmall, {28, 812});
  expect_size({4000, 3000}, kSmall, {252, 168});
  expect_size({20000, 100}, {784, 784}, {392, 28});  // one row at least, also over the range
}

TEST(SmartResize, EveryPictureStaysInTheRange) {
  for (int32_t width = 30; width < 900; width += 37) {
    for (int32_t height = 30; height < 900; height += 41) {
      const PixelSize got = smart_resize({width, height}, kFactor, kSmall);
      ASSERT_EQ(got.width % kFactor + got.height % kFactor, 0);
      ASSERT_GE(got.width * got.height, kSmall.min);
      ASSERT_LE(got.width * got.height, kSmall.max);
    }
  }
}

TEST(SmartResize, PicturesThatAreNone) {
  expect_error(ErrorCode::InvalidArgument, "1x1000 pixels, expected one at most 200 times as long as wide",
               [] {
                 smart_resize({1, 1000}, kFactor, kSmall);
               });
  expect_error(ErrorCode::InvalidArgument, "201x1 pixels", [] { smart_resize({201, 1}, kFactor, kSmall); });
  expect_error(ErrorCode::InvalidArgument, "empty image, got 0x5", [] {
    smart_resize({0, 5}, kFactor, kSmall);
  });
}

}  // namespace
}  // namespace winnow::engine
