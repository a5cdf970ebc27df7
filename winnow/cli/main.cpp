#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "winnow/base/error.h"
#include "winnow/cli/command.h"
#include "winnow/cli/console.h"

namespace {

constexpr int kBadInput = 2;
constexpr int kBug = 1;

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Winnow: visual-token pruning for multimodal large language models", "winnow");
  app.set_version_flag("--version", WINNOW_VERSION);
  app.require_subcommand(1);
  bool verbose = false;
  bool quiet = false;
  app.add_flag("-v,--verbose", verbose, "Show what the libraries report");
  app.add_flag("-q,--quiet", quiet, "No progress and no warnings on stderr");
  app.fallthrough();

  winnow::cli::Action action;
  winnow::cli::add_run(app, action);
  winnow::cli::add_bench(app, action);
  winnow::cli::add_methods(app, action);
  winnow::cli::add_trace(app, action);
  winnow::cli::add_inspect(app, action);
  winnow::cli::add_synth(app, action);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadInput;
  }
  try {
    winnow::cli::connect_console(verbose, quiet);
    return action();
  } catch (const winnow::Error& error) {
    fmt::print(stderr, "winnow: error: {}\n", error.what());
    return error.code() == winnow::ErrorCode::Internal ? kBug : kBadInput;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "winnow: error: out of memory\n");
    return kBadInput;
  } catch (const std::exception& error) {
    fmt::print(stderr, "winnow: internal error: {}\n", error.what());
    return kBug;
  }
}
