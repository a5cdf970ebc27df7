// What selecting costs, on one core: run_method (with its checks) of every method of the registry on random
// signals of 576, 2048 and 8192 tokens, width 4096, 32 heads, a quarter kept; and the arithmetic below it.
// The peer is a float32 matrix product by OpenBLAS with one thread in the same run: GFLOP/s counts the inner
// products that a method's formula needs, of_openblas is the share of the peer's rate at 2048 x 2048 x 4096,
// of_same_shapes of its rate in the method's own shapes (holov multiplies 36 rows with themselves at 576
// tokens). Methods that compare little have memory for a peer: of_reading is the share of the rate of a pass
// that only tests values, over as many as the checks and the formula have to read. A method that takes more
// than ten seconds at 8192 tokens is left out there, and the output says so.

#include <benchmark/benchmark.h>

#include <cmath>
#include <ctime>
#include <map>
#include <memory>
#include <vector>

#include "tests/prune/random_signals.h"
#include "winnow/base/error.h"
#include "winnow/prune/ops.h"
#include "winnow/prune/similarity.h"

#ifdef WINNOW_HAVE_OPENBLAS
#include <cblas.h>
#endif

namespace {

using namespace winnow;
using namespace winnow::prune;

constexpr int64_t kWidth = 4096;
constexpr int64_t kHeads = 32;
constexpr double kTooLong = 10.0;  // seconds
constexpr int64_t kMostForPeer = 2048;

test::Matrix uniform_matrix(int64_t rows, int64_t cols, float low, float high, uint64_t seed) {
  Rng rng(seed);
  test::Matrix matrix{std::vector<float>(static_cast<std::size_t>(rows * cols)), rows, cols};
  for (float& value : matrix.values)
    value = low + (high - low) * static_cast<float>(rng.next() >> 40U) * 0x1p-24F;
  return matrix;
}

/// Rows of which neighbours look alike, cosine about 0.9.
test::Matrix features(int64_t rows, uint64_t seed = 1) {
  test::Matrix matrix = uniform_matrix(rows, kWidth, -1, 1, seed);
  for (std::size_t i = kWidth; i < matrix.values.size(); ++i)
    matrix.values[i] = 0.9F * matrix.values[i - kWidth] + 0.44F * matrix.values[i];
  return matrix;
}

test::Matrix random_signal(Signal signal, int64_t n) {
  const auto seed = static_cast<uint64_t>(signal);
  const float mean = 1.0F / static_cast<float>(n);
  switch (signal_shape(signal)) {
    case SignalShape::PerToken:
    case SignalShape::AllTokens: return features(n, seed);
    case SignalShape::OneVector: return features(1, seed);
    case SignalShape::Text: return features(test::kTextTokens, seed);
    case SignalShape::OneRow: return uniform_matrix(1, n, 0, mean, seed);
    case SignalShape::PerHead: break;
  }
  return uniform_matrix(kHeads * (signal == Signal::TextAttention ? test::kTextTokens : 1), n, 0, mean, seed);
}

Grid grid_of(int64_t n) {
  if (n == 576) return {24, 24};
  return n == 2048 ? Grid{32, 64} : Grid{64, 128};
}

/// The signals of one benchmark, kept while it is called again and again.
const test::OwnedSignals& signals_of(const MethodUse& use, int64_t n) {
  static std::string made_for;
  static test::OwnedSignals signals;
  const std::string wanted = use.to_string() + " " + std::to_string(n);
  if (made_for != wanted) {
    signals = {grid_of(n), {}, {}};
    for (const Need& need : use.method->needs(use.params)) {
      if (!signals.of.contains(need.signal)) signals.of[need.signal] = random_signal(need.signal, n);
    }
    made_for = wanted;
  }
  return signals;
}

/// Seconds of this thread: a busy machine disturbs them less than the clock on the wall.
double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Seconds of the fastest of five calls.
template <class Body>
double best_of_five(Body body) {
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    const double start = cpu_seconds();
    body();
    best = std::min(best, cpu_seconds() - start);
  }
  return best;
}

#ifdef WINNOW_HAVE_OPENBLAS
void openblas_product(const MatrixView& a, const MatrixView& b, std::span<float> out) {
  const auto m = static_cast<blasint>(a.rows), n = static_cast<blasint>(b.rows);
  const auto d = static_cast<blasint>(a.cols);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, d, 1.0F, a.data, d, b.data, d, 0.0F, out.data(),
              n);
}

/// Multiplications and additions per second of the peer at 2048 x 2048 x 4096, best of five.
double peer_rate() {
  static const double rate = [] {
    constexpr int64_t kRows = 2048;
    const test::Matrix rows = features(kRows);
    std::vector<float> out(static_cast<std::size_t>(kRows * kRows));
    const double seconds = best_of_five([&] { openblas_product(rows.view(), rows.view(), out); });
    return 2.0 * static_cast<double>(kRows * kRows * kWidth) / seconds;
  }();
  return rate;
}
#else
double peer_rate() { return 0.0; }
#endif

