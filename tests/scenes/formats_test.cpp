// Every written file is read back and compared with the questions that were drawn. The readers here are the
// tests' own.

#include "winnow/scenes/formats/formats.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/support/expect_error.h"
#include "winnow/scenes/benchmark.h"
#include "winnow/scenes/formats/output.h"
#include "winnow/scenes/render.h"

namespace winnow::scenes {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::expect_error;

constexpr const char* kShort = "\nAnswer the question using a single word or phrase.";

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

json read_json(const fs::path& path) { return json::parse(read(path)); }

std::vector<std::string> split_at(const std::string& text, char mark) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  for (std::size_t end = 0; (end = text.find(mark, start)) != std::string::npos; start = end + 1)
    parts.push_back(text.substr(start, end - start));
  parts.push_back(text.substr(start));
  return parts;
}

/// Lines that all end with a line feed.
std::vector<std::string> read_lines(const fs::path& path) {
  auto lines = split_at(read(path), '\n');
  EXPECT_EQ(lines.back(), "") << path;
  lines.pop_back();
  return lines;
}

std::vector<json> read_json_lines(const fs::path& path) {
  std::vector<json> rows;
  for (const std::string& line : read_lines(path)) rows.push_back(json::parse(line));
  return rows;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(c));
  return text;
}

std::string expected_png(const Scene& scene) {
  const auto png = encode_png(render(scene), kSide, kSide);
  return {png.begin(), png.end()};
}

// FNV-1a, 64 bits, over names and contents in the order of the names.
uint64_t checksum(const fs::path& folder) {
  std::map<std::string, fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files[fs::relative(entry.path(), folder).generic_string()] = entry.path();
  }
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const auto& [name, path] : files) {
    for (const char byte : name + '\0' + read(path))
      hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3ULL;
  }
  return hash;
}

class Formats : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(testing::TempDir()) / fmt::format("winnow_formats_{}", test->name());
    fs::remove_all(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  ExportRequest request(const std::string& benchmark, int32_t n) const {
    ExportRequest out;
    out.benchmark = benchmark;
    out.seed = 5;
    out.n = n;
    out.folder = root_.string();
    return out;
  }

  /// Writes n questions and draws n_items again, which must be the same.
  std::vector<BenchmarkItem> written(const std::string& benchmark, int32_t n, int32_t n_items) {
    const ExportSummary summary = export_benchmark(request(benchmark, n));
    EXPECT_EQ(summary.n_questions, n_items);
    EXPECT_EQ(summary.folder, (root_ / benchmark).string());
    for (const std::string& name : summary.files) EXPECT_TRUE(fs::is_regular_file(root_ / benchmark / name));
    folder_ = root_ / benchmark;
    return draw_benchmark(benchmark, Split::Test, 5, n_items);
  }
  std::vector<BenchmarkItem> written(const std::string& benchmark, int32_t n) {
    return written(benchmark, n, n);
  }

  void expect_picture(const std::string& name, const Scene& scene) const {
    EXPECT_TRUE(read(folder_ / name) == expected_png(scene)) << name;
  }

  /// llava's question file has these texts behind these pictures.
  void expect_llava(const std::string& name, const std::vector<BenchmarkItem>& items,
                    const std::string& suffix, const std::string& pictures) const {
    const auto rows = read_json_lines(folder_ / name);
    ASSERT_EQ(rows.size(), items.size());
    std::set<std::string> ids;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].at("text"), items[i].question.text + suffix);
      EXPECT_TRUE(rows[i].at("category").is_string());
      expect_picture(pictures + rows[i].at("image").get<std::string>(), items[i].scenes.front());
      ids.insert(rows[i].at("question_id").dump());
    }
    EXPECT_EQ(ids.size(), rows.size());
  }

  fs::path root_, folder_;
};

