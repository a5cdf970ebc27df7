#pragma once

// Where tensors live and who computes: thin owners over ggml's devices, backends and scheduler.

#include <ggml-backend.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace winnow::engine {

/// Loads ggml's backends once per process (thread-safe).
void load_backends();

/// The device that holds weights and KV cache. "auto": the first GPU, else the CPU; "cpu"; or ggml's
/// name of a device. Throws NotFound and lists the names.
ggml_backend_dev_t find_device(const std::string& name);
ggml_backend_dev_t cpu_device();
bool is_cpu(ggml_backend_dev_t device);

/// The backends of one session: its device and, below it, the CPU, with a scheduler that runs graphs over
/// both. Not thread-safe.
class Backends {
 public:
  Backends(ggml_backend_dev_t device, int32_t n_threads);
  ~Backends();
  Backends(const Backends&) = delete;
  Backends& operator=(const Backends&) = delete;

  /// True when allocate() would take over the memory plan of the last graph, in which other results were
  /// wanted: ggml keeps a plan for the next graph with as many nodes, and so would overwrite what is a result
  /// only now.
  bool has_misleading_plan(ggml_cgraph* graph) const;
  /// Gives every tensor of the graph memory; throws OutOfMemory. Inputs can be set afterwards.
  void allocate(ggml_cgraph* graph);
  /// Computes an allocated graph; throws Internal with ggml's own words.
  void compute(ggml_cgraph* graph);
  ggml_backend_dev_t device() const { return device_; }
  int32_t n_threads() const { return n_threads_; }

 private:
  ggml_backend_dev_t device_;
  int32_t n_threads_;
  std::vector<ggml_backend_t> backends_;
  ggml_backend_sched_t sched_ = nullptr;
  std::vector<int32_t> planned_;  ///< node_kinds() of the last graph
};

struct FreeBuffer {
  void operator()(ggml_backend_buffer_t buffer) const { ggml_backend_buffer_free(buffer); }
};
using BufferPtr = std::unique_ptr<ggml_backend_buffer, FreeBuffer>;

struct FreeContext {
  void operator()(ggml_context* ctx) const;
};
using ContextPtr = std::unique_ptr<ggml_context, FreeContext>;
/// A ggml context that holds only the descriptions of up to n tensors, no data.
ContextPtr make_context(std::size_t n_tensors, std::size_t n_graph_nodes = 0);

}  // namespace winnow::engine
