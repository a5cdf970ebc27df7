#pragma once

// Runs made by hand: one benchmark, '1' a right answer, '0' a wrong one.

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/record/run_fixture.h"
#include "tests/support/answered_run.h"
#include "winnow/record/run_folder.h"

namespace winnow::test {

/// 16 tokens a picture; "NAME @ 25%" keeps 4, "NAME @ 50%" 8.
inline int32_t tokens_of(const std::string& config) {
  return config.ends_with("25%") ? 4 : config.ends_with("50%") ? 8 : 16;
}

inline record::Run answered_run(const std::string& benchmark, const Answers& answers) {
  record::Run run;
  run.header = small_header();
  run.header.benchmarks = {{benchmark, "", std::ssize(answers[0].second), "cc"}};
  run.header.configurations.clear();
  run.header.parameters = {{"image_fit", "pad"}, {"budget", "exact"}};
  for (const auto& [config, scores] : answers)
    run.header.configurations.push_back({config, config.substr(0, config.find(" @ ")) + "@tower", ""});
  for (std::size_t i = 0; i < answers[0].second.size(); ++i) {
    for (const auto& [config, scores] : answers) {
      record::ResultRow row = small_row(benchmark, static_cast<int64_t>(i), config);
      row.group = row.question_id;
      row.category = "c";
      row.prompt = "<image>\nIs it so?";
      row.score = scores[i] == '1' ? 1.0 : 0.0;
      row.n_visual_before = 16;
      row.n_visual_after = tokens_of(config);
      row.n_visual_average = row.n_visual_after;
      run.rows.push_back(row);
    }
  }
  return run;
}

/// 100 questions: none answers 80, fastv loses 30 and gains 5, random loses and gains 2.
inline record::Run gqa_run() {
  return answered_run("gqa",
                      {{"none", times("1", 80) + times("0", 20)},
                       {"random @ 25%", times("1", 78) + times("0", 2) + times("1", 2) + times("0", 18)},
                       {"fastv @ 25%", times("1", 50) + times("0", 30) + times("1", 5) + times("0", 15)}});
}

/// As `winnow eval` writes it.
inline std::string write_run(const record::Run& run, const std::string& folder) {
  std::filesystem::create_directories(folder);
  record::RunWriter writer(folder, run.header);
  for (const record::ResultRow& row : run.rows) writer.append(row);
  return folder;
}

/// A configuration of `winnow bench --json`, as far as the numbers matter.
inline std::string bench_row(const std::string& name, double after, double flops, double prefill_ms) {
  std::string stages;
  for (const char* stage : {"image", "tower", "projector", "select", "gather", "decode"})
    stages += fmt::format("\"{}\":{{\"median\":1,\"q1\":1,\"q3\":1}},", stage);
  stages += fmt::format("\"prefill\":{{\"median\":{0},\"q1\":{0},\"q3\":{0}}}", prefill_ms);
  return fmt::format(
      R"({{"name":"{}","prompt_tokens":20,"stage_ms":{{{}}},"ttft_ms":{{"median":{},"q1":1,"q3":99}},)"
      R"("decode_tokens_per_s":10,"ttft_speedup":2,"visual_tokens":{{"before":16,"after":{},"layer_average":{}}},)"
      R"("prefill_flops":{},"tower_flops":50,"kv_bytes":{},"kv_bytes_unpruned":1600,"prefill_speedup":)"
      R"({{"realised":1.5,"ideal_flops":2,"ideal_tokens":2.5,"realised_share":0.75,"realised_share_of_tokens":0.6}},)"
      R"("amdahl_ceiling":3)",
      name, stages, prefill_ms + 5.0, after, after, flops, after * 100.0);
}

/// none, random and fastv; `load` stands behind the last one's fields, such as ",\"load\":[...]".
inline std::string bench_text(const std::string& load = "") {
  return R"({"winnow":"0.1.0","model":"text.gguf","backend":"cpu","threads":2,"repetitions":3,"warmup":1,)"
         R"("decode_tokens":16,"peak_rss_bytes":1000,"configurations":[)" +
         bench_row("none", 16, 100, 35) + "}," + bench_row("random @ 25%", 4, 30, 10) + "}," +
         bench_row("fastv @ 25%", 4, 40, 15) + load + "}]}";
}

}  // namespace winnow::test
