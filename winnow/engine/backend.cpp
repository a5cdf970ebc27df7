#include "winnow/engine/backend.h"

#include <ggml.h>

#include <mutex>

#include "winnow/base/error.h"
#include "winnow/engine/ggml_log.h"

#ifndef WINNOW_GGML_BACKEND_DIR
#define WINNOW_GGML_BACKEND_DIR ""
#endif

namespace winnow::engine {
namespace {

constexpr std::size_t kMaxGraphNodes = 32768;

bool is_gpu(ggml_backend_dev_t device) {
  const auto type = ggml_backend_dev_type(device);
  return type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU;
}

ggml_backend_t start(ggml_backend_dev_t device, int32_t n_threads) {
  ggml_backend_t backend = ggml_backend_dev_init(device, nullptr);
  WINNOW_CHECK(backend != nullptr, Internal, "engine.backend", "device {} cannot be started: {}",
               ggml_backend_dev_name(device), last_ggml_error());
  auto* set_threads = reinterpret_cast<ggml_backend_set_n_threads_t>(
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), "ggml_backend_set_n_threads"));
  if (set_threads != nullptr) set_threads(backend, n_threads);
  return backend;
}

/// What a memory plan depends on beside sizes: of every node its operation and whether it is a result.
std::vector<int32_t> node_kinds(ggml_cgraph* graph) {
  std::vector<int32_t> kinds;
  for (int i = 0; i < ggml_graph_n_nodes(graph); ++i) {
    const ggml_tensor* node = ggml_graph_node(graph, i);
    const bool result = (node->flags & GGML_TENSOR_FLAG_OUTPUT) != 0;
    kinds.push_back(2 * static_cast<int32_t>(node->op) + (result ? 1 : 0));
  }
  return kinds;
}

}  // namespace

void load_backends() {
  static std::once_flag once;
  std::call_once(once, [] {
    capture_ggml_log();
    const std::string folder = WINNOW_GGML_BACKEND_DIR;
    if (folder.empty()) {
      ggml_backend_load_all();
    } else {
      ggml_backend_load_all_from_path(folder.c_str());
    }
  });
  WINNOW_CHECK(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) != nullptr, NotFound, "engine.backend",
               "ggml has no CPU backend here (looked in '{}')", WINNOW_GGML_BACKEND_DIR);
}

ggml_backend_dev_t cpu_device() {
  load_backends();
  return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
}

bool is_cpu(ggml_backend_dev_t device) {
  return ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_CPU;
}

ggml_backend_dev_t find_device(const std::string& name) {
  load_backends();
  if (name == "cpu") return cpu_device();
  std::string known = "auto, cpu";
  for (std::size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    ggml_backend_dev_t device = ggml_backend_dev_get(i);
    if (name == "auto" ? is_gpu(device) : name == ggml_backend_dev_name(device)) return device;
    known += std::string(", ") + ggml_backend_dev_name(device);
  }
  WINNOW_CHECK(name == "auto", NotFound, "engine.device", "unknown device '{}', expected one of: {}", name,
               known);
  return cpu_device();
}

Backends::Backends(ggml_backend_dev_t device, int32_t n_threads) : device_(device), n_threads_(n_threads) {
  WINNOW_CHECK(n_threads >= 1 && n_threads <= 1024, InvalidArgument, "engine.backend",
               "number of threads, got {}, expected 1 to 1024", n_threads);
  if (!is_cpu(device)) backends_.push_back(start(device, n_threads));
  backends_.push_back(start(cpu_device(), n_threads));
  sched_ = ggml_backend_sched_new(backends_.data(), nullptr, static_cast<int>(backends_.size()),
                                  kMaxGraphNodes, false, true);
}

Backends::~Backends() {
  ggml_backend_sched_free(sched_);
  for (ggml_backend_t backend : backends_) ggml_backend_free(backend);
}

bool Backends::has_misleading_plan(ggml_cgraph* graph) const {
  const std::vector<int32_t> kinds = node_kinds(graph);
  return kinds.size() == planned_.size() && kinds != planned_;
}

void Backends::allocate(ggml_cgraph* graph) {
  planned_ = node_kinds(graph);
  ggml_backend_sched_reset(sched_);
  WINNOW_CHECK(ggml_backend_sched_alloc_graph(sched_, graph), OutOfMemory, "engine.backend",
               "not enough memory for a graph of {} nodes: {}", ggml_graph_n_nodes(graph), last_ggml_error());
}

void Backends::compute(ggml_cgraph* graph) {
  const ggml_status status = ggml_backend_sched_graph_compute(sched_, graph);
  WINNOW_CHECK(status == GGML_STATUS_SUCCESS, Internal, "engine.backend", "computing failed with {}: {}",
               ggml_status_to_string(status), last_ggml_error());
}

void FreeContext::operator()(ggml_context* ctx) const { ggml_free(ctx); }

ContextPtr make_context(std::size_t n_tensors, std::size_t n_graph_nodes) {
  std::size_t bytes = ggml_tensor_overhead() * (n_tensors + 1);
  if (n_graph_nodes > 0) bytes += ggml_graph_overhead_custom(n_graph_nodes, false);
  ContextPtr ctx(ggml_init({.mem_size = bytes, .mem_buffer = nullptr, .no_alloc = true}));
  WINNOW_CHECK(ctx != nullptr, OutOfMemory, "engine.context", "not enough memory for {} tensor descriptions",
               n_tensors);
  return ctx;
}

}  // namespace winnow::engine
