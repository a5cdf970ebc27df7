#include "winnow/cli/ranks.h"

#include <array>
#include <cstdlib>

namespace winnow::cli {

bool launched_by_mpirun() {
  constexpr std::array kSizes = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS"};
  for (const char* name : kSizes) {
    const char* size = std::getenv(name);
    if (size != nullptr && std::atoi(size) > 1) return true;
  }
  return false;
}

}  // namespace winnow::cli
