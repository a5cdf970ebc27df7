#include "winnow/report/bench_file.h"

#include "winnow/base/error.h"
#include "winnow/record/jsonl.h"

namespace winnow::report {
namespace {

using record::JsonRow;

constexpr const char* kWhere = "report.bench_file";

/// Nothing that is measured or counted here is negative.
double amount(const JsonRow& row, const char* key) {
  const double value = row.number(key);
  WINNOW_CHECK(value >= 0.0, Corrupt, kWhere, "{}: field '{}', got {}, expected 0 or more", row.place(), key,
               value);
  return value;
}

std::size_t list_size(const JsonRow& row, const char* key) {
  const record::Json& list = row.at(key);
  WINNOW_CHECK(list.is_array(), Corrupt, kWhere, "{}: field '{}', got {}, expected a list", row.place(), key,
               list.type_name());
  return list.size();
}

Spread spread_in(const JsonRow& row) { return {amount(row, "median"), amount(row, "q1"), amount(row, "q3")}; }

OwnCosts own_costs(const JsonRow& row) {
  OwnCosts out;
  const JsonRow tokens = row.row("visual_tokens");
  out.visual_before = amount(tokens, "before");
  out.visual_after = amount(tokens, "after");
  out.visual_average = amount(tokens, "layer_average");
  out.prefill_flops = amount(row, "prefill_flops");
  out.tower_flops = amount(row, "tower_flops");
  out.kv_bytes = amount(row, "kv_bytes");
  out.kv_bytes_unpruned = amount(row, "kv_bytes_unpruned");
  const JsonRow speedup = row.row("prefill_speedup");
  out.realised = amount(speedup, "realised");
  out.ideal_flops = amount(speedup, "ideal_flops");
  out.ideal_tokens = amount(speedup, "ideal_tokens");
  out.amdahl_ceiling = amount(row, "amdahl_ceiling");
  return out;
}

LoadPoint load_point(const JsonRow& row) {
  LoadPoint out;
  out.n_sessions = row.integer("sessions");
  out.n_threads_per_session = row.integer("threads_per_session");
  out.answers_per_s = amount(row, "answers_per_s");
  const JsonRow first = row.row("ttft_ms"), answer = row.row("answer_ms");
  out.first_token_ms = amount(first, "median");
  out.first_token_p90_ms = amount(first, "p90");
  out.answer_ms = amount(answer, "median");
  out.answer_p90_ms = amount(answer, "p90");
  out.kv_bytes = amount(row, "kv_bytes");
  out.peak_rss_bytes = amount(row, "peak_rss_bytes");
  return out;
}

BenchConfiguration configuration_of(const JsonRow& row) {
  BenchConfiguration out;
  out.name = row.text("name");
  out.prompt_tokens = amount(row, "prompt_tokens");
  const JsonRow stages = row.row("stage_ms");
  for (const char* stage : {"image", "tower", "projector", "select", "gather", "prefill", "decode"})
    out.stage_ms[stage] = amount(stages.row(stage), "median");
  out.first_token_ms = spread_in(row.row("ttft_ms"));
  out.first_token_speedup = amount(row, "ttft_speedup");
  out.decode_tokens_per_s = amount(row, "decode_tokens_per_s");
  if (row.has("prefill_flops")) out.own = own_costs(row);  // not of the peer
  if (!row.has("load")) return out;
  for (std::size_t i = 0; i < list_size(row, "load"); ++i) out.load.push_back(load_point(row.row("load", i)));
  return out;
}

}  // namespace

BenchFile read_bench(const std::string& path) {
  const record::Json json = record::read_json(path);
  const JsonRow file(json, path);
  BenchFile out;
  out.winnow = file.text("winnow");
  out.model = file.text("model");
  out.backend = file.text("backend");
  out.n_threads = file.integer("threads");
  out.n_repetitions = file.integer("repetitions");
  out.n_warmup = file.integer("warmup");
  out.n_decode = file.integer("decode_tokens");
  out.peak_rss_bytes = amount(file, "peak_rss_bytes");
  const std::size_t n = list_size(file, "configurations");
  WINNOW_CHECK(n > 0, Corrupt, kWhere, "{}: configurations, got none, expected at least one", path);
  for (std::size_t i = 0; i < n; ++i)
    out.configurations.push_back(configuration_of(file.row("configurations", i)));
  WINNOW_CHECK(out.configurations.front().own, Corrupt, kWhere,
               "{}: configurations[0]: field 'prefill_flops' is missing, expected the unpruned model first",
               path);
  return out;
}

}  // namespace winnow::report
