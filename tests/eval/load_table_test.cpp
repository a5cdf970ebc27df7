// VLMEvalKit's tables, written by hand: each benchmark that has one, and what the loader says about broken
// ones.

#include <gtest/gtest.h>

#include <map>

#include "tests/eval/fixture.h"
#include "tests/support/expect_error.h"

namespace winnow::eval {
namespace {

using test::bytes_of;
using test::Folder;
using test::ids_of;
using test::picture_base64;
using test::picture_bytes;
using winnow::test::expect_error;
using Ids = std::vector<std::string>;

std::vector<Item> load(const std::string& name, const Folder& folder, const LoadOptions& options = {}) {
  return find_benchmark(name).load(folder.path(), options);
}

std::string lines(std::initializer_list<std::string> rows) {
  std::string text;
  for (const std::string& row : rows) text += row + "\n";
  return text;
}

const std::string kA = picture_base64('a'), kB = picture_base64('b');

TEST(Table, PopeWithSharedPicturesAndCategories) {
  const Folder folder;
  folder.write(
      "POPE.tsv",
      lines(
          {"index\tquestion\tanswer\tcategory\timage",
           "1\tIs there a car in the image? Please answer yes or no.\tYes\tadversarial,popular,random\t" + kA,
           "2\tIs there a cat in the image? Please answer yes or no.\tNo\trandom\t1"}));
  const auto items = load("pope", folder);
  EXPECT_EQ(ids_of(items), (Ids{"1", "2"}));
  EXPECT_EQ(items[0].question, "Is there a car in the image?");
  EXPECT_EQ(find_benchmark("pope").prompt(items[0], Convention::Vlmeval),
            "<image>\nIs there a car in the image? Please answer yes or no.");
  EXPECT_EQ(items[0].answers, Ids{"yes"});
  EXPECT_EQ(items[0].category, "adversarial,popular,random");
  EXPECT_EQ(bytes_of(items[0].images.at(0)), picture_bytes('a'));
  EXPECT_EQ(items[1].images.at(0).key, items[0].images.at(0).key);
  EXPECT_EQ(items[1].images[0].bytes, items[0].images[0].bytes);  // one copy in memory
  EXPECT_EQ(ids_of(load("pope", folder, {.split = "popular"})), Ids{"1"});
}

TEST(Table, CanBeNamedItself) {
  const Folder folder;
  folder.write("mine.tsv",
               lines({"index\tquestion\tanswer\tcategory\timage", "1\tIs it?\tYes\trandom\t" + kA}));
  EXPECT_EQ(find_benchmark("pope").load(folder.path("mine.tsv"), {}).size(), 1U);
  EXPECT_EQ(find_benchmark("gqa").load(folder.path("mine.tsv"), {}).size(), 1U);
}

TEST(Table, MmePairsByPath) {
  const Folder folder;
  const std::string header = "index\timage\tquestion\tanswer\tcategory\timage_path";
  folder.write("MME.tsv",
               lines({header, "0\t" + kA + "\tIs it red? Please answer yes or no.\tYes\tcolor\tcolor/1.jpg",
                      "1\t0\tIs it blue? Please answer yes or no.\tNo\tcolor\tcolor/1.jpg"}));
  const auto items = load("mme", folder);
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[0].group, items[1].group);
  EXPECT_EQ(bytes_of(items[1].images.at(0)), picture_bytes('a'));
  folder.write("MME.tsv", lines({header, "0\t" + kA + "\tIs it red?\tYes\tcolor\tcolor/1.jpg"}));
  expect_error(ErrorCode::Corrupt, "MME.tsv:2: picture 'color/color/1.jpg' has 1 questions, expected 2",
               [&] { load("mme", folder); });
}

const std::string kChoices = "index\tquestion\thint\tA\tB\tC\tD\tanswer\tcategory\tl2-category\timage\tsplit";

TEST(Table, MmBenchRotations) {
  const Folder folder;
  folder.write(
      "MMBench_DEV_EN.tsv",
      lines({kChoices, "7\t\"Say \"\"hi\"\"\"\tnan\tred\tgreen\t\t\tB\tcolor\tperception\t" + kA + "\tdev",
             "1000007\t\"Say \"\"hi\"\"\"\t\tgreen\tred\t\t\tA\tcolor\tperception\t7\tdev",
             "8\tWhich?\tLook.\tred\tgreen\tblue\twhite\tD\tshape\tperception\t" + kB + "\tdev"}));
  const auto items = load("mmbench", folder);
  EXPECT_EQ(ids_of(items), (Ids{"7", "1000007", "8"}));
  EXPECT_EQ(items[0].question, "Say \"hi\"");
  EXPECT_EQ(items[0].hint, "");
  EXPECT_EQ(items[0].choices, (Ids{"red", "green"}));
  EXPECT_EQ(items[1].group, "7");
  EXPECT_EQ(items[1].answers, Ids{"A"});
  EXPECT_EQ(items[1].subcategory, "perception");
  EXPECT_EQ(bytes_of(items[1].images.at(0)), picture_bytes('a'));
  EXPECT_EQ(bytes_of(items[2].images.at(0)), picture_bytes('b'));
  EXPECT_EQ(ids_of(load("mmbench", folder, {.split = "vanilla"})), (Ids{"7", "8"}));
  expect_error(ErrorCode::NotFound, "does not hold mmbench_cn, looked for MMBench_DEV_CN.tsv",
               [&] { load("mmbench_cn", folder); });
}

TEST(Table, APartHasWholeGroupsAndNoMoreThanAskedFor) {
  const Folder folder;
  std::string text = "index\tquestion\tA\tB\tanswer\timage\n1\tQ\ta\tb\tA\t" + kA + "\n";
  for (const char* index : {"1000001", "2000001", "3000001", "2", "3", "4", "5", "6", "7"})
    text += fmt::format("{}\tQ\ta\tb\tA\t1\n", index);
  folder.write("MMBench_DEV_EN.tsv", text);
  for (int64_t limit = 1; limit < 10; ++limit) {
    std::map<std::string, std::size_t> size_of;
    const auto items = load("mmbench", folder, {.limit = limit});
    for (const Item& item : items) ++size_of[item.group];
    for (const auto& [group, size] : size_of) EXPECT_EQ(size, group == "1" ? 4U : 1U) << limit;
    EXPECT_TRUE(std::ssize(items) <= limit || size_of.size() == 1) << limit << ": " << items.size();
    EXPECT_GE(items.size(), 1U);
  }
}

TEST(Table, MmBenchSaysWhatIsBroken) {
  const Folder folder;
  const auto fails_with = [&](const std::string& row, const std::string& text) {
    folder.write("MMBench_DEV_EN.tsv", lines({kChoices, row}));
    expect_error(ErrorCode::Corrupt, text, [&] { load("mmbench", folder); });
  };
  fails_with("x\tQ\t\ta\tb\t\t\tA\tc\tl\t" + kA + "\tdev",
             "MMBench_DEV_EN.tsv:2: index, got 'x', expected a whole number");
  fails_with("1\tQ\t\ta\tb\t\t\tC\tc\tl\t" + kA + "\tdev",
             "MMBench_DEV_EN.tsv:2: answer, got 'C', expected the letter of one of 2");
  fails_with("1\tQ\t\ta\tb\t\t\t\tc\tl\t" + kA + "\tdev", "MMBench_DEV_EN.tsv:2: question '1' has no answer");
  fails_with("1\tQ\t\ta\tb\t\t\tA\tc\tl\t\tdev", "MMBench_DEV_EN.tsv:2: question '1' has no image");
  fails_with("1\tQ\t\ta\tb\t\t\tA\tc\tl\t9\tdev",
             "MMBench_DEV_EN.tsv:2: image is that of row '9', which is not there");
  fails_with("1\tQ\t\ta\tb\t\t\tA\tc\tl\t1\tdev", "image is that of row '1', which holds no picture either");
  fails_with("1\tQ\t\ta\tb\t\t\tA\tc\tl\t" + kA + "!\tdev",
             "MMBench_DEV_EN.tsv:2, image 0: bad base64, byte 0x21 at 80");
  fails_with("1\tQ\t\ta\tb", "MMBench_DEV_EN.tsv:2: 5 cells, expected 12 as in the header");
  folder.write("MMBench_DEV_EN.tsv", lines({kChoices, "1\tQ\t\ta\tb\t\t\tA\tc\tl\t" + kA + "\tdev",
                                            "1\tQ\t\ta\tb\t\t\tA\tc\tl\t" + kA + "\tdev"}));
  expect_error(ErrorCode::Corrupt, "MMBench_DEV_EN.tsv:3: id '1' is there twice, first at",
               [&] { load("mmbench", folder); });
  folder.write("MMBench_DEV_EN.tsv", lines({"index\tquestion\timage", "1\tQ\t" + kA}));
  expect_error(ErrorCode::Corrupt, "column 'answer' is missing, the header has index, question, image",
               [&] { load("mmbench", folder); });
  folder.write("MMBench_DEV_EN.tsv", lines({"index\tquestion\tanswer\tA", "1\tQ\tA\ta"}));
  expect_error(ErrorCode::Corrupt, "column 'image' is missing", [&] { load("mmbench", folder); });
}

TEST(Table, SeveralPicturesInOneCell) {
  const Folder folder;
  folder.write("MMBench_DEV_EN.tsv",
               lines({"index\tquestion\tA\tB\tanswer\timage",
                      fmt::format("1\tQ\ta\tb\tA\t['{}', '{}']", kA, kB), "2\tQ\ta\tb\tB\t1"}));
  const auto items = load("mmbench", folder);
  for (const Item& item : items) {
    ASSERT_EQ(item.images.size(), 2U);
    EXPECT_EQ(bytes_of(item.images[0]), picture_bytes('a'));
    EXPECT_EQ(bytes_of(item.images[1]), picture_bytes('b'));
  }
  EXPECT_EQ(find_benchmark("mmbench").prompt(items[0], Convention::Lmms).substr(0, 16), "<image> <image>\n");
  folder.write("MMBench_DEV_EN.tsv",
               lines({"index\tquestion\tA\tB\tanswer\timage", fmt::format("1\tQ\ta\tb\tA\t[{}]", kA)}));
  expect_error(ErrorCode::Corrupt, "MMBench_DEV_EN.tsv:2: image, expected a list of base64 texts",
               [&] { load("mmbench", folder); });
}

TEST(Table, PicturesByPath) {
  const Folder folder;
  folder.write("GQA_TestDev_Balanced.tsv",
               lines({"index\tquestion\tanswer\timage_path", "1\tQ?\tcat\tx/1.jpg", "2\tQ?\tdog\t2.jpg"}));
  folder.write("x/1.jpg", picture_bytes('a'));
  folder.write("images/2.jpg", picture_bytes('b'));
  const auto items = load("gqa", folder);
  EXPECT_EQ(bytes_of(items[0].images.at(0)), picture_bytes('a'));
  EXPECT_EQ(bytes_of(items[1].images.at(0)), picture_bytes('b'));
  std::filesystem::remove(folder.path("images/2.jpg"));
  expect_error(ErrorCode::NotFound,
               "GQA_TestDev_Balanced.tsv:3: picture of question '2' not found, looked for 2.jpg",
               [&] { load("gqa", folder); });
}

TEST(Table, TheOthers) {
  const Folder folder;
  folder.write("TextVQA_VAL.tsv",
               lines({"index\tquestion\tanswer\timage",
                      "1\tWhat?\t['a', \"b's\", 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a']\t" + kA}));
  EXPECT_EQ(load("textvqa", folder)[0].answers[1], "b's");
  folder.write("TextVQA_VAL.tsv", lines({"index\tquestion\tanswer\timage", "1\tWhat?\ta\t" + kA}));
  expect_error(ErrorCode::Corrupt, "TextVQA_VAL.tsv:2: question '1' has one answer ('a')",
               [&] { load("textvqa", folder); });

  folder.write("VizWiz.tsv", lines({"index\tquestion\tanswers\timage", "1\tWhat?\t['a', 'a']\t" + kA}));
  EXPECT_EQ(load("vizwiz", folder)[0].answers.size(), 2U);
  folder.write("VQAv2_VAL.tsv", lines({"index\tquestion\tanswer\timage", "1\tWhat?\t['a', 'a']\t" + kA}));
  EXPECT_EQ(load("vqav2", folder)[0].answers.size(), 2U);

  folder.write("ScienceQA_TEST.tsv", lines({"index\tquestion\thint\tA\tB\tC\tanswer\tcategory\timage",
                                            "1\tWhich?\t\ta\tb\t\tB\tphysics\t" + kA}));
  EXPECT_EQ(load("scienceqa", folder)[0].answers, Ids{"B"});
  folder.write("SEEDBench_IMG.tsv", lines({"index\tquestion\tA\tB\tC\tD\tanswer\tcategory\timage",
                                           "1\tWhich?\ta\tb\tc\td\tD\tScene\t" + kA}));
  EXPECT_EQ(load("seedbench", folder)[0].category, "Scene");
  folder.write("OCRBench.tsv", lines({"index\tquestion\tanswer\tcategory\timage",
                                      "1\twhat?\t['A', 'B']\tDoc-oriented VQA\t" + kA}));
  EXPECT_EQ(load("ocrbench", folder)[0].answers, (Ids{"A", "B"}));
  folder.write("ChartQA_TEST.tsv",
               lines({"index\tquestion\tanswer\tsplit\timage", "1\tHow?\t14\ttest_human\t" + kA,
                      "2\tHow?\t3\ttest_augmented\t1"}));
  EXPECT_EQ(ids_of(load("chartqa", folder, {.split = "augmented"})), Ids{"2"});
  EXPECT_EQ(load("chartqa", folder)[0].category, "human");
}

TEST(Table, RefCocoBoxes) {
  const Folder folder;
  folder.write(
      "RefCOCO.tsv",
      lines({"index\tquestion\tanswer\tsplit\timage\twidth\theight\tbbox_x1\tbbox_y1\tbbox_x2\tbbox_y2",
             "1\tWhere is the cat?\t\tRefCOCO_val\t" + kA + "\t200\t100\t20\t50\t60\t75"}));
  const auto items = load("refcoco", folder);
  EXPECT_EQ(to_text(items[0].box), "[0.1, 0.5, 0.3, 0.75]");
  EXPECT_EQ(items[0].category, "refcoco_val");
  EXPECT_EQ(find_benchmark("refcoco").prompt(items[0], Convention::Vlmeval), "<image>\nWhere is the cat?");
  folder.write("RefCOCO.tsv",
               lines({"index\tquestion\tanswer\tsplit\timage\twidth\theight",
                      "1\tWhere?\t[0.1, 0.5, 0.3, 0.75]\tRefCOCO+_testA\t" + kA + "\t200\t100"}));
  EXPECT_EQ(to_text(load("refcoco", folder)[0].box), "[0.1, 0.5, 0.3, 0.75]");  // shares
  EXPECT_EQ(load("refcoco", folder)[0].category, "refcoco+_testA");
  folder.write("RefCOCO.tsv", lines({"index\tquestion\tanswer\tsplit\timage\twidth\theight",
                                     "1\tWhere?\t[20, 50, 60, 75]\tRefCOCO_val\t" + kA + "\t200\t100"}));
  EXPECT_EQ(to_text(load("refcoco", folder)[0].box), "[0.1, 0.5, 0.3, 0.75]");  // pixels
}

TEST(Table, RefCocoSaysWhatIsBroken) {
  const Folder folder;
  const auto fails_with = [&](const std::string& answer, const std::string& width, const std::string& text) {
    folder.write("RefCOCO.tsv", lines({"index\tquestion\tanswer\timage\twidth\theight",
                                       "1\tQ\t" + answer + "\t" + kA + "\t" + width + "\t100"}));
    expect_error(ErrorCode::Corrupt, text, [&] { load("refcoco", folder); });
  };
  fails_with("[1, 2, 3, 4]", "x", "RefCOCO.tsv:2: column 'width', got 'x', expected a number");
  fails_with("left", "100", "RefCOCO.tsv:2: answer, got 'left', expected a box of four numbers");
  fails_with("[20, 50, 10, 75]", "100", "RefCOCO.tsv:2: bbox, expected x, y, width, height with an area");
}

}  // namespace
}  // namespace winnow::eval
