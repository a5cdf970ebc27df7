#include "winnow/scenes/scene.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

#include "winnow/base/error.h"
#include "winnow/scenes/font.h"
#include "winnow/scenes/mask.h"
#include "winnow/scenes/words.h"

namespace winnow::scenes {
namespace {

// The prior of the world. Shapes and colours differ in frequency, because "popular" and "rare" things are
// asked for.
constexpr std::array<double, kShapes> kShapeWeights = {1.7, 1.5, 1.3, 1.0, 1.3, 1.0, 0.8, 0.8, 0.8, 0.8};
constexpr std::array<double, kColours> kColourWeights = {1.6, 1.4, 1.3, 1.2, 0.8, 0.8, 0.7, 0.7};
constexpr std::array<double, kSizes> kSizeWeights = {1.2, 1.0, 0.7};
constexpr double kRepeatShare = 0.35;
constexpr double kMaxAngle = 0.3;
constexpr int32_t kColourJitter = 18;
constexpr int32_t kMaxBackdropStep = 35;  // grey levels between a backdrop's two colours

constexpr std::array<Rgb, kColours> kPalette = {{{222, 36, 40},
                                                 {45, 180, 60},
                                                 {60, 90, 235},
                                                 {240, 225, 50},
                                                 {245, 130, 22},
                                                 {172, 70, 222},
                                                 {55, 215, 225},
                                                 {237, 237, 237}}};

// Radii, pixels. A gap lies between the classes, so that a size can be told from the object alone.
constexpr double kSmallSpread = 1.2;
constexpr double kMaxSmallRadius = 5.7;
constexpr double kMinMediumRadius = 6.5;
constexpr double kMaxMediumRadius = 8.5;
constexpr double kMinLargeRadius = 11.0;
constexpr double kMaxLargeRadius = 14.5;

constexpr std::array<float, 4> kTextScales = {1.0F, 1.5F, 2.0F, 2.5F};
constexpr std::array<double, 4> kTextScaleWeights = {0.35, 0.35, 0.45, 0.2};
constexpr double kLexiconShare = 0.6;

constexpr int32_t kObjectTrials = 40;
constexpr int32_t kTextTrials = 40;
constexpr int32_t kSubpixels =
    8;  // centres lie on this raster: moving an object by whole pixels keeps its mask

double between(double low, double high, Rng& rng) { return low + (high - low) * rng.uniform(); }

int32_t below(int32_t n, Rng& rng) { return static_cast<int32_t>(rng.below(static_cast<uint64_t>(n))); }

std::size_t weighted(std::span<const double> weights, Rng& rng) {
  double total = 0.0;
  for (const double weight : weights) total += weight;
  double rest = rng.uniform() * total;
  for (std::size_t i = 0; i + 1 < weights.size(); ++i) {
    rest -= weights[i];
    if (rest < 0.0) return i;
  }
  return weights.size() - 1;
}

Rgb jittered(const Rgb& base, Rng& rng) {
  Rgb rgb{};
  for (std::size_t c = 0; c < 3; ++c) {
    const int32_t value = base[c] + below(2 * kColourJitter + 1, rng) - kColourJitter;
    rgb[c] = static_cast<uint8_t>(std::clamp(value, 0, 255));
  }
  return rgb;
}

// Draws one scene. Texts first, objects into the room that is left.
class Composer {
 public:
  Composer(const Difficulty& difficulty, Rng& rng) : difficulty_(difficulty), rng_(rng) {}
  Scene compose();

 private:
  void draw_backdrop();
  void draw_texts();
  void add_text(const std::string& content, bool is_number);
  void draw_objects();
  Object next_object();
  void give_radius(Object& object);
  bool place(Object& object);
  void move_to(Object& object, int32_t x, int32_t y);

  std::string next_word();
  std::string next_number();
  Rgb inked(Colour colour);
  bool is_free(const Box& box) const;

