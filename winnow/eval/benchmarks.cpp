// THE list of benchmarks, in the order of the docs. A new one is a file in benchmarks/ that defines
// `const Benchmark& NAME_benchmark()`, and one line here.

#include "winnow/eval/benchmark.h"

#define WINNOW_BENCHMARKS(BENCHMARK) \
  BENCHMARK(pope)                    \
  BENCHMARK(mme)                     \
  BENCHMARK(gqa)                     \
  BENCHMARK(mmbench)                 \
  BENCHMARK(mmbench_cn)              \
  BENCHMARK(scienceqa)               \
  BENCHMARK(textvqa)                 \
  BENCHMARK(textvqa_ocr)             \
  BENCHMARK(vizwiz)                  \
  BENCHMARK(vqav2)                   \
  BENCHMARK(seedbench)               \
  BENCHMARK(ocrbench)                \
  BENCHMARK(chartqa)                 \
  BENCHMARK(refcoco)                 \
  BENCHMARK(haystack)

namespace winnow::eval {

#define WINNOW_DECLARE(name) const Benchmark& name##_benchmark();
WINNOW_BENCHMARKS(WINNOW_DECLARE)

const std::vector<const Benchmark*>& benchmarks() {
#define WINNOW_ADDRESS(name) &name##_benchmark(),
  static const std::vector<const Benchmark*> list{WINNOW_BENCHMARKS(WINNOW_ADDRESS)};
  return list;
}

}  // namespace winnow::eval
