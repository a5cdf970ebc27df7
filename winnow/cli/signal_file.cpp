#include "winnow/cli/signal_file.h"

#include <charconv>
#include <string_view>
#include <utility>

#include "winnow/base/error.h"

namespace winnow::cli {
namespace {

constexpr const char* kWhere = "cli.signals";
constexpr const char* kVersionKey = "winnow_signals";
constexpr const char* kPlanVersionKey = "winnow_plan";
constexpr const char* kVersion = "1";
constexpr std::string_view kBlock = ".block=";

std::optional<int32_t> whole_number(std::string_view text) {
  int32_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

/// "cls_attention", and ".block=N" behind it for any block but the one that the projector reads.
std::string tensor_name(const prune::Need& need, int32_t n_block) {
  std::string name(prune::signal_name(need.signal));
  if (!prune::is_tower_tap(need.signal)) return name;
  const bool known = n_block > 0;
  const int32_t block = known ? prune::resolve_block(need.block, n_block) : need.block;
  if (block == (known ? n_block - 1 : prune::kFeatureBlock)) return name;
  return fmt::format("{}{}{}", name, kBlock, block);
}

/// Blocks that only the tower's length finds: the one behind the features, or a place in the tower.
bool is_symbolic(int32_t block) { return block == prune::kNextBlock || block <= -1000; }

int64_t size_of(const std::vector<int32_t>& values) { return static_cast<int64_t>(values.size()); }

}  // namespace

SignalFile SignalFile::read(const std::string& path) { return {record::read_safetensors(path), path}; }

SignalFile::SignalFile(record::TensorFile file, std::string name)
    : file_(std::move(file)), name_(std::move(name)) {
  const auto version = file_.metadata.find(kVersionKey);
  WINNOW_CHECK(version != file_.metadata.end(), InvalidArgument, kWhere,
               "{}: no signal file (docs/signals.md): metadata '{}', got nothing, expected {}", name_,
               kVersionKey, kVersion);
  WINNOW_CHECK(version->second == kVersion, Unsupported, kWhere, "{}: metadata '{}', got '{}', expected {}",
               name_, kVersionKey, version->second, kVersion);
  read_layout();
  for (const auto& [tensor, ignored] : file_.tensors) read_signal(tensor);
  image_ = metadata_number("image", 0);
  tile_ = metadata_number("tile", -1);
}

int32_t SignalFile::metadata_number(const std::string& key, int32_t fallback) const {
  const auto found = file_.metadata.find(key);
  if (found == file_.metadata.end()) return fallback;
  const auto number = whole_number(found->second);
  WINNOW_CHECK(number && *number >= 0, InvalidArgument, kWhere,
               "{}: metadata '{}', got '{}', expected a number from 0", name_, key, found->second);
  return *number;
}

void SignalFile::check(bool good, const std::string& tensor, const char* expected) const {
  if (good) return;
  const record::Tensor& got = file_.at(tensor);
  fail(ErrorCode::InvalidArgument, kWhere, "{}: tensor {}, got {} of {}, expected {}", name_, tensor,
       shape_text(got.shape), got.i32.empty() ? "floats" : "integers", expected);
}

std::vector<int32_t> SignalFile::ints(const std::string& tensor) const {
  if (file_.tensors.count(tensor) == 0) return {};
  const record::Tensor& values = file_.at(tensor);
  check(values.shape.size() == 1 && size_of(values.i32) == values.shape[0], tensor, "integers [n]");
  return values.i32;
}

void SignalFile::read_layout() {
  const std::vector<int32_t> grid = ints("grid");
  WINNOW_CHECK(file_.tensors.count("grid") > 0, InvalidArgument, kWhere,
               "{}: tensor grid, got nothing, expected integers [2]: rows, columns", name_);
  check(grid.size() == 2, "grid", "integers [2]: rows, columns");
  layout_.grid = {grid[0], grid[1]};
  layout_.token_of = ints("token_of");
  layout_.ids = ints("ids");
  layout_.text_ids = ints("text_ids");
  prune::check_layout(layout_);
  const std::vector<int32_t> blocks = ints("n_block");
  if (file_.tensors.count("n_block") > 0) {
    check(blocks.size() == 1 && blocks[0] >= 1, "n_block", "one integer [1] from 1");
    n_block_ = blocks[0];
  }
  if (file_.tensors.count("rope") == 0) return;
  const std::vector<float>& rope = file_.at("rope").f32;
  check(rope.size() == 2 && rope[0] >= 2.0F && rope[0] <= 65536.0F && rope[1] > 0.0F, "rope",
        "floats [2]: width of a head, base");
  layout_.rope = {static_cast<int32_t>(rope[0]), rope[1]};
}

SignalFile::Key SignalFile::key_of(const prune::Need& need) const {
  if (!prune::is_tower_tap(need.signal)) return {need.signal, prune::kFeatureBlock};
  return {need.signal, n_block_ > 0 ? prune::resolve_block(need.block, n_block_) : need.block};
}

/// Tensors that are no signals are left alone.
void SignalFile::read_signal(const std::string& tensor) {
  const std::string_view text = tensor;
  const std::size_t at = text.find(kBlock);
  const auto signal = prune::find_signal(text.substr(0, at));
  if (!signal) return;
  prune::Need need{*signal};
  if (at != std::string_view::npos) {
    const auto block = whole_number(text.substr(at + kBlock.size()));
    WINNOW_CHECK(block && prune::is_tower_tap(*signal), InvalidArgument, kWhere,
                 "{}: tensor {}, expected NAME{}N, N a number, for signals of a tower block only", name_,
                 tensor, kBlock);
    need.block = *block;
  }
  const record::Tensor& values = file_.at(tensor);
  const bool matrix = values.shape.size() == 2 && values.shape[0] > 0 && values.shape[1] > 0;
  check(matrix && values.i32.empty(), tensor, "floats [rows, columns]");
  const auto [place, fresh] = places_.emplace(key_of(need), tensor);
  WINNOW_CHECK(fresh, InvalidArgument, kWhere, "{}: tensors {} and {} are the same signal, expected one",
               name_, place->second, tensor);
}

MatrixView SignalFile::matrix(const Key& key) const {
  const auto place = places_.find(key);
  if (place == places_.end()) return {};
  const record::Tensor& values = file_.at(place->second);
  return {values.f32.data(), values.shape[0], values.shape[1]};
}

MatrixView SignalFile::view(prune::Signal signal) const { return matrix({signal, prune::kFeatureBlock}); }

std::string SignalFile::names() const {
  std::vector<std::string> names;
  for (const auto& [key, tensor] : places_) names.push_back(tensor);
  return names.empty() ? "no signals" : fmt::format("{}", fmt::join(names, ", "));
}

prune::Signals SignalFile::for_method(const prune::MethodUse& use) const {
  prune::Signals signals = layout_;
  for (const prune::Need& need : use.method->needs(use.params)) {
    const MatrixView values = matrix(key_of(need));
    const bool lost =
        !values.present() && n_block_ == 0 && prune::is_tower_tap(need.signal) && is_symbolic(need.block);
    WINNOW_CHECK(!lost, NotFound, kWhere,
                 "{}: {} needs {} of a block that depends on the tower's length, the file holds no n_block",
                 name_, use.method->info().name, prune::signal_name(need.signal));
    WINNOW_CHECK(values.present(), NotFound, kWhere, "{}: {} needs {}, the file holds {}", name_,
                 use.method->info().name, tensor_name(need, n_block_), names());
    signals.set(need, values);
  }
  return signals;
}

record::TensorFile signal_tensors(const prune::Signals& signals, int32_t n_block) {
  record::TensorFile file;
  file.metadata.emplace(kVersionKey, kVersion);
  file.add_i32("grid", {2}, {signals.grid.rows, signals.grid.cols});
  const auto add_ints = [&](const char* name, const std::vector<int32_t>& values) {
    if (!values.empty()) file.add_i32(name, {size_of(values)}, values);
  };
  add_ints("token_of", signals.token_of);
  add_ints("ids", signals.ids);
  add_ints("text_ids", signals.text_ids);
  if (signals.rope.d_head > 0) {
    file.add_f32("rope", {2}, {static_cast<float>(signals.rope.d_head), signals.rope.base});
  }
  if (!signals.tower_taps.empty()) file.add_i32("n_block", {1}, {n_block});
  const auto add = [&](const prune::Need& need) {
    const MatrixView values = signals.view(need);
    if (!values.present() || values.size() == 0) return;
    const std::string name = tensor_name(need, n_block);
    if (file.tensors.count(name) > 0) return;  // a block that two methods call by different names
    file.add_f32(name, {values.rows, values.cols}, {values.all().begin(), values.all().end()});
  };
  for (int32_t i = 0; i <= static_cast<int32_t>(prune::kLastSignal); ++i) {
    const auto signal = static_cast<prune::Signal>(i);
    if (!prune::is_tower_tap(signal)) add({signal});
    for (const prune::TowerTap& tap : signals.tower_taps) {
      if (prune::is_tower_tap(signal)) add({signal, tap.block});
    }
  }
  return file;
}

std::vector<int32_t> kept_cells(const prune::Plan& plan, const prune::Signals& signals) {
  std::vector<int32_t> cells;
  for (const int32_t token : plan.position_of) cells.push_back(signals.cell(token));
  return cells;
}

record::TensorFile plan_tensors(const prune::Plan& plan, const prune::Signals& signals,
                                const MatrixView& features, const MatrixView& cls_token) {
  record::TensorFile file;
  file.metadata.emplace(kPlanVersionKey, kVersion);
  const auto add_ints = [&](const char* name, const std::vector<int32_t>& values) {
    file.add_i32(name, {size_of(values)}, values);
  };
  add_ints("grid", {signals.grid.rows, signals.grid.cols});
  add_ints("kept", kept_cells(plan, signals));
  add_ints("position_of", plan.position_of);
  add_ints("offsets", plan.offsets);
  add_ints("index", plan.index);
  file.add_f32("weight", {static_cast<int64_t>(plan.weight.size())}, plan.weight);
  if (!plan.scores.empty()) file.add_f32("scores", {static_cast<int64_t>(plan.scores.size())}, plan.scores);
  if (features.present()) {
    WINNOW_CHECK(features.rows == signals.n(), InvalidArgument, kWhere,
                 "shape of the features that the plan acts on, got [{}, {}], expected [{}, width]",
                 features.rows, features.cols, signals.n());
    const std::span<const float> cls = cls_token.present() ? cls_token.row(0) : std::span<const float>();
    file.add_f32("merged", {plan.n_out(), features.cols}, prune::apply_plan(plan, features, cls));
  }
  return file;
}

}  // namespace winnow::cli
