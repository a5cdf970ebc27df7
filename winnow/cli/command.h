#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace winnow::cli {

/// What the chosen subcommand does; returns the exit status.
using Action = std::function<int()>;

// Each adds one subcommand with its options and sets `action` when the user calls it.
void add_run(CLI::App& app, Action& action);
void add_trace(CLI::App& app, Action& action);
void add_select(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);
void add_eval(CLI::App& app, Action& action);
void add_compare(CLI::App& app, Action& action);
void add_merge(CLI::App& app, Action& action);
void add_study(CLI::App& app, Action& action);
void add_report(CLI::App& app, Action& action);
void add_methods(CLI::App& app, Action& action);
void add_inspect(CLI::App& app, Action& action);
void add_convert(CLI::App& app, Action& action);
void add_synth(CLI::App& app, Action& action);
void add_scenes(CLI::App& app, Action& action);

}  // namespace winnow::cli
