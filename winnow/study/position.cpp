// Where FastV's kept tokens lie, and what an even spread changes. (section 4.2, Table 4)

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>

#include "winnow/base/table.h"
#include "winnow/eval/bootstrap.h"
#include "winnow/study/study.h"

namespace winnow::study {
namespace {

constexpr std::size_t kQuarters = 4;
using Quarters = std::array<double, kQuarters>;

const std::vector<std::string> kMethods = {"fastv", "window_fastv", "fastv_vis", "fastervlm", "random"};
const std::string kKeep = "25%", kHard = "11.1%";
const std::string kGrounding = "22.2%";  // as the paper's Table 4

/// Share of the kept tokens in each quarter of the image's sequence, percent.
Quarters quarters_of(const record::ResultRow& row) {
  Quarters out{};
  const auto n_images = static_cast<int32_t>(row.kept->size());
  const int32_t n_per_image = row.n_visual_before / std::max(n_images, 1);
  double n_kept = 0.0;
  for (const std::vector<int32_t>& kept : *row.kept) {
    for (const int32_t token : kept) {
      const auto quarter =
          static_cast<std::size_t>(token) * kQuarters / static_cast<std::size_t>(n_per_image);
      out[std::min(quarter, kQuarters - 1)] += 1.0;
      n_kept += 1.0;
    }
  }
  for (double& share : out) share *= 100.0 / std::max(n_kept, 1.0);
  return out;
}

/// Mean over the questions with the interval of a bootstrap over them.
eval::Interval mean_of(const std::vector<double>& shares, const eval::BootstrapOptions& options) {
  std::vector<std::vector<eval::ScoredRow>> rows(1);
  for (std::size_t i = 0; i < shares.size(); ++i) {
    eval::ScoredRow row;
    row.id = row.group = fmt::format("{}", i);
    row.score.value = shares[i] / 100.0;
    rows[0].push_back(std::move(row));
  }
  const eval::Resamples r = eval::resample(eval::mean_headline(), rows, options);
  return eval::percentile_interval(r.value[0], r.draws[0]);
}

struct Histogram {
  std::array<eval::Interval, kQuarters> share;
  int64_t n = 0;
};

Histogram histogram_of(const record::Run& run, const std::string& name,
                       const eval::BootstrapOptions& options) {
  std::array<std::vector<double>, kQuarters> shares;
  for (const record::ResultRow& row : run.rows) {
    if (row.config != name || !row.kept) continue;
    const Quarters quarters = quarters_of(row);
    for (std::size_t q = 0; q < kQuarters; ++q) shares[q].push_back(quarters[q]);
  }
  Histogram out;
  out.n = std::ssize(shares[0]);
  for (std::size_t q = 0; q < kQuarters && out.n > 0; ++q) out.share[q] = mean_of(shares[q], options);
  return out;
}

std::string histogram_table(const std::map<std::string, Histogram>& histograms) {
  Table table{{"method", "questions", "first quarter", "second", "third", "last quarter"}, {}};
  for (const std::string& method : kMethods) {
    const Histogram& h = histograms.at(method);
    std::vector<std::string> row = {method, fmt::format("{}", h.n)};
    for (const eval::Interval& share : h.share) row.push_back(text_of(share));
    table.rows.push_back(std::move(row));
  }
  return to_string(table, TableFormat::Markdown);
}

/// The paper counted over 8,910 questions of POPE.
record::Run kept_tokens(const Lab& lab) {
  return lab.run("position/kept", {{"pope"}, kMethods, {kKeep}, 2000, true});
}

record::Run accuracy(const Lab& lab) {
  return lab.run(
      "position/accuracy",
      {{"pope", "gqa", "textvqa"}, {"none", "fastv", "window_fastv", "random"}, {kKeep, kHard}, 150});
}

record::Run grounded(const Lab& lab) {
  return lab.run(
      "position/grounding",
      {{"refcoco"}, {"none", "fastv", "window_fastv", "random", "pooling", "sparsevlm"}, {kGrounding}, 150});
}

}  // namespace

Section position(const Lab& lab) {
  const eval::BootstrapOptions& bootstrap = lab.options().bootstrap;
  const record::Run kept = kept_tokens(lab), answers = accuracy(lab), grounding = grounded(lab);
  std::map<std::string, Histogram> histograms;
  for (const std::string& method : kMethods)
    histograms[method] = histogram_of(kept, eval::config_name(method, kKeep), bootstrap);
  const eval::Comparison spread = lab.compare(answers), boxes = lab.compare(grounding);

  const eval::Interval last = histograms.at("fastv").share[kQuarters - 1];
  const bool end = last.low > 25.0, start = last.high < 25.0;
  Section section;
  const std::string windows = eval::verdict(average_difference(
      spread, eval::config_name("window_fastv", kHard), eval::config_name("fastv", kHard)));
  section.answer = claim_text(end && windows == "higher", start || windows == "lower");
  section.answer += fmt::format(
      "FastV keeps {} % of its tokens in the last quarter of the image, where an even spread has 25: a "
      "preference for the end is {}. ",
      text_of(last),
      end     ? "shown"
      : start ? "refuted (it avoids the end)"
              : "not shown");
  for (const std::string& keep : {kKeep, kHard}) {
    const eval::Interval d =
        average_difference(spread, eval::config_name("window_fastv", keep), eval::config_name("fastv", keep));
    section.answer += fmt::format("At {} windows change FastV's average by {} % of the unpruned score: {}. ",
                                  keep, signed_text_of(d), eval::verdict(d));
  }
  const eval::Interval d = average_difference(boxes, eval::config_name("random", kGrounding),
                                              eval::config_name("fastv", kGrounding));
  section.answer += fmt::format("On boxes at {} random choice is {} % of the unpruned score from FastV: {}.",
                                kGrounding, signed_text_of(d), eval::verdict(d));
  section.body = fmt::format(
      "Kept tokens by quarter of the image in raster order (rows from top to bottom), percent, POPE's "
      "pictures, {} kept:\n\n{}\n{}\n{}",
      kKeep, histogram_table(histograms), against_table(spread, "fastv"), against_table(boxes, "fastv"));
  return section;
}

}  // namespace winnow::study
