#pragma once

// The processes of one `mpirun`, each with a shard of the questions. MPI is optional (WINNOW_WITH_MPI):
// without it shards are made by hand, with --shard.

#include <cstdint>

namespace winnow::cli {

/// This process among the others. One object, for as long as they work together; not thread-safe.
class Ranks {
 public:
  /// Joins the others when the environment says that mpirun started this process; alone, MPI is not touched.
  /// Throws Unsupported when it was started so and this build has no MPI.
  Ranks();
  /// Leaves them; every process must come here, or call abort().
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  int32_t rank() const { return rank_; }        ///< 0 .. size() - 1
  int32_t size() const { return size_; }        ///< 1: alone
  int32_t on_host() const { return on_host_; }  ///< how many of them share this machine, this one included

  void wait_for_all() const;
  /// Ends all processes at once.
  [[noreturn]] void abort(int status) const;

 private:
  int32_t rank_ = 0, size_ = 1, on_host_ = 1;
};

/// True when a launcher says that it started more than one process: variables of Open MPI, of PMI and of
/// PMIx.
bool launched_by_mpirun();

}  // namespace winnow::cli