TEST_F(Formats, Pope) {
  const auto items = written("pope", 6, 18);
  const auto llava = read_json_lines(folder_ / "llava_pope_test.jsonl");
  ASSERT_EQ(llava.size(), 18U);
  std::size_t at = 0;
  std::set<json> ids;
  for (const char* name : {"random", "popular", "adversarial"}) {
    const auto rows = read_json_lines(folder_ / fmt::format("coco_pope_{}.json", name));
    ASSERT_EQ(rows.size(), 6U);
    int32_t n_yes = 0;
    std::size_t next = 0;
    for (const BenchmarkItem& item : items) {
      if (task_info(item.question.task).name != fmt::format("exist_{}", name)) continue;
      const json& row = rows.at(next++);
      EXPECT_EQ(row.at("question_id"), next);
      EXPECT_EQ(row.at("text"), item.question.text);
      EXPECT_EQ(row.at("label"), lower(item.question.answer));
      n_yes += row.at("label") == "yes" ? 1 : 0;
      expect_picture("images/" + row.at("image").get<std::string>(), item.scenes.front());
      EXPECT_EQ(llava[at].at("text"), item.question.text + kShort);
      EXPECT_EQ(llava[at].at("category"), name);
      EXPECT_EQ(llava[at].at("image"), row.at("image"));
      ids.insert(llava[at++].at("question_id"));
    }
    EXPECT_EQ(next, 6U);
    EXPECT_EQ(n_yes, 3);
  }
  EXPECT_EQ(ids.size(), 18U);
}

TEST_F(Formats, MmeHasTwoQuestionsForEachPicture) {
  const auto items = written("mme", 27, 28);
  const std::set<std::string> categories = {
      "existence", "count", "position", "color", "OCR", "numerical_calculation", "commonsense_reasoning"};
  std::set<std::string> found;
  int32_t n_texts = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
    if (entry.path().extension() != ".txt") continue;
    ++n_texts;
    found.insert(entry.path().parent_path().filename().string());
    const std::size_t pair = std::stoul(entry.path().stem().string());
    ASSERT_LT(2 * pair + 1, items.size());
    const auto lines = read_lines(entry.path());
    ASSERT_EQ(lines.size(), 2U);
    for (std::size_t k = 0; k < 2; ++k) {
      const Question& question = items[2 * pair + k].question;
      EXPECT_EQ(lines[k], question.text + " Please answer yes or no.\t" + question.answer);
    }
    EXPECT_EQ(items[2 * pair].question.answer, "Yes");
    EXPECT_EQ(items[2 * pair + 1].question.answer, "No");
    const fs::path picture = fs::relative(entry.path(), folder_).replace_extension(".png");
    expect_picture(picture.string(), items[2 * pair].scenes.front());
  }
  EXPECT_EQ(n_texts, 14);
  EXPECT_EQ(found, categories);
  const auto llava = read_json_lines(folder_ / "llava_mme.jsonl");
  ASSERT_EQ(llava.size(), items.size());
  for (std::size_t i = 0; i < llava.size(); ++i) {
    EXPECT_EQ(llava[i].at("text"), items[i].question.text + kShort);
    EXPECT_EQ(llava[i].at("question_id"), llava[i].at("image"));
  }
}

TEST_F(Formats, Gqa) {
  const auto items = written("gqa", 10);
  const json questions = read_json(folder_ / "testdev_balanced_questions.json");
  const auto llava = read_json_lines(folder_ / "llava_gqa_testdev_balanced.jsonl");
  ASSERT_EQ(questions.size(), 10U);
  expect_llava("llava_gqa_testdev_balanced.jsonl", items, kShort, "images/");
  std::set<std::string> answers;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const json& row = questions.at(llava[i].at("question_id").get<std::string>());
    EXPECT_EQ(row.at("question"), items[i].question.text);
    EXPECT_EQ(row.at("answer"), lower(items[i].question.answer));
    EXPECT_EQ(row.at("imageId").get<std::string>() + ".png", llava[i].at("image"));
    EXPECT_EQ(row.at("types").at("detailed"), task_info(items[i].question.task).name);
    EXPECT_TRUE(row.at("isBalanced").get<bool>());
    EXPECT_EQ(row.at("semantic").size(), 2U);
    answers.insert(row.at("answer"));
  }
  EXPECT_TRUE(answers.contains("yes") && answers.contains("no"));
}

using Row = std::map<std::string, std::string>;

std::vector<Row> read_tsv(const fs::path& path) {
  const auto lines = read_lines(path);
  const auto header = split_at(lines.front(), '\t');
  EXPECT_EQ(
      lines.front(),
      "index\tquestion\thint\tA\tB\tC\tD\tanswer\tcategory\tl2-category\timage\tsource\tsplit\tcomment");
  std::vector<Row> rows;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i].find('"'), std::string::npos);  // nothing that this reader would have to unquote
    const auto cells = split_at(lines[i], '\t');
    EXPECT_EQ(cells.size(), header.size());
    Row& row = rows.emplace_back();
    for (std::size_t k = 0; k < std::min(cells.size(), header.size()); ++k) row[header[k]] = cells[k];
  }
  return rows;
}

