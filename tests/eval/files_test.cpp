// TSV, base64 and JSON readers: what they read, and what they say about broken files.

#include <gtest/gtest.h>

#include <sstream>

#include "tests/eval/fixture.h"
#include "tests/support/expect_error.h"
#include "winnow/eval/base64.h"
#include "winnow/eval/tsv.h"
#include "winnow/record/jsonl.h"

namespace winnow::eval {
namespace {

using test::Folder;
using winnow::test::expect_error;

TsvTable table_of(const std::string& text) { return {std::make_unique<std::istringstream>(text), "t.tsv"}; }

std::vector<std::string> row_of(const TsvTable& table, std::size_t row) {
  std::vector<std::string> cells;
  for (std::size_t i = 0; i < table.columns().size(); ++i) {
    cells.push_back(table.text(row, i));
    EXPECT_EQ(table.size(row, i), std::ssize(cells.back()));
  }
  return cells;
}
using Cells = std::vector<std::string>;

TEST(Tsv, PlainCells) {
  const TsvTable table = table_of("index\tquestion\n1\tred?\n2\t\n");
  EXPECT_EQ(table.columns(), (Cells{"index", "question"}));
  ASSERT_EQ(table.n_rows(), 2U);
  EXPECT_EQ(row_of(table, 0), (Cells{"1", "red?"}));
  EXPECT_EQ(row_of(table, 1), (Cells{"2", ""}));
  EXPECT_EQ(table.column("question"), 1U);
  EXPECT_FALSE(table.find_column("hint"));
  EXPECT_EQ(table.place(1), "t.tsv:3");
}

TEST(Tsv, LineEndsAndMarks) {
  EXPECT_EQ(row_of(table_of("\xEF\xBB\xBF"
                            "a\tb\r\n1\t2\r\n"),
                   0),
            (Cells{"1", "2"}));
  EXPECT_EQ(table_of("\xEF\xBB\xBF"
                     "a\tb\n")
                .columns(),
            (Cells{"a", "b"}));
  EXPECT_EQ(row_of(table_of("a\tb\n1\t2"), 0), (Cells{"1", "2"}));
  EXPECT_EQ(row_of(table_of("a\tb\n1\t"), 0), (Cells{"1", ""}));
  EXPECT_EQ(row_of(table_of("a\tb\n1\t\r\n"), 0), (Cells{"1", ""}));
  EXPECT_EQ(table_of("a\tb\n\n1\t2\n\r\n\n").n_rows(), 1U);  // empty lines
  EXPECT_EQ(table_of("a\n").n_rows(), 0U);
}

TEST(Tsv, QuotesAsPandasReadsThem) {
  const TsvTable table =
      table_of("a\tb\tc\n\"x\ty\"\t\"say \"\"hi\"\"\"\t\"two\nlines\"\n1\ta\"b\"\t\"q\"z\n");
  EXPECT_EQ(row_of(table, 0), (Cells{"x\ty", "say \"hi\"", "two\nlines"}));
  EXPECT_EQ(row_of(table, 1), (Cells{"1", "a\"b\"", "qz"}));  // a quote inside, text behind the quotes
  EXPECT_EQ(table.place(0), "t.tsv:2");
  EXPECT_EQ(table.place(1), "t.tsv:4");
  EXPECT_EQ(row_of(table_of("a\tb\n1\t\"\"\r\n"), 0), (Cells{"1", ""}));
  EXPECT_EQ(row_of(table_of("a\tb\n1\t\"x\r\"\r\n"), 0), (Cells{"1", "x\r"}));
}

TEST(Tsv, LongCellsAreReadAgain) {
  std::string raw, plain;
  for (int i = 0; i < 400; ++i) {
    raw += i % 7 == 0 ? "\"\"" : i % 11 == 0 ? "\t" : "ab";
    plain += i % 7 == 0 ? "\"" : i % 11 == 0 ? "\t" : "ab";
  }
  const std::string longest(70000, 'z');  // beyond one chunk
  const TsvTable table = table_of("a\tb\tc\n1\t\"" + raw + "\"\t" + longest + "\r\n2\tx\ty\n");
  EXPECT_EQ(row_of(table, 0), (Cells{"1", plain, longest}));
  EXPECT_EQ(row_of(table, 1), (Cells{"2", "x", "y"}));
  EXPECT_EQ(row_of(table, 0), (Cells{"1", plain, longest}));
}

TEST(Tsv, SaysWhatIsBroken) {
  expect_error(ErrorCode::Corrupt, "t.tsv: empty, expected a header row", [] { table_of(""); });
  expect_error(ErrorCode::Corrupt, "t.tsv: empty", [] { table_of("\n\n"); });
  expect_error(ErrorCode::Corrupt, "t.tsv:3: 1 cells, expected 2 as in the header",
               [] { table_of("a\tb\n1\t2\n3\n"); });
  expect_error(ErrorCode::Corrupt, "t.tsv:2: 3 cells, expected 2", [] { table_of("a\tb\n1\t2\t3\n"); });
  expect_error(ErrorCode::Corrupt, "t.tsv:3: a quote is not closed",
               [] { table_of("a\tb\n1\t2\n3\t\"4\n5\t6\n"); });
  expect_error(ErrorCode::Corrupt, "t.tsv:1: column 'a' is there twice", [] { table_of("a\ta\n"); });
  expect_error(ErrorCode::Corrupt, "column 'answer' is missing, the header has index, question",
               [] { table_of("index\tquestion\n").column("answer"); });
  expect_error(ErrorCode::NotFound, "none.tsv: no such file", [] { TsvTable("none.tsv"); });
  const Folder folder;
  expect_error(ErrorCode::Io, "cannot be read", [&] { TsvTable(folder.path()); });
}

TEST(Tsv, MissingValuesOfPandas) {
  for (const char* cell : {"", "nan", "NaN", "None", "NA", "N/A", "null", "NULL", "<NA>", "#N/A"})
    EXPECT_TRUE(is_missing(cell)) << cell;
  for (const char* cell : {"none", "Nan", "na", " ", "0", "No", "None of these"})
    EXPECT_FALSE(is_missing(cell)) << cell;
}

TEST(Base64, Rfc4648) {
  const std::pair<const char*, std::string> cases[] = {{"", ""},
                                                       {"Zg==", "f"},
                                                       {"Zm8=", "fo"},
                                                       {"Zm9v", "foo"},
                                                       {"Zm9vYg==", "foob"},
                                                       {"Zm9vYmE=", "fooba"},
                                                       {"Zm9vYmFy", "foobar"},
                                                       {"//4=", "\xff\xfe"},
                                                       {"AAA=", std::string(2, '\0')}};
  for (const auto& [text, bytes] : cases) EXPECT_EQ(decode_base64(text, "p"), bytes) << text;
  EXPECT_EQ(decode_base64(" Zm9v\r\n YmFy\n", "p"), "foobar");
}

TEST(Base64, UndoesTheWriterOfScenes) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) {
    bytes += static_cast<char>(i);
    EXPECT_EQ(decode_base64(scenes::base64(bytes), "p"), bytes);
  }
}

