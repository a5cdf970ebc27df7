#include "winnow/report/examples.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "winnow/base/error.h"

namespace winnow::report {
namespace {

using record::ResultRow;
using Rows = std::vector<const ResultRow*>;  // of one question

constexpr double kRight = 0.5;

/// Something was dropped, of one picture.
bool shows_kept(const ResultRow& row) {
  return !row.failed() && row.kept_maps && row.kept_maps->size() == 1 &&
         row.n_visual_after < row.n_visual_before;
}

int64_t disagreement(const Rows& rows) {
  const int64_t right =
      std::count_if(rows.begin(), rows.end(), [](const ResultRow* r) { return r->score >= kRight; });
  return std::min(right, std::ssize(rows) - right);
}

/// The benchmark's questions that can be shown, the most disputed first.
std::vector<Rows> questions_of(const record::Run& run, const std::string& benchmark) {
  std::map<int64_t, Rows> by_index;
  for (const ResultRow& row : run.rows) {
    if (row.benchmark == benchmark) by_index[row.index].push_back(&row);
  }
  std::vector<Rows> out;
  for (auto& [index, rows] : by_index) {
    if (std::any_of(rows.begin(), rows.end(), [](const ResultRow* r) { return shows_kept(*r); }))
      out.push_back(std::move(rows));
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Rows& a, const Rows& b) { return disagreement(a) > disagreement(b); });
  return out;
}

ExampleAnswer answer_of(const ResultRow& row) {
  ExampleAnswer out;
  out.config = row.config;
  out.prediction = row.failed() ? row.error : row.prediction;
  out.score = row.score;
  out.is_right = !row.failed() && row.score >= kRight;
  out.n_kept = row.n_visual_after;
  if (row.kept_maps && row.kept_maps->size() == 1) out.maps = row.kept_maps->front();
  return out;
}

Example example_of(const record::RunHeader& header, const Rows& rows) {
  const ResultRow& first = *rows.front();
  Example out;
  out.benchmark = first.benchmark;
  out.question_id = first.question_id;
  out.prompt = first.prompt;
  out.answer = first.answer;
  for (const auto& c : header.configurations) {
    for (const ResultRow* row : rows) {
      if (row->config == c.name) out.answers.push_back(answer_of(*row));
    }
  }
  return out;
}

void add_pictures_of(const record::Run& run, const record::BenchmarkPart& part, const std::string& folder,
                     const PictureSource& source, std::vector<Example>& examples) {
  const auto of_this = [&](const Example& e) { return e.benchmark == part.name; };
  if (std::none_of(examples.begin(), examples.end(), of_this)) return;
  const auto questions =
      questions_by_id(run.header, part, data_folder(run.header, part, folder, source.data));
  for (Example& example : examples) {
    if (!of_this(example)) continue;
    const auto found = questions.find(example.question_id);
    WINNOW_CHECK(found != questions.end() && found->second.images.size() == 1 &&
                     found->second.answers.front() == example.answer,
                 NotFound, "report.examples",
                 "the data have no question {} with the answer '{}' and one picture", example.question_id,
                 example.answer);
    example.picture = source.make(found->second.images.front());
  }
}

}  // namespace

std::vector<Example> choose_examples(std::span<const record::Run> runs, int32_t n) {
  struct Source {
    const record::RunHeader* header;
    std::vector<Rows> questions;
  };
  std::vector<Source> sources;
  for (const record::Run& run : runs) {
    for (const auto& part : run.header.benchmarks)
      sources.push_back({&run.header, questions_of(run, part.name)});
  }
  std::vector<Example> out;
  for (std::size_t round = 0; std::ssize(out) < n; ++round) {
    bool any = false;
    for (const Source& source : sources) {
      if (round >= source.questions.size() || std::ssize(out) >= n) continue;
      out.push_back(example_of(*source.header, source.questions[round]));
      any = true;
    }
    if (!any) break;
  }
  return out;
}

std::vector<std::string> add_pictures(std::span<const record::Run> runs, const PictureSource& source,
                                      std::vector<Example>& examples) {
  std::vector<std::string> problems;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const auto& part : runs[i].header.benchmarks) {
      try {
        add_pictures_of(runs[i], part, source.run_folders[i], source, examples);
      } catch (const Error& error) {  // the report has its numbers without them
        problems.push_back(fmt::format("{}: {}", part.name, error.what()));
      }
    }
  }
  return problems;
}

}  // namespace winnow::report