std::string from_base64(const std::string& text) {
  const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int32_t n_bits = 0;
  for (const char c : text.substr(0, text.find('='))) {
    bits = bits << 6U | static_cast<uint32_t>(letters.find(c));
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    out += static_cast<char>(bits >> n_bits & 255U);
  }
  return out;
}

std::string text_of(const Row& row) {
  std::string text = row.at("question");
  for (const char* letter : {"A", "B", "C", "D"}) text += fmt::format("\n{}. {}", letter, row.at(letter));
  return text;
}

TEST_F(Formats, MmbenchHasAllRotations) {
  const auto items = written("mmbench", 5);
  const auto rows = read_tsv(folder_ / "MMBench_DEV_EN.tsv");
  ASSERT_EQ(rows.size(), 20U);
  std::map<std::size_t, std::set<std::string>> answers;  // of each group
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::size_t index = std::stoul(rows[i].at("index")), item = i % 5, shift = i / 5;
    EXPECT_EQ(index, item + 1 + shift * 1000000);
    const Question turned = rotated(items[item].question, static_cast<int32_t>(shift));
    EXPECT_EQ(text_of(rows[i]), turned.text);
    EXPECT_EQ(rows[i].at("answer"), turned.answer);
    EXPECT_EQ(rows[i].at("split"), "dev");
    const std::string& image = rows[i].at("image");
    if (shift == 0) {
      EXPECT_GT(image.size(), 64U);
      EXPECT_TRUE(from_base64(image) == expected_png(items[item].scenes.front()));
    } else {
      EXPECT_EQ(image, rows[item].at("index"));
    }
    answers[index % 1000000].insert(rows[i].at("answer"));
  }
  for (const auto& [group, letters] : answers) EXPECT_EQ(letters.size(), 4U) << group;
  const auto plain = read_tsv(folder_ / "mmbench_dev.tsv");
  EXPECT_EQ(plain, std::vector<Row>(rows.begin(), rows.begin() + 5));
}

TEST_F(Formats, Scienceqa) {
  const auto items = written("scienceqa", 8);
  const json problems = read_json(folder_ / "problems.json");
  const json llava = read_json(folder_ / "llava_test_CQM-A.json");
  const json ids = read_json(folder_ / "pid_splits.json").at("test");
  ASSERT_EQ(problems.size(), 8U);
  ASSERT_EQ(llava.size(), 8U);
  ASSERT_EQ(ids.size(), 8U);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Question& question = items[i].question;
    const std::string id = ids[i];
    const json& problem = problems.at(id);
    std::string text = problem.at("question");
    char letter = 'A';
    for (const json& choice : problem.at("choices"))
      text += fmt::format("\n{}. {}", letter++, choice.get<std::string>());
    EXPECT_EQ(text, question.text);
    EXPECT_EQ(std::string(1, static_cast<char>('A' + problem.at("answer").get<int>())), question.answer);
    const std::string image = id + "/" + problem.at("image").get<std::string>();
    expect_picture("images/" + image, items[i].scenes.front());
    EXPECT_EQ(llava[i].at("id"), id);
    EXPECT_EQ(llava[i].at("image"), image);
    EXPECT_EQ(llava[i].at("conversations").at(0).at("value"), "<image>\n" + question.text);
    EXPECT_EQ(llava[i].at("conversations").at(1).at("value"), question.answer);
  }
}

TEST_F(Formats, Textvqa) {
  const auto items = written("textvqa", 6);
  const json data = read_json(folder_ / "TextVQA_0.5.1_val.json").at("data");
  ASSERT_EQ(data.size(), 6U);
  expect_llava("llava_textvqa_val_v051.jsonl", items, kShort, "train_images/");
  const auto llava = read_json_lines(folder_ / "llava_textvqa_val_v051_ocr.jsonl");
  ASSERT_EQ(llava.size(), 6U);
  for (std::size_t i = 0; i < items.size(); ++i) {
    EXPECT_EQ(data[i].at("question"), items[i].question.text);
    EXPECT_EQ(data[i].at("answers"), json(std::vector<std::string>(10, items[i].question.answer)));
    EXPECT_EQ(llava[i].at("question_id"), data[i].at("image_id"));
    const auto lines = split_at(llava[i].at("text"), '\n');
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(lines[0], items[i].question.text);
    EXPECT_TRUE(lines[1].starts_with("Reference OCR token: "));
    for (const Text& text : items[i].scenes.front().texts)
      EXPECT_NE(lines[1].find(text.content), std::string::npos);
    EXPECT_EQ("\n" + lines[2], kShort);
  }
}

