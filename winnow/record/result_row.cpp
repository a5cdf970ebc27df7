#include "winnow/record/result_row.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "winnow/base/error.h"
#include "winnow/record/jsonl.h"

namespace winnow::record {
namespace {

using nlohmann::ordered_json;

struct Stage {
  const char* name;
  double StageTimes::*part;
};
constexpr Stage kStages[] = {{"image", &StageTimes::image},         {"tower", &StageTimes::tower},
                             {"projector", &StageTimes::projector}, {"select", &StageTimes::select},
                             {"gather", &StageTimes::gather},       {"prefill", &StageTimes::prefill},
                             {"decode", &StageTimes::decode}};

/// Microseconds are enough, and shorter.
double rounded(double ms) { return std::round(ms * 1000.0) / 1000.0; }

int32_t small_integer(const JsonRow& json, std::string_view key) {
  const int64_t value = json.integer(key);
  WINNOW_CHECK(value >= 0 && value <= std::numeric_limits<int32_t>::max(), Corrupt, "record.row",
               "{}: {}, got {}, expected 0 to 2147483647", json.place(), key, value);
  return static_cast<int32_t>(value);
}

int64_t byte_count(const JsonRow& json, std::string_view key) {
  const int64_t value = json.integer(key);
  WINNOW_CHECK(value >= 0, Corrupt, "record.row", "{}: {}, got {}, expected 0 or more", json.place(), key,
               value);
  return value;
}

/// By hand: nlohmann would cut fractions off and wrap large numbers. False when it is no list of indices.
bool read_indices(const Json& json, std::vector<int32_t>& indices) {
  if (!json.is_array()) return false;
  for (const Json& index : json) {
    if (!index.is_number_unsigned() || index.get<uint64_t>() > uint64_t{std::numeric_limits<int32_t>::max()})
      return false;
    indices.push_back(index.get<int32_t>());
  }
  return true;
}

std::vector<std::vector<int32_t>> kept_of(const JsonRow& json) {
  std::vector<std::vector<int32_t>> kept;
  const Json& images = json.at("kept");
  bool good = images.is_array();
  for (const Json& image : good ? images : Json::array()) {
    good = good && read_indices(image, kept.emplace_back());
  }
  WINNOW_CHECK(good, Corrupt, "record.row", "{}: kept, got {}, expected a list of lists of indices",
               json.place(), images.dump());
  return kept;
}

std::vector<std::vector<KeptMap>> maps_of(const JsonRow& json) {
  const auto read_map = [&](const JsonRow& map) {
    KeptMap out{small_integer(map, "rows"), small_integer(map, "cols"), {}, {}};
    const std::vector<double> box = map.numbers("box");
    const int64_t n_cell = int64_t{out.rows} * out.cols;
    bool good = box.size() == 4 && read_indices(map.at("kept"), out.kept);
    for (const int32_t cell : out.kept) good = good && cell < n_cell;
    WINNOW_CHECK(
        good, Corrupt, "record.row",
        "{}: kept_maps, got {}, expected rows, cols, a box of four numbers and kept cells of the grid",
        json.place(), map.value().dump());
    std::copy(box.begin(), box.end(), out.box.begin());
    return out;
  };
  std::vector<std::vector<KeptMap>> images;
  const Json& list = json.at("kept_maps");
  WINNOW_CHECK(
      list.is_array() && std::all_of(list.begin(), list.end(), [](const Json& i) { return i.is_array(); }),
      Corrupt, "record.row", "{}: kept_maps, got {}, expected a list of lists of maps", json.place(),
      list.dump());
  for (const Json& image : list) {
    std::vector<KeptMap>& maps = images.emplace_back();
    for (const Json& map : image) maps.push_back(read_map(JsonRow(map, json.place())));
  }
  return images;
}

Json json_of(const std::vector<std::vector<KeptMap>>& images) {
  Json out = Json::array();
  for (const auto& maps : images) {
    Json& list = out.emplace_back(Json::array());
    for (const KeptMap& m : maps) {
      list.push_back({{"rows", m.rows}, {"cols", m.cols}, {"box", m.box}, {"kept", m.kept}});
    }
  }
  return out;
}

void check_finite(double value, std::string_view name) {
  WINNOW_CHECK(std::isfinite(value), InvalidArgument, "record.row", "{}, got {}, expected a finite number",
               name, value);
}

void check_writable(const ResultRow& row) {
  check_finite(row.score, "score");
  check_finite(row.n_visual_average, "visual_tokens.layer_average");
  for (const auto& [name, value] : row.detail) check_finite(value, name);
  for (const Stage& stage : kStages) check_finite(row.stage_ms.*stage.part, stage.name);
  const int64_t smallest =
      std::min({int64_t{row.n_decoded}, int64_t{row.n_text}, int64_t{row.n_visual_before},
                int64_t{row.n_visual_after}, row.kv_bytes, row.kv_bytes_unpruned});
  WINNOW_CHECK(smallest >= 0, InvalidArgument, "record.row", "a count, got {}, expected 0 or more", smallest);
}

}  // namespace

std::string to_line(const ResultRow& row) {
  check_writable(row);
  ordered_json json = {{"benchmark", row.benchmark},     {"index", row.index},
                       {"question_id", row.question_id}, {"convention", row.convention},
                       {"config", row.config},           {"prediction", row.prediction},
                       {"answer", row.answer},           {"score", row.score},
                       {"extracted", row.extracted},     {"valid", row.valid}};
  if (!row.detail.empty()) json["detail"] = row.detail;
  json["group"] = row.group;
  json["category"] = row.category;
  json["subcategory"] = row.subcategory;
  json["split"] = row.split;
  json["prompt"] = row.prompt;
  json["ended"] = row.ended;
  json["decode_tokens"] = row.n_decoded;
  json["seed"] = row.seed;
  json["text_tokens"] = row.n_text;
  json["visual_tokens"] = {{"before", row.n_visual_before},
                           {"after", row.n_visual_after},
                           {"layer_average", row.n_visual_average}};
  json["kv_bytes"] = row.kv_bytes;
  json["kv_bytes_unpruned"] = row.kv_bytes_unpruned;
  for (const Stage& stage : kStages) json["stage_ms"][stage.name] = rounded(row.stage_ms.*stage.part);
  if (row.kept) json["kept"] = *row.kept;
  if (row.kept_maps) json["kept_maps"] = json_of(*row.kept_maps);
  if (row.failed()) json["error"] = row.error;
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

ResultRow result_row(const JsonRow& json) {
  ResultRow row;
  row.benchmark = json.text("benchmark");
  row.index = json.integer("index");
  row.question_id = json.text("question_id");
  row.convention = json.text("convention");
  row.config = json.text("config");
  row.prediction = json.text("prediction");
  row.answer = json.text("answer");
  row.score = json.number("score");
  row.extracted = json.text("extracted");
  row.valid = json.boolean("valid");
  if (json.has("detail")) {
    const JsonRow detail = json.row("detail");
    for (const auto& entry : detail.value().items()) row.detail[entry.key()] = detail.number(entry.key());
  }
  row.group = json.text("group");
  row.category = json.text("category");
  row.subcategory = json.text("subcategory");
  row.split = json.text("split");
  row.prompt = json.text("prompt");
  row.ended = json.boolean("ended");
  row.n_decoded = small_integer(json, "decode_tokens");
  row.seed = json.natural("seed");
  row.n_text = small_integer(json, "text_tokens");
  const JsonRow tokens = json.row("visual_tokens");
  row.n_visual_before = small_integer(tokens, "before");
  row.n_visual_after = small_integer(tokens, "after");
  row.n_visual_average = tokens.number("layer_average");
  row.kv_bytes = byte_count(json, "kv_bytes");
  row.kv_bytes_unpruned = byte_count(json, "kv_bytes_unpruned");
  const JsonRow stages = json.row("stage_ms");
  for (const Stage& stage : kStages) row.stage_ms.*stage.part = stages.number(stage.name);
  if (json.has("kept")) row.kept = kept_of(json);
  if (json.has("kept_maps")) row.kept_maps = maps_of(json);
  if (json.has("error")) row.error = json.text("error");
  return row;
}

}  // namespace winnow::record
