#include "winnow/scenes/render.h"

#include <gtest/gtest.h>
#include <png.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/support/expect_error.h"
#include "winnow/scenes/direction.h"
#include "winnow/scenes/font.h"
#include "winnow/scenes/mask.h"

namespace winnow::scenes {
namespace {

using test::expect_error;
using Picture = std::vector<uint8_t>;  // [kSide, kSide, 3]

constexpr int32_t kNoise = 4;  // the picture's noise on a channel, at most

Scene scene_of(const std::string& difficulty, uint64_t index) {
  Rng rng = scene_rng(Split::Test, 3, index);
  return make_scene(parse_difficulty(difficulty), rng);
}

// FNV-1a, 64 bits.
uint64_t checksum(const Picture& picture) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const uint8_t byte : picture) hash = (hash ^ byte) * 0x100000001b3ULL;
  return hash;
}

// Largest difference of a pixel's channels.
int32_t distance(const uint8_t* a, const uint8_t* b) {
  int32_t largest = 0;
  for (int32_t c = 0; c < 3; ++c) largest = std::max(largest, std::abs(a[c] - b[c]));
  return largest;
}

Box box_of_difference(const Picture& a, const Picture& b) {
  Box box = {kSide, kSide, 0.0F, 0.0F};
  for (int32_t i = 0; i < kSide * kSide; ++i) {
    if (distance(&a[static_cast<std::size_t>(3 * i)], &b[static_cast<std::size_t>(3 * i)]) == 0) continue;
    const auto x = static_cast<float>(i % kSide);
    const auto y = static_cast<float>(i / kSide);
    box = {std::min(box.x0, x), std::min(box.y0, y), std::max(box.x1, x + 1), std::max(box.y1, y + 1)};
  }
  return box;
}

// The checksums are those of the first version of the world (x86-64, gcc 12 and clang 14, -O0 to -O3). A
// change of them means that the built-in model was trained on other pictures.
TEST(Render, GivesTheSameBytesEverywhere) {
  struct Case {
    const char* difficulty;
    uint64_t index;
    uint64_t expected;
  };
  const Case cases[] = {{"default", 0, 12669164764972299858ULL}, {"default", 1, 14690288265341821204ULL},
                        {"default", 2, 10734568458519982453ULL}, {"easy", 0, 9999464506432747621ULL},
                        {"easy", 5, 7731183544432937770ULL},     {"hard", 0, 15494096872845298171ULL},
                        {"hard", 9, 12429713963722264343ULL}};
  for (const Case& c : cases) {
    EXPECT_EQ(checksum(render(scene_of(c.difficulty, c.index))), c.expected)
        << c.difficulty << " " << c.index;
  }
}

// Fewer words, more pictures: one number for 300 of them.
TEST(Render, ManyPicturesHaveTheSameBytesEverywhere) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < 300; ++i) sum = sum * 31 + checksum(render(scene_of("default", i)));
  EXPECT_EQ(sum, 2822905006079675510ULL);
}

TEST(Render, BoxesAreTight) {
  for (const char* difficulty : {"easy", "default", "hard"}) {
    for (uint64_t i = 0; i < 40; ++i) {
      const Scene scene = scene_of(difficulty, i);
      const Picture with = render(scene);
      for (std::size_t j = 0; j < scene.objects.size(); ++j) {
        Scene rest = scene;
        rest.objects.erase(rest.objects.begin() + static_cast<std::ptrdiff_t>(j));
        const Box drawn = box_of_difference(with, render(rest));
        const Box& box = scene.objects[j].box;
        EXPECT_NEAR(drawn.x0, box.x0, 1.0F) << difficulty << " " << i;
        EXPECT_NEAR(drawn.y0, box.y0, 1.0F) << difficulty << " " << i;
        EXPECT_NEAR(drawn.x1, box.x1, 1.0F) << difficulty << " " << i;
        EXPECT_NEAR(drawn.y1, box.y1, 1.0F) << difficulty << " " << i;
        EXPECT_GE(drawn.x0, box.x0);
        EXPECT_LE(drawn.y1, box.y1);
      }
    }
  }
}

