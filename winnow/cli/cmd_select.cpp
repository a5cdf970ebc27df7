// winnow select: one method alone, from the signals of one image in a file to its plan.

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "winnow/base/error.h"
#include "winnow/cli/arguments.h"
#include "winnow/cli/command.h"
#include "winnow/cli/signal_file.h"
#include "winnow/prune/schedule.h"
#include "winnow/prune/streams.h"

namespace winnow::cli {
namespace {

struct SelectArguments {
  std::string method;
  std::string signals;
  std::string keep;
  uint64_t seed = 0;
  std::string out;
};

/// How many of the n tokens of the file stay. Throws InvalidArgument.
int32_t count_to_keep(const SelectArguments& args, const prune::MethodUse& use,
                      const prune::Signals& signals) {
  const prune::MethodInfo& info = use.method->info();
  const int32_t n = signals.n();
  if (args.keep.empty()) {
    if (info.keeps_all) return n;
    if (const auto fixed = use.method->fixed_count(signals.grid, use.params)) return *fixed;
    WINNOW_CHECK(info.adaptive, InvalidArgument, "cli.select",
                 "tokens to keep with {}, got nothing, expected --keep with a count or a percentage",
                 info.name);
    return prune::kMethodDecides;
  }
  if (args.keep == "0" && info.may_drop_all) return 0;
  const prune::Budget budget = prune::parse_budget(args.keep);
  WINNOW_CHECK(budget.percent || budget.value <= n, InvalidArgument, "cli.select",
               "--keep, got {}, expected 1 to {}: {} holds {} tokens", args.keep, n, args.signals, n);
  return prune::tokens_to_keep(budget, n, prune::kAfterTower, 1);
}

/// What the plan acts on: hidden states inside the decoder, before it what the projector gave.
MatrixView features_of(const SignalFile& file, prune::Stage stage) {
  const MatrixView hidden = file.view(prune::Signal::Hidden);
  if (stage == prune::Stage::BeforeLayer || (stage == prune::Stage::Either && hidden.present()))
    return hidden;
  return file.view(prune::Signal::Projected);
}

/// Method, counts, and the grid indices of the kept tokens, one line for each row of the grid that has any.
void print_plan(const prune::MethodUse& use, const prune::Plan& plan, const prune::Signals& signals) {
  const prune::Grid& grid = signals.grid;
  fmt::print("method  {}\ntokens  {} -> {} on a {} x {} grid\n", use.to_string(), signals.n(), plan.n_out(),
             grid.rows, grid.cols);
  int32_t n_merged = 0;
  for (int32_t o = 0; o < plan.n_out(); ++o) n_merged += plan.sources(o).size() > 1 ? 1 : 0;
  if (n_merged > 0) fmt::print("merged  {} of {} outputs\n", n_merged, plan.n_out());
  std::vector<int32_t> cells = kept_cells(plan, signals);
  std::sort(cells.begin(), cells.end());
  for (auto first = cells.begin(); first != cells.end();) {
    const int32_t row = *first / grid.cols;
    const auto last = std::find_if(first, cells.end(), [&](int32_t cell) { return cell / grid.cols != row; });
    fmt::print("row {:>3} {}\n", row, fmt::join(first, last, " "));
    first = last;
  }
}

int select(const SelectArguments& args) {
  const prune::MethodUse use = prune::parse_method(args.method);
  if (!args.keep.empty() && args.keep != "0") prune::parse_budget(args.keep);
  check_writable(args.out);
  const SignalFile file = SignalFile::read(args.signals);
  const int32_t n_keep = count_to_keep(args, use, file.layout());
  const bool asked = n_keep != file.n() && n_keep != 0;  // else nothing is read, and trace writes no signals
  const prune::Signals signals = asked ? file.for_method(use) : file.layout();
  Rng rng(args.seed, prune::random_stream(file.image(), file.tile()));
  const prune::Plan plan = prune::run_method(use, signals, n_keep, rng);
  record::TensorFile out =
      plan_tensors(plan, signals, features_of(file, use.method->info().stage), signals.cls_token);
  out.metadata["method"] = use.to_string();
  out.metadata["seed"] = std::to_string(args.seed);
  if (!args.out.empty()) record::write_safetensors(out, args.out);
  print_plan(use, plan, signals);
  return 0;
}

}  // namespace

void add_select(CLI::App& app, Action& action) {
  auto args = std::make_shared<SelectArguments>();
  CLI::App& command = *app.add_subcommand("select", "Run one method on a file of signals (docs/signals.md)");
  command.add_option("method", args->method, "NAME[:param=value,...], see 'winnow methods'")->required();
  command
      .add_option("--signals", args->signals, "Signals of one image, safetensors, as 'winnow trace' writes")
      ->required();
  command.add_option("--keep", args->keep, "Visual tokens that stay: a number or a percentage, 144 or 25%");
  command.add_option("--seed", args->seed, "For methods that draw at random")
      ->check(not_negative())
      ->capture_default_str();
  command.add_option("-o,--out", args->out, "Plan to write, safetensors");
  command.callback([args, &action] { action = [args] { return select(*args); }; });
}

}  // namespace winnow::cli
