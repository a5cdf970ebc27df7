// Frames of a video: animated GIFs against Pillow, folders, lists, even samples.

#include "winnow/engine/image_frames.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/engine/image/image_fixtures.h"

namespace winnow::engine {
namespace {
namespace fs = std::filesystem;

using Ints = std::vector<int32_t>;

std::string animation_path(const std::string& name) {
  return std::string(WINNOW_TEST_DATA) + "/animations/" + name;
}

TEST(LoadAnimation, EqualsPillow) {
  const record::TensorFile expected = record::read_safetensors(animation_path("frames.safetensors"));
  EXPECT_EQ(expected.tensors.size(), 6U);
  for (const auto& [name, tensor] : expected.tensors) {
    const std::vector<Image> frames = load_animation(animation_path(name + ".gif"));
    ASSERT_EQ(std::ssize(frames), tensor.shape.at(0)) << name;
    Ints got;
    for (const Image& frame : frames) {
      EXPECT_EQ(frame.width, 9);
      EXPECT_EQ(frame.height, 7);
      got.insert(got.end(), frame.rgb.begin(), frame.rgb.end());
    }
    EXPECT_EQ(got, tensor.i32) << name;
    EXPECT_EQ(frames[0].rgb, load_image(animation_path(name + ".gif")).rgb) << "a picture is the first frame";
  }
}

TEST(LoadAnimation, OtherPicturesAreOneFrame) {
  for (const char* name : {"rgb8.png", "animated.webp", "still_interlaced.gif"}) {
    const std::vector<Image> frames = load_animation(image_path(name));
    ASSERT_EQ(frames.size(), 1U) << name;
    EXPECT_EQ(frames[0].rgb, load_image(image_path(name)).rgb) << name;
  }
}

TEST(LoadAnimation, BadInput) {
  std::vector<uint8_t> gif = file_bytes(animation_path("previous.gif"));
  for (std::size_t n = 13; n < gif.size(); n += 7) {
    EXPECT_THROW(decode_animation(std::span(gif).first(n)), Error) << n;
  }
  ImageLimits limits;
  limits.max_animation_pixels = 4 * 63;
  expect_error(ErrorCode::InvalidArgument, "too large, got 315 pixels in 5 frames, expected at most 252",
               [&] { decode_animation(gif, limits); });
  const std::vector<uint8_t> second = {0x2C, 2, 0, 1, 0, 4, 0, 5, 0};
  const auto at = std::search(gif.begin(), gif.end(), second.begin(), second.end());
  ASSERT_NE(at, gif.end());
  at[1] = 6;
  expect_error(ErrorCode::Corrupt, "GIF frame of 4x5 pixels at (6, 1), expected it inside the 9x7",
               [&] { decode_animation(gif); });
  expect_error(ErrorCode::NotFound, "no such file", [] { load_animation("nowhere.gif"); });
}

TEST(EvenFrames, AreSpread) {
  EXPECT_EQ(even_frames(5, 8), (Ints{0, 1, 2, 3, 4}));
  EXPECT_EQ(even_frames(10, 4), (Ints{0, 2, 5, 7}));
  EXPECT_EQ(even_frames(7, 1), (Ints{0}));
  EXPECT_EQ(even_frames(0, 3), Ints{});
  EXPECT_EQ(even_frames(2'000'000'000, 2), (Ints{0, 1'000'000'000}));
  expect_error(ErrorCode::InvalidArgument, "got at most 0, expected 1 or more", [] { even_frames(5, 0); });
}

/// A folder of this process for frames.
class Frames : public testing::Test {
 protected:
  Frames() : folder_(testing::TempDir() + "/winnow_frames_" + std::to_string(getpid())) {
    fs::create_directories(folder_);
  }
  ~Frames() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  std::string write(const std::string& name, int32_t width) const {
    const std::string path = folder_ + "/" + name;
    save_png(picture(width, 3), path);
    return path;
  }
  static Ints widths(const std::vector<Image>& frames) {
    Ints out;
    for (const Image& frame : frames) out.push_back(frame.width);
    return out;
  }
  std::string folder_;
};

TEST_F(Frames, OfAFolderInTheOrderOfTheirNames) {
  for (const auto& [name, width] : {std::pair{"b.png", 2}, {"a.png", 1}, {"c10.png", 3}, {"c2.png", 4}}) {
    write(name, width);
  }
  std::ofstream(folder_ + "/.hidden") << "no picture";
  EXPECT_EQ(widths(load_frames({folder_}, 9)), (Ints{1, 2, 3, 4}));
  EXPECT_EQ(widths(load_frames({folder_}, 2)), (Ints{1, 3}));
}

TEST_F(Frames, OfAListAndOfAnAnimation) {
  const std::string a = write("a.png", 1), b = write("b.png", 2);
  EXPECT_EQ(widths(load_frames({b, a, b}, 9)), (Ints{2, 1, 2}));
  EXPECT_EQ(widths(load_frames({a}, 9)), (Ints{1}));
  const std::vector<Image> all = load_animation(animation_path("previous.gif"));
  const std::vector<Image> some = load_frames({animation_path("previous.gif")}, 2);
  ASSERT_EQ(some.size(), 2U);
  EXPECT_EQ(some[1].rgb, all[2].rgb);
}

TEST_F(Frames, BadInput) {
  expect_error(ErrorCode::InvalidArgument, "is an empty folder, expected the frames of a video",
               [&] { load_frames({folder_}, 9); });
  expect_error(ErrorCode::NotFound, "no such file", [&] { load_frames({folder_ + "/x.png"}, 9); });
  const std::string a = write("a.png", 1);
  expect_error(ErrorCode::Io, "is a folder", [&] { load_frames({a, folder_}, 9); });
  std::ofstream(folder_ + "/b.txt") << "text";
  expect_error(ErrorCode::Unsupported, "b.txt': not an image", [&] { load_frames({folder_}, 9); });
  EXPECT_TRUE(load_frames({}, 9).empty());
}

}  // namespace
}  // namespace winnow::engine
