// Each benchmark's original files, written by hand in the published layouts, and what loaders say about
// broken ones.

#include <gtest/gtest.h>

#include "tests/eval/fixture.h"
#include "tests/support/expect_error.h"

namespace winnow::eval {
namespace {

using test::bytes_of;
using test::Folder;
using test::ids_of;
using test::picture_bytes;
using winnow::test::expect_error;
using Ids = std::vector<std::string>;

std::vector<Item> load(const std::string& name, const Folder& folder, const LoadOptions& options = {}) {
  return find_benchmark(name).load(folder.path(), options);
}

void expect_failure(const std::string& name, const Folder& folder, ErrorCode code, const std::string& text,
                    const LoadOptions& options = {}) {
  expect_error(code, text, [&] { load(name, folder, options); });
}

std::string pope_line(int id, const std::string& image, const std::string& label) {
  return fmt::format(
      R"({{"question_id": {}, "image": "{}", "text": "Is there a {} in the image?", "label": "{}"}})"
      "\n",
      id, image, id % 2 == 0 ? "dog" : "cat", label);
}

/// The layout of LLaVA's evaluation folder: annotations in coco/, pictures in val2014/.
void write_pope(const Folder& folder) {
  for (const char* name : {"random", "popular", "adversarial"})
    folder.write(fmt::format("coco/coco_pope_{}.json", name),
                 pope_line(1, "a.jpg", "yes") + pope_line(2, "b.jpg", "no"));
  folder.write("val2014/a.jpg", picture_bytes('a'));
  folder.write("val2014/b.jpg", picture_bytes('b'));
}

TEST(LoadPope, ThreeFiles) {
  const Folder folder;
  write_pope(folder);
  const auto items = load("pope", folder);
  EXPECT_EQ(ids_of(items),
            (Ids{"random/1", "random/2", "popular/1", "popular/2", "adversarial/1", "adversarial/2"}));
  EXPECT_EQ(items[1].question, "Is there a dog in the image?");
  EXPECT_EQ(items[1].answers, Ids{"no"});
  EXPECT_EQ(items[1].category, "random");
  EXPECT_EQ(items[1].group, "random/2");
  EXPECT_EQ(items[1].place, folder.path("coco/coco_pope_random.json:2"));
  EXPECT_EQ(bytes_of(items[1].images.at(0)), picture_bytes('b'));
  EXPECT_EQ(items[0].images[0].key, items[2].images[0].key);
  EXPECT_NE(items[0].images[0].key, items[1].images[0].key);
  EXPECT_EQ(ids_of(load("pope", folder, {.split = "popular"})), (Ids{"popular/1", "popular/2"}));
}

TEST(LoadPope, SaysWhatIsBroken) {
  const Folder folder;
  expect_failure("pope", folder, ErrorCode::NotFound,
                 "does not hold pope, looked for coco_pope_random.json, coco/coco_pope_random.json");
  expect_failure("pope", folder, ErrorCode::InvalidArgument,
                 "unknown split, got 'easy', expected random, popular, adversarial", {.split = "easy"});
  expect_failure("pope", folder, ErrorCode::InvalidArgument, "limit, got -1", {.limit = -1});
  folder.write("coco_pope_random.json", pope_line(1, "a.jpg", "yes"));
  expect_failure("pope", folder, ErrorCode::NotFound,
                 "coco_pope_popular.json is missing beside the other files");
  expect_failure("pope", folder, ErrorCode::NotFound,
                 "picture of question 'random/1' not found, looked for a.jpg in", {.split = "random"});
  folder.write("coco_pope_random.json", pope_line(1, "a.jpg", "yes") + "{\"question_id\": 2,\n");
  expect_failure("pope", folder, ErrorCode::Corrupt, "coco_pope_random.json:2: not JSON",
                 {.split = "random"});
  folder.write("coco_pope_random.json", pope_line(1, "a.jpg", "perhaps"));
  expect_failure("pope", folder, ErrorCode::Corrupt,
                 "coco_pope_random.json:1: label, got 'perhaps', expected yes or no", {.split = "random"});
  folder.write("coco_pope_random.json", "{\"question_id\": 1, \"image\": \"a.jpg\", \"label\": \"no\"}\n");
  expect_failure("pope", folder, ErrorCode::Corrupt, "coco_pope_random.json:1: field 'text' is missing",
                 {.split = "random"});
  folder.write("coco_pope_random.json", pope_line(1, "a.jpg", "yes") + pope_line(1, "b.jpg", "no"));
  expect_failure("pope", folder, ErrorCode::Corrupt,
                 "coco_pope_random.json:2: id 'random/1' is there twice, first at", {.split = "random"});
  folder.write("coco_pope_random.json", "");
  expect_failure("pope", folder, ErrorCode::NotFound, "does not hold pope", {.split = "random"});
}

TEST(LoadPope, DrawsTheSamePartEveryTime) {
  const Folder folder;
  std::string lines;
  for (int i = 1; i <= 100; ++i) lines += pope_line(i, "a.jpg", i % 2 == 1 ? "yes" : "no");
  for (const char* name : {"random", "popular", "adversarial"})
    folder.write(fmt::format("coco_pope_{}.json", name), lines);
  folder.write("images/a.jpg", "x");
  const auto some = load("pope", folder, {.limit = 60});
  ASSERT_EQ(some.size(), 60U);
  EXPECT_EQ(ids_of(some), ids_of(load("pope", folder, {.limit = 60})));
  std::map<std::string, int> n_of;
  for (const Item& item : some) {
    ++n_of[item.category];
    ++n_of[item.answers[0]];
  }
  for (const char* name : {"random", "popular", "adversarial"}) EXPECT_GT(n_of[name], 8) << name;
  EXPECT_GT(n_of["yes"], 15);  // the files alternate: a fixed stride would see one answer only
  EXPECT_GT(n_of["no"], 15);
  EXPECT_EQ(load("pope", folder, {.limit = 1000}).size(), 300U);
  EXPECT_EQ(load("pope", folder, {.limit = 1}).size(), 1U);
}

const char* const kPair =
    "Is this a cat? Please answer yes or no.\tYes\nIs this a dog? Please answer yes or no.\tNo\n";

TEST(LoadMme, BothFolderForms) {
  const Folder folder;
  folder.write("MME_Benchmark_release_version/color/0001.txt", kPair);
  folder.write("MME_Benchmark_release_version/color/0001.jpg", picture_bytes('a'));
  folder.write("MME_Benchmark_release_version/posters/questions_answers_YN/0001.txt",
               std::string(kPair) + "\r\n");
  folder.write("MME_Benchmark_release_version/posters/images/0001.png", picture_bytes('b'));
  folder.write("MME_Benchmark_release_version/notes/0001.txt", "not a category");
  const auto items = load("mme", folder);
  EXPECT_EQ(ids_of(items), (Ids{"color/0001/1", "color/0001/2", "posters/0001/1", "posters/0001/2"}));
  EXPECT_EQ(items[0].question, "Is this a cat? Please answer yes or no.");
  EXPECT_EQ(items[0].answers, Ids{"yes"});
  EXPECT_EQ(items[1].answers, Ids{"no"});
  EXPECT_EQ(items[0].group, items[1].group);
  EXPECT_NE(items[0].group, items[2].group);
  EXPECT_EQ(items[2].category, "posters");
  EXPECT_EQ(bytes_of(items[0].images.at(0)), picture_bytes('a'));
  EXPECT_EQ(bytes_of(items[2].images.at(0)), picture_bytes('b'));  // the same name in another folder
  EXPECT_EQ(load("mme", folder, {.limit = 2}).size(), 2U);
  EXPECT_EQ(load("mme", folder, {.limit = 3}).size(), 2U);  // pairs stay whole
}

TEST(LoadMme, SaysWhatIsBroken) {
  const Folder folder;
  expect_failure("mme", folder, ErrorCode::NotFound,
                 "does not hold mme, looked for existence, count, position");
  folder.write("color/0001.txt", kPair);
  expect_failure(
      "mme", folder, ErrorCode::NotFound,
      "color/0001.txt:1: picture of question 'color/0001/1' not found, looked for 0001.jpg or 0001.png");
  folder.write("color/0001.png", "x");
  folder.write("color/0002.txt", "Is this a cat? Please answer yes or no.\tYes\n");
  expect_failure("mme", folder, ErrorCode::Corrupt,
                 "color/0002.txt:1: picture 'color/0002' has 1 questions, expected 2");
  folder.write("color/0002.txt", std::string(kPair) + "Is this red?\tNo\n");
  expect_failure("mme", folder, ErrorCode::Corrupt, "picture 'color/0002' has 3 questions, expected 2");
  folder.write("color/0002.txt", "Is this a cat? Yes\n");
  expect_failure("mme", folder, ErrorCode::Corrupt,
                 "color/0002.txt:1: expected a question, a tab, Yes or No");
  folder.write("color/0002.txt", "Is this a cat?\tPerhaps\n");
  expect_failure("mme", folder, ErrorCode::Corrupt,
                 "color/0002.txt:1: answer, got 'Perhaps', expected Yes or No");
}

const char* const kGqa =
    R"({"2":{"question":"Is it red?","imageId":"n2","answer":"yes","types":{"structural":"verify","semantic":"attr"}},
        "1":{"question":"What is it?","imageId":"n1","answer":"cat","types":{"structural":"query","semantic":"obj"}}})";