/// Runs `body` as often as the library asks. Each time needs `pairs` inner products of width 4096; 0: nobody
/// counted them.
template <class Body>
void time_pairs(benchmark::State& state, double pairs, Body body) {
  const double start = cpu_seconds();
  for (auto _ : state) body();
  const double rate =
      pairs * 2.0 * static_cast<double>(kWidth * state.iterations()) / (cpu_seconds() - start);
  if (rate == 0.0) return;
  state.counters["GFLOP/s"] = rate * 1e-9;
  if (peer_rate() > 0.0) state.counters["of_openblas"] = rate / peer_rate();
}

void count_bytes(benchmark::State& state, const MatrixView& read) {
  state.SetBytesProcessed(state.iterations() * read.size() * static_cast<int64_t>(sizeof(float)));
}

/// Dropped tokens that sparsevlm clusters: 0.3 of what its kept tokens k and their clusters leave over.
double recycled_of(double n, double n_keep) {
  const auto recycled = [&](double kept) { return std::floor(0.3 * (n - kept)) + 1; };
  double kept = n_keep;
  while (kept + std::floor(recycled(kept) / 10) + 1 > n_keep) kept -= 1;
  return recycled(kept);
}

/// `times` products of rows [m, 4096] with columns [n, 4096]; of the rows with themselves each pair once.
struct Work {
  double rows = 0.0, cols = 0.0;
  bool with_themselves = false;
  double times = 1.0;

  double pairs() const { return times * (with_themselves ? rows * (rows - 1) / 2 : rows * cols); }
};

Work between(double rows, double cols) { return {rows, cols}; }
Work among(double rows, double times = 1.0) { return {rows, rows, true, times}; }

/// What the formula of a method has to compute, if that is what it spends its time on.
std::vector<Work> work_of(const std::string& use, double n, double n_keep) {
  // Of its Cholesky rows, 0 to n_keep long, in double, which counts twice.
  const Work cholesky = between(n, n_keep * n_keep / static_cast<double>(kWidth));
  const std::map<std::string, std::vector<Work>> needed{
      {"balanced:redundancy=max", {among(n)}},
      {"btp", {among(n)}},  // nearest neighbours; distances to the picks are among these
      {"cdpruner", {between(n_keep, n), cholesky}},
      {"divprune", {among(n), between(n_keep, n)}},
      {"greedyprune", {between(n_keep, n)}},
      {"holov", {among(n / 16, 16)}},  // in 16 parts
      {"mmr", {between(n_keep, n)}},
      {"prumerge", {between(n_keep - 1, n)}},
      {"scope", {among(n)}},
      {"sparsevlm", {between(test::kTextTokens, n), among(recycled_of(n, n_keep))}},
      {"vispruner", {among(n - std::floor(n_keep / 2))}}};  // those that attention has not chosen
  const auto found = needed.find(use);
  return found == needed.end() ? std::vector<Work>{} : found->second;
}

#ifdef WINNOW_HAVE_OPENBLAS
/// Seconds of the peer for these products one by one, in their own shapes; of a product of rows with
/// themselves, of which it computes each pair twice, the half.
double peer_seconds(const std::vector<Work>& work) {
  double sum = 0.0;
  for (const Work& each : work) {
    const auto rows = std::max<int64_t>(1, std::llround(each.rows));
    const auto cols = std::max<int64_t>(1, std::llround(each.cols));
    const test::Matrix a = features(rows * static_cast<int64_t>(each.times)), b = features(cols);
    std::vector<float> out(static_cast<std::size_t>(rows * cols));
    const double seconds = best_of_five([&] {
      for (int64_t i = 0; i < static_cast<int64_t>(each.times); ++i) {
        const MatrixView part{a.view().row(i * rows).data(), rows, kWidth};
        openblas_product(part, each.with_themselves ? part : b.view(), out);
      }
    });
    sum += each.with_themselves ? seconds / 2 : seconds;
  }
  return sum;
}
#endif

/// Values that run_method's checks and the formula of a method have to read, if that is what it spends its
/// time on: every signal twice, and once more where a first pass has to end before the second begins.
double values_needed(const std::string& use, double n) {
  const double one = n * static_cast<double>(kWidth);
  const std::map<std::string, double> needed{{"balanced", 2 * one}, {"balanced:redundancy=mean", 3 * one},
                                             {"dart", 4 * one},     {"trim", 2 * one},
                                             {"v2drop", 4 * one},   {"visionzip", 2 * one}};
  const auto found = needed.find(use);
  return found == needed.end() ? 0.0 : found->second;
}

/// Values per second of a pass over 2048 x 4096 that only tests whether they are finite, best of five.
double reading_rate() {
  static const double rate = [] {
    const test::Matrix rows = features(2048);
    const double seconds = best_of_five([&] { benchmark::DoNotOptimize(all_finite(rows.values)); });
    return static_cast<double>(rows.values.size()) / seconds;
  }();
  return rate;
}

