#include "winnow/scenes/scene.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "tests/support/expect_error.h"
#include "winnow/scenes/words.h"

namespace winnow::scenes {
namespace {

using test::expect_error;

std::vector<Scene> scenes_of(const std::string& difficulty, uint64_t n) {
  std::vector<Scene> scenes;
  for (uint64_t i = 0; i < n; ++i) {
    Rng rng = scene_rng(Split::Validation, 7, i);
    scenes.push_back(make_scene(parse_difficulty(difficulty), rng));
  }
  return scenes;
}

bool are_apart(const Box& a, const Box& b, float gap) {
  return a.x1 + gap <= b.x0 || b.x1 + gap <= a.x0 || a.y1 + gap <= b.y0 || b.y1 + gap <= a.y0;
}

bool is_in_picture(const Box& box) {
  return box.x0 >= 0.0F && box.y0 >= 0.0F && box.x1 <= kSide && box.y1 <= kSide && box.x0 < box.x1 &&
         box.y0 < box.y1;
}

TEST(Words, AreDistinct) {
  std::vector<std::string> words;
  for (int32_t i = 0; i < kShapes; ++i) words.emplace_back(name_of(static_cast<Shape>(i)));
  for (int32_t i = 0; i < kColours; ++i) words.emplace_back(name_of(static_cast<Colour>(i)));
  for (int32_t i = 0; i < kSizes; ++i) words.emplace_back(name_of(static_cast<Size>(i)));
  for (const auto* list : {&families(), &planets(), &tastes(), &categories()}) {
    EXPECT_EQ(list->size(), 4u);
    words.insert(words.end(), list->begin(), list->end());
  }
  const std::set<std::string> distinct(words.begin(), words.end());
  EXPECT_EQ(distinct.size(), words.size());
  EXPECT_EQ(distinct.count(""), 0u);
}

TEST(Words, FactsAreBalancedAndIndependent) {
  std::map<std::string, int> n_family, n_planet, n_taste;
  std::set<std::string> pairs;
  for (int32_t i = 0; i < kShapes; ++i) {
    const auto shape = static_cast<Shape>(i);
    ++n_family[family_of(shape)];
    ++n_planet[planet_of(shape)];
    pairs.insert(family_of(shape) + " " + planet_of(shape));
  }
  for (int32_t i = 0; i < kColours; ++i) ++n_taste[taste_of(static_cast<Colour>(i))];
  for (const auto& name : families()) EXPECT_TRUE(n_family[name] == 2 || n_family[name] == 3) << name;
  for (const auto& name : planets()) EXPECT_TRUE(n_planet[name] == 2 || n_planet[name] == 3) << name;
  for (const auto& name : tastes()) EXPECT_EQ(n_taste[name], 2) << name;
  EXPECT_EQ(pairs.size(), static_cast<std::size_t>(kShapes));
}

TEST(Words, LexiconHasTwelveOfEachCategory) {
  std::map<std::string, int> n_words;
  for (const auto& word : lexicon()) {
    EXPECT_TRUE(word.size() >= 3 && word.size() <= 5) << word;
    EXPECT_TRUE(std::all_of(word.begin(), word.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) << word;
    ++n_words[category_of(word)];
  }
  EXPECT_EQ(std::set<std::string>(lexicon().begin(), lexicon().end()).size(), 48u);
  for (const auto& name : categories()) EXPECT_EQ(n_words[name], 12) << name;
  EXPECT_EQ(category_of("LION"), "animal");
  EXPECT_EQ(category_of("CHEST"), "body part");
  EXPECT_EQ(category_of("lion"), "");
  EXPECT_EQ(category_of(""), "");
}

TEST(Names, BadOnesThrow) {
  expect_error(ErrorCode::InvalidArgument, "[scenes.parse_difficulty] unknown difficulty, got 'medium'",
               [] { parse_difficulty("medium"); });
  expect_error(ErrorCode::InvalidArgument, "[scenes.parse_split] unknown split, got 'validation'",
               [] { parse_split("validation"); });
  EXPECT_EQ(parse_split("train"), Split::Train);
  EXPECT_EQ(parse_split("val"), Split::Validation);
  EXPECT_EQ(parse_split("test"), Split::Test);
}

TEST(Names, BadDifficultiesThrow) {
  const auto expect_bad = [](const std::string& text, const Difficulty& difficulty) {
    expect_error(ErrorCode::InvalidArgument, text, [&] {
      Rng rng(1);
      make_scene(difficulty, rng);
    });
  };
  expect_bad("bad max_objects, got 0", {.max_objects = 0});
  expect_bad("bad max_clutter, got -1", {.max_clutter = -1});
  expect_bad("bad min_radius, got 6.5", {.min_radius = 6.5F});
  expect_bad("bad min_radius, got nan", {.min_radius = NAN});
  expect_bad("bad min_text_scale, got 3", {.min_text_scale = 3.0F});
  expect_bad("bad contrast, got 0", {.contrast = 0.0F});
}

// A generator's output function is a bijection, so equal numbers mean equal states.
TEST(SceneRng, NoTwoPicturesShareAState) {
  constexpr uint64_t kPictures = 100'000;
  std::vector<uint64_t> numbers;
  for (const Split split : {Split::Train, Split::Validation, Split::Test}) {
    for (uint64_t i = 0; i < kPictures; ++i) {
      Rng rng = scene_rng(split, 1, i);
      numbers.push_back(rng.next());
      numbers.push_back(rng.next());
    }
  }
  std::sort(numbers.begin(), numbers.end());
  EXPECT_EQ(std::adjacent_find(numbers.begin(), numbers.end()), numbers.end());
}

// State = position * gamma modulo 2^64, and the position's two highest bits are the split: undone here, so
// that whole streams of 2^20 numbers are known to be apart, not just their starts.
TEST(SceneRng, SplitOwnsItsPositions) {
  uint64_t inverse = 1;  // of gamma, by Newton's iteration
  for (int32_t i = 0; i < 6; ++i) inverse *= 2 - 0x9e3779b97f4a7c15ULL * inverse;
  ASSERT_EQ(inverse * 0x9e3779b97f4a7c15ULL, 1u);
  const auto undone = [](uint64_t z, int32_t shift) { return z ^ z >> shift ^ z >> 2 * shift; };
  const auto inverse_of = [](uint64_t odd) {
    uint64_t x = 1;
    for (int32_t i = 0; i < 6; ++i) x *= 2 - odd * x;
    return x;
  };
  for (const Split split : {Split::Train, Split::Validation, Split::Test}) {
    for (uint64_t i = 0; i < 3000; ++i) {
      uint64_t z = scene_rng(split, i % 3, i < 2990 ? i : i << 40).next();
      z = undone(z, 31) * inverse_of(0x94d049bb133111ebULL);
      z = undone(z, 27) * inverse_of(0xbf58476d1ce4e5b9ULL);
      z = undone(z, 30);
      const uint64_t position = z * inverse - 1;  // the generator steps before it mixes
      EXPECT_EQ(position >> 62, static_cast<uint64_t>(split)) << i;
      EXPECT_EQ(position & 0xfffff, 0u) << i;
    }
  }
}

TEST(SceneRng, SeedAndIndexMatter) {
  const auto first = [](uint64_t seed, uint64_t index) { return scene_rng(Split::Test, seed, index).next(); };
  EXPECT_EQ(first(1, 2), first(1, 2));
  EXPECT_NE(first(1, 2), first(2, 1));
  EXPECT_NE(first(1, 2), first(1, 3));
  EXPECT_NE(first(1, 2), first(1, 2 + (uint64_t{1} << 42)));
}

TEST(MakeScene, KeepsThingsApartAndInside) {
  for (const char* difficulty : {"easy", "default", "hard"}) {
    for (const Scene& scene : scenes_of(difficulty, 1500)) {
      ASSERT_FALSE(scene.objects.empty());
      std::vector<Box> boxes;
      for (const Object& object : scene.objects) boxes.push_back(object.box);
      for (const Text& text : scene.texts) boxes.push_back(text.box);
      for (std::size_t i = 0; i < boxes.size(); ++i) {
        EXPECT_TRUE(is_in_picture(boxes[i])) << difficulty;
        for (std::size_t j = 0; j < i; ++j) EXPECT_TRUE(are_apart(boxes[i], boxes[j], 1.0F)) << difficulty;
      }
    }
  }
}

TEST(MakeScene, GlyphsTileTheirText) {
  for (const Scene& scene : scenes_of("hard", 1500)) {
    for (const Text& text : scene.texts) {
      ASSERT_EQ(text.glyphs.size(), text.content.size());
      EXPECT_EQ(text.glyphs.front().box.x0, text.box.x0);
      EXPECT_EQ(text.glyphs.back().box.x1, text.box.x1);
      for (std::size_t i = 0; i < text.glyphs.size(); ++i) {
        const Glyph& glyph = text.glyphs[i];
        EXPECT_EQ(glyph.letter, text.content[i]);
        EXPECT_EQ(glyph.box.x1 - glyph.box.x0, 5.0F * text.scale);
        EXPECT_EQ(glyph.box.y1 - glyph.box.y0, 7.0F * text.scale);
        if (i > 0) {
          EXPECT_EQ(glyph.box.x0 - text.glyphs[i - 1].box.x1, text.scale);
        }
      }
    }
  }
}

TEST(MakeScene, ObeysTheDifficulty) {
  for (const char* name : {"easy", "default", "hard"}) {
    const Difficulty difficulty = parse_difficulty(name);
    std::size_t max_objects = 0;
    int32_t max_clutter = 0;
    float min_radius = 99.0F, min_scale = 99.0F;
    for (const Scene& scene : scenes_of(name, 1500)) {
      max_objects = std::max(max_objects, scene.objects.size());
      max_clutter = std::max(max_clutter, scene.n_clutter);
      for (const Object& object : scene.objects) min_radius = std::min(min_radius, object.radius);
      for (const Text& text : scene.texts) min_scale = std::min(min_scale, text.scale);
    }
    EXPECT_EQ(max_objects, static_cast<std::size_t>(difficulty.max_objects)) << name;
    EXPECT_EQ(max_clutter, difficulty.max_clutter) << name;
    EXPECT_GE(min_radius, difficulty.min_radius) << name;
    EXPECT_LT(min_radius, difficulty.min_radius + 0.05F) << name;
    EXPECT_EQ(min_scale, difficulty.min_text_scale) << name;
  }
}

TEST(MakeScene, SizesHaveAGapBetweenThem) {
  for (const char* name : {"easy", "default", "hard"}) {
    for (const Scene& scene : scenes_of(name, 500)) {
      for (const Object& object : scene.objects) {
        switch (object.size) {
          case Size::Small: EXPECT_LE(object.radius, 5.7F); break;
          case Size::Medium: EXPECT_TRUE(object.radius >= 6.5F && object.radius <= 8.5F); break;
          case Size::Large: EXPECT_TRUE(object.radius >= 11.0F && object.radius <= 14.5F); break;
        }
      }
    }
  }
}

// Shares of 4,000 scenes; a share's standard deviation is below 0.008, so 0.04 is five of them.
TEST(MakeScene, FollowsThePrior) {
  std::map<std::string, double> share;
  double n_objects = 0.0, n_words = 0.0;
  const std::vector<Scene> scenes = scenes_of("default", 4000);
  for (const Scene& scene : scenes) {
    share["backdrop " + std::to_string(static_cast<int>(scene.backdrop))] += 1.0;
    std::string kind = "text";
    for (const Text& text : scene.texts) kind += text.is_number ? " number" : " word";
    share[kind] += 1.0;
    share["clutter " + std::to_string(scene.n_clutter)] += 1.0;
    n_objects += static_cast<double>(scene.objects.size());
    for (const Text& text : scene.texts) {
      if (text.is_number) continue;
      n_words += 1.0;
      share["lexicon"] += category_of(text.content).empty() ? 0.0 : 1.0;
    }
    for (const Object& object : scene.objects) {
      share[std::string(name_of(object.shape))] += 1.0;
      share[std::string(name_of(object.colour))] += 1.0;
      share[std::string(name_of(object.size))] += 1.0;
    }
  }
  const auto expect_share = [&](const std::string& what, double total, double expected) {
    EXPECT_NEAR(share[what] / total, expected, 0.04) << what;
  };
  const auto n = static_cast<double>(scenes.size());
  for (int i = 0; i < 5; ++i) expect_share("backdrop " + std::to_string(i), n, 0.2);
  for (const char* count : {"clutter 0", "clutter 2", "clutter 4", "clutter 8"}) expect_share(count, n, 0.25);
  expect_share("text", n, 0.25);
  expect_share("text word", n, 0.2);
  expect_share("text number", n, 0.15);
  expect_share("text word number", n, 0.2);
  expect_share("text number number", n, 0.2);
  expect_share("lexicon", n_words, 0.6);
  expect_share("circle", n_objects, 1.7 / 11.0);
  expect_share("arrow", n_objects, 0.8 / 11.0);
  expect_share("red", n_objects, 1.6 / 8.5);
  expect_share("white", n_objects, 0.7 / 8.5);
  expect_share("small", n_objects, 1.2 / 2.9);
  for (int32_t i = 0; i < kShapes; ++i) EXPECT_GT(share[std::string(name_of(static_cast<Shape>(i)))], 500.0);
  for (int32_t i = 0; i < kColours; ++i)
    EXPECT_GT(share[std::string(name_of(static_cast<Colour>(i)))], 500.0);
  EXPECT_GT(share["large"] / n_objects, 0.18);  // 0.24 were it not for the room that they need
  EXPECT_NEAR(n_objects / n, 37.0 / 9.0, 0.3);
}

TEST(MakeScene, TextsAreReadableAnswers) {
  std::set<std::size_t> n_digits;
  std::set<float> scales;
  for (const Scene& scene : scenes_of("default", 3000)) {
    if (scene.texts.size() == 2) {
      EXPECT_NE(scene.texts[0].colour, scene.texts[1].colour);
    }
    for (const Text& text : scene.texts) {
      const std::string& content = text.content;
      scales.insert(text.scale);
      const char low = text.is_number ? '0' : 'A';
      const char high = text.is_number ? '9' : 'Z';
      for (const char c : content) EXPECT_TRUE(c >= low && c <= high) << content;
      if (text.is_number) {
        n_digits.insert(content.size());
        EXPECT_TRUE(content.size() == 1 || content[0] != '0') << content;
      } else {
        EXPECT_GE(content.size(), 2u) << content;
      }
      EXPECT_LE(content.size(), text.is_number ? 3u : 5u) << content;
    }
  }
  EXPECT_EQ(n_digits, (std::set<std::size_t>{1, 2, 3}));
  EXPECT_EQ(scales, (std::set<float>{1.5F, 2.0F, 2.5F}));
}

TEST(MakeScene, RepeatsPairsSoThatThereIsSomethingToCount) {
  int32_t n_repeats = 0;
  for (const Scene& scene : scenes_of("default", 500)) {
    std::set<std::pair<Shape, Colour>> pairs;
    for (const Object& object : scene.objects) pairs.insert({object.shape, object.colour});
    if (pairs.size() < scene.objects.size()) ++n_repeats;
  }
  EXPECT_GT(n_repeats, 50);
  EXPECT_LT(n_repeats, 250);
}

}  // namespace
}  // namespace winnow::scenes
