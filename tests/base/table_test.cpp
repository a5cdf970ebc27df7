#include "winnow/base/table.h"

#include "tests/support/expect_error.h"

namespace winnow {
namespace {

Table sample() { return {{"name", "what", "n"}, {{"a|b", "x, \"y\"", "1"}, {"long name", "", "200"}}}; }

TEST(Table, TextAlignsNumbersRight) {
  EXPECT_EQ(to_string(sample(), TableFormat::Text),
            "name       what      n\n"
            "a|b        x, \"y\"    1\n"
            "long name          200\n");
}

TEST(Table, MarkdownEscapesBars) {
  EXPECT_EQ(to_string(sample(), TableFormat::Markdown),
            "| name | what | n |\n"
            "|---|---|--:|\n"
            "| a\\|b | x, \"y\" | 1 |\n"
            "| long name |  | 200 |\n");
}

TEST(Table, CsvQuotesWhatNeedsIt) {
  EXPECT_EQ(to_string(sample(), TableFormat::Csv),
            "name,what,n\n"
            "a|b,\"x, \"\"y\"\"\",1\n"
            "long name,,200\n");
  EXPECT_EQ(to_string({{"a", "b"}, {{"", "x"}}}, TableFormat::Csv), "a,b\n,x\n");
}

TEST(Table, FormatsByName) {
  EXPECT_EQ(parse_table_format("csv"), TableFormat::Csv);
  test::expect_error(ErrorCode::InvalidArgument, "format, got 'xml', expected text, markdown or csv",
                     [] { parse_table_format("xml"); });
}

}  // namespace
}  // namespace winnow
