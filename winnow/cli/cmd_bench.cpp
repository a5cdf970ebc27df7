#include "winnow/cli/command.h"
namespace winnow::cli {
void add_bench(CLI::App&, Action&) {}
}  // namespace winnow::cli
