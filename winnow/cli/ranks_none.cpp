#include <cstdlib>

#include "winnow/base/error.h"
#include "winnow/cli/ranks.h"

namespace winnow::cli {

Ranks::Ranks() {
  WINNOW_CHECK(
      !launched_by_mpirun(), Unsupported, "cli.ranks",
      "started by mpirun, and this build has no MPI: give each process its own --shard I/N and --out, "
      "then 'winnow merge'");
}
Ranks::~Ranks() = default;
void Ranks::wait_for_all() const {}
void Ranks::abort(int status) const { std::exit(status); }

}  // namespace winnow::cli