TEST(Render, TextsStayInTheirBoxes) {
  for (uint64_t i = 0; i < 200; ++i) {
    const Scene scene = scene_of("hard", i);
    Scene rest = scene;
    if (scene.texts.empty()) continue;
    rest.texts.erase(rest.texts.begin());
    const Box drawn = box_of_difference(render(scene), render(rest));
    const Box& box = scene.texts.front().box;
    EXPECT_GE(drawn.x0, box.x0);
    EXPECT_EQ(drawn.y0, box.y0);
    EXPECT_LE(drawn.x1, std::ceil(box.x1));
    EXPECT_NEAR(drawn.y1, box.y1, 0.5F);
  }
}

// Number of font pixels in which the glyph's cell disagrees with a letter. A font pixel is looked at in its
// first whole pixel.
int32_t mismatches(const Picture& picture, const Text& text, const Glyph& glyph, char letter) {
  int32_t n_wrong = 0;
  for (int32_t row = 0; row < kGlyphHeight; ++row) {
    for (int32_t column = 0; column < kGlyphWidth; ++column) {
      const auto first = [&](float start, int32_t k) {  // centre at or behind the font pixel's edge
        return static_cast<int32_t>(start + std::ceil(static_cast<float>(k) * text.scale - 0.5F));
      };
      const int32_t pixel = first(glyph.box.y0, row) * kSide + first(glyph.box.x0, column);
      const bool is_ink = distance(&picture[static_cast<std::size_t>(3 * pixel)], text.rgb.data()) <= kNoise;
      if (is_ink != has_ink(letter, column, row)) ++n_wrong;
    }
  }
  return n_wrong;
}

TEST(Render, EveryLetterCanBeReadBack) {
  const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  int32_t n_read = 0;
  for (const char* difficulty : {"easy", "default", "hard"}) {
    for (uint64_t i = 0; i < 150; ++i) {
      const Scene scene = scene_of(difficulty, i);
      const Picture picture = render(scene);
      for (const Text& text : scene.texts) {
        for (const Glyph& glyph : text.glyphs) {
          std::string matches;
          for (const char letter : letters) {
            if (mismatches(picture, text, glyph, letter) == 0) matches += letter;
          }
          EXPECT_EQ(matches, std::string(1, glyph.letter)) << text.content << " " << difficulty << " " << i;
          ++n_read;
        }
      }
    }
  }
  EXPECT_GT(n_read, 700);
}

// Whole pixels of an object have its colour: nothing lies over it.
TEST(Render, ObjectsAreOnTopAndHaveTheirColour) {
  for (uint64_t i = 0; i < 200; ++i) {
    Scene scene = scene_of("default", i);
    scene.n_clutter = 40;
    const Picture picture = render(scene);
    for (const Object& object : scene.objects) {
      const Mask mask = mask_of(object);
      int32_t n_whole = 0;
      for (int32_t p = 0; p < mask.width * mask.height; ++p) {
        if (mask.coverage[static_cast<std::size_t>(p)] != kFullCoverage) continue;
        const int32_t pixel = (mask.y0 + p / mask.width) * kSide + mask.x0 + p % mask.width;
        EXPECT_LE(distance(&picture[static_cast<std::size_t>(3 * pixel)], object.rgb.data()), kNoise);
        ++n_whole;
      }
      EXPECT_GE(n_whole, 8) << i;
    }
  }
}

TEST(Render, ClutterIsDrawn) {
  Scene scene = scene_of("easy", 0);
  const Picture plain = render(scene);
  scene.n_clutter = 8;
  EXPECT_NE(render(scene), plain);
}

