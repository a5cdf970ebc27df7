#define OMPI_SKIP_MPICXX  // the C interface alone
#include <mpi.h>

#include <cstdlib>

#include "winnow/cli/ranks.h"

namespace winnow::cli {

Ranks::Ranks() {
  if (!launched_by_mpirun()) return;
  MPI_Init(nullptr, nullptr);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  MPI_Comm host = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &host);
  MPI_Comm_size(host, &on_host_);
  MPI_Comm_free(&host);
}

Ranks::~Ranks() {
  if (size_ > 1) MPI_Finalize();
}

void Ranks::wait_for_all() const {
  if (size_ > 1) MPI_Barrier(MPI_COMM_WORLD);
}

void Ranks::abort(int status) const {
  MPI_Abort(MPI_COMM_WORLD, status);
  std::abort();  // not reached
}

}  // namespace winnow::cli
