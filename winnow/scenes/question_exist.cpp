// Is it there? POPE's three ways to choose what is asked in vain (Li et al. 2023, arXiv 2305.10355):
// anything, what is frequent, what fits the rest of the picture. And the haystack: the same about one of
// several pictures.

#include <algorithm>
#include <bitset>
#include <numeric>

#include "winnow/scenes/question_parts.h"
#include "winnow/scenes/words.h"

namespace winnow::scenes {
namespace {

constexpr double kBareShare = 0.25;  // questions about a shape of any colour
constexpr std::size_t kPopularPairs = 20;

/// The pairs that pictures hold most often, from the scenes' priors (tenths, so that ties are exact).
struct Popular {
  std::bitset<kPairs> pairs;
  std::bitset<kShapes> shapes;
  Popular() {
    constexpr std::array<int32_t, kColours> kColourWeights = {16, 14, 13, 12, 8, 8, 7, 7};
    constexpr std::array<int32_t, kShapes> kShapeWeights = {17, 15, 13, 10, 13, 10, 8, 8, 8, 8};
    std::array<int32_t, kPairs> order{};
    std::iota(order.begin(), order.end(), 0);
    const auto weight = [&](int32_t i) {
      const Pair p = pair_of(i);
      return kColourWeights[at(p.colour)] * kShapeWeights[at(p.shape)];
    };
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return weight(a) > weight(b); });
    for (std::size_t i = 0; i < kPopularPairs; ++i) {
      pairs.set(static_cast<std::size_t>(order[i]));
      shapes.set(at(pair_of(order[i]).shape));
    }
  }
};

enum class Rivals : uint8_t { Random, Popular, Adversarial };

Rivals rivals_of(Task task, Rng& rng) {
  switch (task) {
    case Task::ExistPopular: return Rivals::Popular;
    case Task::ExistAdversarial: return Rivals::Adversarial;
    case Task::VqaYesNo: return static_cast<Rivals>(below(rng, 3));
    default: return Rivals::Random;
  }
}

/// What the question is about. Nothing unless both answers are possible: otherwise kinds of scenes would tell
/// the label.
std::optional<std::string> draw_subject(const Asking& asking, Rivals rivals, bool yes) {
  static const Popular popular;
  const Counts& counts = asking.counts;
  Rng& rng = asking.rng;
  if (counts.n_objects == 0) return std::nullopt;
  const Object& present = asking.scene.objects[static_cast<std::size_t>(below(rng, counts.n_objects))];
  if (rivals != Rivals::Adversarial && chance(rng, kBareShare)) {
    const auto absent = draw_where(kShapes, rng, [&](int32_t i) {
      const auto s = static_cast<std::size_t>(i);
      return counts.shape[s] == 0 && (rivals == Rivals::Random || popular.shapes.test(s));
    });
    if (absent) return std::string(name_of(yes ? present.shape : static_cast<Shape>(*absent)));
  }
  const auto absent = draw_where(kPairs, rng, [&](int32_t i) {
    if (rivals == Rivals::Adversarial) return counts.is_mix(i);
    return !counts.has(i) && (rivals == Rivals::Random || popular.pairs.test(static_cast<std::size_t>(i)));
  });
  if (!absent) return std::nullopt;
  return yes ? phrase(present, Form::Pair) : name_of(pair_of(*absent));
}

/// Several pictures, and the one that is meant.
struct Haystack {
  std::span<const Scene> scenes;
  std::vector<Counts> counts;
  std::array<int32_t, kPairs> n_pictures{};  // with that pair
  std::size_t needle = 0;
  int32_t anchor = 0;

  bool is_anchor(std::size_t scene, int32_t pair) const {
    return counts[scene].has(pair) && n_pictures[static_cast<std::size_t>(pair)] == 1;
  }
  /// Another pair must be there, else Yes could not be asked.
  bool can_be_needle(std::size_t scene) const {
    int32_t n_present = 0, n_anchors = 0;
    for (int32_t i = 0; i < kPairs; ++i) {
      n_present += counts[scene].has(i) ? 1 : 0;
      n_anchors += is_anchor(scene, i) ? 1 : 0;
    }
    return n_present >= 2 && n_present < kPairs && n_anchors >= 1;
  }
};