  const Difficulty& difficulty_;
  Rng& rng_;
  Scene scene_;
  std::vector<Box> taken_;  // with the gap that each keeps around itself
};

Scene Composer::compose() {
  scene_.seed = rng_.next();
  draw_backdrop();
  draw_texts();
  draw_objects();
  return std::move(scene_);
}

void Composer::draw_backdrop() {
  constexpr int32_t kMinGrey = 20, kMaxGrey = 105;
  scene_.backdrop = static_cast<Backdrop>(below(5, rng_));
  const int32_t grey = kMinGrey + below(kMaxGrey - kMinGrey + 1, rng_);
  const int32_t step = below(2 * kMaxBackdropStep + 1, rng_) - kMaxBackdropStep;
  const int32_t other = std::clamp(grey + step, kMinGrey, kMaxGrey);
  const auto dark = static_cast<uint8_t>(std::min(grey, other));
  const auto light = static_cast<uint8_t>(std::max(grey, other));
  scene_.dark = jittered({dark, dark, dark}, rng_);
  scene_.light = jittered({light, light, light}, rng_);
  scene_.phase = static_cast<float>(rng_.uniform());
  scene_.period = static_cast<float>(between(6.0, 24.0, rng_));
  scene_.direction = static_cast<float>(between(0.0, 6.28, rng_));
  constexpr std::array<int32_t, 4> kCounts = {0, 2, 4, 8};
  const int32_t n_counts =
      static_cast<int32_t>(kCounts.size()) + (difficulty_.max_clutter > kCounts.back() ? 1 : 0);
  const auto pick = static_cast<std::size_t>(below(n_counts, rng_));
  const int32_t n = pick < kCounts.size() ? kCounts[pick] : difficulty_.max_clutter;
  scene_.n_clutter = std::min(n, difficulty_.max_clutter);
}

void Composer::draw_texts() {
  constexpr std::array<double, 5> kKindWeights = {0.25, 0.20, 0.15, 0.20, 0.20};
  const std::size_t kind = weighted(kKindWeights, rng_);
  if (kind == 1 || kind == 3) add_text(next_word(), false);
  if (kind == 2 || kind == 3) add_text(next_number(), true);
  if (kind == 4) {  // two digits, to be summed
    for (int32_t i = 0; i < 2; ++i) add_text(std::string(1, static_cast<char>('0' + below(10, rng_))), true);
  }
}

std::string Composer::next_word() {
  const auto& words = lexicon();
  if (rng_.uniform() < kLexiconShare) return words[rng_.below(words.size())];
  constexpr std::string_view kVowels = "AEIOU";
  constexpr std::string_view kConsonants = "BCDFGHJKLMNPQRSTVWXYZ";
  while (true) {
    const int32_t length = 2 + below(3, rng_);
    bool is_vowel = rng_.below(2) == 0;
    std::string word;
    for (int32_t i = 0; i < length; ++i, is_vowel = !is_vowel) {
      const std::string_view& letters = is_vowel ? kVowels : kConsonants;
      word += letters[rng_.below(letters.size())];
    }
    if (category_of(word).empty()) return word;
  }
}

// 0 to 999; one, two and three digits equally often.
std::string Composer::next_number() {
  switch (below(3, rng_)) {
    case 0: return std::to_string(below(10, rng_));
    case 1: return std::to_string(10 + below(90, rng_));
    default: return std::to_string(100 + below(900, rng_));
  }
}

// A text that finds no room in kTextTrials is left out; with two short lines that does not happen in
// practice.
void Composer::add_text(const std::string& content, bool is_number) {
  Text text;
  text.content = content;
  text.is_number = is_number;
  do {  // a text is asked for by its colour
    text.colour = static_cast<Colour>(weighted(kColourWeights, rng_));
  } while (!scene_.texts.empty() && scene_.texts.front().colour == text.colour);
  text.rgb = inked(text.colour);

  std::size_t first = 0;
  while (kTextScales[first] < difficulty_.min_text_scale) ++first;
  std::size_t scale_idx = first + weighted(std::span(kTextScaleWeights).subspan(first), rng_);
  const auto n_columns = kGlyphPitch * static_cast<int32_t>(content.size()) - 1;
  while (scale_idx > first && static_cast<float>(n_columns) * kTextScales[scale_idx] > kSide - 2) --scale_idx;
  text.scale = kTextScales[scale_idx];
  const float width = static_cast<float>(n_columns) * text.scale;
  const float height = kGlyphHeight * text.scale;

  for (int32_t trial = 0; trial < kTextTrials; ++trial) {
    const auto x = static_cast<float>(1 + below(kSide - 1 - static_cast<int32_t>(width + 0.5F), rng_));
    const auto y = static_cast<float>(1 + below(kSide - 1 - static_cast<int32_t>(height + 0.5F), rng_));
    text.box = {x, y, x + width, y + height};
    // Two texts side by side must not read as one.
    const float gap = scene_.texts.empty() ? 0.0F : kGlyphPitch * 2.5F;
    if (!is_free({x - gap, y - 2.0F, text.box.x1 + gap, text.box.y1 + 2.0F})) continue;
    for (std::size_t i = 0; i < content.size(); ++i) {
      const float left = x + static_cast<float>(kGlyphPitch * i) * text.scale;
      text.glyphs.push_back({content[i], {left, y, left + kGlyphWidth * text.scale, y + height}});
    }
    taken_.push_back(text.box);
    scene_.texts.push_back(std::move(text));
    return;
  }
}

void Composer::draw_objects() {
  std::vector<int32_t> counts = {1, 2, 3, 4, 4, 5, 5, 6, 7};
  for (int32_t n = counts.back() + 1; n <= difficulty_.max_objects; ++n) counts.push_back(n);
  std::erase_if(counts, [&](int32_t n) { return n > difficulty_.max_objects; });
  const int32_t n_objects = counts[rng_.below(counts.size())];
  for (int32_t i = 0; i < n_objects; ++i) {
    Object object = next_object();
    if (place(object)) scene_.objects.push_back(object);
  }
  // Two lines of text leave a strip of 18 pixels free somewhere, so a small object always fits.
  while (scene_.objects.empty()) {
    Object object = next_object();
    object.size = Size::Small;
    give_radius(object);
    if (place(object)) scene_.objects.push_back(object);
  }
}

Object Composer::next_object() {
  Object object;
  object.shape = static_cast<Shape>(weighted(kShapeWeights, rng_));
  object.colour = static_cast<Colour>(weighted(kColourWeights, rng_));
  if (!scene_.objects.empty() && rng_.uniform() < kRepeatShare) {
    const Object& earlier = scene_.objects[rng_.below(scene_.objects.size())];
    if (rng_.below(2) == 0) {
      object.shape = earlier.shape;
    } else {
      object.colour = earlier.colour;
    }
  }
  object.size = static_cast<Size>(weighted(kSizeWeights, rng_));
  give_radius(object);
  object.angle = static_cast<float>(between(-kMaxAngle, kMaxAngle, rng_));
  object.rgb = inked(object.colour);
  return object;
}

void Composer::give_radius(Object& object) {
  const double smallest = difficulty_.min_radius;
  double radius = 0.0;
  switch (object.size) {
    case Size::Small:
      radius = between(smallest, std::min(smallest + kSmallSpread, kMaxSmallRadius), rng_);
      break;
    case Size::Medium: radius = between(kMinMediumRadius, kMaxMediumRadius, rng_); break;
    case Size::Large: radius = between(kMinLargeRadius, kMaxLargeRadius, rng_); break;
  }
  object.radius = static_cast<float>(radius);
}

bool Composer::place(Object& object) {
  constexpr float kMiddle = kSide / 2;
  object.x = kMiddle + static_cast<float>(below(kSubpixels, rng_)) / kSubpixels;
  object.y = kMiddle + static_cast<float>(below(kSubpixels, rng_)) / kSubpixels;
  object.box = mask_of(object).box();
  const auto width = static_cast<int32_t>(object.box.x1 - object.box.x0);
  const auto height = static_cast<int32_t>(object.box.y1 - object.box.y0);
  for (int32_t trial = 0; trial < kObjectTrials; ++trial) {
    const int32_t x = below(kSide - width + 1, rng_);
    const int32_t y = below(kSide - height + 1, rng_);
    move_to(object, x, y);
    const Box& box = object.box;
    if (!is_free({box.x0 - 1.0F, box.y0 - 1.0F, box.x1 + 1.0F, box.y1 + 1.0F})) continue;
    taken_.push_back(box);
    return true;
  }
  return false;
}

void Composer::move_to(Object& object, int32_t x, int32_t y) {
  const float dx = static_cast<float>(x) - object.box.x0;
  const float dy = static_cast<float>(y) - object.box.y0;
  object.x += dx;
  object.y += dy;
  object.box = {object.box.x0 + dx, object.box.y0 + dy, object.box.x1 + dx, object.box.y1 + dy};
}

// The colour as it is drawn: jittered, and by Difficulty::contrast moved towards the backdrop's mean.
Rgb Composer::inked(Colour colour) {
  Rgb rgb = jittered(kPalette[static_cast<std::size_t>(colour)], rng_);
  for (std::size_t c = 0; c < 3; ++c) {
    const double mean = 0.5 * (scene_.dark[c] + scene_.light[c]);
    rgb[c] = static_cast<uint8_t>(mean + difficulty_.contrast * (rgb[c] - mean) + 0.5);
  }
  return rgb;
}

bool Composer::is_free(const Box& box) const {
  return std::none_of(taken_.begin(), taken_.end(), [&](const Box& other) {
    return box.x0 < other.x1 && other.x0 < box.x1 && box.y0 < other.y1 && other.y0 < box.y1;
  });
}

// A bijection of 64 bits (SplitMix64's output function).
uint64_t mixed(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

constexpr int32_t kStreamBits = 20;   // numbers that one picture may draw
constexpr int32_t kPictureBits = 42;  // pictures of one split
constexpr uint64_t kPictureMask = (uint64_t{1} << kPictureBits) - 1;

// A bijection of kPictureBits bits, another one for every seed: no two indices of a seed meet.
uint64_t shuffled(uint64_t index, uint64_t seed) {
  const uint64_t key = mixed(seed + 0x632be59bd9b4e019ULL);
  uint64_t z = (index + key) & kPictureMask;
  z ^= z >> 21;
  z = z * 0xbf58476d1ce4e5b9ULL & kPictureMask;
  z ^= z >> 19;
  z = (z ^ key >> 22) * 0x94d049bb133111ebULL & kPictureMask;
  return z ^ z >> 21;
}

void check_difficulty(const Difficulty& difficulty) {
  constexpr const char* kWhere = "scenes.make_scene";
  WINNOW_CHECK(difficulty.max_objects >= 1 && difficulty.max_objects <= 64, InvalidArgument, kWhere,
               "bad max_objects, got {}, expected 1 to 64", difficulty.max_objects);
  WINNOW_CHECK(difficulty.max_clutter >= 0 && difficulty.max_clutter <= 1000, InvalidArgument, kWhere,
               "bad max_clutter, got {}, expected 0 to 1000", difficulty.max_clutter);
  WINNOW_CHECK(difficulty.min_radius >= 2.0F && difficulty.min_radius <= kMaxSmallRadius, InvalidArgument,
               kWhere, "bad min_radius, got {}, expected 2 to {}", difficulty.min_radius, kMaxSmallRadius);
  WINNOW_CHECK(difficulty.min_text_scale >= 1.0F && difficulty.min_text_scale <= kTextScales.back(),
               InvalidArgument, kWhere, "bad min_text_scale, got {}, expected 1 to {}",
               difficulty.min_text_scale, kTextScales.back());
  WINNOW_CHECK(difficulty.contrast > 0.0F && difficulty.contrast <= 1.0F, InvalidArgument, kWhere,
               "bad contrast, got {}, expected above 0 and at most 1", difficulty.contrast);
}

}  // namespace

Difficulty parse_difficulty(const std::string& name) {
  if (name == "default") return {};
  if (name == "easy") {
    return {.max_objects = 4, .max_clutter = 0, .min_radius = 5.2F, .min_text_scale = 2.0F, .contrast = 1.0F};
  }
  if (name == "hard") {
    return {
        .max_objects = 9, .max_clutter = 12, .min_radius = 3.5F, .min_text_scale = 1.0F, .contrast = 0.6F};
  }
  fail(ErrorCode::InvalidArgument, "scenes.parse_difficulty",
       "unknown difficulty, got '{}', expected easy, default or hard", name);
}

Split parse_split(const std::string& name) {
  if (name == "train") return Split::Train;
  if (name == "val") return Split::Validation;
  if (name == "test") return Split::Test;
  fail(ErrorCode::InvalidArgument, "scenes.parse_split",
       "unknown split, got '{}', expected train, val or test", name);
}

Rng scene_rng(Split split, uint64_t seed, uint64_t index) {
  // SplitMix64's states form one cycle of 2^64: state = position * gamma, and every number moves on by one
  // position. A picture starts at position [split: 2 bits | shuffled(index): 42 | 0: 20], so pictures of two
  // splits, and two pictures of one seed, share no number unless one of them draws more than 2^20.
  constexpr uint64_t kGamma = 0x9e3779b97f4a7c15ULL;
  const uint64_t high = index >> kPictureBits;  // beyond 4 * 10^12 pictures: as another seed's
  const uint64_t picture = shuffled(index & kPictureMask, high == 0 ? seed : mixed(seed ^ mixed(high)));
  const uint64_t position = static_cast<uint64_t>(split) << (kPictureBits + kStreamBits) | picture
                                                                                               << kStreamBits;
  return Rng(position * kGamma);
}

Scene make_scene(const Difficulty& difficulty, Rng& rng) {
  check_difficulty(difficulty);
  return Composer(difficulty, rng).compose();
}

}  // namespace winnow::scenes