TEST(LoadGqa, QuestionsAndLlavaPrompts) {
  const Folder folder;
  folder.write("data/testdev_balanced_questions.json", kGqa);
  folder.write("data/images/n1.jpg", picture_bytes('a'));
  folder.write("data/images/n2.jpg", picture_bytes('b'));
  auto items = load("gqa", folder);
  EXPECT_EQ(ids_of(items), (Ids{"1", "2"}));
  EXPECT_EQ(items[0].category, "query");
  EXPECT_EQ(items[1].subcategory, "attr");
  EXPECT_EQ(items[1].answers, Ids{"yes"});
  EXPECT_EQ(bytes_of(items[1].images.at(0)), picture_bytes('b'));
  EXPECT_EQ(items[0].asked, "");
  folder.write("llava_gqa_testdev_balanced.jsonl",
               "{\"question_id\":\"1\",\"image\":\"n1.jpg\",\"text\":\"asked\"}\n");
  items = load("gqa", folder);
  EXPECT_EQ(items[0].asked, "asked");
  EXPECT_EQ(items[1].asked, "");
}

TEST(LoadGqa, SaysWhatIsBroken) {
  const Folder folder;
  expect_failure("gqa", folder, ErrorCode::NotFound, "looked for testdev_balanced_questions.json");
  folder.write("testdev_balanced_questions.json", kGqa);
  expect_failure("gqa", folder, ErrorCode::NotFound,
                 "picture of question '1' not found, looked for n1 or n1.jpg or n1.png");
  folder.write("testdev_balanced_questions.json", R"({"1":{"question":"What?","imageId":"n1"}})");
  expect_failure("gqa", folder, ErrorCode::Corrupt,
                 "testdev_balanced_questions.json: 1: question '1' has no answer");
  folder.write("testdev_balanced_questions.json", R"({"1":{"question":"What?"}})");
  expect_failure("gqa", folder, ErrorCode::Corrupt,
                 "testdev_balanced_questions.json: 1: field 'imageId' is missing");
  folder.write("testdev_balanced_questions.json", "{}");
  expect_failure("gqa", folder, ErrorCode::Corrupt, "no questions");
}

