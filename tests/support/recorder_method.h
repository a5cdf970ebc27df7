#pragma once

// Methods for the engine's tests: one that remembers every signal it is given, and one whose plan, count and
// schedule the test writes itself.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "winnow/prune/method.h"
#include "winnow/prune/schedule.h"

namespace winnow::testing {

/// A copy of one image's signals.
struct SeenSignals {
  struct Matrix {
    int64_t rows = 0;
    int64_t cols = 0;
    std::vector<float> values;
  };
  prune::Grid grid;
  std::vector<Matrix> of_need;  ///< as the method declared them
  std::vector<int32_t> token_of, ids, text_ids;
  prune::Rope rope;
  int32_t n = 0;
  int32_t n_keep = 0;
};

/// Acts anywhere with any budget; its plan is a function of the signals, by default the first n_keep tokens.
class RecorderMethod final : public prune::Method {
 public:
  using Choose = std::function<prune::Plan(const prune::Signals&, int32_t n_keep)>;
  using Schedule = std::function<std::vector<prune::Scheduled>(const prune::ScheduleRequest&)>;

  explicit RecorderMethod(std::vector<prune::Need> needs, Choose choose = {}, Schedule schedule = {})
      : needs_(std::move(needs)), choose_(std::move(choose)), schedule_(std::move(schedule)) {}

  const prune::MethodInfo& info() const override { return info_; }
  std::vector<prune::Need> needs(const prune::Params& params) const override {
    std::vector<prune::Need> out = needs_;
    if (params.choice("cls") == "keys") out.push_back({prune::Signal::TowerKeys});
    if (params.choice("cls") == "attention") out.push_back({prune::Signal::ClsAttention});
    return out;
  }
  std::vector<prune::Scheduled> schedule(const prune::ScheduleRequest& request,
                                         const prune::Params&) const override {
    if (!schedule_) return {};
    requests.push_back(request);
    return schedule_(request);
  }
  prune::Plan select(const prune::Signals& signals, int32_t n_keep, const prune::Params& params,
                     Rng&) const override {
    SeenSignals& copy = seen.emplace_back();
    for (const prune::Need& need : needs(params)) {
      const MatrixView view = signals.view(need);
      const auto values = view.all();
      copy.of_need.push_back({view.rows, view.cols, {values.begin(), values.end()}});
    }
    copy.grid = signals.grid;
    copy.token_of = signals.token_of;
    copy.ids = signals.ids;
    copy.text_ids = signals.text_ids;
    copy.rope = signals.rope;
    copy.n = signals.n();
    copy.n_keep = n_keep;
    if (choose_) return choose_(signals, n_keep);
    prune::Plan plan;
    for (int32_t token = 0; token < n_keep; ++token) plan.add_kept(token);
    return plan;
  }

  /// The method with its parameters at their defaults, or with cls=`choice`.
  prune::MethodUse use(const std::string& choice = "none") const {
    return {this, prune::Params(info_.name, info_.params, {{"cls", choice}})};
  }
  /// A step that keeps `keep`; empty: nobody says.
  prune::Step step(const std::string& keep, int32_t layer) const {
    prune::Step out{use(), layer, {}};
    if (!keep.empty()) out.budget = prune::parse_budget(keep, prune::BudgetMode::Exact, true);
    return out;
  }

  void set_plan(Choose choose) { choose_ = std::move(choose); }
  /// Merges what enters the projector.
  void set_before_projector() { info_.before_projector = true; }

  mutable std::vector<SeenSignals> seen;  ///< image by image, step by step
  mutable std::vector<prune::ScheduleRequest> requests;

 private:
  std::vector<prune::Need> needs_;
  Choose choose_;
  Schedule schedule_;
  prune::MethodInfo info_{.name = "recorder",
                          .summary = "",
                          .paper = "",
                          .stage = prune::Stage::Either,
                          .default_layer = 1,
                          .position = prune::PositionPolicy::Original,
                          .adaptive = true,
                          .may_drop_all = true,
                          .outputs = prune::Outputs::Sums,
                          .raster_order = false,
                          .params = {{.name = "cls",
                                      .kind = prune::ParamKind::Choice,
                                      .default_value = "none",
                                      .choices = {"attention", "keys", "none"}}}};
};

}  // namespace winnow::testing
