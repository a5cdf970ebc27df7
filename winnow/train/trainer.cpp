#include "winnow/train/trainer.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/base/log.h"
#include "winnow/base/progress.h"
#include "winnow/train/device.h"

namespace winnow::train {
namespace {

using torch::Tensor;

constexpr const char* kWhere = "train";
constexpr const char* kCurve = "curve.jsonl";
constexpr double kDenseShare = 0.15;  // of the labels' loss while the whole model is trained
constexpr int64_t kReportEvery = 20;
constexpr double kNearCoordinate = 0.021;     // one bin of 0.02
constexpr int32_t kMostShift = 1024;          // of the 2,048 positions
constexpr int32_t kValidationQuestions = 48;  // for each picture
// Pictures in the prompts about several, from step to step: the benchmark asks up to ten, two are learned
// first.
constexpr std::array kNeedlePictures = {2, 3, 2, 4, 2, 3, 2, 6, 3, 10};
constexpr int32_t kNeedleEvery = 8;  // of the samples
// Of a time limit so much is planned: validations, checkpoints and other programs need some.
constexpr double kSpare = 0.9;
constexpr int32_t kTimedSteps = static_cast<int32_t>(kNeedlePictures.size());

int32_t needle_pictures(int64_t turn) {
  return kNeedlePictures[static_cast<std::size_t>(turn) % kNeedlePictures.size()];
}

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Every worker draws the same number of samples, so the workers must divide each stage's.
int32_t worker_count(const TrainOptions& options, const Recipe& recipe, const torch::Device& device) {
  if (!device.is_cpu()) return 1;
  const auto divides = [&](int32_t n) {
    return std::all_of(recipe.stages.begin(), recipe.stages.end(),
                       [&](const Stage& stage) { return stage.samples % n == 0; });
  };
  if (options.workers > 0) {
    WINNOW_CHECK(divides(options.workers), InvalidArgument, kWhere,
                 "workers, got {}, expected a divisor of every stage's samples (the recipe '{}')",
                 options.workers, recipe.name);
    return options.workers;
  }
  auto n = static_cast<int32_t>(std::max(1U, std::thread::hardware_concurrency()));
  while (!divides(n)) --n;
  return n;
}

/// What must be equal for a training to go on, and its length.
std::string settings_of(const TrainOptions& o, const ModelShape& s, int32_t workers, bool bf16) {
  nlohmann::json j = {{"recipe", o.recipe},   {"variant", variant_name(o.variant)},
                      {"seed", o.seed},       {"scale", o.scale},
                      {"workers", workers},   {"n_vocab", s.n_vocab},
                      {"n_embd", s.n_embd},   {"n_layer", s.n_layer},
                      {"skip_to", o.skip_to}, {"tower_embd", s.tower_embd},
                      {"bf16", bf16}};
  const Recipe recipe = recipe_named(o.recipe);
  j["rates"] = {recipe.peak_rate, recipe.tower_peak_rate};
  j["n_questions"] = recipe.n_questions;
  for (const Stage& stage : recipe.stages)
    j["stages"].push_back(
        {stage.name, stage.steps, stage.samples, stage.tower_rate, stage.late, stage.needles});
  if (!o.prune.empty()) j.update({{"prune", o.prune}, {"keep", o.keep}});
  if (o.shift > 0) j["shift"] = o.shift;
  if (o.batch > 1) j["batch"] = o.batch;
  return j.dump();
}

template <typename T>
T setting(const std::string& settings, const char* name, T otherwise) {
  const auto j = nlohmann::json::parse(settings, nullptr, false);
  return j.is_object() ? j.value(name, otherwise) : otherwise;
}

/// Names the first setting that differs; empty if none does. The length may change on the way: the rates then
/// follow the course of the new one.
std::string difference(const std::string& there, const std::string& here) {
  const auto theirs = nlohmann::json::parse(there, nullptr, false);
  const auto ours = nlohmann::json::parse(here, nullptr, false);
  if (!theirs.is_object()) return "they cannot be read";
  const nlohmann::json none = "none";
  for (const auto& settings : {theirs, ours})
    for (const auto& [name, ignored] : settings.items()) {
      const auto &left = theirs.value(name, none), &right = ours.value(name, none);
      if (name != "scale" && left != right)
        return fmt::format("'{}' is {} there and {} here", name, left.dump(), right.dump());
    }
  return "";
}

Recipe scaled(const TrainOptions& options, double scale) {
  Recipe recipe = recipe_named(options.recipe);
  WINNOW_CHECK(scale > 0.0 && scale <= 100.0, InvalidArgument, kWhere,
               "scale, got {}, expected above 0, at most 100", scale);
  WINNOW_CHECK(options.batch >= 1 && options.batch <= 64, InvalidArgument, kWhere,
               "batch, got {}, expected 1 to 64", options.batch);
  for (Stage& stage : recipe.stages) {
    stage.steps = std::max<int64_t>(1, std::llround(static_cast<double>(stage.steps) * scale));
    stage.samples *= options.batch;
  }
  return recipe;
}

}  // namespace

double Validation::mean() const {
  double sum = 0.0;
  int64_t n = 0;
  for (const Row& row : rows) {
    if (row.n == 0) continue;
    sum += 100.0 * static_cast<double>(row.right) / static_cast<double>(row.n);
    ++n;
  }
  return n == 0 ? 0.0 : sum / static_cast<double>(n);
}

Trainer::Trainer(const TrainOptions& options)
    : options_(options), recipe_(scaled(options, options.scale)), shape_(shape_named(options.recipe)) {
  check_options();
  shape_.n_vocab = vocabulary_.size();
  if (options.variant == Variant::Merge) shape_.merge = 2;
  if (options.variant == Variant::Pool) shape_.pool = 2;
  device_ = parse_device(options.device);
  maker_ = std::make_unique<BatchMaker>(shape_, vocabulary_);
  workers_ = std::make_unique<Workers>(worker_count(options, recipe_, device_));
  optimizer_ = std::make_unique<Optimizer>(parameter_specs(shape_));
  const bool going_on = open_folder();
  for (auto& [name, value] : state_.parameters) value = value.to(device_);
  for (auto& [name, value] : state_.moments)
    if (name.size() < 6 || name.substr(name.size() - 6) != ".steps") value = value.to(device_);
  optimizer_->state() = state_.moments;
  for (int32_t i = 0; i < workers_->n(); ++i) leaves_.push_back(leaves(state_.parameters));
  if (going_on) return;
  stopped_ = options_.within > 0.0 && !shorten_to(options_.within);
  if (stopped_) return;
  save();  // an unwritable folder shows now, not after an hour
}

void Trainer::check_options() {
  for (const std::string& method : options_.prune) {
    prune_.push_back(prune::parse_method(method));
    check_trainable(prune_.back());
    WINNOW_CHECK(options_.variant == Variant::None, InvalidArgument, kWhere,
                 "pruning while training, got it with the variant '{}', expected 'none'",
                 variant_name(options_.variant));
  }
  WINNOW_CHECK(options_.shift >= 0 && options_.shift <= kMostShift, InvalidArgument, kWhere,
               "shift, got {}, expected 0 to {}", options_.shift, kMostShift);
  WINNOW_CHECK(options_.within >= 0.0, InvalidArgument, kWhere,
               "within, got {}, expected minutes, or 0 for no limit", options_.within);
  WINNOW_CHECK(!options_.keep.empty(), InvalidArgument, kWhere, "keep, got no share, expected at least one");
  for (const double share : options_.keep)
    WINNOW_CHECK(share > 0.0 && share <= 1.0, InvalidArgument, kWhere,
                 "keep, got {}, expected above 0, at most 1", share);
  WINNOW_CHECK(options_.start_text.empty() || !options_.start_mmproj.empty(), InvalidArgument, kWhere,
               "a start from the text model '{}' needs the mmproj that it was trained with, got none",
               options_.start_text);
}

std::string Trainer::file_in_folder(const char* name) const {
  return (std::filesystem::path(options_.out_dir) / name).string();
}
std::string Trainer::checkpoint_path() const { return file_in_folder("checkpoint.pt"); }

/// Whether the folder holds a training that goes on.
bool Trainer::open_folder() {
  std::error_code error;
  std::filesystem::create_directories(options_.out_dir, error);
  WINNOW_CHECK(!error, Io, kWhere, "cannot make the folder {}: {}", options_.out_dir, error.message());
  lock_ = std::make_unique<FolderLock>(options_.out_dir);
  const bool going_on = std::filesystem::exists(checkpoint_path(), error);
  WINNOW_CHECK(!error, Io, kWhere, "{}: cannot be looked at: {}", checkpoint_path(), error.message());
  if (going_on) {
    go_on();
  } else {
    begin();
  }
  return going_on;
}

void Trainer::go_on() {
  Checkpoint loaded = read_checkpoint(checkpoint_path());
  if (options_.within > 0.0) {
    options_.scale = setting(loaded.settings, "scale", 1.0);
    recipe_ = scaled(options_, options_.scale);
  }
  // What the machine decided when it began; a trial of both precisions may come out otherwise when it is
  // busy.
  bf16_ = options_.precision == "auto" ? setting(loaded.settings, "bf16", false)
                                       : use_bf16(options_.precision, device_);
  if (options_.workers == 0 && device_.is_cpu()) {
    options_.workers = setting(loaded.settings, "workers", 0);
    workers_ = std::make_unique<Workers>(worker_count(options_, recipe_, device_));
  }
  const std::string settings = settings_of(options_, shape_, workers_->n(), bf16_);
  const std::string differs = difference(loaded.settings, settings);
  WINNOW_CHECK(differs.empty(), InvalidArgument, kWhere,
               "{} holds a training of other settings: {}; give another folder", options_.out_dir, differs);
  check_weights(checkpoint_path(), loaded, shape_);
  const auto n_stages = static_cast<int64_t>(recipe_.stages.size());
  WINNOW_CHECK(loaded.stage >= 0 && loaded.stage <= n_stages && loaded.step >= 0, Corrupt, kWhere,
               "{}: stage and step, got {} and {}, expected at most {} and no negative one",
               checkpoint_path(), loaded.stage, loaded.step, n_stages);
  const int64_t finished_steps = scaled(options_, setting(loaded.settings, "scale", 1.0)).stages.back().steps;
  state_ = std::move(loaded);
  if (state_.stage == n_stages && recipe_.stages.back().steps <= finished_steps) {
    log(LogLevel::Info, "the training in {} is finished", options_.out_dir);
    return;
  }
  state_.settings = settings;
  if (state_.stage == n_stages) {  // finished, and now a longer one
    state_.stage -= 1;
    state_.step = finished_steps;
  }
  drop_later_curve_rows();
  log(LogLevel::Info, "going on with stage {} at step {}{}", state_.stage, state_.step,
      options_.start_mmproj.empty() ? "" : "; the start files are not read again");
}

void Trainer::begin() {
  const std::string curve = file_in_folder(kCurve);
  WINNOW_CHECK(!std::filesystem::exists(curve), InvalidArgument, kWhere,
               "{} is of a training whose checkpoint is gone; remove it, or give another folder", curve);
  bf16_ = use_bf16(options_.precision, device_);
  state_.settings = settings_of(options_, shape_, workers_->n(), bf16_);
  state_.parameters = initial_parameters(shape_, options_.seed, vocabulary_.coordinates());
  if (!options_.start_mmproj.empty() &&
      !read_model({options_.start_text, options_.start_mmproj}, shape_, state_.parameters))
    log(LogLevel::Info, "{} merges other numbers of patches: the projector starts afresh",
        options_.start_mmproj);
  if (!options_.skip_to.empty()) {
    while (state_.stage < static_cast<int64_t>(recipe_.stages.size()) &&
           recipe_.stages[static_cast<std::size_t>(state_.stage)].name != options_.skip_to)
      ++state_.stage;
    WINNOW_CHECK(state_.stage < static_cast<int64_t>(recipe_.stages.size()), InvalidArgument, kWhere,
                 "unknown stage, got '{}', expected one of the recipe '{}'", options_.skip_to, recipe_.name);
  }
}

/// Some steps of every stage are made on trial and taken back. None when `interrupted` said so.
std::optional<double> Trainer::seconds_of_recipe() {
  Parameters before;
  for (const auto& [name, value] : state_.parameters) before.emplace(name, value.clone());
  const int64_t first = state_.stage;
  double sum = 0.0;
  bool stop = false;
  for (; !stop && state_.stage < static_cast<int64_t>(recipe_.stages.size()); ++state_.stage) {
    const Stage& stage = recipe_.stages[static_cast<std::size_t>(state_.stage)];
    state_.step = 0;
    train_step(stage);  // the first takes longer
    const double start = now_s();
    for (++state_.step; !stop && state_.step <= kTimedSteps; ++state_.step) {
      train_step(stage);
      stop = options_.interrupted();
    }
    sum += (now_s() - start) / kTimedSteps * static_cast<double>(stage.steps);
    if (next_.valid()) next_.get();
  }
  state_.stage = first;
  state_.step = 0;
  const torch::NoGradGuard no_grad;
  for (auto& [name, value] : state_.parameters) value.copy_(before.at(name));
  optimizer_->state() = state_.moments;
  if (stop) return std::nullopt;
  return sum;
}

/// False when `interrupted` said so.
bool Trainer::shorten_to(double minutes) {
  log(LogLevel::Info, "timing {} steps of every stage", kTimedSteps + 1);
  const std::optional<double> seconds = seconds_of_recipe();
  if (!seconds) return false;
  const double share = std::floor(100.0 * kSpare * 60.0 * minutes / *seconds) / 100.0;
  log(LogLevel::Info, "the recipe would take about {:.0f} minutes", *seconds / 60.0);
  if (share >= 1.0) return true;
  WINNOW_CHECK(share > 0.0, InvalidArgument, kWhere,
               "minutes, got {}, expected at least 2 % of what the recipe takes", minutes);
  options_.scale *= share;
  recipe_ = scaled(options_, options_.scale);
  state_.settings = settings_of(options_, shape_, workers_->n(), bf16_);
  log(LogLevel::Info, "to end within {} it is shortened, as by --scale {}", minutes, options_.scale);
  return true;
}

/// A kill between a report and the next checkpoint leaves rows that will be written again.
void Trainer::drop_later_curve_rows() {
  const std::string path = file_in_folder(kCurve);
  if (!std::filesystem::exists(path)) return;
  std::ifstream file(path);
  std::string kept;
  bool all = true;
  for (std::string line; std::getline(file, line);) {
    const auto row = nlohmann::json::parse(line, nullptr, false);  // a killed run may leave half a line
    const bool whole = row.is_object() && row.contains("stage_idx") && row["stage_idx"].is_number_integer() &&
                       row.contains("step") && row["step"].is_number_integer();
    const bool earlier = whole && std::pair<int64_t, int64_t>(row["stage_idx"], row["step"]) <=
                                      std::pair<int64_t, int64_t>(state_.stage, state_.step);
    if (earlier) kept += line + "\n";
    all = all && earlier;
  }
  WINNOW_CHECK(file.eof() && !file.bad(), Io, kWhere, "{}: cannot be read", path);
  if (!all) write_atomically(path, kept.data(), kept.size());
}

void Trainer::append_curve(const std::string& row) {
  const std::string path = file_in_folder(kCurve);
  std::ofstream file(path, std::ios::app);
  file << row << '\n' << std::flush;
  WINNOW_CHECK(file.good(), Io, kWhere, "{}: cannot be written (the training's checkpoint is whole)", path);
}

void Trainer::save() {
  Checkpoint copy = state_;
  for (auto& [name, value] : copy.parameters) value = value.to(torch::kCPU);
  for (const auto& [name, value] : optimizer_->state())
    copy.moments.insert_or_assign(name, value.to(torch::kCPU));
  write_checkpoint(checkpoint_path(), copy);
}

BatchRequest Trainer::request_for(const Stage& stage, int64_t step, int32_t worker) const {
  BatchRequest request;
  request.seed = options_.seed;
  const int32_t n_workers = workers_->n();
  const int32_t per_worker = std::max(1, stage.samples / n_workers);
  // Beyond 2^42 pictures scene_rng goes on as if with another seed, so each stage has pictures of its own.
  const uint64_t stage_base = static_cast<uint64_t>(state_.stage) << 40U;
  request.first = stage_base + static_cast<uint64_t>(step) * static_cast<uint64_t>(per_worker * n_workers) +
                  static_cast<uint64_t>(worker * per_worker);
  request.n_samples = per_worker;
  request.n_questions = recipe_.n_questions;
  request.described = stage.task == Stage::Task::Descriptions;
  request.late = stage.late;
  request.shift = options_.shift;
  const int32_t several = std::max(1, stage.samples / kNeedleEvery);  // over all workers
  if (stage.needles && worker < several) {
    request.n_pictures = needle_pictures(step);
    request.n_several = (several - 1 - worker) / n_workers + 1;
    // Their pictures stand instead of other samples', of which some stay all the same.
    const int32_t others = per_worker - request.n_several * request.n_pictures;
    request.n_samples = std::min(per_worker, request.n_several + std::max((per_worker + 3) / 4, others));
  }
  return request;
}

void Trainer::to_device(PictureBatch& b) const {
  if (device_.is_cpu()) return;
  for (Tensor* t :
       {&b.patches, &b.shape, &b.colour, &b.size, &b.left, &b.right, &b.box, &b.boxed, &b.pairs, &b.count})
    *t = t->to(device_);
}

void Trainer::to_device(QuestionBatch& b) const {
  if (device_.is_cpu()) return;
  for (Tensor* t : {&b.ids, &b.order, &b.wanted, &b.targets, &b.soft}) *t = t->to(device_);
}

/// The same for every worker of a step, as the share is.
const prune::MethodUse& Trainer::method_of_step() const {
  constexpr uint64_t kStream = 1ULL << 32U;  // keep_share() draws from the stream of the step itself
  return prune_[Rng(options_.seed, kStream + static_cast<uint64_t>(state_.step)).below(prune_.size())];
}

double Trainer::keep_share() const {
  return options_.keep[Rng(options_.seed, static_cast<uint64_t>(state_.step)).below(options_.keep.size())];
}

Trainer::Batches Trainer::draw(const Stage& stage, const BatchRequest& request) const {
  Batches batches;
  if (stage.task != Stage::Task::Descriptions) batches.pictures = maker_->pictures(request);
  const bool planned = stage.task == Stage::Task::Questions && !prune_.empty();
  if (stage.task != Stage::Task::Pictures && !planned) batches.questions = maker_->questions(request);
  return batches;
}

Trainer::Batches Trainer::take_batches(const Stage& stage, int32_t worker) {
  if (device_.is_cpu()) return draw(stage, request_for(stage, state_.step, worker));
  Batches batches = next_.valid() ? next_.get() : draw(stage, request_for(stage, state_.step, worker));
  if (state_.step + 1 < stage.steps) {
    next_ =
        std::async(std::launch::async, [this, &stage, request = request_for(stage, state_.step + 1, worker)] {
          return draw(stage, request);
        });
  }
  return batches;
}

Tensor Trainer::descriptions_loss(const Model& model, QuestionBatch& batch) const {
  to_device(batch);
  const Tensor no_picture = torch::zeros({0, shape_.n_embd}, torch::TensorOptions(device_));
  return answer_loss(model.decode(decoder_input(model, batch, no_picture)), batch);
}

Tensor Trainer::questions_loss(const Stage& stage, const Model& model, const BatchRequest& request,
                               Batches& batches) const {
  PictureBatch& pictures = batches.pictures;
  to_device(pictures);
  const bool moves_tower = stage.tower_rate > 0.0;
  Model::TowerOut tower;
  {
    const torch::AutoGradMode grad(moves_tower);
    tower = model.tower(pictures.patches, pictures.n_pictures,
                        !prune_.empty() ? Model::TowerExtra::ClsAttention : Model::TowerExtra::None);
  }
  Tensor visual = model.project(tower.features, pictures.n_pictures);
  std::vector<prune::Plan> plans;
  if (!prune_.empty()) {
    plans = select_tokens(method_of_step(), keep_share(), shape_, tower, visual,
                          Rng(options_.seed, request.first).next());
    visual = apply_plans(visual, plans, shape_.n_visual());
    batches.questions = maker_->questions(request, plans);
  }
  QuestionBatch& batch = batches.questions;
  to_device(batch);
  Tensor loss = answer_loss(model.decode(decoder_input(model, batch, visual)), batch);
  if (moves_tower) loss = loss + kDenseShare * dense_loss(model, tower.features, pictures);
  return loss;
}

void Trainer::worker_step(const Stage& stage, int32_t worker, StepReport& report) {
  Parameters& mine = leaves_[static_cast<std::size_t>(worker)];
  for (auto& [name, value] : mine) value.mutable_grad().reset();
  const Model model(shape_, mine, bf16_);
  Batches batches = take_batches(stage, worker);
  if (stage.task == Stage::Task::Pictures) {
    PictureBatch& batch = batches.pictures;
    to_device(batch);
    report.tower =
        tower_losses(model, model.tower(batch.patches, batch.n_pictures, Model::TowerExtra::Cls), batch);
    report.tower.total.backward();
    report.loss = report.tower.total.item<double>();
  } else {
    const Tensor loss = stage.task == Stage::Task::Descriptions
                            ? descriptions_loss(model, batches.questions)
                            : questions_loss(stage, model, request_for(stage, state_.step, worker), batches);
    loss.backward();
    report.loss = loss.item<double>();
  }
}

Trainer::StepReport Trainer::train_step(const Stage& stage) {
  std::vector<StepReport> reports(static_cast<std::size_t>(workers_->n()));
  workers_->run(
      [&](int32_t worker) { worker_step(stage, worker, reports[static_cast<std::size_t>(worker)]); });
  StepReport sum = reports[0];
  for (std::size_t i = 1; i < reports.size(); ++i) sum.loss += reports[i].loss;
  sum.loss /= static_cast<double>(reports.size());
  WINNOW_CHECK(std::isfinite(sum.loss), Internal, kWhere,
               "the loss is not a number at stage {} step {}; the checkpoint before it is whole", stage.name,
               state_.step);
  sum.norm =
      optimizer_->step(state_.parameters, leaves_, rates_at(recipe_, state_.stage, state_.step), *workers_);
  return sum;
}

void Trainer::Measures::add(const Stage& stage, const StepReport& report, double seconds) {
  ++n;
  sums["loss"] += report.loss;
  sums["norm"] += report.norm;
  sums["step_ms"] += 1e3 * seconds;
  if (stage.task != Stage::Task::Pictures) return;
  sums["shape_right"] += report.tower.shape_right;
  sums["glyph_right"] += report.tower.glyph_right;
  sums["box_error_px"] += report.tower.box_error_px;
  sums["count_right"] += report.tower.count_right;
}

void Trainer::log_steps(const Stage& stage, Measures& measures) {
  nlohmann::json row = {
      {"stage", stage.name}, {"stage_idx", state_.stage}, {"step", state_.step}, {"seconds", state_.seconds}};
  for (const auto& [name, sum] : measures.sums) row[name] = sum / static_cast<double>(measures.n);
  append_curve(row.dump());
  measures = {};
}

void Trainer::log_validation(const Stage& stage, const Validation& validation) {
  nlohmann::json right;
  for (const auto& row : validation.rows)
    if (row.n > 0)
      right[std::string(scenes::task_info(row.task).name)] =
          std::round(1000.0 * static_cast<double>(row.right) / static_cast<double>(row.n)) / 10.0;
  const nlohmann::json row = {{"stage", stage.name},
                              {"stage_idx", state_.stage},
                              {"step", state_.step},
                              {"seconds", state_.seconds},
                              {"validation_mean", validation.mean()},
                              {"right", right}};
  append_curve(row.dump());
}

/// Equal tokens; of coordinates also the neighbouring bin, as the box is then nearly the same.
Tensor Trainer::near(const Tensor& answered, const Tensor& truth) const {
  Tensor value = torch::full({shape_.n_vocab}, -1.0F, torch::kFloat);
  for (const auto& [token, coordinate] : vocabulary_.coordinates()) value[token] = coordinate;
  value = value.to(answered.device());
  const Tensor a = value.index_select(0, answered), b = value.index_select(0, truth);
  const Tensor both = a.ge(0.0).logical_and(b.ge(0.0));
  return answered.eq(truth).logical_or(both.logical_and((a - b).abs().le(kNearCoordinate)));
}

Validation Trainer::validate(int32_t n_samples) {
  Validation result;
  for (int32_t i = 0; i < scenes::kTasks; ++i) result.rows.push_back({static_cast<scenes::Task>(i)});
  std::mutex mutex;
  std::atomic<int32_t> next = 0;
  workers_->run([&](int32_t worker) {
    const torch::NoGradGuard no_grad;
    const Model model(shape_, leaves_[static_cast<std::size_t>(worker)], bf16_);
    for (int32_t i = next++; i < n_samples; i = next++) {
      BatchRequest request;
      request.split = scenes::Split::Validation;
      request.first = static_cast<uint64_t>(i);
      request.n_samples = 1;
      if (i % kNeedleEvery == kNeedleEvery - 1) {
        request.n_several = 1;
        request.n_pictures = needle_pictures(i / kNeedleEvery);
      }
      request.n_questions = kValidationQuestions;
      request.plain = true;
      PictureBatch pictures = maker_->pictures(request);
      to_device(pictures);
      QuestionBatch batch = maker_->questions(request);
      to_device(batch);
      const int64_t n_pictures = pictures.n_pictures;
      const Tensor visual = model.project(model.tower(pictures.patches, n_pictures).features, n_pictures);
      const Tensor logits = model.decode(decoder_input(model, batch, visual));
      const Tensor equal = near(logits.argmax(1), batch.targets).to(torch::kCPU, torch::kLong);
      const std::lock_guard lock(mutex);
      for (const AskedQuestion& question : batch.questions) {
        auto& row = result.rows[static_cast<std::size_t>(question.task)];
        ++row.n;
        row.right += equal.narrow(0, question.first_row, question.n_rows).min().item<int64_t>();
      }
    }
  });
  return result;
}

bool Trainer::run() {
  if (stopped_) return false;
  int64_t total = 0, done = 0;
  for (std::size_t i = 0; i < recipe_.stages.size(); ++i) {
    total += recipe_.stages[i].steps;
    if (static_cast<int64_t>(i) < state_.stage) done += recipe_.stages[i].steps;
  }
  Progress progress("training", total, done + state_.step);
  for (; state_.stage < static_cast<int64_t>(recipe_.stages.size()); ++state_.stage, state_.step = 0) {
    const Stage& stage = recipe_.stages[static_cast<std::size_t>(state_.stage)];
    Measures measures;
    while (state_.step < stage.steps) {
      const double start = now_s();
      const StepReport report = train_step(stage);
      ++state_.step;
      const double seconds = now_s() - start;
      state_.seconds += seconds;
      const bool last = state_.step == stage.steps;
      measures.add(stage, report, seconds);
      if (state_.step % kReportEvery == 0 || last) log_steps(stage, measures);
      if (stage.task == Stage::Task::Questions && (state_.step % recipe_.validate_every == 0 || last))
        log_validation(stage, validate(recipe_.validation_samples));
      const bool stop = options_.interrupted();
      if (state_.step % recipe_.checkpoint_every == 0 || last || stop) save();
      progress.step();
      if (stop) return false;
    }
  }
  save();
  return true;
}

}  // namespace winnow::train