/// A shape of the needle besides the anchor's, or one that it lacks, better one that another picture has.
std::optional<std::string> draw_bare_target(const Haystack& hay, bool yes, Rng& rng) {
  const Counts& needle = hay.counts[hay.needle];
  const auto present = draw_where(kShapes, rng, [&](int32_t i) {
    return needle.shape[static_cast<std::size_t>(i)] > 0 &&
           static_cast<Shape>(i) != pair_of(hay.anchor).shape;
  });
  const auto elsewhere = [&](int32_t i) {
    return std::any_of(hay.counts.begin(), hay.counts.end(),
                       [&](const Counts& c) { return c.shape[static_cast<std::size_t>(i)] > 0; });
  };
  const auto absent = [&](int32_t i) { return needle.shape[static_cast<std::size_t>(i)] == 0; };
  auto missing = draw_where(kShapes, rng, [&](int32_t i) { return absent(i) && elsewhere(i); });
  if (!missing) missing = draw_where(kShapes, rng, absent);
  if (!present || !missing) return std::nullopt;
  return std::string(name_of(static_cast<Shape>(yes ? *present : *missing)));
}

std::string draw_target(const Haystack& hay, bool yes, Rng& rng) {
  if (chance(rng, kBareShare)) {
    if (const auto bare = draw_bare_target(hay, yes, rng)) return *bare;
  }
  const Counts& needle = hay.counts[hay.needle];
  if (yes) {
    return name_of(
        pair_of(*draw_where(kPairs, rng, [&](int32_t i) { return needle.has(i) && i != hay.anchor; })));
  }
  auto absent = draw_where(kPairs, rng, [&](int32_t i) {
    return !needle.has(i) && hay.n_pictures[static_cast<std::size_t>(i)] > 0;
  });
  if (!absent) absent = draw_absent(needle, chance(rng, 0.5), rng);
  return name_of(pair_of(*absent));
}

}  // namespace

std::optional<Question> ask_exist(const Asking& asking) {
  const bool yes = chance(asking.rng, 0.5);
  const auto subject = draw_subject(asking, rivals_of(asking.task, asking.rng), yes);
  if (!subject) return std::nullopt;
  const std::string noun = with_article(*subject);
  std::string text = asking.task == Task::VqaYesNo ? joined({"Can you see ", noun, "?"})
                                                   : joined({"Is there ", noun, " in the image?"});
  return made(asking, std::move(text), yes ? "Yes" : "No");
}

std::optional<Question> ask_needle(std::span<const Scene> scenes, Rng& rng) {
  Haystack hay;
  hay.scenes = scenes;
  hay.counts.reserve(scenes.size());
  for (const Scene& scene : scenes) {
    const Counts& counts = hay.counts.emplace_back(scene);
    for (std::size_t i = 0; i < kPairs; ++i) hay.n_pictures[i] += counts.pair[i] > 0 ? 1 : 0;
  }
  const bool yes = chance(rng, 0.5);
  const auto needle = draw_where(static_cast<int32_t>(scenes.size()), rng,
                                 [&](int32_t i) { return hay.can_be_needle(static_cast<std::size_t>(i)); });
  if (!needle) return std::nullopt;
  hay.needle = static_cast<std::size_t>(*needle);
  hay.anchor = *draw_where(kPairs, rng, [&](int32_t i) { return hay.is_anchor(hay.needle, i); });
  Question question;
  question.task = Task::Needle;
  question.text = joined({"For the image with the ", name_of(pair_of(hay.anchor)), ", is there ",
                          with_article(draw_target(hay, yes, rng)), "?"});
  question.answer = yes ? "Yes" : "No";
  question.needle = *needle;
  return question;
}

}  // namespace winnow::scenes