void write_scienceqa(const Folder& folder) {
  folder.write(
      "problems.json",
      R"({"1":{"question":"Which?","choices":["a","b"],"answer":1,"hint":"Look.","image":"image.png","subject":"natural science"},
                   "2":{"question":"Text only","choices":["a","b"],"answer":0,"hint":"","image":null},
                   "3":{"question":"Why?","choices":["a","b","c"],"answer":2,"hint":"","image":"image.png","subject":"social science"}})");
  folder.write("pid_splits.json", R"({"test":["1","2"],"val":["3"]})");
  folder.write("images/test/1/image.png", picture_bytes('a'));
  folder.write("images/val/3/image.png", picture_bytes('b'));
}

TEST(LoadScienceQa, QuestionsWithPictures) {
  const Folder folder;
  write_scienceqa(folder);
  auto items = load("scienceqa", folder);
  EXPECT_EQ(ids_of(items), Ids{"1"});  // 2 has no picture
  EXPECT_EQ(items[0].answers, Ids{"B"});
  EXPECT_EQ(items[0].hint, "Look.");
  EXPECT_EQ(items[0].choices, (Ids{"a", "b"}));
  EXPECT_EQ(bytes_of(items[0].images.at(0)), picture_bytes('a'));
  EXPECT_EQ(ids_of(load("scienceqa", folder, {.split = "val"})), Ids{"3"});
  folder.write(
      "llava_test_CQM-A.json",
      R"([{"id":"1","image":"1/image.png","conversations":[{"from":"human","value":"<image>\nContext: Look.\nWhich?"},{"from":"gpt","value":"B"}]}])");
  items = load("scienceqa", folder);
  EXPECT_EQ(items[0].asked, "Context: Look.\nWhich?");
  EXPECT_EQ(
      find_benchmark("scienceqa").prompt(items[0], Convention::Llava),
      "<image>\nContext: Look.\nWhich?\nAnswer with the option's letter from the given choices directly.");
}

