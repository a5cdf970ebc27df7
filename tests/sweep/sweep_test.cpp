// Questions about small random pictures, asked of a model with random weights: which rows come, in which
// order, and that sharing the tower's work changes no answer.

#include "winnow/sweep/sweep.h"

#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "tests/support/engine_models.h"
#include "tests/support/expect_error.h"
#include "winnow/engine/generate.h"
#include "winnow/scenes/render.h"

namespace winnow::sweep {
namespace {

using test::expect_error;
using Rows = std::vector<record::ResultRow>;

std::shared_ptr<const std::string> png(uint64_t seed) {
  const engine::Image image = testing::picture(seed, 40, 30);
  const auto bytes = scenes::encode_png(image.rgb, image.width, image.height);
  return std::make_shared<const std::string>(bytes.begin(), bytes.end());
}

/// Three groups of two questions about the same picture.
Questions questions() {
  Questions out{&eval::find_benchmark("gqa"), {}};
  for (int i = 0; i < 6; ++i) {
    eval::Item item;
    item.id = fmt::format("q{}", i);
    item.group = fmt::format("g{}", i / 2);
    item.question = fmt::format("what is number {}", i);
    item.answers = {"yes"};
    item.images = {{item.group, "", png(static_cast<uint64_t>(i / 2))}};
    out.items.push_back(item);
  }
  return out;
}

std::vector<Configuration> configured(const std::vector<std::string>& methods) {
  ConfigurationRequest request;
  request.methods = methods;
  request.keeps = {"4"};
  return configurations(request, *testing::tiny_model());
}

SweepOptions options(int32_t n_jobs = 1) {
  SweepOptions out;
  out.session = testing::threads(n_jobs);
  out.n_jobs = n_jobs;
  out.max_tokens = 2;
  out.seed = 3;
  out.prompt_template = "vicuna_v1";
  out.keep_indices = true;
  return out;
}

Rows rows_of(const std::vector<Questions>& questions, const std::vector<Configuration>& configurations,
             const SweepOptions& options, const std::set<std::string>& done = {}) {
  Rows rows;
  sweep(
      testing::tiny_model(), questions, configurations, options,
      [&](const std::string&, int64_t index, const std::string& config) {
        return done.contains(fmt::format("{} {}", index, config));
      },
      [&](const record::ResultRow& row) { rows.push_back(row); });
  return rows;
}

/// All that must not depend on how the work was dealt out.
std::vector<std::string> lines(Rows rows) {
  std::vector<std::string> out;
  for (record::ResultRow& row : rows) {
    row.stage_ms = {};
    out.push_back(record::to_line(row));
  }
  return out;
}

const std::vector<std::string> kMethods = {"none", "random", "fastv", "tome", "resize"};

TEST(Sweep, RowsComeByQuestionThenConfiguration) {
  const Rows rows = rows_of({questions()}, configured(kMethods), options());
  ASSERT_EQ(rows.size(), 30U);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].index, static_cast<int64_t>(i / 5));
    EXPECT_EQ(rows[i].question_id, fmt::format("q{}", i / 5));
    EXPECT_EQ(rows[i].config, i % 5 == 0 ? "none" : kMethods[i % 5] + " @ 4");
    EXPECT_EQ(rows[i].error, "");
    EXPECT_EQ(rows[i].n_visual_before, rows[i].config == "resize @ 4" ? 4 : 16);
    EXPECT_EQ(rows[i].n_visual_after, i % 5 == 0 ? 16 : 4);
    EXPECT_EQ(rows[i].convention, "llava");
  }
  EXPECT_EQ(rows[0].kept->at(0).size(), 16U);
  EXPECT_EQ(rows[1].kept->at(0).size(), 4U);
  EXPECT_FALSE(rows[3].kept);  // tome merges
  EXPECT_FALSE(rows[4].kept);  // a smaller picture's tokens are none of the whole one's
  EXPECT_EQ(rows[1].kept_maps->at(0).at(0).kept, rows[1].kept->at(0));
  EXPECT_FALSE(rows[3].kept_maps);
  const record::KeptMap& smaller = rows[4].kept_maps->at(0).at(0);
  EXPECT_EQ(smaller.rows, 2);
  EXPECT_EQ(smaller.kept.size(), 4U);
  constexpr double kBox[] = {0.0, -1.0 / 6.0, 1.0, 7.0 / 6.0};  // 4 : 3, padded to a square
  for (const std::size_t row : {1U, 4U}) {
    const auto& box = rows[row].kept_maps->at(0).at(0).box;
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(box[i], kBox[i], 1e-9);
  }
}

// With one encoding for all, and alone: the same answer, the same kept tokens.
TEST(Sweep, SharingTheTowerChangesNothing) {
  const auto all = lines(rows_of({questions()}, configured(kMethods), options()));
  for (std::size_t c = 0; c < kMethods.size(); ++c) {
    const auto one = lines(rows_of({questions()}, configured({kMethods[c]}), options()));
    ASSERT_EQ(one.size(), 6U);
    for (std::size_t i = 0; i < one.size(); ++i) EXPECT_EQ(one[i], all[5 * i + c]) << kMethods[c];
  }
}

