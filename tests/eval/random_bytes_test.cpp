// Whatever the bytes: readers and scorers return or throw winnow::Error, nothing else.

#include <gtest/gtest.h>

#include <sstream>

#include "tests/eval/fixture.h"
#include "winnow/base/error.h"
#include "winnow/base/rng.h"
#include "winnow/eval/answer_normaliser.h"
#include "winnow/eval/base64.h"
#include "winnow/eval/python_text.h"
#include "winnow/eval/tsv.h"
#include "winnow/record/jsonl.h"

namespace winnow::eval {
namespace {

using test::Folder;

/// Bytes of all kinds, with those that the formats are made of more often.
std::string random_text(Rng& rng, std::string_view often, uint64_t max_size) {
  std::string out;
  const uint64_t n = rng.below(max_size + 1);
  for (uint64_t i = 0; i < n; ++i) {
    out += rng.below(4) > 0 && !often.empty() ? often[rng.below(often.size())]
                                              : static_cast<char>(rng.below(256));
  }
  return out;
}

template <class Call>
int attempt(const Call& call) {
  try {
    call();
    return 1;
  } catch (const Error& error) {
    EXPECT_NE(error.code(), ErrorCode::Internal) << error.what();
    return 0;
  }
}

TEST(RandomBytes, Tsv) {
  Rng rng(1);
  int n_read = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string text =
        (i % 2 == 0 ? "index\tquestion\n" : "") + random_text(rng, "\t\t\n\n\"\"\rab1", 60);
    n_read += attempt([&] {
      const TsvTable table(std::make_unique<std::istringstream>(text), "t.tsv");
      for (std::size_t row = 0; row < table.n_rows(); ++row) {
        for (std::size_t k = 0; k < table.columns().size(); ++k)
          EXPECT_EQ(table.size(row, k), std::ssize(table.text(row, k)));
      }
    });
  }
  EXPECT_GT(n_read, 100);
}

TEST(RandomBytes, TsvWithLongCells) {
  Rng rng(2);
  for (int i = 0; i < 200; ++i) {
    const std::string text = "a\tb\n" + random_text(rng, "\t\"", 3) + random_text(rng, "abcdefghij\"", 4000) +
                             "\t" + random_text(rng, "x\n\r", 3);
    attempt([&] {
      const TsvTable table(std::make_unique<std::istringstream>(text), "t.tsv");
      for (std::size_t row = 0; row < table.n_rows(); ++row) {
        for (std::size_t k = 0; k < 2; ++k) EXPECT_EQ(table.size(row, k), std::ssize(table.text(row, k)));
      }
    });
  }
}

TEST(RandomBytes, Base64) {
  Rng rng(3);
  int n_read = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string text =
        i % 2 == 0 ? random_text(rng, "AZaz09+/=\n", 24) : scenes::base64(random_text(rng, "", 24));
    n_read += attempt([&] { EXPECT_LE(decode_base64(text, "p").size(), text.size()); });
  }
  EXPECT_GT(n_read, 10000);
}

TEST(RandomBytes, JsonLinesAndLists) {
  Rng rng(4);
  const Folder folder;
  const auto take = [](const record::JsonRow& row) {
    for (const char* key : {"a", "b"}) {
      attempt([&] { row.text(key); });
      attempt([&] { row.texts(key); });
      attempt([&] { row.integer(key); });
      attempt([&] { row.row(key, 0); });
    }
  };
  for (int i = 0; i < 1000; ++i) {
    folder.write("f", (i % 3 == 0   ? "{\"a\":[{"
                       : i % 3 == 1 ? "["
                                    : "{") +
                          random_text(rng, "{}[]\",:ab10 \n\\e-.", 40));
    attempt([&] { record::for_each_line(folder.path("f"), take); });
    attempt([&] { record::for_each_element(folder.path("f"), "a", take); });
    attempt([&] { record::for_each_element(folder.path("f"), "", take); });
  }
}

TEST(RandomBytes, DeepJson) {
  const Folder folder;
  for (const char* open : {"[", "{\"a\":"}) {
    std::string text;
    for (int i = 0; i < 100000; ++i) text += open;
    folder.write("f", text);
    attempt([&] { record::for_each_line(folder.path("f"), [](const record::JsonRow&) {}); });
    attempt([&] { record::for_each_element(folder.path("f"), "a", [](const record::JsonRow&) {}); });
  }
}

TEST(RandomBytes, PythonTexts) {
  Rng rng(5);
  for (int i = 0; i < 20000; ++i) {
    const std::string text = random_text(rng, "[]'\",\\ux0123456789._eE+-% naif\xc3\xa9\xe4\xb8\xad", 30);
    parse_list(text);
    parse_float(text);
    EXPECT_EQ(lower(text).size(), text.size());
    EXPECT_LE(n_characters(text), text.size());
    EXPECT_LE(strip(text).size(), text.size());
    capitalize(text);
    for (const AnswerRules rules :
         {AnswerRules::EvalAi, AnswerRules::EvalAiRaw, AnswerRules::Official, AnswerRules::Vlmeval}) {
      // Reading what is normalised a second time must not fail either.
      normalise_answer(normalise_answer(text, rules), rules);
    }
  }
}

TEST(RandomBytes, EveryScorerTakesEveryAnswer) {
  Rng rng(6);
  Item item;
  item.id = item.group = "1";
  item.category = "random";
  item.question = "Which?";
  item.choices = {"red", "green", "", "blue"};
  item.answers = {"A", "yes", "red"};
  item.box = {0.1, 0.1, 0.5, 0.5};
  item.width_px = item.height_px = 96;
  for (int i = 0; i < 5000; ++i) {
    const std::string answer =
        random_text(rng, "ABCDEyesnoYN .,()[]*:'\"\n\t0123456789-+eE%answer is The\xe3\x80\x80", 40);
    for (const Benchmark* benchmark : benchmarks()) {
      for (const Convention convention : conventions()) {
        const Score score = benchmark->score(item, answer, convention);
        EXPECT_GE(score.value, 0.0);
        EXPECT_LE(score.value, 1.0);
      }
    }
  }
}

TEST(RandomBytes, NamesThatNoFileSystemTakes) {
  const Folder folder;
  for (const std::string& name :
       {std::string(5000, 'x'), std::string("a\0b", 3), std::string("../../..//"), std::string("\xff")}) {
    folder.write("t.tsv", "index\tquestion\tanswer\timage_path\n1\tIs it?\tyes\t" + name + "\n");
    EXPECT_EQ(attempt([&] { find_benchmark("gqa").load(folder.path("t.tsv"), {}); }), 0);
    EXPECT_EQ(attempt([&] { find_benchmark("gqa").load(name, {}); }), 0);
  }
}

TEST(RandomBytes, LoadersOfBrokenTables) {
  Rng rng(7);
  const Folder folder;
  const std::string good =
      "index\tquestion\tA\tB\tanswer\tcategory\timage\timage_path\twidth\theight\n1\tIs "
      "it?\ta\tb\tA\tcolor\t" +
      test::picture_base64('a') + "\tx\t10\t10\n2\tIs it?\ta\tb\tB\tcolor\t1\tx\t10\t10\n";
  for (int i = 0; i < 300; ++i) {
    std::string text = good;
    for (uint64_t k = 0; k <= rng.below(4); ++k)
      text[rng.below(text.size())] = "\t\n\"\r=1A\xff"[rng.below(8)];
    folder.write("t.tsv", text);
    for (const Benchmark* benchmark : benchmarks())
      attempt([&] { benchmark->load(folder.path("t.tsv"), {}); });
  }
}

}  // namespace
}  // namespace winnow::eval
