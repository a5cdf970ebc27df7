#pragma once

// Several pruning steps of one run as text (STEPS of syntax.h): "then(fastervlm, fastv@2, window(fastv,
// 3x3)@16)" with the budgets "50%,50%,64". A single STEP is a cascade of one.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/prune/schedule.h"

namespace winnow::prune {

/// A method and where it is to act, as written.
struct PlacedUse {
  MethodUse use;
  std::optional<int32_t> layer{};  ///< kAfterTower for "tower"; nothing: the method's own place
};

/// The steps of STEPS, in order, at least one. Throws NotFound / InvalidArgument.
std::vector<PlacedUse> parse_cascade(std::string_view text);

/// "50%,25%": budgets in the order of the steps. An empty part is a budget that nobody gave; an empty text
/// has no parts. Throws InvalidArgument.
std::vector<Budget> parse_budgets(std::string_view text, BudgetMode mode);

/// The steps of a run. keeps: one budget for each step, or one for the last (the others' parameters must then
/// fix their counts); percentages count the tokens that remain before their step. layer: of a single step
/// without an @LAYER of its own; < 0: its own place or schedule (in a cascade: its default layer). tacr: of
/// the model, see Budget. Throws NotFound / InvalidArgument for bad text, layers that do not ascend (after
/// the tower comes first), and for a mode other than Exact when more than one step has a budget: the other
/// modes speak of the whole run.
std::vector<Step> parse_steps(std::string_view text, std::string_view keeps, BudgetMode mode, int32_t layer,
                              int32_t n_layer, int32_t tacr = 1);

/// Text that parse_steps() reads back to the same steps, every layer and parameter spelled out (a schedule of
/// a method's own has none).
std::string steps_to_string(std::span<const Step> steps);
/// The keeps that belong to it.
std::string budgets_to_string(std::span<const Step> steps);

}  // namespace winnow::prune
