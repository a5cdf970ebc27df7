// The C border of prune: handles around its types, and every exception turned into a status.

#include "winnow/capi/winnow.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "winnow/base/error.h"
#include "winnow/prune/method.h"

namespace prune = winnow::prune;

struct winnow_method {  // NOLINT(readability-identifier-naming)
  prune::MethodUse use;
  std::string text;
  std::vector<prune::Need> needs;
};

struct winnow_signals {  // NOLINT(readability-identifier-naming)
  prune::Signals signals;
  int32_t image = 0;
};

struct winnow_plan {  // NOLINT(readability-identifier-naming)
  prune::Plan plan;
  int32_t n_in = 0;
};

namespace {

using winnow::ErrorCode;

/// A fixed buffer: saying what went wrong must not run out of memory.
thread_local std::array<char, 4096> last_error{};

winnow_status failed(winnow_status status, const char* text) noexcept {
  std::snprintf(last_error.data(), last_error.size(), "%s", text);
  return status;
}

winnow_status status_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::InvalidArgument: return WINNOW_INVALID_ARGUMENT;
    case ErrorCode::NotFound: return WINNOW_NOT_FOUND;
    case ErrorCode::OutOfMemory: return WINNOW_OUT_OF_MEMORY;
    case ErrorCode::Unsupported: return WINNOW_UNSUPPORTED;
    case ErrorCode::Corrupt:
    case ErrorCode::Io:
    case ErrorCode::Internal: break;  // prune has no such errors
  }
  return WINNOW_INTERNAL;
}

/// Runs a body that may throw; nothing leaves but a status.
template <class Body>
winnow_status guarded(const Body& body) noexcept {
  try {
    body();
    return WINNOW_OK;
  } catch (const winnow::Error& error) {
    return failed(status_of(error.code()), error.what());
  } catch (const std::bad_alloc&) {
    return failed(WINNOW_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& error) {
    return failed(WINNOW_INTERNAL, error.what());
  } catch (...) {
    return failed(WINNOW_INTERNAL, "unknown exception");
  }
}

void check_pointer(const void* pointer, const char* where, const char* what) {
  WINNOW_CHECK(pointer != nullptr, InvalidArgument, where, "{}, got NULL, expected a pointer", what);
}

void copy_ints(const char* where, const char* what, const int32_t* values, int64_t n,
               std::vector<int32_t>& to) {
  constexpr int64_t kMost = int64_t{1} << 30;  // tokens of the largest grid
  WINNOW_CHECK(n >= 0 && n <= kMost, InvalidArgument, where, "number of {}, got {}, expected 0 to {}", what,
               n, kMost);
  if (n > 0) check_pointer(values, where, what);
  if (n == 0) {
    to.clear();
  } else {
    to.assign(values, values + n);
  }
}

const char* shape_text(prune::Signal signal) {
  if (signal == prune::Signal::TextAttention) return "[heads * n_text, n]";
  if (signal == prune::Signal::ClipText) return "[segments, width]";
  switch (prune::signal_shape(signal)) {
    case prune::SignalShape::PerToken: return "[n, width]";
    case prune::SignalShape::PerHead: return "[heads, n]";
    case prune::SignalShape::OneRow: return "[1, n]";
    case prune::SignalShape::OneVector: return "[1, width]";
    case prune::SignalShape::Text: return "[n_text, width]";
    case prune::SignalShape::AllTokens: return "[n or more, width]";
  }
  return "";
}

}  // namespace

#define WINNOW_TEXT_OF(number) #number
#define WINNOW_DOTTED(major, minor, patch) \
  WINNOW_TEXT_OF(major) "." WINNOW_TEXT_OF(minor) "." WINNOW_TEXT_OF(patch)

const char* winnow_version(void) {
  return WINNOW_DOTTED(WINNOW_VERSION_MAJOR, WINNOW_VERSION_MINOR, WINNOW_VERSION_PATCH);
}

int32_t winnow_version_number(void) { return WINNOW_VERSION_NUMBER; }

const char* winnow_status_name(winnow_status status) {
  switch (status) {
    case WINNOW_OK: return "ok";
    case WINNOW_INVALID_ARGUMENT: return "invalid_argument";
    case WINNOW_NOT_FOUND: return "not_found";
    case WINNOW_UNSUPPORTED: return "unsupported";
    case WINNOW_OUT_OF_MEMORY: return "out_of_memory";
    case WINNOW_INTERNAL: return "internal";
  }
  return "unknown";
}

const char* winnow_last_error(void) { return last_error.data(); }