TEST(Render, SeedDecidesNoiseOnly) {
  Scene scene = scene_of("easy", 1);
  scene.backdrop = Backdrop::Gradient;
  const Picture a = render(scene);
  scene.seed += 1;
  const Picture b = render(scene);
  EXPECT_NE(a, b);
  for (std::size_t i = 0; i < a.size(); i += 3) ASSERT_LE(distance(&a[i], &b[i]), 2 * kNoise);
}

TEST(Render, EveryBackdropLooksDifferentAndIsDull) {
  Scene scene = scene_of("easy", 2);
  scene.objects.clear();
  scene.texts.clear();
  scene.dark = {2, 20, 38};
  scene.light = {123, 105, 87};
  std::set<uint64_t> checksums;
  for (int32_t i = 0; i < 5; ++i) {
    scene.backdrop = static_cast<Backdrop>(i);
    const Picture picture = render(scene);
    checksums.insert(checksum(picture));
    EXPECT_LE(*std::max_element(picture.begin(), picture.end()), 123 + kNoise);
    const bool is_plain = scene.backdrop == Backdrop::Plain;
    int32_t n_light = 0;
    for (std::size_t p = 0; p < picture.size(); p += 3) n_light += picture[p] > 62 ? 1 : 0;
    EXPECT_GE(n_light, is_plain ? 0 : 3000) << i;
    EXPECT_LE(n_light, is_plain ? 0 : 6200) << i;
  }
  EXPECT_EQ(checksums.size(), 5u);
}

TEST(Render, ContrastFadesColours) {
  Rng bright_rng(5), faded_rng(5);
  const Scene bright = make_scene({}, bright_rng);
  const Scene faded = make_scene({.contrast = 0.6F}, faded_rng);
  ASSERT_EQ(bright.objects.size(), faded.objects.size());
  for (std::size_t i = 0; i < bright.objects.size(); ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      const double mean = 0.5 * (bright.dark[c] + bright.light[c]);
      EXPECT_NEAR(faded.objects[i].rgb[c] - mean, 0.6 * (bright.objects[i].rgb[c] - mean), 1.0);
    }
  }
}

TEST(Render, ClipsAtTheBorder) {
  Scene scene = scene_of("default", 0);
  scene.objects.front().x = -3.0F;
  scene.objects.front().y = kSide + 2.0F;
  EXPECT_EQ(render(scene).size(), std::size_t{3} * kSide * kSide);
  scene.objects.front().x = 500.0F;
  EXPECT_EQ(mask_of(scene.objects.front()).width, 0);
}

TEST(Mask, ShapesDifferInWhatTheyCover) {
  std::vector<double> areas;
  for (int32_t i = 0; i < kShapes; ++i) {
    Object object;
    object.shape = static_cast<Shape>(i);
    object.x = object.y = 48.0F;
    object.radius = 40.0F;
    double sum = 0.0;
    for (const uint8_t covered : mask_of(object).coverage) sum += covered;
    areas.push_back(sum / kFullCoverage / (40.0 * 40.0));
  }
  EXPECT_NEAR(areas[0], 3.14159 * 0.95 * 0.95, 0.01);          // circle
  EXPECT_NEAR(areas[1], 4.0 * 0.82 * 0.82, 0.04);              // square
  EXPECT_NEAR(areas[2], 0.53 * 1.75 * 1.75, 0.03);             // triangle
  EXPECT_NEAR(areas[3], 2.0 * 0.66 * 1.08, 0.03);              // diamond
  EXPECT_NEAR(areas[5], 2.0 * 2.0 * 0.6 - 0.6 * 0.6, 0.03);    // cross
  EXPECT_NEAR(areas[6], 3.14159 * (1.0 - 0.58 * 0.58), 0.02);  // ring
  EXPECT_NEAR(areas[9], 1.1 * 0.48 + 0.9 * 0.9 * 0.9, 0.03);   // arrow
  for (const double area : areas) EXPECT_TRUE(area > 0.9 && area < 3.0) << area;
}

