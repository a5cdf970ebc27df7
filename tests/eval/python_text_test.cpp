// Expected values: what Python 3.11 prints for the same operation, worked out by hand from its rules.

#include "winnow/eval/python_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace winnow::eval {
namespace {

using Words = std::vector<std::string_view>;

TEST(PythonText, CountsCharactersNotBytes) {
  EXPECT_EQ(n_characters(""), 0U);
  EXPECT_EQ(n_characters("a\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80"), 4U);  // a, e acute, Chinese, an emoji
  EXPECT_EQ(first_characters("\xc3\xa9\xc3\xa0"
                             "b",
                             2),
            "\xc3\xa9\xc3\xa0");
  EXPECT_EQ(first_characters("ab", 5), "ab");
}

TEST(PythonText, BrokenBytesAreOneCharacterEach) {
  EXPECT_EQ(n_characters("\xff\xfe"), 2U);
  EXPECT_EQ(n_characters("\xc0\x80"), 2U);          // overlong
  EXPECT_EQ(n_characters("\xed\xa0\x80"), 3U);      // a surrogate
  EXPECT_EQ(n_characters("\xe4\xb8"), 2U);          // cut off
  EXPECT_EQ(n_characters("\xf5\x80\x80\x80"), 4U);  // beyond U+10FFFF
  EXPECT_EQ(lower("\xffQ\xc3"), "\xffq\xc3");
}

TEST(PythonText, BlanksOfEveryKind) {
  EXPECT_EQ(strip("\xe3\x80\x80 \ta b\xc2\xa0\r\n"), "a b");
  EXPECT_EQ(strip(" \n"), "");
  EXPECT_EQ(split_words(" a\tb\n c\xe3\x80\x80"
                        "d "),
            (Words{"a", "b", "c", "d"}));
  EXPECT_EQ(split_words(""), Words{});
  EXPECT_EQ(split_at("a,,b,", ','), (Words{"a", "", "b", ""}));
  EXPECT_EQ(split_at("", ','), (Words{""}));
  EXPECT_EQ(strip("..a.b..", "."), "a.b");
  EXPECT_EQ(strip_end("..a..", "."), "..a");
}

TEST(PythonText, CasesBeyondAscii) {
  EXPECT_EQ(lower("AZ az 09 [@`{"), "az az 09 [@`{");
  EXPECT_EQ(lower("\xc3\x80\xc3\x9e\xc3\x97"), "\xc3\xa0\xc3\xbe\xc3\x97");  // the times sign stays
  EXPECT_EQ(lower("\xc5\xb8\xc5\x92\xc4\xb9"), "\xc3\xbf\xc5\x93\xc4\xba");  // Y diaeresis, OE, L acute
  EXPECT_EQ(lower("\xce\xa3\xce\x86\xd0\x96\xd0\x81"),
            "\xcf\x83\xce\xac\xd0\xb6\xd1\x91");     // Greek, Cyrillic
  EXPECT_EQ(lower("\xef\xbc\xa1"), "\xef\xbd\x81");  // full-width A
  EXPECT_EQ(capitalize("WHAT is THE Brand?"), "What is the brand?");
  EXPECT_EQ(capitalize("\xc3\xa9"
                       "COLE"),
            "\xc3\x89"
            "cole");
  EXPECT_EQ(capitalize("42 IS"), "42 is");
}

TEST(PythonText, LettersForIsalpha) {
  for (const char32_t c : {U'a', U'Z', U'\u00e9', U'\u4e2d', U'\uff21', U'\u3042'}) EXPECT_TRUE(is_letter(c));
  for (const char32_t c : {U' ', U'1', U'_', U'\u00d7', U'\u3002', U'\uff0c', U'\u2019', U'\ufffd'})
    EXPECT_FALSE(is_letter(c)) << static_cast<uint32_t>(c);
}

TEST(PythonText, ReplacesFromTheLeft) {
  EXPECT_EQ(replaced("aaa", "aa", "b"), "ba");
  EXPECT_EQ(replaced("a-b-c", "-", ""), "abc");
  EXPECT_EQ(replaced("abc", "x", "y"), "abc");
}

TEST(PythonText, FloatsAsPythonReadsThem) {
  const std::pair<const char*, double> good[] = {{"1", 1.0},        {" -1.5\n", -1.5},  {"+.5", 0.5},
                                                 {"5.", 5.0},       {"1e3", 1000.0},    {"1E-2", 0.01},
                                                 {"1_000", 1000.0}, {"1_0.2_5", 10.25}, {"1e1_0", 1e10}};
  for (const auto& [text, value] : good) {
    ASSERT_TRUE(parse_float(text)) << text;
    EXPECT_DOUBLE_EQ(*parse_float(text), value) << text;
  }
  EXPECT_EQ(parse_float("inf"), std::numeric_limits<double>::infinity());
  EXPECT_EQ(parse_float("-Infinity"), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(parse_float("1e999"), std::numeric_limits<double>::infinity());
  EXPECT_EQ(parse_float("1e-999"), 0.0);
  EXPECT_TRUE(std::isnan(parse_float("NaN").value()));
  for (const char* text : {"",   " ",    ".",    "-",    "+",     "e5", "1e",  "1e+", "1__0",  "_1",
                           "1_", "1_.5", "1._5", "0x10", "1,000", "5%", "1 2", "--1", "infin", "1.2.3"})
    EXPECT_FALSE(parse_float(text)) << text;
}

TEST(PythonText, ListsAsPythonPrintsThem) {
  using List = std::vector<std::string>;
  EXPECT_EQ(parse_list("[]"), List{});
  EXPECT_EQ(parse_list(" ['a', \"b's\", 'c\\'d'] "), (List{"a", "b's", "c'd"}));
  EXPECT_EQ(parse_list("[ 'a' ,'b', ]"), (List{"a", "b"}));
  EXPECT_EQ(parse_list("[3, -1.5, 'x']"), (List{"3", "-1.5", "x"}));
  EXPECT_EQ(parse_list("['\\n\\t\\\\\\x41\\u00e9\\q']"), (List{"\n\t\\A\xc3\xa9\\q"}));
  EXPECT_EQ(parse_list("['', '']"), (List{"", ""}));
  for (const char* text : {"", "a", "[", "]", "['a'", "['a' 'b']", "['a'],", "[a]", "['a", "['\\", "[,]",
                           "['\\x4']", "['\\uZZZZ']", "['a\nb']", "[{}]", "[['a']]", "[1 2]", "['a',,]"})
    EXPECT_FALSE(parse_list(text)) << text;
}

}  // namespace
}  // namespace winnow::eval
