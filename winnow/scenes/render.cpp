#include "winnow/scenes/render.h"

#include <algorithm>
#include <cmath>

#include "winnow/scenes/direction.h"
#include "winnow/scenes/font.h"
#include "winnow/scenes/mask.h"

namespace winnow::scenes {
namespace {

constexpr int32_t kPixels = kSide * kSide;
constexpr int32_t kMixes = 256;  // steps from the backdrop's dark colour to its light one

// Streams of Scene::seed. Separate, so that a picture without one of its objects differs in that object
// alone.
enum Stream : uint64_t { kBackdropStream = 1, kClutterStream = 2, kNoiseStream = 3 };

using Picture = std::vector<uint8_t>;  // [kSide, kSide, 3]

// Random bytes, eight for one number of the generator: calls use(i, byte) for i in [0, n). n is a multiple
// of 8.
template <class Use>
void for_random_bytes(Rng rng, int32_t n, Use use) {
  for (int32_t i = 0; i < n; i += 8) {
    uint64_t bits = rng.next();
    for (int32_t j = 0; j < 8; ++j, bits >>= 8) use(i + j, static_cast<int32_t>(bits & 0xff));
  }
}

void set_pixel(Picture& picture, int32_t x, int32_t y, const Rgb& rgb) {
  if (x < 0 || y < 0 || x >= kSide || y >= kSide) return;
  std::copy(rgb.begin(), rgb.end(), picture.begin() + 3 * (y * kSide + x));
}

constexpr int32_t kWaveSteps = 256;
using Wave = std::array<uint8_t, kWaveSteps>;

// One period of a sine, in mixes, from two parabolas. Only its look matters.
constexpr Wave make_wave() {
  Wave wave{};
  constexpr int32_t kHalf = kWaveSteps / 2;
  for (int32_t i = 0; i < kWaveSteps; ++i) {
    const int32_t j = i % kHalf;
    const int32_t arch = 2 * (kMixes - 1) * j * (kHalf - j) / (kHalf * kHalf);  // 0 to kMixes / 2
    wave[static_cast<std::size_t>(i)] =
        static_cast<uint8_t>(i < kHalf ? kMixes / 2 + arch : kMixes / 2 - arch);
  }
  return wave;
}
constexpr Wave kWave = make_wave();

// How light the backdrop is at a pixel, 0 to kMixes - 1. `along` is the unit vector of Scene::direction.
int32_t mix_at(const Scene& scene, const Direction& along, int32_t x, int32_t y) {
  const double distance = along.x * (x - kSide / 2) + along.y * (y - kSide / 2);
  const double per_pixel = 1.0 / scene.period;
  switch (scene.backdrop) {
    case Backdrop::Gradient: {
      const auto mix = static_cast<int32_t>(kMixes * (0.5 + distance / (1.42 * kSide)));
      return std::clamp(mix, 0, kMixes - 1);
    }
    case Backdrop::Stripes: {
      const double turns = distance * per_pixel + scene.phase;
      return kWave[static_cast<uint32_t>(static_cast<int32_t>(turns * kWaveSteps)) % kWaveSteps];
    }
    case Backdrop::Checker: {
      const auto column = static_cast<int32_t>(x * per_pixel + scene.phase);
      const auto row = static_cast<int32_t>(y * per_pixel + scene.phase);
      return ((column + row) & 1) * (kMixes - 1);
    }
    case Backdrop::Plain:
    case Backdrop::Noise: break;
  }
  return 0;
}

void draw_backdrop(const Scene& scene, Picture& picture) {
  std::array<Rgb, kMixes> palette{};
  for (int32_t mix = 0; mix < kMixes; ++mix) {
    for (std::size_t c = 0; c < 3; ++c) {
      const int32_t sum = scene.dark[c] * (kMixes - 1 - mix) + scene.light[c] * mix;
      palette[static_cast<std::size_t>(mix)][c] = static_cast<uint8_t>(sum / (kMixes - 1));
    }
  }
  uint8_t* pixels = picture.data();  // [kPixels, 3]
  const auto lay = [&](int32_t i, int32_t mix) {
    const Rgb& rgb = palette[static_cast<std::size_t>(mix)];
    for (std::size_t c = 0; c < 3; ++c) pixels[3 * i + static_cast<int32_t>(c)] = rgb[c];
  };
  if (scene.backdrop == Backdrop::Noise) {
    for_random_bytes(Rng(scene.seed, kBackdropStream), kPixels, lay);
    return;
  }
  const Direction along = direction_of(scene.direction);
  for (int32_t y = 0; y < kSide; ++y) {
    for (int32_t x = 0; x < kSide; ++x) lay(y * kSide + x, mix_at(scene, along, x, y));
  }
}

void draw_clutter(const Scene& scene, Picture& picture) {
  Rng rng(scene.seed, kClutterStream);
  for (int32_t i = 0; i < scene.n_clutter; ++i) {
    const auto grey = static_cast<uint8_t>(30 + rng.below(101));
    const auto x = static_cast<int32_t>(rng.below(kSide));
    const auto y = static_cast<int32_t>(rng.below(kSide));
    const Rgb rgb = {grey, grey, grey};
    if (rng.below(2) == 0) {  // a dot
      for (int32_t j = 0; j < 4; ++j) set_pixel(picture, x + (j & 1), y + (j >> 1), rgb);
      continue;
    }
    const Direction along = direction_of(6.28 * rng.uniform());
    const auto length = static_cast<int32_t>(8 + rng.below(33));
    for (int32_t j = 0; j < length; ++j) {
      const auto px = static_cast<int32_t>(std::floor(x + along.x * j));
      const auto py = static_cast<int32_t>(std::floor(y + along.y * j));
      set_pixel(picture, px, py, rgb);
    }
  }
}

void draw_object(const Object& object, Picture& picture) {
  const Mask mask = mask_of(object);
  std::size_t i = 0;
  for (int32_t y = mask.y0; y < mask.y0 + mask.height; ++y) {
    for (int32_t x = mask.x0; x < mask.x0 + mask.width; ++x, ++i) {
      const int32_t covered = mask.coverage[i];
      if (covered == 0) continue;
      uint8_t* pixel = &picture[static_cast<std::size_t>(3 * (y * kSide + x))];  // [3]
      for (std::size_t c = 0; c < 3; ++c) {
        const int32_t sum = object.rgb[c] * covered + pixel[c] * (kFullCoverage - covered);
        pixel[c] = static_cast<uint8_t>(sum / kFullCoverage);
      }
    }
  }
}

void draw_glyph(const Glyph& glyph, float scale, const Rgb& rgb, Picture& picture) {
  const auto x0 = static_cast<int32_t>(glyph.box.x0);
  const auto y0 = static_cast<int32_t>(glyph.box.y0);
  const auto width = static_cast<int32_t>(std::ceil(kGlyphWidth * scale));
  const auto height = static_cast<int32_t>(std::ceil(kGlyphHeight * scale));
  for (int32_t y = 0; y < height; ++y) {
    const auto row = static_cast<int32_t>((static_cast<float>(y) + 0.5F) / scale);
    for (int32_t x = 0; x < width; ++x) {
      const auto column = static_cast<int32_t>((static_cast<float>(x) + 0.5F) / scale);
      if (has_ink(glyph.letter, column, row)) set_pixel(picture, x0 + x, y0 + y, rgb);
    }
  }
}

// -4 to 4 on every channel: no two pixels of an area are quite alike, as in a photograph.
void add_noise(const Scene& scene, Picture& picture) {
  uint8_t* values = picture.data();  // [3 * kPixels]
  for_random_bytes(Rng(scene.seed, kNoiseStream), 3 * kPixels, [&](int32_t i, int32_t byte) {
    values[i] = static_cast<uint8_t>(std::clamp(values[i] + (byte * 9 >> 8) - 4, 0, 255));
  });
}

}  // namespace

std::vector<uint8_t> render(const Scene& scene) {
  Picture picture(static_cast<std::size_t>(3 * kPixels));
  draw_backdrop(scene, picture);
  draw_clutter(scene, picture);  // first: what is asked about lies on top
  for (const Object& object : scene.objects) draw_object(object, picture);
  for (const Text& text : scene.texts) {
    for (const Glyph& glyph : text.glyphs) draw_glyph(glyph, text.scale, text.rgb, picture);
  }
  add_noise(scene, picture);
  return picture;
}

}  // namespace winnow::scenes