int32_t winnow_method_count(void) {
  int32_t count = 0;
  guarded([&] { count = static_cast<int32_t>(prune::selecting_methods().size()); });
  return count;
}

const char* winnow_method_name(int32_t i) {
  if (i < 0 || i >= winnow_method_count()) return nullptr;
  return prune::selecting_methods()[static_cast<std::size_t>(i)]->info().name.c_str();
}

winnow_status winnow_method_new(const char* use, winnow_method** method) {
  if (method != nullptr) *method = nullptr;
  return guarded([&] {
    check_pointer(method, "winnow_method_new", "method");
    check_pointer(use, "winnow_method_new", "use");
    const prune::MethodUse parsed = prune::parse_method(use);
    *method = new winnow_method{parsed, parsed.to_string(), parsed.method->needs(parsed.params)};
  });
}

void winnow_method_free(winnow_method* method) { delete method; }

winnow_status winnow_method_get_info(const winnow_method* method, winnow_method_info* info) {
  return guarded([&] {
    check_pointer(method, "winnow_method_get_info", "method");
    check_pointer(info, "winnow_method_get_info", "info");
    const prune::MethodInfo& known = method->use.method->info();
    *info = {};
    info->name = known.name.c_str();
    info->use = method->text.c_str();
    info->summary = known.summary.c_str();
    info->paper = known.paper.c_str();
    info->stage = prune::stage_name(known.stage).data();
    info->position = prune::position_policy_name(known.position).data();
    info->default_layer = known.default_layer;
    info->min_layer = known.min_layer;
    info->keeps_all = known.keeps_all ? 1 : 0;
    info->adaptive = known.adaptive ? 1 : 0;
    info->may_drop_all = known.may_drop_all ? 1 : 0;
    info->need_count = static_cast<int32_t>(method->needs.size());
  });
}

winnow_status winnow_method_need(const winnow_method* method, int32_t i, winnow_need* need) {
  return guarded([&] {
    check_pointer(method, "winnow_method_need", "method");
    check_pointer(need, "winnow_method_need", "need");
    WINNOW_CHECK(i >= 0 && std::cmp_less(i, method->needs.size()), InvalidArgument, "winnow_method_need",
                 "need of {}, got number {}, expected 0 to {}", method->text, i,
                 static_cast<int64_t>(method->needs.size()) - 1);
    const prune::Need& known = method->needs[static_cast<std::size_t>(i)];
    *need = {prune::signal_name(known.signal).data(), shape_text(known.signal), known.block};
  });
}

int32_t winnow_resolve_block(int32_t block, int32_t n_block) { return prune::resolve_block(block, n_block); }

winnow_status winnow_method_fixed_count(const winnow_method* method, int32_t rows, int32_t cols,
                                        int32_t* count) {
  return guarded([&] {
    check_pointer(method, "winnow_method_fixed_count", "method");
    check_pointer(count, "winnow_method_fixed_count", "count");
    prune::Signals image;
    image.grid = {rows, cols};
    prune::check_layout(image);
    *count = method->use.method->fixed_count(image.grid, method->use.params).value_or(0);
  });
}

winnow_status winnow_signals_new(int32_t rows, int32_t cols, winnow_signals** signals) {
  if (signals != nullptr) *signals = nullptr;
  return guarded([&] {
    check_pointer(signals, "winnow_signals_new", "signals");
    prune::Signals image;
    image.grid = {rows, cols};
    prune::check_layout(image);
    *signals = new winnow_signals{std::move(image)};
  });
}

void winnow_signals_free(winnow_signals* signals) { delete signals; }

winnow_status winnow_signals_set(winnow_signals* signals, const char* name, int32_t block,
                                 const float* values, int64_t rows, int64_t cols) {
  constexpr const char* kWhere = "winnow_signals_set";
  constexpr int64_t kMost = INT64_MAX / static_cast<int64_t>(sizeof(float));
  return guarded([&] {
    check_pointer(signals, kWhere, "signals");
    check_pointer(name, kWhere, "name");
    const auto signal = prune::find_signal(name);
    WINNOW_CHECK(signal.has_value(), NotFound, kWhere,
                 "unknown signal, got '{}', expected a name of docs/signals.md", name);
    WINNOW_CHECK(values != nullptr, InvalidArgument, kWhere, "values of {}, got NULL, expected a pointer",
                 name);
    WINNOW_CHECK(rows >= 1 && cols >= 1 && rows <= kMost / cols, InvalidArgument, kWhere,
                 "shape of {}, got [{}, {}], expected at least one row and column, and a size that can be",
                 name, rows, cols);
    signals->signals.set({*signal, prune::is_tower_tap(*signal) ? block : prune::kFeatureBlock},
                         {values, rows, cols});
  });
}