TEST(LoadScienceQa, SaysWhatIsBroken) {
  const Folder folder;
  expect_failure("scienceqa", folder, ErrorCode::NotFound,
                 "does not hold scienceqa, looked for problems.json");
  write_scienceqa(folder);
  expect_failure("scienceqa", folder, ErrorCode::Corrupt, "field 'train' is missing, there are test, val",
                 {.split = "train"});
  folder.write("pid_splits.json", R"({"test":["9"]})");
  expect_failure("scienceqa", folder, ErrorCode::Corrupt, "problems.json: field '9' is missing");
  folder.write("pid_splits.json", R"({"test":["1"]})");
  folder.write("problems.json",
               R"({"1":{"question":"Which?","choices":["a","b"],"answer":2,"hint":"","image":"image.png"}})");
  expect_failure("scienceqa", folder, ErrorCode::Corrupt, "problems.json: 1: answer, got 2, expected 0 to 1");
}

std::string ten_answers(const std::string& answer) {
  std::string list;
  for (int i = 0; i < 10; ++i) list += fmt::format("{}\"{}\"", i == 0 ? "" : ",", answer);
  return fmt::format("[{}]", list);
}

TEST(LoadTextVqa, WithAndWithoutOcr) {
  const Folder folder;
  folder.write(
      "TextVQA_0.5.1_val.json",
      fmt::format(
          R"({{"dataset_type":"val","data":[{{"question":"What Brand?","image_id":"x1","question_id":7,"answers":{}}}]}})",
          ten_answers("nokia")));
  folder.write("train_images/x1.jpg", picture_bytes('a'));
  auto items = load("textvqa", folder);
  EXPECT_EQ(ids_of(items), Ids{"7"});
  EXPECT_EQ(items[0].answers, Ids(10, "nokia"));
  EXPECT_EQ(bytes_of(items[0].images.at(0)), picture_bytes('a'));
  expect_failure(
      "textvqa_ocr", folder, ErrorCode::NotFound,
      "does not hold textvqa_ocr, looked for TextVQA_0.5.1_val.json, llava_textvqa_val_v051_ocr.jsonl");
  folder.write(
      "llava_textvqa_val_v051_ocr.jsonl",
      R"({"question_id":"x1","image":"x1.jpg","text":"what brand?\nReference OCR token: NOKIA, 3\nAnswer shortly."})"
      "\n");
  items = load("textvqa_ocr", folder);
  EXPECT_EQ(items[0].hint, "NOKIA, 3");
  EXPECT_EQ(find_benchmark("textvqa_ocr").prompt(items[0], Convention::Llava),
            "<image>\nwhat brand?\nReference OCR token: NOKIA, 3\nAnswer shortly.");
  EXPECT_EQ(find_benchmark("textvqa_ocr").prompt(items[0], Convention::Lmms),
            "<image>\nWhat brand?\nReference OCR token: NOKIA, 3\nAnswer the question using a single word or "
            "phrase.");
  EXPECT_EQ(load("textvqa", folder)[0].asked, "");
  folder.write("llava_textvqa_val_v051_ocr.jsonl",
               R"({"question_id":"x2","image":"x2.jpg","text":"What?\nShortly."})");
  expect_failure("textvqa_ocr", folder, ErrorCode::Corrupt, "data[0]: question '7' has no line in");
  folder.write("llava_textvqa_val_v051_ocr.jsonl", R"({"question_id":"x2","image":"x2.jpg","text":"What?"})");
  expect_failure("textvqa_ocr", folder, ErrorCode::Corrupt,
                 "llava_textvqa_val_v051_ocr.jsonl:1: text, expected");
}

