// RefCOCO, RefCOCO+ and RefCOCOg: the box of the thing that a phrase names (Yu et al. 2016, arXiv 1608.00272;
// Mao et al. 2016, arXiv 1511.02283). Files: {refcoco,refcoco+,refcocog}_{val,test,testA,testB}.jsonl with
// the columns of lmms-eval's tables (question_id, image or file_name, bbox = x, y, width, height in pixels,
// answer = phrases) and image_size [width, height], pictures in images/. Each phrase is a question of its
// own. Rules: lmms-eval lmms_eval/tasks/refcoco*/utils_rec.py (the tasks *_bbox_rec_*); VLMEvalKit's
// RefCOCO.tsv with vlmeval/dataset/refcoco.py. LLaVA has no RefCOCO script: llava is lmms-eval's rule, the
// one behind the published LLaVA-1.5 numbers. The value of a question is 1 when the IoU is at least 0.5
// (ACC@0.5, VLMEvalKit's Precision@1); detail has the IoU and whether the middle of the predicted box is
// inside the true one. The first metric is the unweighted mean over splits. An answer without a box is the
// box 0, 0, 0, 0. Models that answer in pixels or thousandths: see with_box_rescaled() in box.h; VLMEvalKit's
// rule guesses the unit.

#include <array>

#include "winnow/base/error.h"
#include "winnow/eval/dataset_files.h"
#include "winnow/eval/metrics.h"
#include "winnow/eval/prompt_text.h"
#include "winnow/eval/python_text.h"
#include "winnow/record/jsonl.h"

namespace winnow::eval {
namespace {

constexpr const char* kWhere = "eval.refcoco";
constexpr double kRightIou = 0.5;
constexpr std::array<double, 5> kThresholds = {0.1, 0.3, 0.5, 0.7, 0.9};

constexpr std::string_view kPrompt =
    "Bounding box coordinates are specified in the format (top-left x, top-left y, bottom-right x, "
    "bottom-right y). All "
    "values are floating point numbers bounded between 0 and 1. Please provide the bounding box coordinate "
    "of the region "
    "this sentence describes: ";

/// "RefCOCO+_testA" and "refcoco+_testA" are the same split.
std::string split_name(std::string_view text) {
  const std::size_t end = text.find('_');
  return end == std::string_view::npos ? lower(text)
                                       : lower(text.substr(0, end)) + std::string(text.substr(end));
}

void set_box(Item& item, const std::vector<double>& xywh, const std::vector<double>& size) {
  WINNOW_CHECK(xywh.size() == 4 && xywh[2] > 0.0 && xywh[3] > 0.0, Corrupt, kWhere,
               "{}: bbox, expected x, y, width, height with an area", item.place);
  WINNOW_CHECK(size.size() == 2 && size[0] >= 1.0 && size[1] >= 1.0 && size[0] < 1e6 && size[1] < 1e6,
               Corrupt, kWhere, "{}: image_size, expected width, height in pixels", item.place);
  item.width_px = static_cast<int32_t>(size[0]);
  item.height_px = static_cast<int32_t>(size[1]);
  item.box = {xywh[0] / size[0], xywh[1] / size[1], (xywh[0] + xywh[2]) / size[0],
              (xywh[1] + xywh[3]) / size[1]};
}

std::vector<Item> read_refcoco(const std::string& path, const std::string& split) {
  std::vector<Item> items;
  record::for_each_line(path, [&](const record::JsonRow& row) {
    Item item;
    item.place = row.place();
    item.category = item.split = split;
    set_box(item, row.numbers("bbox"), row.numbers("image_size"));
    item.images = {{.key = "", .path = row.text(row.has("image") ? "image" : "file_name"), .bytes = nullptr}};
    const auto phrases = row.texts("answer");
    for (std::size_t i = 0; i < phrases.size(); ++i) {
      item.id = fmt::format("{}/{}/{}", split, row.text("question_id"), i);
      item.question = std::string(kPrompt) + phrases[i];
      item.answers = {to_text(item.box)};
      items.push_back(item);
    }
  });
  return items;
}

std::vector<double> cells_of(const VlmevalTable& table, const Item& item,
                             std::initializer_list<const char*> columns) {
  std::vector<double> out;
  for (const char* column : columns) {
    const auto value = parse_float(table.cell(item, column));
    WINNOW_CHECK(value, Corrupt, kWhere, "{}: column '{}', got '{}', expected a number", item.place, column,
                 table.cell(item, column));
    out.push_back(*value);
  }
  return out;
}

/// Columns bbox_x1 .. bbox_y2 in pixels, or the column answer with a box in pixels or, if no number of the
/// whole table exceeds 1.5, in shares.
std::vector<Item> read_table(VlmevalTable& table) {
  std::vector<Item> items = table.items();
  const bool columns =
      table.has("bbox_x1") && table.has("bbox_y1") && table.has("bbox_x2") && table.has("bbox_y2");
  double largest = 0.0;
  for (Item& item : items) {
    const auto size = cells_of(table, item, {"width", "height"});
    std::optional<Box> box;
    if (columns) {
      const auto c = cells_of(table, item, {"bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"});
      box = Box{c[0], c[1], c[2], c[3]};
    } else {
      box = parse_box_vlmeval(table.cell(item, "answer"));
      WINNOW_CHECK(box, Corrupt, kWhere, "{}: answer, got '{}', expected a box of four numbers", item.place,
                   table.cell(item, "answer"));
    }
    largest = std::max({largest, std::abs(box->x0), std::abs(box->y0), std::abs(box->x1), std::abs(box->y1)});
    item.width_px = static_cast<int32_t>(size[0]);
    item.height_px = static_cast<int32_t>(size[1]);
    item.box = *box;
    item.split = item.category = split_name(item.split.empty() ? "refcoco" : item.split);
  }
  const bool shares = !columns && largest <= 1.5;
  for (Item& item : items) {
    const Box b = item.box;
    if (!shares)
      set_box(item, {b.x0, b.y0, b.x1 - b.x0, b.y1 - b.y0},
              {static_cast<double>(item.width_px), static_cast<double>(item.height_px)});
    item.answers = {to_text(item.box)};
  }
  return items;
}

class RefCoco final : public Benchmark {
 public:
  const BenchmarkInfo& info() const override { return info_; }

