#pragma once

#include <cstdint>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "winnow/train/batch.h"
#include "winnow/train/checkpoint.h"
#include "winnow/train/folder_lock.h"
#include "winnow/train/losses.h"
#include "winnow/train/model_files.h"
#include "winnow/train/optimizer.h"
#include "winnow/train/recipe.h"
#include "winnow/train/selection.h"
#include "winnow/train/workers.h"

namespace winnow::train {

struct TrainOptions {
  std::string out_dir;
  std::string recipe = "default";
  Variant variant = Variant::None;
  std::vector<std::string> prune;  ///< methods of the registry that drop visual tokens while training, one
                                   ///< drawn for each step; empty: none
  std::vector<double> keep = {1.0, 0.5, 0.25, 1.0 / 9.0};  ///< shares that stay, one drawn for each step
  int32_t shift = 0;  ///< up to so many positions are left free before a picture; a sample draws how many
  uint64_t seed = 1;
  int32_t workers = 0;  ///< 0: one for each processor, or as many as it began with; on a GPU always one
  std::string device = "auto";  ///< auto, cpu, cuda
  std::string precision =
      "auto";           ///< of products: f32, bf16; auto: f32 on a GPU, else what a short trial finds faster
  double scale = 1.0;   ///< of every stage's steps
  int32_t batch = 1;    ///< times every step's samples: a GPU computes several at little more cost
  double within = 0.0;  ///< minutes: a new training times some steps of every stage and is shortened to end
                        ///< by then; one that goes on keeps its length. 0: no limit
  std::string start_text, start_mmproj;  ///< begin with these weights; what no file gives starts afresh
  std::string skip_to;                   ///< begin with this stage
  std::function<bool()> interrupted = [] { return false; };  ///< asked after each step, of the timing too
};

/// Share of answers whose every token is right given the true tokens before it; coordinates may be one bin
/// off.
struct Validation {
  struct Row {
    scenes::Task task;
    int64_t n = 0, right = 0;
  };
  std::vector<Row> rows;
  double mean() const;  ///< percent, over tasks
};

/// Trains one model in a folder: checkpoint.pt, curve.jsonl (one row for each report) and, at the end, the
/// GGUF pairs. Called again on the same folder it goes on from the checkpoint, exactly: the weights of an
/// interrupted training are those of an uninterrupted one with equal options. Another `scale` is allowed on
/// the way: the rates then follow the new length. A finished one may be lengthened; it is not shortened. One
/// training at a time has the folder.
class Trainer {
 public:
  /// Throws InvalidArgument, Io, Corrupt, and InvalidArgument when the folder holds a training of other
  /// settings.
  explicit Trainer(const TrainOptions& options);
  Trainer(const Trainer&) = delete;  // parts refer to other parts
  Trainer& operator=(const Trainer&) = delete;

  /// True when it is finished; false when `interrupted` said so: a checkpoint is written, unless the training
  /// was still being timed for `within`.
  bool run();

  Validation validate(int32_t n_samples);
  const Parameters& parameters() const { return state_.parameters; }
  const ModelShape& shape() const { return shape_; }
  const Checkpoint& state() const { return state_; }
  std::string checkpoint_path() const;

 private:
  struct StepReport {
    double loss = 0.0, norm = 0.0;
    TowerLosses tower;
  };
  StepReport train_step(const Stage& stage);
  struct Batches {
    PictureBatch pictures;
    QuestionBatch questions;  ///< with pruning they wait for the plans
  };
  void worker_step(const Stage& stage, int32_t worker, StepReport& report);
  BatchRequest request_for(const Stage& stage, int64_t step, int32_t worker) const;
  Batches draw(const Stage& stage, const BatchRequest& request) const;
  Batches take_batches(const Stage& stage, int32_t worker);
  torch::Tensor descriptions_loss(const Model& model, QuestionBatch& batch) const;
  torch::Tensor questions_loss(const Stage& stage, const Model& model, const BatchRequest& request,
                               Batches& batches) const;
  double keep_share() const;
  const prune::MethodUse& method_of_step() const;
  torch::Tensor near(const torch::Tensor& answered, const torch::Tensor& truth) const;
  /// Of the steps since the last row of the curve: how many pictures a prompt shows goes with the step, so
  /// single ones would not do.
  struct Measures {
    int64_t n = 0;
    std::map<std::string, double> sums;
    void add(const Stage& stage, const StepReport& report, double seconds);
  };
  /// Their means as a row.
  void log_steps(const Stage& stage, Measures& measures);
  void log_validation(const Stage& stage, const Validation& validation);
  void save();
  void check_options();
  std::string file_in_folder(const char* name) const;
  bool open_folder();
  void begin();
  bool shorten_to(double minutes);
  std::optional<double> seconds_of_recipe();
  void go_on();
  void drop_later_curve_rows();
  void append_curve(const std::string& row);
  void to_device(PictureBatch& batch) const;
  void to_device(QuestionBatch& batch) const;

  TrainOptions options_;
  std::unique_ptr<FolderLock> lock_;
  Recipe recipe_;
  ModelShape shape_;
  Vocabulary vocabulary_;
  std::vector<prune::MethodUse> prune_;
  std::unique_ptr<BatchMaker> maker_;
  std::unique_ptr<Workers> workers_;
  std::unique_ptr<Optimizer> optimizer_;
  torch::Device device_ = torch::kCPU;
  bool bf16_ = false;
  bool stopped_ = false;  ///< while its stages were timed: there is no checkpoint
  Checkpoint state_;
  std::vector<Parameters> leaves_;
  std::future<Batches> next_;  ///< of the stage's next step, drawn while a GPU computes this one
};

}  // namespace winnow::train