TEST(LoadTextVqa, SaysWhatIsBroken) {
  const Folder folder;
  folder.write("TextVQA_0.5.1_val.json",
               R"({"data":[{"question":"What?","image_id":"x1","question_id":7,"answers":["a"]}]})");
  expect_failure("textvqa", folder, ErrorCode::Corrupt,
                 "data[0]: question '7' has one answer ('a'), expected those of");
  folder.write("TextVQA_0.5.1_val.json",
               R"({"data":[{"question":"What?","image_id":"x1","question_id":7}]})");
  expect_failure("textvqa", folder, ErrorCode::Corrupt, "question '7' has no answer (a test split");
  folder.write("TextVQA_0.5.1_val.json", "[]");
  expect_failure("textvqa", folder, ErrorCode::Corrupt, "expected a list 'data' in an object");
}

TEST(LoadVizWiz, AnnotationsOfVal) {
  const Folder folder;
  folder.write("val.json",
               R"([{"image":"v.jpg","question":"What is this?","answer_type":"other","answerable":1,
                   "answers":[{"answer":"can","answer_confidence":"yes"},{"answer":"a can","answer_confidence":"no"}]}])");
  folder.write("val/v.jpg", picture_bytes('a'));
  folder.write("llava_val.jsonl", "{\"question_id\":\"v.jpg\",\"image\":\"v.jpg\",\"text\":\"asked\"}\n");
  const auto items = load("vizwiz", folder);
  EXPECT_EQ(ids_of(items), Ids{"v.jpg"});
  EXPECT_EQ(items[0].answers, (Ids{"can", "a can"}));
  EXPECT_EQ(items[0].category, "other");
  EXPECT_EQ(items[0].asked, "asked");
  EXPECT_EQ(bytes_of(items[0].images.at(0)), picture_bytes('a'));
  folder.write("val.json", R"([{"image":"v.jpg","question":"What is this?"}])");
  expect_failure("vizwiz", folder, ErrorCode::Corrupt, "val.json: [0]: question 'v.jpg' has no answer");
  folder.write("val.json",
               R"([{"image":"v.jpg","question":"What is this?","answers":[{"confidence":1},{}]}])");
  expect_failure("vizwiz", folder, ErrorCode::Corrupt,
                 "val.json: [0]: answers[0]: field 'answer' is missing");
}

TEST(LoadVqaV2, QuestionsAndAnnotations) {
  const Folder folder;
  folder.write("v2_OpenEnded_mscoco_val2014_questions.json",
               R"({"questions":[{"image_id":42,"question":"How many?","question_id":42000},
                                {"image_id":42,"question":"What color?","question_id":42001}]})");
  const std::string answers = R"([{"answer":"2","answer_id":1},{"answer":"two","answer_id":2}])";
  const auto annotation = [&](const char* id) {
    return fmt::format(R"({{"question_id":{},"image_id":42,"answer_type":"number","answers":{}}})", id,
                       answers);
  };
  const char* const file = "v2_mscoco_val2014_annotations.json";
  folder.write(file, fmt::format("{{\"annotations\":[{},{}]}}", annotation("42001"), annotation("42000")));
  folder.write("val2014/COCO_val2014_000000000042.jpg", picture_bytes('a'));
  folder.write("llava_vqav2_mscoco_val2014.jsonl",
               "{\"question_id\":42001,\"image\":\"x\",\"text\":\"asked\"}\n");
  const auto items = load("vqav2", folder);
  EXPECT_EQ(ids_of(items), (Ids{"42000", "42001"}));
  EXPECT_EQ(items[1].answers, (Ids{"2", "two"}));
  EXPECT_EQ(items[1].asked, "asked");
  EXPECT_EQ(items[0].images.at(0).key, items[1].images.at(0).key);
  folder.write(file, fmt::format("{{\"annotations\":[{}]}}", annotation("42000")));
  expect_failure("vqav2", folder, ErrorCode::Corrupt, "questions[1]: question '42001' has no answer");
  folder.write(file, fmt::format("{{\"annotations\":[{}]}}", annotation("9")));
  expect_failure("vqav2", folder, ErrorCode::Corrupt,
                 "annotations[0]: question '9' is not in the file of questions");
}