TEST(Mask, TurnsWithTheAngle) {
  Object arrow;
  arrow.shape = Shape::Arrow;
  arrow.x = arrow.y = 48.0F;
  arrow.radius = 20.0F;
  const Box level = mask_of(arrow).box();
  EXPECT_GT(level.x1 - level.x0, level.y1 - level.y0);
  arrow.angle = 1.5707963F;
  const Box upright = mask_of(arrow).box();
  EXPECT_NEAR(upright.y1 - upright.y0, level.x1 - level.x0, 1.0F);
  EXPECT_NEAR(upright.x1 - upright.x0, level.y1 - level.y0, 1.0F);
}

TEST(Direction, IsAUnitVector) {
  for (double angle = -10.0; angle < 10.0; angle += 0.01) {
    const Direction direction = direction_of(angle);
    ASSERT_NEAR(direction.x, std::cos(angle), 1e-8) << angle;
    ASSERT_NEAR(direction.y, std::sin(angle), 1e-8) << angle;
  }
}

TEST(Font, LettersAreDistinctAndFillTheirCell) {
  std::set<std::string> patterns;
  for (const char letter : std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")) {
    std::string pattern;
    for (int32_t i = 0; i < kGlyphWidth * kGlyphHeight; ++i) {
      pattern += has_ink(letter, i % kGlyphWidth, i / kGlyphWidth) ? '#' : '.';
    }
    patterns.insert(pattern);
    EXPECT_NE(pattern.substr(0, 5), ".....") << letter;
    EXPECT_NE(pattern.substr(30, 5), ".....") << letter;
  }
  EXPECT_EQ(patterns.size(), 36u);
  EXPECT_FALSE(has_ink('a', 2, 0));
  EXPECT_FALSE(has_ink('H', 5, 0));
  EXPECT_FALSE(has_ink('H', -1, 0));
  EXPECT_FALSE(has_ink('H', 0, 7));
}

TEST(Png, DecodesToTheSameBytes) {
  const Picture picture = render(scene_of("default", 4));
  const std::vector<uint8_t> file = encode_png(picture, kSide, kSide);
  EXPECT_LT(file.size(), picture.size() + 1000);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  ASSERT_NE(png_image_begin_read_from_memory(&image, file.data(), file.size()), 0) << image.message;
  EXPECT_EQ(image.width, static_cast<uint32_t>(kSide));
  EXPECT_EQ(image.height, static_cast<uint32_t>(kSide));
  EXPECT_EQ(image.format, static_cast<uint32_t>(PNG_FORMAT_RGB));
  image.format = PNG_FORMAT_RGB;
  Picture decoded(PNG_IMAGE_SIZE(image));
  ASSERT_NE(png_image_finish_read(&image, nullptr, decoded.data(), 0, nullptr), 0) << image.message;
  EXPECT_EQ(decoded, picture);
}

TEST(Png, HoldsPicturesThatAreNotSquare) {
  const std::vector<uint8_t> rgb = {1, 2, 3, 4, 5, 6};
  const std::vector<uint8_t> file = encode_png(rgb, 2, 1);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  ASSERT_NE(png_image_begin_read_from_memory(&image, file.data(), file.size()), 0) << image.message;
  EXPECT_EQ(image.width, 2u);
  EXPECT_EQ(image.height, 1u);
  png_image_free(&image);
}

TEST(Png, BadSizesThrow) {
  const std::vector<uint8_t> rgb(12);
  expect_error(ErrorCode::InvalidArgument, "[scenes.encode_png] wrong number of bytes, got 12, expected 18",
               [&] { encode_png(rgb, 3, 2); });
  expect_error(ErrorCode::InvalidArgument, "bad picture size, got 0 x 2", [&] { encode_png(rgb, 0, 2); });
  expect_error(ErrorCode::InvalidArgument, "bad picture size, got 2 x -2", [&] { encode_png(rgb, 2, -2); });
}

}  // namespace
}  // namespace winnow::scenes
