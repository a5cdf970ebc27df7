#pragma once

// When and how many, apart from which.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/prune/method.h"

namespace winnow::prune {

/// The step acts between projector and decoder.
inline constexpr int32_t kAfterTower = -1;
/// The step acts between the tower's blocks.
inline constexpr int32_t kInTower = -3;
/// The step makes the picture smaller that the tower reads.
inline constexpr int32_t kBeforeTower = -4;
/// The step stands for the schedule of its method: expand_steps() makes the real steps of it.
inline constexpr int32_t kOwnSchedule = -2;

enum class BudgetMode {
  Exact,          ///< the count is what remains after the step
  LayerAverage,   ///< the count is the mean over all decoder layers of the visual tokens that the layer sees
  Total,          ///< a percentage counts the visual tokens before any training-aware compression
  ReductionRate,  ///< the share that goes is training-aware ratio x training-free rate (Wen et al. 2025)
};

/// "exact", "average", "total", "trr".
std::string_view budget_mode_name(BudgetMode mode);
/// Throws InvalidArgument for any other word.
BudgetMode parse_budget_mode(std::string_view name);

/// "144" or "25%".
struct Budget {
  double value = -1.0;  ///< below 0: nobody said, the method or its parameters fix the count
  bool percent = false;
  BudgetMode mode = BudgetMode::Exact;
  /// Training-aware compression ratio of the model, TACR: tower tokens for each visual token that the decoder
  /// reads (4 when the projector merges 2 x 2). Counts in Total and ReductionRate.
  int32_t tacr = 1;

  bool given() const { return value >= 0.0; }
  /// As written on the command line; empty when nobody said.
  std::string to_string() const;
};

/// Throws InvalidArgument unless text is a whole number >= 1 or a percentage in (0, 100]; or_zero: 0 and 0%
/// are fine too.
Budget parse_budget(std::string_view text, BudgetMode mode = BudgetMode::Exact, bool or_zero = false);

/// Tokens that remain after a step before `layer` (or kAfterTower) of a decoder with n_layer layers, of
/// n_visual tokens: at least 1 unless the budget says 0, at most n_visual. Percentages round half up. Throws
/// InvalidArgument where said.
///   LayerAverage   solves (layer * n_visual + (n_layer - layer) * n) / n_layer = T for n, rounded to
///                  nearest; throws when the layers before the step alone exceed T
///   Total          p % of n_visual * tacr, so that ratios multiply: n_visual * tacr / n = tacr * n_visual /
///                  n. A budget that training alone already meets keeps all
///   ReductionRate  1 - (1 - p) / tacr of n_visual: rates multiply as in TRR = TACR * TFRR of arXiv
///                  2502.11501 (FastV-dagger; p % kept is a TRR of 1 - p). Throws for a count: it is no rate
int32_t tokens_to_keep(const Budget& budget, int32_t n_visual, int32_t layer, int32_t n_layer);

/// Mean over the decoder's layers of the visual tokens each sees, when `before` tokens enter layer 0 and
/// `after` remain from `layer` on.
double layer_average(int32_t before, int32_t after, int32_t layer, int32_t n_layer);

/// Shares n_keep among images in proportion to their tokens (largest remainder, lower image first on ties):
/// at least one each, never more than an image has. Sum = clamp(n_keep, number of images, sum of sizes).
std::vector<int32_t> image_quotas(int32_t n_keep, std::span<const int32_t> image_tokens);

/// One pruning step of a run: which, when, how many.
struct Step {
  MethodUse use;
  int32_t layer = kAfterTower;
  Budget budget;
};

/// Puts a step together and checks it against the decoder: throws InvalidArgument for a layer outside
/// [min_layer, n_layer), for one given to a method that takes none, and for signals that are not there after
/// the tower. layer < 0: the method's own schedule if it has one, else its default layer. The budget may be
/// left out for "none" (which ignores it), for methods whose parameters fix the count, for adaptive ones and
/// for own schedules; it may be 0 inside the decoder for methods that may drop all.
Step make_step(MethodUse use, const Budget& budget, int32_t layer, int32_t n_layer);
/// The same from command-line words; keep may be empty where the budget may be left out.
Step make_step(MethodUse use, std::string_view keep, BudgetMode mode, int32_t layer, int32_t n_layer);
Step make_step(std::string_view method, std::string_view keep, BudgetMode mode, int32_t layer,
               int32_t n_layer);

/// The step before the default layer of its method, if it stands for a schedule; else as it is. Throws
/// InvalidArgument without a budget where one is needed.
Step at_one_place(const Step& step, int32_t n_layer);

/// True when the last step stands for a schedule and nothing but steps up to the tower's end is in front of
/// it.
bool runs_own_schedule(std::span<const Step> steps);

/// The steps as they are run on n_visual tokens (of all images): a kOwnSchedule step that is alone, or alone
/// behind steps in the tower or in front of it, becomes the steps of its method's schedule, whose average is
/// the step's budget, a count or a share of the visual tokens; one that stands in a cascade acts once, before
/// its default layer. Throws InvalidArgument for a cascade's step without a budget, Unsupported for a
/// schedule that does not fit the decoder.
std::vector<Step> expand_steps(std::span<const Step> steps, int32_t n_visual, int32_t n_layer);

/// The policy of a step when nobody says: the method's own; methods that act at either place (random, grid,
/// balanced on projected features) follow their hosts, compact after the tower and original before a layer.
PositionPolicy default_position(const Step& step);

/// Tokens that each image keeps in a step: the count that the parameters fix, all of them for "none",
/// kMethodDecides for an adaptive method without a budget, else the budget shared by image_quotas(). grids:
/// [n_image] as before any pruning; image_tokens: [n_image] tokens that remain before the step; an image
/// without tokens keeps 0. A budget for more than there are keeps all. Throws InvalidArgument when a budget
/// was given that contradicts the parameters.
std::vector<int32_t> step_quotas(const Step& step, std::span<const Grid> grids,
                                 std::span<const int32_t> image_tokens, int32_t n_layer);

}  // namespace winnow::prune