TEST(Base64, SaysWhatIsBroken) {
  expect_error(ErrorCode::Corrupt, "f.tsv:3: bad base64, byte 0x25 at 2",
               [] { decode_base64("Zm%v", "f.tsv:3"); });
  expect_error(ErrorCode::Corrupt, "bad base64, byte 0xff at 0", [] { decode_base64("\xff", "p"); });
  expect_error(ErrorCode::Corrupt, "text behind the padding at 4", [] { decode_base64("Zg==Zg==", "p"); });
  for (const char* text : {"Z", "Zg", "Zg=", "Zm9vY", "Zm9vYg", "Zm9v=", "====", "Zg==="})
    expect_error(ErrorCode::Corrupt, "expected a multiple of 4", [&] { decode_base64(text, "p"); });
}

TEST(Jsonl, ReadsLinesAndFields) {
  const Folder folder;
  folder.write("a.jsonl",
               "{\"id\":7,\"text\":\"x\",\"v\":1.5,\"list\":[\"a\",2],\"no\":null}\r\n\n{\"id\":\"8\"}");
  std::vector<std::string> places;
  record::for_each_line(folder.path("a.jsonl"), [&](const record::JsonRow& row) {
    places.push_back(row.place());
    if (places.size() > 1) {
      EXPECT_EQ(row.text("id"), "8");
      return;
    }
    EXPECT_EQ(row.text("id"), "7");
    EXPECT_EQ(row.integer("id"), 7);
    EXPECT_EQ(row.text("v"), "1.5");
    EXPECT_EQ(row.texts("list"), (std::vector<std::string>{"a", "2"}));
    EXPECT_FALSE(row.has("no"));
    EXPECT_FALSE(row.has("nothing"));
    const std::string place = folder.path("a.jsonl:1");
    expect_error(ErrorCode::Corrupt, place + ": field 'answer' is missing, there are id, list, no, text, v",
                 [&] { row.text("answer"); });
    expect_error(ErrorCode::Corrupt, place + ": field 'no', got null, expected a text",
                 [&] { row.text("no"); });
    expect_error(ErrorCode::Corrupt, "field 'text', got string, expected a whole number",
                 [&] { row.integer("text"); });
    expect_error(ErrorCode::Corrupt, "field 'list', got array, expected a list of numbers",
                 [&] { row.numbers("list"); });
    expect_error(ErrorCode::Corrupt, "list[0]: got string, expected an object", [&] { row.row("list", 0); });
    expect_error(ErrorCode::Corrupt, "field 'list', got array, expected a list with objects",
                 [&] { row.row("list", 2); });
  });
  EXPECT_EQ(places, (std::vector<std::string>{folder.path("a.jsonl:1"), folder.path("a.jsonl:3")}));
}