winnow_status winnow_signals_set_token_of(winnow_signals* signals, const int32_t* cells, int64_t n) {
  return guarded([&] {
    check_pointer(signals, "winnow_signals_set_token_of", "signals");
    prune::Signals image;
    image.grid = signals->signals.grid;
    copy_ints("winnow_signals_set_token_of", "cells", cells, n, image.token_of);
    prune::check_layout(image);
    signals->signals.token_of = std::move(image.token_of);
  });
}

winnow_status winnow_signals_set_ids(winnow_signals* signals, const int32_t* ids, int64_t n) {
  return guarded([&] {
    check_pointer(signals, "winnow_signals_set_ids", "signals");
    copy_ints("winnow_signals_set_ids", "ids", ids, n, signals->signals.ids);
  });
}

winnow_status winnow_signals_set_text_ids(winnow_signals* signals, const int32_t* ids, int64_t n) {
  return guarded([&] {
    check_pointer(signals, "winnow_signals_set_text_ids", "signals");
    copy_ints("winnow_signals_set_text_ids", "ids", ids, n, signals->signals.text_ids);
  });
}

winnow_status winnow_signals_set_rope(winnow_signals* signals, int32_t d_head, float base) {
  return guarded([&] {
    check_pointer(signals, "winnow_signals_set_rope", "signals");
    WINNOW_CHECK(d_head >= 2 && d_head % 2 == 0 && base > 0.0F && base <= 1e30F, InvalidArgument,
                 "winnow_signals_set_rope",
                 "rotary embedding, got width {} and base {}, expected an even width and a base above 0",
                 d_head, base);
    signals->signals.rope = {d_head, base};
  });
}

winnow_status winnow_signals_set_image(winnow_signals* signals, int32_t image) {
  return guarded([&] {
    check_pointer(signals, "winnow_signals_set_image", "signals");
    WINNOW_CHECK(image >= 0, InvalidArgument, "winnow_signals_set_image", "image, got {}, expected 0 or more",
                 image);
    signals->image = image;
  });
}

winnow_status winnow_run(const winnow_method* method, const winnow_signals* signals, int32_t n_keep,
                         uint64_t seed, winnow_plan** plan) {
  if (plan != nullptr) *plan = nullptr;
  return guarded([&] {
    check_pointer(plan, "winnow_run", "plan");
    check_pointer(method, "winnow_run", "method");
    check_pointer(signals, "winnow_run", "signals");
    winnow::Rng rng(seed, static_cast<uint64_t>(signals->image));  // the engine's own streams
    *plan =
        new winnow_plan{prune::run_method(method->use, signals->signals, n_keep, rng), signals->signals.n()};
  });
}

void winnow_plan_free(winnow_plan* plan) { delete plan; }

winnow_status winnow_plan_get(const winnow_plan* plan, winnow_plan_view* view) {
  return guarded([&] {
    check_pointer(plan, "winnow_plan_get", "plan");
    check_pointer(view, "winnow_plan_get", "view");
    const prune::Plan& made = plan->plan;
    *view = {};
    view->n_in = plan->n_in;
    view->n_out = made.n_out();
    view->n_sources = static_cast<int32_t>(made.index.size());
    view->is_selection = made.is_selection() ? 1 : 0;
    view->offsets = made.offsets.data();
    view->index = made.index.data();
    view->weight = made.weight.data();
    view->position_of = made.position_of.data();
    view->scores = made.scores.empty() ? nullptr : made.scores.data();
  });
}

winnow_status winnow_plan_apply(const winnow_plan* plan, const float* features, int64_t n_in, int64_t width,
                                const float* cls_token, float* out) {
  constexpr const char* kWhere = "winnow_plan_apply";
  return guarded([&] {
    check_pointer(plan, kWhere, "plan");
    check_pointer(features, kWhere, "features");
    check_pointer(out, kWhere, "out");
    WINNOW_CHECK(n_in == plan->n_in && width >= 1 && width <= INT32_MAX, InvalidArgument, kWhere,
                 "shape of the features, got [{}, {}], expected [{}, width]", n_in, width, plan->n_in);
    std::span<const float> cls;
    if (cls_token != nullptr) cls = {cls_token, static_cast<std::size_t>(width)};
    const std::vector<float> rows = prune::apply_plan(plan->plan, {features, n_in, width}, cls);
    std::copy(rows.begin(), rows.end(), out);
  });
}