TEST(LoadSeedBench, PicturesOnly) {
  const Folder folder;
  const auto question = [](const char* id, const char* type, const char* answer) {
    return fmt::format(
        R"({{"question_id":"{}","question":"Which?","choice_a":"a","choice_b":"b","choice_c":"c","choice_d":"d",
                          "answer":"{}","data_type":"{}","question_type_id":5,"data_id":"p1"}})",
        id, answer, type);
  };
  folder.write("SEED-Bench.json",
               fmt::format(R"({{"question_type":{{"Instances Counting":5}},"questions":[{},{}]}})",
                           question("1", "image", "C"), question("2", "video", "A")));
  folder.write("SEED-Bench-image/p1", picture_bytes('a'));
  folder.write("llava-seed-bench.jsonl",
               "{\"question_id\":1,\"image\":\"SEED-Bench-image/p1\",\"text\":\"asked\"}\n");
  const auto items = load("seedbench", folder);
  EXPECT_EQ(ids_of(items), Ids{"1"});
  EXPECT_EQ(items[0].category, "Instances Counting");
  EXPECT_EQ(items[0].choices, (Ids{"a", "b", "c", "d"}));
  EXPECT_EQ(items[0].asked, "asked");
  EXPECT_EQ(bytes_of(items[0].images.at(0)), picture_bytes('a'));
  folder.write("SEED-Bench.json", fmt::format("{{\"questions\":[{}]}}", question("1", "image", "E")));
  expect_failure("seedbench", folder, ErrorCode::Corrupt,
                 "questions[0]: answer, got 'E', expected the letter of one of 4");
}

TEST(LoadOcrBench, AnswersOneOrMany) {
  const Folder folder;
  folder.write(
      "OCRBench.json",
      R"([{"dataset_name":"IIIT5K","id":5,"image_path":"IIIT5K/1.png","question":"what?","answers":"CENTRE","type":"Regular Text Recognition"},
                   {"dataset_name":"STVQA","id":5,"image_path":"IIIT5K/1.png","question":"what?","answers":["a","b"],"type":"Scene Text-centric VQA"}])");
  folder.write("OCRBench_Images/IIIT5K/1.png", picture_bytes('a'));
  const auto items = load("ocrbench", folder);
  EXPECT_EQ(ids_of(items), (Ids{"0", "1"}));  // the file's own ids repeat
  EXPECT_EQ(items[0].answers, Ids{"CENTRE"});
  EXPECT_EQ(items[1].answers, (Ids{"a", "b"}));
  EXPECT_EQ(items[1].category, "Scene Text-centric VQA");
}

TEST(LoadChartQa, BothHalves) {
  const Folder folder;
  folder.write("test/test_human.json", R"([{"imgname":"1.png","query":"How much?","label":"14"}])");
  folder.write("test/test_augmented.json", R"([{"imgname":"1.png","query":"How many?","label":"3"}])");
  folder.write("test/png/1.png", picture_bytes('a'));
  const auto items = load("chartqa", folder);
  EXPECT_EQ(ids_of(items), (Ids{"human/0", "augmented/0"}));
  EXPECT_EQ(items[1].category, "augmented");
  EXPECT_EQ(ids_of(load("chartqa", folder, {.split = "human"})), Ids{"human/0"});
  folder.write("test/test_augmented.json", R"([{"imgname":"1.png","query":"How many?"}])");
  expect_failure("chartqa", folder, ErrorCode::Corrupt,
                 "test_augmented.json: [0]: question 'augmented/0' has no answer");
}

TEST(LoadRefCoco, EachPhraseIsAQuestion) {
  const Folder folder;
  folder.write(
      "refcoco_val.jsonl",
      R"({"question_id":3,"image":"1.png","image_size":[200,100],"bbox":[20,50,40,25],"answer":["left cat","the cat"]})");
  folder.write(
      "refcoco+_testA.jsonl",
      R"({"question_id":3,"file_name":"1.png","image_size":[200,100],"bbox":[0,0,200,100],"answer":["all"]})");
  folder.write("images/1.png", picture_bytes('a'));
  const auto items = load("refcoco", folder);
  EXPECT_EQ(ids_of(items), (Ids{"refcoco_val/3/0", "refcoco_val/3/1", "refcoco+_testA/3/0"}));
  EXPECT_EQ(to_text(items[0].box), "[0.1, 0.5, 0.3, 0.75]");
  EXPECT_EQ(items[0].width_px, 200);
  EXPECT_TRUE(items[1].question.ends_with("the region this sentence describes: the cat"));
  EXPECT_EQ(items[2].category, "refcoco+_testA");
  EXPECT_EQ(ids_of(load("refcoco", folder, {.split = "refcoco+_testA"})), Ids{"refcoco+_testA/3/0"});
}