TEST(Jsonl, NamesTheBrokenLine) {
  const Folder folder;
  const auto ignore = [](const record::JsonRow&) {};
  folder.write("a.jsonl", "{}\n{\"id\": }\n");
  expect_error(ErrorCode::Corrupt, "a.jsonl:2: not JSON: parse error",
               [&] { record::for_each_line(folder.path("a.jsonl"), ignore); });
  folder.write("b.jsonl", "[1]\n");
  expect_error(ErrorCode::Corrupt, "b.jsonl:1: got array, expected an object",
               [&] { record::for_each_line(folder.path("b.jsonl"), ignore); });
  folder.write("c.jsonl", "{\"a\":\"\xff\"}\n");
  expect_error(ErrorCode::Corrupt, "c.jsonl:1: not JSON",
               [&] { record::for_each_line(folder.path("c.jsonl"), ignore); });
  expect_error(ErrorCode::NotFound, "none.jsonl: no such file",
               [&] { record::for_each_line("none.jsonl", ignore); });
  expect_error(ErrorCode::Io, "cannot be read", [&] { record::read_json(folder.path()); });
  folder.write("d.json", "{\"a\":\n 1");
  expect_error(ErrorCode::Corrupt, "d.json: not JSON: parse error at line 2",
               [&] { record::read_json(folder.path("d.json")); });
}

TEST(Json, HandsOverElementsOneByOne) {
  const Folder folder;
  folder.write(
      "a.json",
      R"({"info":{"x":{"y":1},"data":[{"id":"inner"}]},"data":[{"id":1,"deep":[{"id":2}]},{"id":3}],"more":[{"id":4}]})");
  std::vector<std::string> seen;
  record::for_each_element(folder.path("a.json"), "data", [&](const record::JsonRow& row) {
    seen.push_back(row.text("id") + (row.has("deep") ? "+" : ""));
    EXPECT_EQ(row.place(), folder.path(fmt::format("a.json: data[{}]", seen.size() - 1)));
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"1+", "3"}));
  folder.write("b.json", R"([{"id":1},{"id":2,"list":[{"id":3}]}])");
  seen.clear();
  record::for_each_element(folder.path("b.json"), "",
                           [&](const record::JsonRow& row) { seen.push_back(row.text("id")); });
  EXPECT_EQ(seen, (std::vector<std::string>{"1", "2"}));
  folder.write("c.json", R"({"data":[]})");
  record::for_each_element(folder.path("c.json"), "data", [](const record::JsonRow&) { FAIL(); });
}

TEST(Json, SaysWhatIsNoList) {
  const Folder folder;
  const auto ignore = [](const record::JsonRow&) {};
  folder.write("a.json", R"({"data":{"id":1}})");
  expect_error(ErrorCode::Corrupt, "a.json: expected a list 'data' in an object",
               [&] { record::for_each_element(folder.path("a.json"), "data", ignore); });
  expect_error(ErrorCode::Corrupt, "a.json: expected a list",
               [&] { record::for_each_element(folder.path("a.json"), "", ignore); });
  folder.write("b.json", R"({"data":[{"id":1},7]})");
  expect_error(ErrorCode::Corrupt, "b.json: data[1]: got number, expected an object",
               [&] { record::for_each_element(folder.path("b.json"), "data", ignore); });
  folder.write("c.json", R"({"data":[{"id":1})");
  expect_error(ErrorCode::Corrupt, "c.json: not JSON",
               [&] { record::for_each_element(folder.path("c.json"), "data", ignore); });
}

}  // namespace
}  // namespace winnow::eval