TEST_F(Formats, Vizwiz) {
  const auto items = written("vizwiz", 8);
  const json rows = read_json(folder_ / "val.json");
  ASSERT_EQ(rows.size(), 8U);
  expect_llava(
      "llava_val.jsonl", items,
      std::string("\nWhen the provided information is insufficient, respond with 'Unanswerable'.") + kShort,
      "images/");
  int32_t n_answerable = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string& answer = items[i].question.answer;
    EXPECT_EQ(rows[i].at("question"), items[i].question.text);
    EXPECT_EQ(rows[i].at("answers"),
              json(std::vector<json>(10, {{"answer", answer}, {"answer_confidence", "yes"}})));
    EXPECT_EQ(rows[i].at("answerable"), answer == "unanswerable" ? 0 : 1);
    EXPECT_EQ(rows[i].at("answer_type"), answer == "unanswerable" ? "unanswerable" : "other");
    n_answerable += rows[i].at("answerable").get<int32_t>();
  }
  EXPECT_EQ(n_answerable, 4);
}

TEST_F(Formats, Refcoco) {
  const auto items = written("refcoco", 6);
  const auto rows = read_json_lines(folder_ / "refcoco_val.jsonl");
  const auto llava = read_json_lines(folder_ / "llava_refcoco_val.jsonl");
  ASSERT_EQ(rows.size(), 6U);
  ASSERT_EQ(llava.size(), 6U);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Question& question = items[i].question;
    EXPECT_EQ(rows[i].at("answer"), json::array({question.expression}));
    EXPECT_EQ(rows[i].at("question"), ground_prefix() + " " + question.expression);
    EXPECT_EQ(llava[i].at("text"), rows[i].at("question"));
    EXPECT_EQ(rows[i].at("image_size"), json({96, 96}));
    const std::vector<float> box = rows[i].at("bbox");
    ASSERT_EQ(box.size(), 4U);
    EXPECT_EQ(box[0], question.box.x0);
    EXPECT_EQ(box[1], question.box.y0);
    EXPECT_EQ(box[0] + box[2], question.box.x1);
    EXPECT_EQ(box[1] + box[3], question.box.y1);
    expect_picture("images/" + rows[i].at("image").get<std::string>(), items[i].scenes.front());
  }
}

TEST_F(Formats, Haystack) {
  const auto items = written("haystack", 10);
  std::size_t n_rows = 0;
  for (const std::size_t n : {1, 2, 3, 5, 10}) {
    for (const json& row : read_json(folder_ / fmt::format("visual_haystack_{}.json", n))) {
      const std::vector<std::string> images = row.at("images");
      ASSERT_EQ(images.size(), n);
      const BenchmarkItem& item = items.at(std::stoul(images[0].substr(0, 6)));
      ASSERT_EQ(item.scenes.size(), n);
      for (std::size_t i = 0; i < n; ++i) expect_picture("images/" + images[i], item.scenes[i]);
      EXPECT_EQ(row.at("question"), item.question.text);
      EXPECT_EQ(row.at("answer"), lower(item.question.answer));
      EXPECT_EQ(row.at("needle"), item.question.needle);
      EXPECT_EQ(row.at("pos_image"), json::array({images[row.at("needle").get<std::size_t>()]}));
      EXPECT_EQ(row.at("neg_image").size(), n - 1);
      const std::string target = row.at("target");
      const bool vowel = std::string("aeiou").find(target.front()) != std::string::npos;
      EXPECT_EQ(item.question.text,
                fmt::format("For the image with the {}, is there {} {}?", row.at("anchor").get<std::string>(),
                            vowel ? "an" : "a", target));
      EXPECT_EQ(row.at("conversations").at(1).at("value"), row.at("answer"));
      ++n_rows;
    }
  }
  EXPECT_EQ(n_rows, 10U);
}

