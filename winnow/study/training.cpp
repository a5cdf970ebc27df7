// Compression built into training against pruning afterwards, at equal decoder tokens (section 7, Table 8).

#include <fmt/ranges.h>

#include <algorithm>

#include "winnow/base/error.h"
#include "winnow/base/table.h"
#include "winnow/scenes/question.h"
#include "winnow/study/study.h"

namespace winnow::study {
namespace {

constexpr int64_t kQuestions = 30;
const std::string kPlain = "plain";  // the model without compression in its training
const std::vector<std::string> kAfterwards = {"random", "grid", "pooling", "divprune", "fastervlm", "fastv"};
/// Reductions of the paper's Table 8: 66.7, 77.8 and 88.9 %.
const std::vector<std::string> kNominal = {"33.3%", "22.2%", "11.1%"};

struct Loaded {
  std::string name;
  std::shared_ptr<const engine::Model> model;
  std::string keep;  ///< visual tokens at which it is compared with the plain model
  bool merges = false;
};

std::vector<Loaded> load_variants(const Lab& lab) {
  std::vector<Loaded> out;
  for (const Variant& variant : lab.options().variants) {
    engine::ModelOptions files = lab.model().options();
    files.text_path = variant.text;
    files.mmproj_path = variant.mmproj;
    Loaded one{variant.name, engine::Model::load(files), "", false};
    one.merges = sweep::tacr(*one.model) > 1;
    one.keep = fmt::format("{}", one.merges ? one.model->grid().size() : lab.model().grid().size() / 4);
    out.push_back(std::move(one));
  }
  return out;
}

Ask asked(std::vector<std::string> methods, std::vector<std::string> keeps,
          const std::string& budget = "exact") {
  return {scenes::benchmarks(), std::move(methods), std::move(keeps), kQuestions, false, budget};
}

/// The rows of a model's run beside those of the others, its configurations under names of their own.
void join(record::Run& all, record::Run run, const std::string& model, const std::string& note = "") {
  const auto name = [&](const std::string& config) { return fmt::format("{}: {}{}", model, config, note); };
  std::vector<record::ConfigurationPart> configurations = std::move(all.header.configurations);
  for (record::ConfigurationPart& c : run.header.configurations) {
    c.name = name(c.name);
    configurations.push_back(std::move(c));
  }
  for (record::ResultRow& row : run.rows) {
    row.config = name(row.config);
    all.rows.push_back(std::move(row));
  }
  all.header = std::move(run.header);  // benchmarks, convention: the same in all of them
  all.header.configurations = std::move(configurations);
}

record::Run all_runs(const Lab& lab, const std::vector<Loaded>& variants,
                     std::vector<std::string>& left_out) {
  std::vector<std::string> keeps, methods = {"none"};
  methods.insert(methods.end(), kAfterwards.begin(), kAfterwards.end());
  for (const Loaded& variant : variants) {
    if (std::find(keeps.begin(), keeps.end(), variant.keep) == keeps.end()) keeps.push_back(variant.keep);
  }
  record::Run all;
  join(all, answered(lab.run("training/" + kPlain, asked(methods, keeps)), left_out), kPlain);
  for (const Loaded& v : variants) {
    const std::string folder = "training/" + v.name;
    join(all, answered(lab.run(folder + "/unpruned", asked({"none"}, {"auto"}), v.model), left_out), v.name);
    if (v.merges) {
      join(all, answered(lab.run(folder + "/nominal", asked({"fastv"}, kNominal), v.model), left_out),
           v.name);
      join(all, answered(lab.run(folder + "/trr", asked({"fastv"}, kNominal, "trr"), v.model), left_out),
           v.name, " TRR");
    } else {
      join(all, answered(lab.run(folder + "/pruned", asked(kAfterwards, {v.keep}), v.model), left_out),
           v.name);
    }
  }
  return all;
}

/// Of a model's configurations with that budget the one of the best average.
std::string best_of(const eval::Comparison& comparison, const std::string& model, const std::string& keep) {
  const eval::Average* best = nullptr;
  for (const eval::Average& average : comparison.averages) {
    if (!average.config.starts_with(model + ": ") || eval::budget_of(average.config) != keep) continue;
    if (best == nullptr || average.relative.value > best->relative.value) best = &average;
  }
  WINNOW_CHECK(best != nullptr, InvalidArgument, "study.training", "no configuration of {} at {}", model,
               keep);
  return best->config;
}

std::string result_table(const eval::Comparison& comparison) {
  Table table{{"model: configuration", "tokens, mean over layers"}, {}};
  for (const eval::BenchmarkResult& b : comparison.benchmarks) table.columns.push_back(b.name);
  table.columns.emplace_back("average, % of plain unpruned");
  for (const eval::Average& average : comparison.averages) {
    std::vector<std::string> row = {average.config,
                                    fmt::format("{:.3g}", mean_tokens(comparison, average.config))};
    for (const eval::BenchmarkResult& b : comparison.benchmarks)
      row.push_back(fmt::format("{:.1f}", eval::result_of(b, average.config).value.value));
    row.push_back(text_of(average_of(comparison, average.config)));
    table.rows.push_back(std::move(row));
  }
  return to_string(table, TableFormat::Markdown);
}

}  // namespace

Section training(const Lab& lab) {
  WINNOW_CHECK(!lab.options().variants.empty(), InvalidArgument, "study.training",
               "variants, got none, expected --variant NAME=TEXT.gguf,MMPROJ.gguf: a model with compression "
               "in its training "
               "(docs/model.md has the commands that make some)");
  const std::vector<Loaded> variants = load_variants(lab);
  std::vector<std::string> left_out;
  const record::Run all = all_runs(lab, variants, left_out);
  const eval::Comparison comparison = lab.compare(all, kPlain + ": none");
  Section section;
  int n_higher = 0, n_lower = 0;
  for (const Loaded& v : variants) {
    const std::string own = v.merges ? v.name + ": none" : best_of(comparison, v.name, v.keep);
    const std::string other = best_of(comparison, kPlain, v.keep);
    const eval::Interval d = average_difference(comparison, own, other);
    n_higher += eval::verdict(d) == "higher" ? 1 : 0;
    n_lower += eval::verdict(d) == "lower" ? 1 : 0;
    section.answer += fmt::format(
        "With {} tokens {} is {} % of the unpruned score from the best pruning afterwards ({}): {}. ", v.keep,
        own, signed_text_of(d), other, eval::verdict(d));
    if (!v.merges) continue;
    const std::string nominal = fmt::format("{}: fastv @ {}", v.name, kNominal.back());
    section.answer += fmt::format(
        "FastV at a nominal 88.9 % on it keeps {} %, and {} % when the training's merge is counted in "
        "(TRR). ",
        text_of(average_of(comparison, nominal)), text_of(average_of(comparison, nominal + " TRR")));
  }
  section.answer = claim_text(n_higher > 0 && n_lower == 0, n_lower > 0 && n_higher == 0) + section.answer;
  std::vector<std::string> facts;
  for (const Loaded& v : variants)
    facts.push_back(fmt::format("{} has {} visual tokens and a TACR of {}", v.name, v.model->grid().size(),
                                sweep::tacr(*v.model)));
  section.body = fmt::format(
      "The plain model has {} visual tokens; {}. Budgets of a variant count its own tokens.\n\n{}",
      lab.model().grid().size(), fmt::join(facts, "; "), result_table(comparison));
  section.body += left_out_text(left_out);
  return section;
}

}  // namespace winnow::study
