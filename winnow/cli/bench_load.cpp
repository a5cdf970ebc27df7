#include "winnow/cli/bench_load.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <thread>

#include "winnow/base/error.h"
#include "winnow/base/process.h"
#include "winnow/base/quantile.h"
#include "winnow/engine/sampler.h"
#include "winnow/engine/stopwatch.h"

namespace winnow::cli {
namespace {

using nlohmann::ordered_json;

/// One session and what it measured of the configuration at hand.
struct Worker {
  Worker(const std::shared_ptr<const engine::Model>& model, const engine::SessionOptions& options)
      : session(model, options) {}

  engine::Session session;
  std::vector<double> ttft_ms, answer_ms;
  std::vector<int32_t> tokens;  ///< of the first answer
  int64_t kv_bytes = 0, kv_bytes_allocated = 0;
  std::exception_ptr failure;
};

/// Picture, prompt, tokens: everything that a new request costs.
void answer(Worker& worker, const LoadRequest& request, const engine::PruneOptions& prune) {
  engine::Session& session = worker.session;
  session.clear();
  const engine::Stopwatch watch;
  const engine::Image picture = engine::load_image(request.image_path, request.limits);
  const engine::EncodedImage image = session.encode(picture, request.fit, session.tower_request(prune));
  const engine::PrefillResult prefill = session.prefill(request.prompt, {&image}, prune, request.n_decode);
  engine::Sampler greedy({});
  std::vector<int32_t> tokens{greedy.pick(prefill.logits)};
  worker.ttft_ms.push_back(watch.ms());
  worker.kv_bytes = prefill.kv_bytes;
  worker.kv_bytes_allocated = session.cache().bytes_allocated();
  for (int32_t i = 0; i < request.n_decode; ++i) tokens.push_back(greedy.pick(session.decode(tokens.back())));
  worker.answer_ms.push_back(watch.ms());
  if (worker.tokens.empty()) worker.tokens = tokens;
  WINNOW_CHECK(worker.tokens == tokens, Internal, "cli.bench_load",
               "two answers of one session to the same request differ");
}

/// All sessions at once, n requests each. Throws what the first of them threw.
void answer_all(std::span<const std::unique_ptr<Worker>> workers, int32_t n, const LoadRequest& request,
                const engine::PruneOptions& prune) {
  std::vector<std::jthread> threads;
  for (const std::unique_ptr<Worker>& worker : workers) {
    threads.emplace_back([&, w = worker.get()] {
      try {
        for (int32_t i = 0; i < n; ++i) answer(*w, request, prune);
      } catch (...) {
        w->failure = std::current_exception();
      }
    });
  }
  threads.clear();
  for (const std::unique_ptr<Worker>& worker : workers) {
    if (worker->failure) std::rethrow_exception(worker->failure);
  }
}

/// One pass of a configuration, added to its result.
void measure(std::span<const std::unique_ptr<Worker>> workers, int32_t n_warmup, int32_t n_requests,
             const LoadRequest& request, const engine::PruneOptions& prune, LoadResult& result) {
  for (const std::unique_ptr<Worker>& worker : workers) worker->tokens.clear();
  answer_all(workers, n_warmup, request, prune);
  for (const std::unique_ptr<Worker>& worker : workers) {
    worker->ttft_ms.clear();
    worker->answer_ms.clear();
  }
  const engine::Stopwatch watch;
  answer_all(workers, n_requests, request, prune);
  result.wall_ms += watch.ms();
  result.kv_bytes = result.kv_bytes_allocated = 0;
  for (const std::unique_ptr<Worker>& worker : workers) {
    result.ttft_ms.insert(result.ttft_ms.end(), worker->ttft_ms.begin(), worker->ttft_ms.end());
    result.answer_ms.insert(result.answer_ms.end(), worker->answer_ms.begin(), worker->answer_ms.end());
    result.kv_bytes += worker->kv_bytes;
    result.kv_bytes_allocated += worker->kv_bytes_allocated;
    WINNOW_CHECK(worker->tokens == workers.front()->tokens, Internal, "cli.bench_load",
                 "the answers of two of {} sessions to the same request differ", workers.size());
  }
  result.peak_rss_bytes = peak_rss_bytes();
}

ordered_json summary(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {{"median", quantile_of_sorted(values, 0.5)}, {"p90", quantile_of_sorted(values, 0.9)}};
}

}  // namespace

int32_t threads_per_session(int32_t n_threads, int32_t n_sessions) {
  return std::max(1, n_threads / std::max(1, n_sessions));
}

std::vector<LoadResult> measure_load(const std::shared_ptr<const engine::Model>& model,
                                     const LoadRequest& request,
                                     std::span<const engine::PruneOptions> configurations,
                                     const LoadOptions& options, const std::function<void()>& step) {
  engine::SessionOptions session = options.session;
  session.n_threads = threads_per_session(session.n_threads, options.n_sessions);
  std::vector<std::unique_ptr<Worker>> workers;
  for (int32_t i = 0; i < options.n_sessions; ++i) {
    workers.push_back(std::make_unique<Worker>(model, session));
  }
  std::vector<LoadResult> results(configurations.size());
  const auto one_pass = [&](std::size_t i, int32_t n_requests) {
    results[i].n_sessions = options.n_sessions;
    results[i].n_threads = session.n_threads;
    measure(workers, options.n_warmup, n_requests, request, configurations[i], results[i]);
    step();
  };
  const int32_t backwards = options.n_repetitions / 2;
  for (std::size_t i = 0; i < results.size(); ++i) one_pass(i, options.n_repetitions - backwards);
  for (std::size_t i = results.size(); i-- > 0 && backwards > 0;) one_pass(i, backwards);
  return results;
}

ordered_json load_json(const LoadResult& result) {
  const auto n_answers = static_cast<double>(result.answer_ms.size());
  return {{"sessions", result.n_sessions},
          {"threads_per_session", result.n_threads},
          {"answers", result.answer_ms.size()},
          {"answers_per_s", 1000.0 * n_answers / result.wall_ms},
          {"ttft_ms", summary(result.ttft_ms)},
          {"answer_ms", summary(result.answer_ms)},
          {"kv_bytes", result.kv_bytes},
          {"kv_bytes_allocated", result.kv_bytes_allocated},
          {"peak_rss_bytes", result.peak_rss_bytes}};
}

void print_load(const ordered_json& report) {
  fmt::print(
      "\nunder load: sessions that answer at the same time share {} threads, at least one each; "
      "milliseconds\n\n",
      report["threads"].get<int>());
  fmt::print("{:<42}{:>9}{:>10}{:>11}{:>14}{:>10}{:>14}{:>10}{:>9}{:>9}\n", "configuration", "sessions",
             "thr. each", "answers/s", "first token", "p90", "answer", "p90", "KV MB", "peak GB");
  for (const auto& row : report["configurations"]) {
    if (!row.contains("load")) continue;
    for (const auto& load : row["load"]) {
      const auto ms = [&](const char* of, const char* which) { return load[of][which].get<double>(); };
      fmt::print("{:<42}{:>9}{:>10}{:>11.3f}{:>14.1f}{:>10.1f}{:>14.1f}{:>10.1f}{:>9.1f}{:>9.2f}\n",
                 row["name"].get<std::string>(), load["sessions"].get<int>(),
                 load["threads_per_session"].get<int>(), load["answers_per_s"].get<double>(),
                 ms("ttft_ms", "median"), ms("ttft_ms", "p90"), ms("answer_ms", "median"),
                 ms("answer_ms", "p90"), load["kv_bytes"].get<double>() / 1e6,
                 load["peak_rss_bytes"].get<double>() / 1e9);
    }
  }
}

}  // namespace winnow::cli
