#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string>
#include <system_error>

#include "winnow/base/error.h"
#include "winnow/cli/command.h"
#include "winnow/cli/console.h"

namespace {

constexpr int kBadInput = 2;
constexpr int kBug = 1;

/// CLI11 says "a subcommand is required" to a mistyped one.
std::string usage_text(const CLI::App& app, const CLI::ParseError& error) {
  const auto rest = app.remaining();
  if (!app.get_subcommands().empty() || rest.empty() || rest.front().starts_with("-")) return error.what();
  std::string known;
  for (const CLI::App* command :
       app.get_subcommands([](const CLI::App* c) { return !c->get_group().empty(); }))
    known += (known.empty() ? "" : ", ") + command->get_name();
  return fmt::format("unknown command '{}', expected one of {}", rest.front(), known);
}

/// A full disk or a closed pipe shows up when the last bytes leave.
int after_writing(int status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  fmt::print(stderr, "winnow: error: the output cannot be written\n");
  return kBadInput;
}

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
  winnow::cli::add_eval(app, action);
  winnow::cli::add_compare(app, action);
  winnow::cli::add_merge(app, action);
  winnow::cli::add_study(app, action);
  winnow::cli::add_report(app, action);
  winnow::cli::add_methods(app, action);
  winnow::cli::add_trace(app, action);
  winnow::cli::add_select(app, action);
  winnow::cli::add_inspect(app, action);
  winnow::cli::add_convert(app, action);
  winnow::cli::add_synth(app, action);
  winnow::cli::add_scenes(app, action);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return after_writing(app.exit(error));
    const CLI::App* at = app.get_subcommands().empty() ? &app : app.get_subcommands().front();
    fmt::print(stderr, "winnow: error: {}\nSee '{} --help'.\n", usage_text(app, error),
               at == &app ? "winnow" : "winnow " + at->get_name());
    return kBadInput;
  }
  try {
    winnow::cli::connect_console(verbose, quiet);
    return after_writing(action());
  } catch (const winnow::Error& error) {
    fmt::print(stderr, "winnow: error: {}\n", error.what());
    return error.code() == winnow::ErrorCode::Internal ? kBug : kBadInput;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "winnow: error: out of memory\n");
    return kBadInput;
  } catch (const std::system_error& error) {  // fmt, when stdout cannot be written
    fmt::print(stderr, "winnow: error: {}\n", error.what());
    return kBadInput;
  } catch (const std::exception& error) {
    fmt::print(stderr, "winnow: internal error: {}\n", error.what());
    return kBug;
  }
}