void time_method(benchmark::State& state, const std::string& text) {
  const MethodUse use = parse_method(text);
  const int64_t n = state.range(0);
  const test::OwnedSignals& owned = signals_of(use, n);
  Signals signals = owned.view(use.method->needs(use.params));
  signals.rope.d_head = 128;
  const auto n_keep = use.method->fixed_count(owned.grid, use.params).value_or(static_cast<int32_t>(n / 4));
  Rng rng(4);
  try {
    const double start = cpu_seconds();
    benchmark::DoNotOptimize(run_method(use, signals, n_keep, rng));
    if (const double took = cpu_seconds() - start; took > kTooLong) {
      state.SkipWithError(fmt::format("left out: one selection takes {:.0f} s", took).c_str());
      return;
    }
    const std::vector<Work> work = work_of(text, static_cast<double>(n), n_keep);
    double pairs = 0.0;
    for (const Work& each : work) pairs += each.pairs();
    const double started = cpu_seconds();
    time_pairs(state, pairs, [&] { benchmark::DoNotOptimize(run_method(use, signals, n_keep, rng)); });
    const double took = cpu_seconds() - started;
#ifdef WINNOW_HAVE_OPENBLAS
    if (pairs > 0.0 && n <= kMostForPeer) {
      static std::map<std::pair<std::string, int64_t>, double> seconds;  // the library calls more than once
      const auto [found, is_new] = seconds.try_emplace({text, n}, 0.0);
      if (is_new) found->second = peer_seconds(work);
      state.counters["of_same_shapes"] = found->second * static_cast<double>(state.iterations()) / took;
    }
#endif
    const double values =
        values_needed(text, static_cast<double>(n)) * static_cast<double>(state.iterations());
    if (values > 0.0) state.counters["of_reading"] = values / took / reading_rate();
  } catch (const Error& error) {
    state.SkipWithError(error.what());
  }
}

void time_all_finite(benchmark::State& state) {
  const test::Matrix rows = features(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(all_finite(rows.values));
  count_bytes(state, rows.view());
}

void time_inner_with(benchmark::State& state) {
  const test::Matrix rows = features(state.range(0));
  std::vector<float> out(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    inner_with(rows.view(), rows.view().row(0), out);
    benchmark::DoNotOptimize(out.data());
  }
  count_bytes(state, rows.view());
}

using Product = void (*)(const MatrixView&, const MatrixView&, std::span<float>);

void time_product(benchmark::State& state, Product product) {
  const test::Matrix rows = features(state.range(0));
  std::vector<float> out(static_cast<std::size_t>(state.range(0) * state.range(0)));
  time_pairs(state, static_cast<double>(out.size()), [&] {
    product(rows.view(), rows.view(), out);
    benchmark::DoNotOptimize(out.data());
  });
}

void time_pair_strips(benchmark::State& state) {
  const test::Matrix rows = features(state.range(0));
  time_pairs(state, static_cast<double>(rows.rows * (rows.rows - 1)) / 2, [&] {
    for_each_pair_strip(rows.view(),
                        [](int64_t, const MatrixView& products) { benchmark::DoNotOptimize(products.data); });
  });
}

void register_all() {
  using benchmark::RegisterBenchmark;
  std::vector<std::string> uses{"balanced:redundancy=mean", "balanced:redundancy=max"};
  for (const Method* method : selecting_methods()) {
    if (!method->info().keeps_all) uses.push_back(method->info().name);
  }
  for (const std::string& use : uses) {
    RegisterBenchmark(use.c_str(), time_method, use)
        ->Arg(576)
        ->Arg(2048)
        ->Arg(8192)
        ->Unit(benchmark::kMillisecond);
  }
  std::vector<benchmark::internal::Benchmark*> below{
      RegisterBenchmark("arithmetic/all_finite", time_all_finite),
      RegisterBenchmark("arithmetic/inner_with", time_inner_with),
      RegisterBenchmark("arithmetic/inner_block", time_product, inner_block),
      RegisterBenchmark("arithmetic/pair_strips", time_pair_strips)};
#ifdef WINNOW_HAVE_OPENBLAS
  below.push_back(RegisterBenchmark("arithmetic/openblas_sgemm", time_product, openblas_product));
#endif
  for (benchmark::internal::Benchmark* each : below) each->Arg(576)->Arg(2048)->Unit(benchmark::kMillisecond);
}

}  // namespace

int main(int argc, char** argv) {
  register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
#ifdef WINNOW_HAVE_OPENBLAS
  openblas_set_num_threads(1);
  benchmark::AddCustomContext("openblas", fmt::format("{:.1f} GFLOP/s on one thread", peer_rate() * 1e-9));
#else
  benchmark::AddCustomContext("openblas", "not in this build");
#endif
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
