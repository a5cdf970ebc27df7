#include "winnow/eval/benchmark.h"

#include <fmt/ranges.h>

#include <utility>

#include "winnow/base/error.h"

namespace winnow::eval {

const std::vector<Convention>& conventions() {
  static const std::vector<Convention> all = {Convention::Llava, Convention::Lmms, Convention::Vlmeval};
  return all;
}

std::string_view convention_name(Convention convention) {
  switch (convention) {
    case Convention::Llava: return "llava";
    case Convention::Lmms: return "lmms";
    case Convention::Vlmeval: return "vlmeval";
  }
  return "llava";
}

Convention parse_convention(std::string_view name) {
  for (const Convention convention : conventions()) {
    if (convention_name(convention) == name) return convention;
  }
  fail(ErrorCode::InvalidArgument, "eval.convention",
       "unknown convention, got '{}', expected llava, lmms or vlmeval", name);
}

ScoredRow scored_row(const Item& item, Score score) {
  return {item.id,          item.group, item.category,
          item.subcategory, item.split, item.answers.empty() ? std::string() : item.answers.front(),
          std::move(score)};
}

const Benchmark& find_benchmark(std::string_view name) {
  std::vector<std::string> names;
  for (const Benchmark* benchmark : benchmarks()) {
    if (benchmark->info().name == name) return *benchmark;
    names.push_back(benchmark->info().name);
  }
  fail(ErrorCode::NotFound, "eval.benchmark", "unknown benchmark, got '{}', expected one of {}", name,
       fmt::join(names, ", "));
}

int32_t Benchmark::max_new_tokens(Convention convention) const {
  const TokenLimits& limits = info().max_new_tokens;
  switch (convention) {
    case Convention::Llava: return limits.llava;
    case Convention::Lmms: return limits.lmms;
    case Convention::Vlmeval: break;
  }
  return limits.vlmeval;
}

}  // namespace winnow::eval
