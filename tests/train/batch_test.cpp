#include "winnow/train/batch.h"

#include <gtest/gtest.h>

#include "winnow/train/losses.h"
#include "winnow/train/recipe.h"

namespace winnow::train {
namespace {

using torch::Tensor;

const Vocabulary& vocabulary() {
  static const Vocabulary one;
  return one;
}

ModelShape mini_shape() {
  ModelShape shape = shape_named("mini");
  shape.n_vocab = vocabulary().size();
  return shape;
}

BatchRequest request_of(int32_t n_samples, int32_t n_questions, int32_t n_pictures = 1) {
  BatchRequest request;
  request.seed = 7;
  request.first = 100;
  request.n_samples = n_samples;
  request.n_questions = n_questions;
  request.n_pictures = n_pictures;
  if (n_pictures > 1) request.n_several = n_samples;
  return request;
}

std::string text_of(const std::vector<int32_t>& ids) {
  std::string out;
  for (const int32_t id : ids) out += vocabulary().tokens()[static_cast<std::size_t>(id)];
  return out;
}

TEST(Vocabulary, PromptsBecomeTheTokensThatTheDesignSays) {
  EXPECT_EQ(vocabulary().tokenize("USER: ").size(), 1U);
  EXPECT_EQ(vocabulary().tokenize("\n").size(), 1U);
  EXPECT_EQ(vocabulary().tokenize(" ASSISTANT:").size(), 1U);
  const auto box = vocabulary().tokenize(" [0.12, 0.34, 0.56, 0.78]");
  EXPECT_EQ(box.size(), 9U) << text_of(box);
  int32_t n = 0;
  for (const int32_t id : box) n += vocabulary().coordinates().count(id) > 0 ? 1 : 0;
  EXPECT_EQ(n, 4);
  EXPECT_EQ(vocabulary().coordinates().size(), 51U);
}

TEST(Vocabulary, EveryQuestionIsKnownWithoutTheUnknownToken) {
  const BatchMaker maker(mini_shape(), vocabulary());
  const QuestionBatch batch = maker.questions(request_of(40, 16));
  EXPECT_EQ(batch.ids.eq(3).sum().item<int64_t>(), 0);  // <unk>
  EXPECT_GT(batch.questions.size(), 500U);
}

TEST(Batch, EqualRequestsGiveEqualBatchesAndOthersDoNot) {
  const BatchMaker maker(mini_shape(), vocabulary());
  const QuestionBatch a = maker.questions(request_of(3, 8)), b = maker.questions(request_of(3, 8));
  EXPECT_TRUE(torch::equal(a.ids, b.ids));
  EXPECT_TRUE(
      torch::equal(maker.pictures(request_of(3, 8)).patches, maker.pictures(request_of(3, 8)).patches));
  BatchRequest other = request_of(3, 8);
  other.first = 103;
  EXPECT_FALSE(torch::equal(maker.pictures(other).patches, maker.pictures(request_of(3, 8)).patches));
  other = request_of(3, 8);
  other.split = scenes::Split::Validation;
  EXPECT_FALSE(torch::equal(maker.pictures(other).patches, maker.pictures(request_of(3, 8)).patches));
}

/// Packing is only a way to compute: each question alone has the same logits.
TEST(Batch, APackedQuestionIsTheQuestionAlone) {
  const ModelShape shape = mini_shape();
  const Parameters parameters = initial_parameters(shape, 3, vocabulary().coordinates());
  const Model model(shape, parameters, false);
  const BatchMaker maker(shape, vocabulary());
  const torch::NoGradGuard no_grad;
  for (const int32_t n_pictures : {1, 3}) {
    const BatchRequest request = request_of(2, 6, n_pictures);
    const PictureBatch pictures = maker.pictures(request);
    const Tensor visual =
        model.project(model.tower(pictures.patches, pictures.n_pictures).features, pictures.n_pictures);
    const QuestionBatch batch = maker.questions(request);
    const Tensor packed = model.decode(decoder_input(model, batch, visual));
    const auto& all = *batch.layout;
    for (const AskedQuestion& question : batch.questions) {
      // The prompt of this question as one plain causal sequence.
      const auto last = batch.wanted[question.first_row + question.n_rows - 1].item<int64_t>();
      const int64_t own = all.own_start[static_cast<std::size_t>(last)];
      const auto group = std::find_if(all.groups.begin(), all.groups.end(), [&](const auto& g) {
        return last >= g.key_start && last < g.key_start + g.n_key;
      });
      const Tensor rows = torch::cat({torch::arange(group->key_start, group->key_start + group->n_prefix),
                                      torch::arange(own, last + 1)});
      const int64_t n = rows.size(0);
      QuestionBatch alone;
      alone.ids = batch.ids;
      alone.order = batch.order.index_select(0, rows);
      alone.positions = batch.positions.index_select(0, rows);
      EXPECT_TRUE(torch::equal(alone.positions, torch::arange(n)));
      alone.wanted = torch::arange(n - question.n_rows, n);
      auto layout = std::make_shared<AttentionLayout>(), some = std::make_shared<AttentionLayout>();
      layout->groups = {{0, n, 0, n, n}};
      some->groups = {{0, question.n_rows, 0, n, n}};
      for (int64_t i = 0; i < n; ++i) layout->limit.push_back(static_cast<int32_t>(i + 1));
      layout->own_start.assign(static_cast<std::size_t>(n), 0);
      layout->n_own.assign(static_cast<std::size_t>(n), 0);
      some->limit.assign(layout->limit.end() - question.n_rows, layout->limit.end());
      some->own_start.assign(static_cast<std::size_t>(question.n_rows), 0);
      some->n_own.assign(static_cast<std::size_t>(question.n_rows), 0);
      alone.layout = layout;
      alone.wanted_layout = some;
      const Tensor single = model.decode(decoder_input(model, alone, visual));
      const Tensor of_packed = packed.narrow(0, question.first_row, question.n_rows);
      EXPECT_LE((single - of_packed).abs().max().item<double>(), 1e-4) << question.text;
    }
  }
}

TEST(Batch, ADescriptionStandsWhereThePictureWould) {
  const BatchMaker maker(mini_shape(), vocabulary());
  BatchRequest request = request_of(4, 8);
  request.described = true;
  const QuestionBatch batch = maker.questions(request);
  EXPECT_EQ(batch.order.max().item<int64_t>() + 1, batch.ids.size(0));  // text alone
  EXPECT_EQ(batch.ids.eq(3).sum().item<int64_t>(), 0);                  // <unk>
  const QuestionBatch seen = maker.questions(request_of(4, 8));
  ASSERT_FALSE(batch.questions.empty());
  EXPECT_LT(batch.layout->groups[0].n_prefix, seen.layout->groups[0].n_prefix);
}

TEST(Batch, LateBatchesAskMoreOfWhatIsLearnedLast) {
  const BatchMaker maker(mini_shape(), vocabulary());
  BatchRequest request = request_of(40, 16);
  const auto share = [&](scenes::Task task) {
    const QuestionBatch batch = maker.questions(request);
    const auto n = std::count_if(batch.questions.begin(), batch.questions.end(),
                                 [&](const AskedQuestion& q) { return q.task == task; });
    return static_cast<double>(n) / static_cast<double>(batch.questions.size());
  };
  const double relations = share(scenes::Task::GqaRelation), popular = share(scenes::Task::ExistPopular);
  request.late = true;
  EXPECT_GT(share(scenes::Task::GqaRelation), 1.5 * relations);
  EXPECT_LT(share(scenes::Task::ExistPopular), popular);
}

TEST(Batch, TheLastSamplesShowSeveralPicturesAndAskNeedles) {
  const ModelShape shape = mini_shape();
  const BatchMaker maker(shape, vocabulary());
  BatchRequest request = request_of(5, 6);
  request.n_several = 2;
  request.n_pictures = 3;
  EXPECT_EQ(maker.pictures(request).n_pictures, 3 + 2 * 3);
  const QuestionBatch batch = maker.questions(request);
  EXPECT_EQ(batch.order.max().item<int64_t>() + 1, batch.ids.size(0) + 9 * shape.n_visual());
  ASSERT_EQ(batch.layout->groups.size(), 5U);
  for (const AskedQuestion& question : batch.questions) {
    const bool several = question.first_row >= batch.wanted_layout->groups[3].query_start;
    EXPECT_TRUE(question.task == scenes::Task::Needle || !several) << question.text;
  }
}

/// "Is the number 27 written in the image?" teaches 2 and 7 too where the answer is Yes, and not where it is
/// No.
TEST(Batch, ATrueStatementOfWhatIsPrintedIsLearnedAsAnAnswerIs) {
  const BatchMaker maker(mini_shape(), vocabulary());
  BatchRequest request = request_of(30, 16);
  request.late = true;
  const QuestionBatch batch = maker.questions(request);
  int64_t n_true = 0, n_false = 0, end = 0;
  for (const AskedQuestion& question : batch.questions) {
    std::vector<int32_t> before;  // targets between the answer before and this one
    for (; end < question.first_row; ++end) before.push_back(batch.targets[end].item<int32_t>());
    end = question.first_row + question.n_rows;
    std::vector<int32_t> answer;
    for (int64_t row = question.first_row; row < end; ++row)
      answer.push_back(batch.targets[row].item<int32_t>());
    const bool printed =
        question.task == scenes::Task::MmeOcr || question.task == scenes::Task::MmeCalculation;
    if (!printed || text_of(answer).find("Yes") == std::string::npos) {
      EXPECT_TRUE(before.empty()) << question.text;
      n_false += printed ? 1 : 0;
      continue;
    }
    std::string stated = text_of(before);
    std::erase_if(stated, [](char c) { return static_cast<unsigned char>(c) > 0x7f; });  // marks of spaces
    EXPECT_FALSE(stated.empty()) << question.text;
    EXPECT_NE(question.text.find(" " + stated), std::string::npos) << question.text << " taught " << stated;
    ++n_true;
  }
  EXPECT_GT(n_true, 5);
  EXPECT_GT(n_false, 5);
}

/// Two pictures of one object each offer no needle question: such a sample has nothing to learn from and must
/// not break the training.
TEST(Batch, ASampleWithoutQuestionsHasLossZero) {
  const ModelShape shape = mini_shape();
  const Parameters parameters = initial_parameters(shape, 3, vocabulary().coordinates());
  const Parameters mine = leaves(parameters);
  const Model model(shape, mine, false);
  const BatchMaker maker(shape, vocabulary());
  BatchRequest request = request_of(1, 8, 2);
  while (!maker.questions(request).questions.empty()) ++request.first;
  const PictureBatch pictures = maker.pictures(request);
  const Tensor visual = model.project(model.tower(pictures.patches, 2).features, 2);
  const QuestionBatch batch = maker.questions(request);
  const Tensor loss = answer_loss(model.decode(decoder_input(model, batch, visual)), batch);
  EXPECT_EQ(loss.item<double>(), 0.0);
  loss.backward();
  EXPECT_EQ(mine.at("blk.0.attn_q.weight").grad().abs().max().item<double>(), 0.0);
}

TEST(Batch, TargetsAreTheAnswersAndCoordinatesAreSpread) {
  const BatchMaker maker(mini_shape(), vocabulary());
  const QuestionBatch batch = maker.questions(request_of(8, 16));
  const Tensor sums = batch.soft.sum(1);
  EXPECT_LE((sums - 1.0).abs().max().item<double>(), 1e-5);
  EXPECT_TRUE(torch::equal(batch.soft.argmax(1), batch.targets));
  int64_t spread = 0;
  for (int64_t i = 0; i < batch.targets.size(0); ++i) {
    const bool coordinate = vocabulary().coordinates().count(batch.targets[i].item<int32_t>()) > 0;
    const double top = batch.soft[i].max().item<double>();
    EXPECT_EQ(top < 1.0, coordinate);
    spread += coordinate ? 1 : 0;
  }
  EXPECT_GT(spread, 20);
  for (const AskedQuestion& question : batch.questions) {
    const auto end = batch.targets[question.first_row + question.n_rows - 1].item<int32_t>();
    EXPECT_EQ(end, vocabulary().eos());
  }
}

TEST(PictureLabels, AgreeWithTheScene) {
  const ModelShape shape = mini_shape();
  const BatchMaker maker(shape, vocabulary());
  const BatchRequest request = request_of(30, 1);
  const PictureBatch batch = maker.pictures(request);
  int64_t glyphs = 0;
  for (int32_t i = 0; i < request.n_samples; ++i) {
    Rng rng = scenes::scene_rng(request.split, request.seed, (request.first + static_cast<uint64_t>(i)) * 16);
    const scenes::Scene scene = scenes::make_scene({}, rng);
    EXPECT_EQ(batch.count[i].item<int64_t>(), static_cast<int64_t>(scene.objects.size()));
    for (const scenes::Object& object : scene.objects) {
      const auto cell = i * shape.n_patch() + static_cast<int32_t>(object.y) / 8 * shape.side() +
                        static_cast<int32_t>(object.x) / 8;
      EXPECT_EQ(batch.shape[cell].item<int64_t>(), 1 + static_cast<int64_t>(object.shape));
      EXPECT_EQ(batch.colour[cell].item<int64_t>(), 1 + static_cast<int64_t>(object.colour));
      EXPECT_NEAR(batch.box[cell][0].item<float>(), object.box.x0 / 96.0F, 1e-6);
    }
    const Tensor left = batch.left.narrow(0, int64_t{i} * shape.n_patch(), shape.n_patch());
    if (scene.texts.empty()) {
      EXPECT_EQ(left.max().item<int64_t>(), 0);
    }
    glyphs += left.gt(0).sum().item<int64_t>();
  }
  EXPECT_GT(glyphs, 50);
}

}  // namespace
}  // namespace winnow::train