  std::vector<Item> load(const std::string& path, const LoadOptions& options) const override {
    check_options(options, info_);
    DataFolder folder(path, info_.name);
    std::vector<Item> items;
    for (const std::string& split : info_.splits) {
      if (!options.split.empty() && options.split != split) continue;
      const std::string name = split + ".jsonl";
      const auto file = folder.find({name});
      if (!file) continue;
      for (Item& item : read_refcoco(*file, split)) items.push_back(std::move(item));
    }
    if (items.empty()) {
      if (const auto file = folder.find_table({"RefCOCO.tsv"})) return load_table(*file, options);
      folder.nothing_here();
    }
    return finish_items(std::move(items), options, [&](Item& item) {
      item.images[0] = folder.picture({item.images[0].path}, {"images", "train2014", ""}, item);
    });
  }

  std::string prompt(const Item& item, Convention convention) const override {
    return with_images(item.images.size(), convention, item.question);
  }

  Score score(const Item& item, std::string_view answer, Convention convention) const override {
    auto box = convention == Convention::Vlmeval ? parse_box_vlmeval(answer) : parse_box_lmms(answer);
    if (box && convention == Convention::Vlmeval)
      box = as_shares_vlmeval(*box, item.width_px, item.height_px);
    Score score;
    score.valid = box.has_value();
    const Box predicted = box.value_or(Box{});
    if (box) score.extracted = to_text(predicted);
    const double overlap = iou(item.box, predicted);
    score.detail = {{"iou", overlap}, {"center", holds_centre(item.box, predicted) ? 1.0 : 0.0}};
    score.value = overlap >= kRightIou ? 1.0 : 0.0;
    return score;
  }

  std::vector<Metric> aggregate(std::span<const ScoredRow> rows, Convention) const override {
    check_rows(rows, info_.name);
    Metric mean{.name = "accuracy", .value = 0.0, .n = std::ssize(rows)};
    std::vector<Metric> by_split;
    for (const auto& [name, refs] : grouped_by(rows, &ScoredRow::category))
      by_split.push_back(percent("accuracy/" + name, refs));
    for (const Metric& split : by_split) mean.value += split.value / static_cast<double>(by_split.size());
    std::vector<Metric> out = {
        mean, detail_mean("iou", rows, [](const ScoredRow& row) { return detail(row, "iou"); })};
    for (const double threshold : kThresholds) {
      out.push_back(detail_mean(fmt::format("acc@{}", threshold), rows, [threshold](const ScoredRow& row) {
        return detail(row, "iou") >= threshold ? 1.0 : 0.0;
      }));
    }
    out.push_back(detail_mean("center", rows, [](const ScoredRow& row) { return detail(row, "center"); }));
    out.insert(out.end(), by_split.begin(), by_split.end());
    return out;
  }

  Headline headline(Convention) const override { return mean_headline(&ScoredRow::category); }

 private:
  static double detail(const ScoredRow& row, const char* name) {
    const auto found = row.score.detail.find(name);
    return found == row.score.detail.end() ? 0.0 : found->second;
  }

  template <class Value>
  static Metric detail_mean(std::string name, std::span<const ScoredRow> rows, const Value& value) {
    double sum = 0.0;
    for (const ScoredRow& row : rows) sum += value(row);
    return {.name = std::move(name),
            .value = 100.0 * sum / static_cast<double>(rows.size()),
            .n = std::ssize(rows)};
  }

  static std::vector<Item> load_table(const std::string& path, const LoadOptions& options) {
    VlmevalTable table(path);
    std::vector<Item> items = read_table(table);
    if (!options.split.empty())
      std::erase_if(items, [&](const Item& item) { return item.split != options.split; });
    return finish_items(std::move(items), options, [&](Item& item) { table.add_pictures(item); });
  }

  BenchmarkInfo info_{
      .name = "refcoco",
      .summary = "the box of the thing that a phrase names (RefCOCO, RefCOCO+, RefCOCOg)",
      .paper = "Yu et al. 2016, arXiv 1608.00272",
      .splits = {"refcoco_val", "refcoco_test", "refcoco_testA", "refcoco_testB", "refcoco+_val",
                 "refcoco+_testA", "refcoco+_testB", "refcocog_val", "refcocog_test"},
      .max_new_tokens = {.llava = 128, .lmms = 1024}};
};

}  // namespace

const Benchmark& refcoco_benchmark() {
  static const RefCoco benchmark;
  return benchmark;
}

}  // namespace winnow::eval