TEST_F(Formats, Vqav2) {
  const auto items = written("vqav2", 16);
  const json questions = read_json(folder_ / "v2_OpenEnded_mscoco_val2014_questions.json").at("questions");
  const json annotations = read_json(folder_ / "v2_mscoco_val2014_annotations.json").at("annotations");
  ASSERT_EQ(questions.size(), 16U);
  ASSERT_EQ(annotations.size(), 16U);
  expect_llava("llava_vqav2_mscoco_val2014.jsonl", items, kShort, "val2014/");
  std::set<std::string> types;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string answer = lower(items[i].question.answer);
    const json& annotation = annotations[i];
    EXPECT_EQ(questions[i].at("question"), items[i].question.text);
    EXPECT_EQ(questions[i].at("question_id"), annotation.at("question_id"));
    EXPECT_EQ(questions[i].at("image_id"), annotation.at("image_id"));
    EXPECT_EQ(annotation.at("multiple_choice_answer"), answer);
    ASSERT_EQ(annotation.at("answers").size(), 10U);
    for (const json& one : annotation.at("answers")) EXPECT_EQ(one.at("answer"), answer);
    const std::string type = annotation.at("answer_type");
    types.insert(type);
    EXPECT_EQ(type == "yes/no", answer == "yes" || answer == "no");
    EXPECT_EQ(type == "number", std::isdigit(answer.front()) != 0) << answer;
    EXPECT_TRUE(lower(items[i].question.text).starts_with(annotation.at("question_type").get<std::string>()));
  }
  EXPECT_EQ(types, (std::set<std::string>{"number", "other", "yes/no"}));
}

// Names and contents of all files, pictures included, of the first version (x86-64, gcc 12, -O3). A change
// means that published numbers were measured on other files.
TEST_F(Formats, TheSameBytesEverywhere) {
  for (const std::string& benchmark : benchmarks()) export_benchmark(request(benchmark, 4));
  EXPECT_EQ(checksum(root_), 0x3dd2a3cfd6bb12caULL) << fmt::format("{:#x}", checksum(root_));
}

TEST_F(Formats, ReplacesFilesOfTheSameNamesOnly) {
  fs::create_directories(root_ / "pope" / "images");
  std::ofstream(root_ / "pope" / "notes.txt") << "mine";
  std::ofstream(root_ / "pope" / "coco_pope_random.json") << "old";
  export_benchmark(request("pope", 2));
  EXPECT_EQ(read(root_ / "pope" / "notes.txt"), "mine");
  EXPECT_EQ(read_json_lines(root_ / "pope" / "coco_pope_random.json").size(), 2U);
  for (const auto& entry : fs::recursive_directory_iterator(root_))
    EXPECT_NE(entry.path().extension(), ".partial") << entry.path();
}

TEST_F(Formats, KeepsWhatWasWrittenBeforeAFullDisk) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  const fs::path images = root_ / "pope" / "images";
  fs::create_directories(images);
  fs::create_symlink("/dev/full", images / "random_000002.png.partial");
  expect_error(
      ErrorCode::Io,
      fmt::format(
          "random_000002.png: cannot be written: No space left on device; 2 files before it are in {}",
          (root_ / "pope").string()),
      [&] { export_benchmark(request("pope", 4)); });
  EXPECT_TRUE(fs::exists(images / "random_000001.png"));
  EXPECT_FALSE(fs::exists(images / "random_000002.png"));
  EXPECT_FALSE(fs::is_symlink(images / "random_000002.png.partial"));
  EXPECT_FALSE(fs::exists(root_ / "pope" / "coco_pope_random.json"));
}

TEST_F(Formats, MmeRefusesAFolderWithAnotherDraw) {
  export_benchmark(request("mme", 28));
  export_benchmark(request("mme", 28));  // the same again
  expect_error(ErrorCode::InvalidArgument, "is of another draw and would count as of this one",
               [&] { export_benchmark(request("mme", 4)); });
}

TEST_F(Formats, SaysWhatCannotBeWritten) {
  fs::create_directories(root_ / "gqa" / "testdev_balanced_questions.json");
  expect_error(ErrorCode::Io, "testdev_balanced_questions.json: cannot be written: Is a directory",
               [&] { export_benchmark(request("gqa", 1)); });
  std::ofstream(root_ / "mme") << "a file";
  expect_error(ErrorCode::Io, "mme/existence: cannot be written",
               [&] { export_benchmark(request("mme", 1)); });
}

TEST_F(Formats, RefusesWhatMakesNoSense) {
  expect_error(ErrorCode::InvalidArgument, "unknown benchmark, got 'coco', expected one of pope, mme",
               [&] { export_benchmark(request("coco", 1)); });
  expect_error(ErrorCode::InvalidArgument, "number of questions, got 0, expected 1 to 100000",
               [&] { export_benchmark(request("pope", 0)); });
  expect_error(ErrorCode::InvalidArgument, "number of questions, got 100001",
               [&] { export_benchmark(request("pope", 100001)); });
  EXPECT_FALSE(fs::exists(root_));
}

TEST(Base64, IsThatOfRfc4648) {
  const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"\xff\xfe", "//4="},
                                                       {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : cases) EXPECT_EQ(base64(bytes), text);
}

}  // namespace
}  // namespace winnow::scenes
