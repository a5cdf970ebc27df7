// The vocabulary against 20,000 questions and all that is put around them, with a segmenter of the test's
// own.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/scenes/question.h"

namespace winnow::scenes {
namespace {

const std::string kSpace = "\xe2\x96\x81";

/// Best path over pieces, with the scores that the built-in model's vocabulary gives: -1 each, -1.5 for one
/// byte.
class Segmenter {
 public:
  Segmenter() {
    for (const std::string& piece : pieces()) by_start_[start_of(piece)].push_back(piece);
  }

  /// Empty if the pieces do not cover the text.
  std::vector<std::string> operator()(const std::string& plain) const {
    std::string text;
    for (const char c : plain) text += c == ' ' ? kSpace : std::string(1, c);
    constexpr float kNever = -std::numeric_limits<float>::infinity();
    std::vector<float> best(text.size() + 1, kNever);
    std::vector<std::size_t> from(text.size() + 1, 0);
    best[0] = 0.0F;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (best[i] == kNever) continue;
      const std::string_view rest = std::string_view(text).substr(i);
      const auto look = [&](std::string_view piece) {
        const float score = best[i] - (piece.size() == 1 ? 1.5F : 1.0F);
        if (!rest.starts_with(piece) || score <= best[i + piece.size()]) return;
        best[i + piece.size()] = score;
        from[i + piece.size()] = i;
      };
      for (const std::string_view piece : by_start_[start_of(rest)]) look(piece);
      if (rest.starts_with(kSpace)) look(kSpace);
    }
    std::vector<std::string> out;
    if (best.back() == kNever) return out;
    for (std::size_t end = text.size(); end > 0; end = from[end])
      out.push_back(text.substr(from[end], end - from[end]));
    std::reverse(out.begin(), out.end());
    return out;
  }

 private:
  /// The first character, that behind a space apart.
  static std::size_t start_of(std::string_view text) {
    const bool space = text.starts_with(kSpace) && text.size() > kSpace.size();
    return space ? 256U + static_cast<uint8_t>(text[kSpace.size()]) : static_cast<uint8_t>(text[0]);
  }

  std::array<std::vector<std::string_view>, 512> by_start_;
};

/// A letter that a known word should have swallowed; capitals and digits are how printed texts are spelled.
bool is_fallback(const std::string& piece) {
  const std::string_view body =
      std::string_view(piece).starts_with(kSpace) ? std::string_view(piece).substr(3) : piece;
  return body.empty() || (body.size() == 1 && body[0] >= 'a' && body[0] <= 'z');
}

TEST(Pieces, FewAndWithoutRepeats) {
  EXPECT_LE(pieces().size(), 420U);
  EXPECT_EQ(std::set<std::string>(pieces().begin(), pieces().end()).size(), pieces().size());
  for (const std::string& piece : pieces()) {
    EXPECT_FALSE(piece.empty());
    EXPECT_EQ(piece.find(' '), std::string::npos) << piece;
  }
}

TEST(Pieces, QuestionsAndAnswersAreShort) {
  const Segmenter segment;
  constexpr int32_t kWanted = 20000;
  std::vector<int32_t> n_asked(kTasks), n_pieces(kTasks), most(kTasks);
  int32_t n = 0;
  for (uint64_t i = 0; n < kWanted; ++i) {
    Rng rng = scene_rng(Split::Validation, 1, i);
    const Scene scene = make_scene({}, rng);
    for (const TaskInfo& info : tasks()) {
      const auto q = ask(scene, info.task, rng);
      if (!q) continue;
      const auto task = static_cast<std::size_t>(info.task);
      const std::string asked = "\n" + q->text;
      const auto stem = segment(asked.substr(0, asked.find('\n', 1)));
      const auto all = segment(asked), answer = segment(" " + q->answer);
      ASSERT_FALSE(all.empty()) << q->text;
      ASSERT_FALSE(answer.empty()) << q->answer;
      for (const auto* part : {&all, &answer}) {
        for (const std::string& piece : *part) ASSERT_FALSE(is_fallback(piece)) << piece << " in " << q->text;
      }
      ++n, ++n_asked[task];
      n_pieces[task] += static_cast<int32_t>(all.size() + answer.size());
      most[task] = std::max(most[task], static_cast<int32_t>(stem.size()));
    }
  }
  for (const TaskInfo& info : tasks()) {
    const auto task = static_cast<std::size_t>(info.task);
    EXPECT_GT(n_asked[task], 0) << info.name;
    EXPECT_LE(most[task], 9) << info.name;
    RecordProperty(std::string(info.name),
                   std::to_string(static_cast<double>(n_pieces[task]) / n_asked[task]));
  }
}

TEST(Pieces, PromptPartsAreOnePieceEach) {
  const Segmenter segment;
  for (const std::string& suffix : prompt_suffixes()) EXPECT_EQ(segment(suffix).size(), 1U) << suffix;
  EXPECT_EQ(segment(ground_prefix()).size(), 1U);
  EXPECT_EQ(segment(ground_prefix() + " small red star"),
            (std::vector<std::string>{segment(ground_prefix())[0], kSpace + "small", kSpace + "red",
                                      kSpace + "star"}));
  EXPECT_EQ(segment("USER: ").size(), 1U);
  EXPECT_EQ(segment(" ASSISTANT:").size(), 1U);
  EXPECT_EQ(segment("\nASSISTANT:").size(), 1U);
  EXPECT_EQ(
      segment("A chat between a curious user and an artificial intelligence assistant. The assistant gives "
              "helpful, detailed, and polite answers to the user's questions. USER: ")
          .size(),
      2U);
  EXPECT_EQ(segment("\nIs there a red star in the image? Please answer yes or no. ASSISTANT:").size(), 7U);
}

TEST(Pieces, CoordinatesAreOnePieceEach) {
  const Segmenter segment;
  const std::vector<std::string> wanted = {kSpace + "[", "0.00",       "," + kSpace, "0.34", "," + kSpace,
                                           "0.56",       "," + kSpace, "1.00",       "]"};
  EXPECT_EQ(segment(" [0.00, 0.34, 0.56, 1.00]"), wanted);
  for (int32_t i = 0; i <= 100; i += 2) {
    char text[16];
    std::snprintf(text, sizeof text, "%d.%02d", i / 100, i % 100);
    EXPECT_EQ(segment(text).size(), 1U) << text;
  }
}

TEST(Pieces, PrintedWordsAndUnknownOnesAreSpelled) {
  const Segmenter segment;
  EXPECT_EQ(segment(" CAT"), (std::vector<std::string>{kSpace + "C", "A", "T"}));
  EXPECT_EQ(segment(" 731"), (std::vector<std::string>{kSpace + "7", "3", "1"}));
  EXPECT_EQ(segment(" zq"), (std::vector<std::string>{kSpace + "z", "q"}));
  for (char c = '0'; c <= 'z'; ++c) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) continue;
    EXPECT_EQ(segment(std::string("\n") + c).size(), 2U) << c;
    EXPECT_EQ(segment(std::string(" ") + c).size(), 1U) << c;
  }
}

}  // namespace
}  // namespace winnow::scenes
