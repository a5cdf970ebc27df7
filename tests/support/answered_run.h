#pragma once

// Runs made by hand: a text of the questions' scores for each configuration, '1' right, '0' wrong, 'x'
// failed.

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "winnow/record/run_folder.h"

namespace winnow::test {

using Answers = std::vector<std::pair<std::string, std::string>>;  // configuration, its questions

inline std::string times(const std::string& text, int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += text;
  return out;
}

/// Adds a benchmark. 16 visual tokens and 9 ms unpruned ("none"), 4 tokens and 3 ms otherwise; every question
/// is a group.
inline void add_answers(record::Run& run, const std::string& benchmark, const Answers& answers) {
  run.header.convention = "llava";
  run.header.benchmarks.push_back({benchmark, "", std::ssize(answers[0].second), "x"});
  run.header.configurations.clear();
  for (const auto& [config, scores] : answers) {
    const bool unpruned = config == "none";
    run.header.configurations.push_back({config, config, ""});
    for (std::size_t i = 0; i < scores.size(); ++i) {
      record::ResultRow row;
      row.benchmark = benchmark;
      row.index = static_cast<int64_t>(i);
      row.question_id = row.group = std::to_string(i);
      row.config = config;
      row.category = "c";
      row.answer = "yes";
      row.score = scores[i] == '1' ? 1.0 : 0.0;
      row.n_visual_before = 16;
      row.n_visual_after = unpruned ? 16 : 4;
      row.n_visual_average = row.n_visual_after;
      row.stage_ms.prefill = unpruned ? 9.0 : 3.0;
      if (scores[i] == 'x') row.error = "no such signal";
      run.rows.push_back(row);
    }
  }
}

}  // namespace winnow::test