TEST(LoadRefCoco, SaysWhatIsBroken) {
  const Folder folder;
  expect_failure("refcoco", folder, ErrorCode::NotFound, "looked for refcoco_val.jsonl, refcoco_test.jsonl");
  folder.write(
      "refcoco_val.jsonl",
      R"({"question_id":3,"image":"1.png","image_size":[200,100],"bbox":[20,50,0,25],"answer":["x"]})");
  expect_failure("refcoco", folder, ErrorCode::Corrupt,
                 "refcoco_val.jsonl:1: bbox, expected x, y, width, height with an area");
  folder.write("refcoco_val.jsonl",
               R"({"question_id":3,"image":"1.png","image_size":[200],"bbox":[20,50,9,25],"answer":["x"]})");
  expect_failure("refcoco", folder, ErrorCode::Corrupt,
                 "refcoco_val.jsonl:1: image_size, expected width, height");
  folder.write("refcoco_val.jsonl",
               R"({"question_id":3,"image":"1.png","bbox":[20,50,9,25],"answer":["x"]})");
  expect_failure("refcoco", folder, ErrorCode::Corrupt, "refcoco_val.jsonl:1: field 'image_size' is missing");
}

TEST(LoadHaystack, ToolkitFiles) {
  const Folder folder;
  const auto row = [](const std::string& answer) {
    return R"({"conversations":[{"from":"human","value":"For the image with the cat, is there a dog?"},{"from":"gpt","value":")" +
           answer + R"("}],"pos_image":["p.jpg"],"neg_image":["n1.jpg","n2.jpg"]})";
  };
  folder.write("visual_haystack_3.json",
               fmt::format("[{},{},{},{}]", row("yes"), row("no"), row("no"), row("yes")));
  folder.write("visual_haystack_oracle.json",
               R"([{"conversations":[{"value":"Q?"},{"value":"no"}],"pos_image":["p.jpg"],"neg_image":[]}])");
  for (const char* name : {"p.jpg", "n1.jpg", "n2.jpg"}) folder.write(name, picture_bytes(name[0]));
  const auto items = load("haystack", folder);
  EXPECT_EQ(ids_of(items), (Ids{"1/0", "3/0", "3/1", "3/2", "3/3"}));
  for (std::size_t i = 0; i < 4; ++i) {  // the needle goes round
    const Item& item = items[i + 1];
    ASSERT_EQ(item.images.size(), 3U);
    EXPECT_EQ(item.category, "3");
    EXPECT_EQ(item.subcategory, std::to_string(i % 3));
    for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(bytes_of(item.images[k])[0], k == i % 3 ? 'p' : 'n');
  }
  EXPECT_EQ(find_benchmark("haystack").prompt(items[1], Convention::Llava),
            "<image>\n<image>\n<image>\nYou are given a set of images. Please answer the following question "
            "in Yes or No: "
            "For the image with the cat, is there a dog?");
  EXPECT_EQ(ids_of(load("haystack", folder, {.split = "1"})), Ids{"1/0"});
}

TEST(LoadHaystack, SaysWhatIsBroken) {
  const Folder folder;
  expect_failure("haystack", folder, ErrorCode::NotFound,
                 "looked for visual_haystack_1.json, visual_haystack_oracle.json, visual_haystack_2.json");
  folder.write("visual_haystack_2.json",
               R"([{"conversations":[{"value":"Q?"},{"value":"no"}],"pos_image":["a","b"],"neg_image":[]}])");
  expect_failure("haystack", folder, ErrorCode::Corrupt,
                 "visual_haystack_2.json: [0]: pos_image, got 2 pictures, expected 1");
  folder.write("visual_haystack_2.json",
               R"([{"conversations":[{"value":"Q?"},{"value":"maybe"}],"pos_image":["a"],"neg_image":[]}])");
  expect_failure("haystack", folder, ErrorCode::Corrupt, "[0]: answer, got 'maybe', expected yes or no");
  folder.write("visual_haystack_2.json",
               R"([{"conversations":[{"value":"Q?"}],"pos_image":["a"],"neg_image":[]}])");
  expect_failure("haystack", folder, ErrorCode::Corrupt,
                 "field 'conversations', got array, expected a list with objects");
}

}  // namespace
}  // namespace winnow::eval
