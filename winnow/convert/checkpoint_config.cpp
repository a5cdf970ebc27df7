#include "winnow/convert/checkpoint_config.h"

#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "winnow/base/error.h"
#include "winnow/convert/checkpoint.h"
#include "winnow/record/jsonl.h"

namespace winnow::convert {
namespace {

using record::Json;
using record::JsonRow;

constexpr const char* kWhere = "convert.config";

int32_t count_or(const JsonRow& row, std::string_view key, int64_t fallback, int64_t max) {
  const int64_t n = row.has(key) ? row.integer(key) : fallback;
  WINNOW_CHECK(n >= 1 && n <= max, Corrupt, kWhere, "{}: {}, got {}, expected 1 to {}", row.place(), key, n,
               max);
  return static_cast<int32_t>(n);
}

float small_number_or(const JsonRow& row, std::string_view key, double fallback) {
  const double value = row.has(key) ? row.number(key) : fallback;
  WINNOW_CHECK(value > 0.0 && value < 1.0, Corrupt, kWhere, "{}: {}, got {}, expected 0 to 1", row.place(),
               key, value);
  return static_cast<float>(value);
}

std::string text_or(const JsonRow& row, std::string_view key, const char* fallback) {
  return row.has(key) ? row.text(key) : fallback;
}

/// A choice that the engine has only one answer to.
void expect_text(const JsonRow& row, std::string_view key, const char* expected) {
  const std::string value = text_or(row, key, expected);
  WINNOW_CHECK(value == expected, Unsupported, kWhere, "{}: {}, got '{}', expected '{}'", row.place(), key,
               value, expected);
}

/// A count that the engine has only one answer to.
void expect_count(const JsonRow& row, std::string_view key, int64_t expected) {
  const int64_t n = row.has(key) ? row.integer(key) : expected;
  WINNOW_CHECK(n == expected, Unsupported, kWhere, "{}: {}, got {}, expected {}", row.place(), key, n,
               expected);
}

/// M-RoPE's pairs for time, rows and columns.
std::array<int32_t, 4> read_sections(const JsonRow& row, int32_t d_head) {
  const std::vector<double> counts = row.numbers("mrope_section");
  std::array<int32_t, 4> sections{};
  double sum = 0.0;
  for (std::size_t i = 0; i < counts.size() && i < 3; ++i) {
    sum += counts[i];
    if (counts[i] >= 0.0 && counts[i] <= d_head) sections[i] = static_cast<int32_t>(counts[i]);
  }
  const bool good =
      counts.size() == 3 && 2 * (sections[0] + sections[1] + sections[2]) == d_head && 2.0 * sum == d_head;
  WINNOW_CHECK(good, Corrupt, kWhere,
               "{}: mrope_section, got {}, expected three counts that make {} together", row.place(),
               row.at("mrope_section").dump(), d_head / 2);
  return sections;
}

/// rope_theta and rope_scaling, in transformers 5 both inside rope_parameters. axes: M-RoPE.
engine::RopeConfig read_rope(const JsonRow& row, int32_t d_head, int32_t n_ctx, bool axes) {
  const Json none = Json::object();
  const JsonRow parameters =
      row.has("rope_parameters") ? row.row("rope_parameters") : JsonRow(none, row.place());
  const JsonRow scaling = row.has("rope_parameters") ? parameters
                          : row.has("rope_scaling")  ? row.row("rope_scaling")
                                                     : JsonRow(none, row.place());
  const JsonRow& theta = parameters.has("rope_theta") ? parameters : row;
  engine::RopeConfig rope;
  rope.n_dims = d_head;
  rope.n_ctx_orig = n_ctx;
  if (theta.has("rope_theta")) rope.freq_base = static_cast<float>(theta.number("rope_theta"));
  WINNOW_CHECK(rope.freq_base > 0.0F && std::isfinite(rope.freq_base), Corrupt, kWhere,
               "{}: rope_theta, got {}, expected > 0", row.place(), rope.freq_base);
  const std::string type = text_or(scaling, scaling.has("rope_type") ? "rope_type" : "type", "default");
  if (axes) {
    WINNOW_CHECK(type == "default" || type == "mrope", Unsupported, kWhere,
                 "{}: rotary scaling, got '{}', expected 'mrope' or none", scaling.place(), type);
    rope.sections = read_sections(scaling, d_head);
    return rope;
  }
  if (type == "default") return rope;
  WINNOW_CHECK(type == "linear", Unsupported, kWhere,
               "{}: rotary scaling, got '{}', expected 'linear' or none", scaling.place(), type);
  const double factor = scaling.number("factor");
  WINNOW_CHECK(factor >= 1.0 && factor < 1e6, Corrupt, kWhere, "{}: factor, got {}, expected 1 to 1e6",
               scaling.place(), factor);
  rope.freq_scale = static_cast<float>(1.0 / factor);
  return rope;
}

/// What transformers fills in where a published configuration leaves a key out: LlamaConfig, MistralConfig,
/// Qwen2Config, Qwen2VLTextConfig (whose defaults are Qwen2_5_VLTextConfig's).
struct TextDefaults {
  int32_t n_embd, n_ff, n_layer, n_head, n_head_kv, n_vocab, n_ctx;  ///< n_head_kv 0: as many as heads
  double eps;
  int32_t sliding_window;  ///< 0: none; -1: none unless use_sliding_window says so
  bool axes = false;       ///< M-RoPE
};
constexpr TextDefaults kLlama = {4096, 11008, 32, 32, 0, 32000, 2048, 1e-6, 0};
constexpr TextDefaults kMistral = {4096, 14336, 32, 32, 8, 32000, 131072, 1e-6, 4096};
constexpr TextDefaults kQwen2 = {4096, 22016, 32, 32, 32, 151936, 32768, 1e-6, -1};
constexpr TextDefaults kQwen2Vl = {8192, 29568, 80, 64, 8, 152064, 32768, 1e-5, 0, true};

/// Every token sees all before it: a window that is shorter than the context would be another model.
void check_window(const JsonRow& row, int32_t n_ctx, int32_t fallback) {
  const bool used = row.has("use_sliding_window") ? row.boolean("use_sliding_window") : fallback >= 0;
  if (!used) return;
  const bool written = row.value().contains("sliding_window");
  if (written ? !row.has("sliding_window") : fallback == 0) return;
  const int64_t window = written ? row.integer("sliding_window") : fallback;
  WINNOW_CHECK(window >= n_ctx, Unsupported, kWhere,
               "{}: sliding_window, got {}, expected null or at least the context of {}", row.place(), window,
               n_ctx);
}

engine::LlamaConfig read_text(const JsonRow& row, const TextDefaults& defaults) {
  constexpr int64_t kMax = 1 << 20;
  engine::LlamaConfig c;
  expect_text(row, "hidden_act", "silu");
  c.n_embd = count_or(row, "hidden_size", defaults.n_embd, kMax);
  c.n_ff = count_or(row, "intermediate_size", defaults.n_ff, kMax);
  c.n_layer = count_or(row, "num_hidden_layers", defaults.n_layer, 1024);
  c.n_head = count_or(row, "num_attention_heads", defaults.n_head, c.n_embd);
  const int32_t n_head_kv = defaults.n_head_kv > 0 ? defaults.n_head_kv : c.n_head;
  c.n_head_kv = count_or(row, "num_key_value_heads", n_head_kv, c.n_head);
  c.n_vocab = count_or(row, "vocab_size", defaults.n_vocab, kMax);
  c.n_ctx = count_or(row, "max_position_embeddings", defaults.n_ctx, 1 << 30);
  c.eps = small_number_or(row, "rms_norm_eps", defaults.eps);
  WINNOW_CHECK(row.has("head_dim") || c.n_embd % c.n_head == 0, Corrupt, kWhere,
               "{}: width {} does not divide into {} heads", row.place(), c.n_embd, c.n_head);
  c.d_head = count_or(row, "head_dim", c.n_embd / c.n_head, 4096);
  WINNOW_CHECK(c.n_head % c.n_head_kv == 0 && c.d_head % 2 == 0, Corrupt, kWhere,
               "{}: {} heads of {} dimensions with {} heads for keys, expected a multiple and an even number",
               row.place(), c.n_head, c.d_head, c.n_head_kv);
  c.rope = read_rope(row, c.d_head, c.n_ctx, defaults.axes);
  check_window(row, c.n_ctx, defaults.sliding_window);
  return c;
}

/// image_grid_pinpoints: pairs, of transformers height first, of the original authors width first.
engine::Tiling read_resolutions(const JsonRow& row, bool height_first, int32_t tile_px) {
  engine::Tiling tiling;
  const Json& pairs = row.at("image_grid_pinpoints");
  const bool list = pairs.is_array() && !pairs.empty();
  WINNOW_CHECK(list, Corrupt, kWhere, "{}: image_grid_pinpoints, got {}, expected a list of pairs",
               row.place(), pairs.dump());
  for (const Json& pair : pairs) {
    const bool two =
        pair.is_array() && pair.size() == 2 && pair[0].is_number_integer() && pair[1].is_number_integer();
    const int64_t first = two ? pair[0].get<int64_t>() : 0;
    const int64_t second = two ? pair[1].get<int64_t>() : 0;
    const auto good = [&](int64_t n) { return n > 0 && n <= 1 << 16 && n % tile_px == 0; };
    WINNOW_CHECK(good(first) && good(second), Corrupt, kWhere,
                 "{}: image_grid_pinpoints, got {}, expected two multiples of the tower's {} px", row.place(),
                 pair.dump(), tile_px);
    const auto a = static_cast<int32_t>(first), b = static_cast<int32_t>(second);
    tiling.resolutions.push_back(height_first ? engine::PixelSize{b, a} : engine::PixelSize{a, b});
  }
  return tiling;
}

bool uses_gelu(const JsonRow& row) {
  const std::string act = text_or(row, "hidden_act", "quick_gelu");
  WINNOW_CHECK(act == "quick_gelu" || act == "gelu", Unsupported, kWhere,
               "{}: hidden_act, got '{}', expected 'quick_gelu' or 'gelu'", row.place(), act);
  return act == "gelu";
}

/// CLIPVisionConfig and SiglipVisionConfig: what is checked, and what is filled in.
struct TowerDefaults {
  const char* type;
  int32_t patch_size;
  double eps;
  bool siglip;
};
constexpr TowerDefaults kClip = {"clip_vision_model", 32, 1e-5, false};
constexpr TowerDefaults kSiglip = {"siglip_vision_model", 16, 1e-6, true};

/// feature_layer as transformers counts it: 0 is the input of block 0, negative numbers count from the end.
engine::ClipConfig read_tower(const JsonRow& row, int64_t feature_layer,
                              const TowerDefaults& defaults = kClip) {
  constexpr int64_t kMax = 1 << 18;
  const std::string type = text_or(row, "model_type", defaults.type);
  WINNOW_CHECK(type == defaults.type, Unsupported, kWhere, "{}: tower, got '{}', expected '{}'", row.place(),
               type, defaults.type);
  engine::ClipConfig c;
  c.siglip = defaults.siglip;
  c.has_cls = !c.siglip;
  c.image_size_px = count_or(row, "image_size", 224, 8192);
  c.patch_size_px = count_or(row, "patch_size", defaults.patch_size, c.image_size_px);
  c.n_embd = count_or(row, "hidden_size", 768, kMax);
  c.n_ff = count_or(row, "intermediate_size", 3072, kMax);
  c.n_head = count_or(row, "num_attention_heads", 12, c.n_embd);
  c.n_layer_stored = count_or(row, "num_hidden_layers", 12, 1024);
  c.n_layer_run = c.n_layer_stored;
  c.eps = small_number_or(row, "layer_norm_eps", defaults.eps);
  if (c.siglip) expect_text(row, "hidden_act", "gelu_pytorch_tanh");
  c.use_gelu = c.siglip || uses_gelu(row);
  WINNOW_CHECK(c.n_embd % c.n_head == 0, Corrupt, kWhere, "{}: width {} does not divide into {} heads",
               row.place(), c.n_embd, c.n_head);
  const int64_t layer = feature_layer < 0 ? feature_layer + c.n_layer_stored + 1 : feature_layer;
  WINNOW_CHECK(layer >= 1 && layer <= c.n_layer_stored, Corrupt, kWhere,
               "{}: features of layer {} are wanted, the tower has {} blocks", row.place(), feature_layer,
               c.n_layer_stored);
  c.n_layer = static_cast<int32_t>(layer);
  return c;
}

std::array<float, 3> three_numbers(const JsonRow& row, std::string_view key, bool positive) {
  const std::vector<double> values = row.numbers(key);
  WINNOW_CHECK(values.size() == 3, Corrupt, kWhere, "{}: {}, got {} numbers, expected 3", row.place(), key,
               values.size());
  for (const double value : values) {
    WINNOW_CHECK(std::abs(value) < 1e6 && (!positive || value > 0.0), Corrupt, kWhere,
                 "{}: {}, got {}, expected a small number{}", row.place(), key, value,
                 positive ? " above 0" : "");
  }
  return {static_cast<float>(values[0]), static_cast<float>(values[1]), static_cast<float>(values[2])};
}

/// Least and most pixels of a picture that is read in its own size: under either of the names that
/// transformers has written.
engine::PixelRange read_pixel_range(const JsonRow& row) {
  const bool whole = row.has("min_pixels") && row.has("max_pixels");
  const JsonRow from = whole ? row : row.row("size");
  const bool edges = !from.has("min_pixels");
  const engine::PixelRange range{from.integer(edges ? "shortest_edge" : "min_pixels"),
                                 from.integer(edges ? "longest_edge" : "max_pixels")};
  WINNOW_CHECK(range.min >= 1 && range.max >= range.min && range.max <= 1 << 28, Corrupt, kWhere,
               "{}: pixels of a picture, got {} to {}, expected an ascending range above 0", from.place(),
               range.min, range.max);
  return range;
}

/// Mean and deviation of pixels, and that images get the size which the tower reads.
void read_preprocessor(const std::string& folder, engine::ClipConfig& tower) {
  std::string path = file_in(folder, "preprocessor_config.json");
  const std::string newer = file_in(folder, "processor_config.json");
  std::error_code ignored;
  const bool inside = !std::filesystem::exists(path, ignored) && std::filesystem::exists(newer, ignored);
  if (inside) path = newer;
  const Json file = record::read_json(path);
  const JsonRow whole(file, path);
  const JsonRow row = inside && whole.has("image_processor") ? whole.row("image_processor") : whole;
  tower.mean = three_numbers(row, "image_mean", false);
  tower.std = three_numbers(row, "image_std", true);
  if (tower.rotary) {
    expect_count(row, "patch_size", tower.patch_size_px);
    expect_count(row, "merge_size", tower.group_side);
    expect_count(row, "temporal_patch_size", tower.n_frame);
    tower.own_size = read_pixel_range(row);
  }
  if (tower.siglip && row.has("size")) {
    const JsonRow size = row.row("size");
    expect_count(size, "height", tower.image_size_px);
    expect_count(size, "width", tower.image_size_px);
  }
  if (!row.has("crop_size")) return;
  const int64_t size =
      row.at("crop_size").is_object() ? row.row("crop_size").integer("height") : row.integer("crop_size");
  WINNOW_CHECK(size == tower.image_size_px, Unsupported, kWhere,
               "{}: crop_size, got {}, the tower reads {} px", path, size, tower.image_size_px);
}

/// One layer, alone or in a list.
int64_t feature_layer(const JsonRow& row, std::string_view key, int64_t fallback = -2) {
  if (!row.has(key)) return fallback;
  if (!row.at(key).is_array()) return row.integer(key);
  const std::vector<double> layers = row.numbers(key);
  WINNOW_CHECK(layers.size() == 1, Unsupported, kWhere, "{}: {}, got {} layers, expected one", row.place(),
               key, layers.size());
  return static_cast<int64_t>(layers.front());
}

bool is_tied(const JsonRow& row) {
  return row.has("tie_word_embeddings") && row.boolean("tie_word_embeddings");
}

CheckpointConfig read_transformers(const JsonRow& row, const std::string& folder, bool next) {
  const JsonRow text = row.row("text_config");
  const std::string type = text_or(text, "model_type", "llama");
  WINNOW_CHECK(type == "llama" || type == "mistral", Unsupported, kWhere,
               "{}: text model, got '{}', expected 'llama' or 'mistral'", text.place(), type);
  expect_text(row, "projector_hidden_act", "gelu");
  expect_text(row, "vision_feature_select_strategy", "default");
  CheckpointConfig config;
  config.is_mistral = type == "mistral";
  config.text = read_text(text, config.is_mistral ? kMistral : kLlama);
  config.tower = read_tower(row.row("vision_config"), feature_layer(row, "vision_feature_layer"));
  if (next) config.tiling = read_resolutions(row, true, config.tower.image_size_px);
  config.may_be_tied = is_tied(row) || is_tied(text);
  read_preprocessor(folder, config.tower);
  return config;
}

/// N of "anyres_max_N".
int32_t read_max_tiles(const JsonRow& row) {
  constexpr std::string_view kPrefix = "anyres_max_";
  const std::string aspect = text_or(row, "vision_aspect_ratio", "anyres_max_9");
  int32_t n = 0;
  const char* end = aspect.data() + aspect.size();
  const bool named = aspect.starts_with(kPrefix);
  const auto [stop, error] = std::from_chars(named ? aspect.data() + kPrefix.size() : end, end, n);
  WINNOW_CHECK(error == std::errc{} && stop == end && n >= 1 && n <= 256, Unsupported, kWhere,
               "{}: vision_aspect_ratio, got '{}', expected 'anyres_max_N' with N of 1 to 256", row.place(),
               aspect);
  return n;
}

CheckpointConfig read_onevision(const JsonRow& row, const std::string& folder) {
  const JsonRow text = row.row("text_config");
  expect_text(text, "model_type", "qwen2");
  expect_text(row, "projector_hidden_act", "gelu");
  expect_text(row, "vision_feature_select_strategy", "full");
  CheckpointConfig config;
  config.text = read_text(text, kQwen2);
  config.text.arch = "qwen2";
  config.text.rope.halves = true;
  config.tower =
      read_tower(row.row("vision_config"), feature_layer(row, "vision_feature_layer", -1), kSiglip);
  config.tiling = read_resolutions(row, true, config.tower.image_size_px);
  config.tiling.max_tiles = read_max_tiles(row);
  config.may_be_tied = is_tied(row) || is_tied(text);
  read_preprocessor(folder, config.tower);
  return config;
}

/// The authors' own layout: the text model's keys at the top, mm_* for the projector, the tower elsewhere.
CheckpointConfig read_original(const JsonRow& row, const std::string& tower_folder, bool mistral) {
  expect_text(row, "mm_projector_type", "mlp2x_gelu");
  expect_text(row, "mm_vision_select_feature", "patch");
  const bool next = text_or(row, "image_aspect_ratio", "pad") == "anyres";
  expect_text(row, "mm_patch_merge_type", next ? "spatial_unpad" : "flat");
  CheckpointConfig config;
  config.is_mistral = mistral;
  config.text = read_text(row, mistral ? kMistral : kLlama);
  const std::string path = file_in(tower_folder, "config.json");
  const Json file = record::read_json(path);
  const JsonRow tower(file, path);
  config.tower = read_tower(tower.has("vision_config") ? tower.row("vision_config") : tower,
                            feature_layer(row, "mm_vision_select_layer"));
  if (next) config.tiling = read_resolutions(row, false, config.tower.image_size_px);
  config.may_be_tied = is_tied(row);
  read_preprocessor(tower_folder, config.tower);
  return config;
}

/// Which blocks of Qwen2.5-VL attend to all: GGUF files know every block of a number only.
void read_full_blocks(const JsonRow& row, engine::ClipConfig& c) {
  std::vector<double> blocks = {7, 15, 23, 31};
  if (row.has("fullatt_block_indexes")) blocks = row.numbers("fullatt_block_indexes");
  const double first = blocks.empty() ? 0.0 : blocks.front();
  bool even = !blocks.empty() && first >= 0.0 && first < c.n_layer && first == std::floor(first);
  c.full_every = even ? static_cast<int32_t>(first) + 1 : 1;
  std::vector<double> expected;
  for (int32_t il = c.full_every - 1; il < c.n_layer; il += c.full_every) expected.push_back(il);
  even = even && blocks == expected;
  WINNOW_CHECK(
      even, Unsupported, kWhere,
      "{}: fullatt_block_indexes, got [{}] of {} blocks, expected one block of every so many, to the end",
      row.place(), fmt::join(blocks, ", "), c.n_layer);
}

/// transformers' Qwen2_5_VLVisionConfig, in what it has besides the keys of Qwen2VLVisionConfig or under
/// another name.
void read_qwen2_5_vl_tower(const JsonRow& row, int32_t n_embd_text, engine::ClipConfig& c) {
  c.rms_norm = c.gated = true;
  c.n_embd = count_or(row, "hidden_size", 3584, 1 << 16);
  c.n_ff = count_or(row, "intermediate_size", 3420, 1 << 18);
  expect_text(row, "hidden_act", "silu");
  const int64_t n_out = row.has("out_hidden_size") ? row.integer("out_hidden_size") : 3584;
  WINNOW_CHECK(n_out == n_embd_text, Unsupported, kWhere, "{}: out_hidden_size, got {}, expected {}",
               row.place(), n_out, n_embd_text);
  const int32_t group_px = c.patch_size_px * c.group_side;
  const int32_t window_px = count_or(row, "window_size", 112, 1 << 16);
  WINNOW_CHECK(window_px % group_px == 0, Unsupported, kWhere,
               "{}: window_size, got {}, expected a multiple of {} pixels (merged patches)", row.place(),
               window_px, group_px);
  c.window_side = window_px / group_px;
  read_full_blocks(row, c);
}

/// transformers' Qwen2VLVisionConfig.
void read_qwen2_vl_widths(const JsonRow& row, int32_t n_embd_text, engine::ClipConfig& c) {
  c.n_embd = count_or(row, "embed_dim", 1280, 1 << 16);
  c.n_ff = static_cast<int32_t>(c.n_embd * int64_t{count_or(row, "mlp_ratio", 4, 64)});
  c.use_gelu = uses_gelu(row);
  expect_count(row, "hidden_size", n_embd_text);
}

/// What both towers have; windows: it is Qwen2.5-VL's.
engine::ClipConfig read_qwen2_vl_tower(const JsonRow& row, int32_t n_embd_text, bool windows) {
  constexpr int32_t kTypicalSide = 560;  // llama.cpp's
  engine::ClipConfig c;
  c.rotary = true;
  c.has_cls = false;
  c.n_frame = 2;
  c.patch_size_px = count_or(row, "patch_size", 14, 8192);
  c.group_side = count_or(row, "spatial_merge_size", 2, 16);
  c.image_size_px = kTypicalSide / (c.patch_size_px * c.group_side) * c.patch_size_px * c.group_side;
  WINNOW_CHECK(c.image_size_px > 0, Unsupported, kWhere,
               "{}: patches of {} px merged {} x {}, expected at most {}", row.place(), c.patch_size_px,
               c.group_side, c.group_side, kTypicalSide);
  c.n_layer = c.n_layer_run = c.n_layer_stored = count_or(row, "depth", 32, 1024);
  c.eps = 1e-6F;
  if (windows) {
    read_qwen2_5_vl_tower(row, n_embd_text, c);
  } else {
    read_qwen2_vl_widths(row, n_embd_text, c);
  }
  c.n_head = count_or(row, "num_heads", 16, c.n_embd);
  expect_count(row, "temporal_patch_size", c.n_frame);
  expect_count(row, "in_channels", 3);
  expect_count(row, "in_chans", 3);
  WINNOW_CHECK(c.n_embd % c.n_head == 0 && c.n_embd / c.n_head % 4 == 0, Corrupt, kWhere,
               "{}: width {} and {} heads, expected heads of a multiple of 4 values", row.place(), c.n_embd,
               c.n_head);
  return c;
}

/// As published the text model's keys are at the top, in transformers 5 they are text_config.
CheckpointConfig read_qwen2_vl(const JsonRow& row, const std::string& folder, bool windows) {
  const JsonRow text = row.has("text_config") ? row.row("text_config") : row;
  CheckpointConfig config;
  config.text = read_text(text, kQwen2Vl);
  config.text.arch = "qwen2vl";
  config.tower = read_qwen2_vl_tower(row.row("vision_config"), config.text.n_embd, windows);
  config.may_be_tied = is_tied(row) || is_tied(text);
  read_preprocessor(folder, config.tower);
  return config;
}

}  // namespace

CheckpointConfig read_checkpoint_config(const std::string& folder, const std::string& tower_folder) {
  const std::string path = file_in(folder, "config.json");
  const Json file = record::read_json(path);
  const JsonRow row(file, path);
  std::string architecture = text_or(row, "model_type", "none");
  if (row.has("architectures")) {
    const std::vector<std::string> names = row.texts("architectures");
    if (!names.empty()) architecture = names.front();
  }
  const bool mistral = architecture == "LlavaMistralForCausalLM";
  const bool original = architecture == "LlavaLlamaForCausalLM" || mistral;
  const bool next = architecture == "LlavaNextForConditionalGeneration" || architecture == "llava_next";
  const bool qwen = architecture == "Qwen2VLForConditionalGeneration" || architecture == "qwen2_vl";
  const bool qwen25 = architecture == "Qwen2_5_VLForConditionalGeneration" || architecture == "qwen2_5_vl";
  const bool llava = architecture == "LlavaForConditionalGeneration" || architecture == "llava";
  const bool onevision =
      architecture == "LlavaOnevisionForConditionalGeneration" || architecture == "llava_onevision";
  WINNOW_CHECK(original || next || llava || onevision || qwen || qwen25, Unsupported, kWhere,
               "{}: architecture, got '{}', expected LlavaForConditionalGeneration, "
               "LlavaNextForConditionalGeneration, LlavaOnevisionForConditionalGeneration, "
               "Qwen2VLForConditionalGeneration or Qwen2_5_VLForConditionalGeneration (transformers), "
               "LlavaLlamaForCausalLM or LlavaMistralForCausalLM (the original LLaVA)",
               path, architecture);
  WINNOW_CHECK(original || tower_folder.empty(), InvalidArgument, kWhere,
               "{}: this checkpoint holds its tower, leave --tower {} out", path, tower_folder);
  WINNOW_CHECK(!original || !tower_folder.empty(), InvalidArgument, kWhere,
               "{}: the tower is a checkpoint of its own ({}): give its folder with --tower", path,
               text_or(row, "mm_vision_tower", "a CLIP model"));
  if (onevision) return read_onevision(row, folder);
  if (qwen || qwen25) return read_qwen2_vl(row, folder, qwen25);
  return original ? read_original(row, tower_folder, mistral) : read_transformers(row, folder, next);
}

engine::ClipTextConfig read_clip_text_folder(const std::string& folder) {
  constexpr int64_t kMax = 1 << 18;
  const std::string path = file_in(folder, "config.json");
  const Json file = record::read_json(path);
  const JsonRow whole(file, path);
  const std::string type = text_or(whole, "model_type", "none");
  WINNOW_CHECK(type == "clip", Unsupported, kWhere, "{}: model, got '{}', expected 'clip'", path, type);
  const JsonRow row = whole.row("text_config");
  engine::ClipTextConfig c;
  c.n_ctx = count_or(row, "max_position_embeddings", 77, 1 << 16);
  c.n_embd = count_or(row, "hidden_size", 512, kMax);
  c.n_ff = count_or(row, "intermediate_size", 2048, kMax);
  c.n_head = count_or(row, "num_attention_heads", 8, c.n_embd);
  c.n_layer = count_or(row, "num_hidden_layers", 12, 1024);
  c.n_joint = count_or(whole, "projection_dim", 512, kMax);
  c.eps = small_number_or(row, "layer_norm_eps", 1e-5);
  c.use_gelu = uses_gelu(row);
  WINNOW_CHECK(c.n_embd % c.n_head == 0, Corrupt, kWhere, "{}: width {} does not divide into {} heads",
               row.place(), c.n_embd, c.n_head);
  return c;
}

}  // namespace winnow::convert