TEST(Sweep, AnswersAreThoseOfASession) {
  const Questions asked = questions();
  const auto configurations = configured({"fastv"});
  const Rows rows = rows_of({asked}, configurations, options());
  engine::Session session(testing::tiny_model(), testing::threads(1));
  const auto& model = *testing::tiny_model();
  const auto form = engine::choose_template("vicuna_v1", model.text_file(), model.tokenizer());
  for (std::size_t i = 0; i < asked.items.size(); ++i) {
    const std::string& bytes = *asked.items[i].images[0].bytes;
    const auto picture =
        engine::decode_image({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, {});
    const auto image =
        session.encode(picture, engine::ImageFit::Pad, session.tower_request(configurations[0].prune));
    session.clear();
    const std::string turn =
        "<image>\n" + asked.items[i].question + "\nAnswer the question using a single word or phrase.";
    auto prefill = session.prefill(engine::make_turn(form, turn, 1, true, model.tokenizer()), {&image},
                                   configurations[0].prune, 2);
    engine::GenerateOptions generate;
    generate.max_tokens = 2;
    EXPECT_EQ(rows[i].prompt, turn);
    EXPECT_EQ(rows[i].kept->at(0), prefill.steps.back().kept);
    EXPECT_EQ(rows[i].prediction, engine::generate(session, std::move(prefill.logits), generate).text);
  }
}

TEST(Sweep, JobsChangeNeitherRowsNorOrder) {
  const auto expected = lines(rows_of({questions()}, configured(kMethods), options()));
  EXPECT_EQ(lines(rows_of({questions()}, configured(kMethods), options(3))), expected);
}

TEST(Sweep, ShardsPartTheGroups) {
  const auto whole = lines(rows_of({questions()}, configured({"none", "random"}), options()));
  std::multiset<std::string> together;
  for (int32_t number = 1; number <= 2; ++number) {
    SweepOptions o = options();
    o.shard = {number, 2};
    std::set<std::string> groups;
    for (const record::ResultRow& row : rows_of({questions()}, configured({"none", "random"}), o)) {
      groups.insert(row.group);
      together.insert(lines({row}).front());
    }
    EXPECT_EQ(groups, number == 1 ? (std::set<std::string>{"g0", "g2"}) : std::set<std::string>{"g1"});
  }
  EXPECT_EQ(together, std::multiset<std::string>(whole.begin(), whole.end()));
}

TEST(Sweep, WhatIsDoneIsNotAskedAgain) {
  const auto whole = lines(rows_of({questions()}, configured({"none", "random"}), options()));
  const auto rest = lines(rows_of({questions()}, configured({"none", "random"}), options(),
                                  {"0 none", "1 none", "1 random @ 4"}));
  ASSERT_EQ(rest.size(), whole.size() - 3);
  EXPECT_EQ(rest[0], whole[1]);
  EXPECT_EQ(rest[1], whole[4]);
}

TEST(Sweep, AQuestionThatFailsIsARow) {
  Questions asked = questions();
  asked.items[2].images[0] = {"broken", "", std::make_shared<const std::string>("no picture")};
  asked.items[4].images[0] = {"gone", "/nowhere/gone.png", nullptr};
  const Rows rows = rows_of({asked}, configured({"none"}), options());
  ASSERT_EQ(rows.size(), 6U);
  EXPECT_NE(rows[2].error.find("image"), std::string::npos) << rows[2].error;
  EXPECT_NE(rows[4].error.find("/nowhere/gone.png"), std::string::npos) << rows[4].error;
  EXPECT_EQ(rows[2].prediction, "");
  EXPECT_EQ(rows[2].score, 0.0);
  for (const std::size_t i : {0U, 1U, 3U, 5U}) EXPECT_EQ(rows[i].error, "");
}

TEST(Sweep, ARowThatCannotBeTakenEndsIt) {
  for (const int32_t n_jobs : {1, 3}) {
    int n_taken = 0;
    const std::vector<Questions> asked = {questions()};
    const auto run = [&] {
      sweep(
          testing::tiny_model(), asked, configured({"none"}), options(n_jobs),
          [](const std::string&, int64_t, const std::string&) { return false; },
          [&](const record::ResultRow&) {
            if (++n_taken == 3) throw std::length_error("disk full");
          });
    };
    EXPECT_THROW(run(), std::length_error);
    EXPECT_EQ(n_taken, 3);
  }
}

TEST(Sweep, EveryQuestionHasItsOwnDraw) {
  const Rows rows = rows_of({questions()}, configured({"random"}), options());
  std::set<std::vector<int32_t>> kept;
  std::set<uint64_t> seeds;
  for (const record::ResultRow& row : rows) {
    kept.insert(row.kept->at(0));
    seeds.insert(row.seed);
    EXPECT_EQ(row.seed, question_seed(3, row.question_id));
  }
  EXPECT_EQ(seeds.size(), 6U);
  EXPECT_GT(kept.size(), 3U);  // 4 of 16
  EXPECT_NE(question_seed(3, "q0"), question_seed(4, "q0"));
}

TEST(Sweep, TheDigestSeesWhatIsAsked) {
  const Questions asked = questions();
  const auto digest = [](const Questions& q) { return digest_of(q, eval::Convention::Llava); };
  EXPECT_EQ(digest(asked), digest(questions()));
  Questions other = asked;
  other.items[3].answers = {"no"};
  EXPECT_NE(digest(other), digest(asked));
  other = asked;
  other.items[0].question += "?";
  EXPECT_NE(digest(other), digest(asked));
  other = asked;
  std::swap(other.items[0], other.items[1]);
  EXPECT_NE(digest(other), digest(asked));
}

TEST(Sweep, BadOptions) {
  SweepOptions o = options();
  o.n_jobs = 2;
  expect_error(ErrorCode::InvalidArgument, "jobs, got 2 with 1 threads",
               [&] { rows_of({questions()}, configured({"none"}), o); });
  o = options();
  o.prompt_template = "no such";
  expect_error(ErrorCode::InvalidArgument, "no such",
               [&] { rows_of({questions()}, configured({"none"}), o); });
}

}  // namespace
}  // namespace winnow::sweep
