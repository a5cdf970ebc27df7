// Do FLOPs, tokens, cache bytes and seconds agree? (section 7, Table 7)

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "winnow/base/error.h"
#include "winnow/base/table.h"
#include "winnow/study/study.h"

namespace winnow::study {
namespace {

using sweep::Latency;

const std::string kKeep = "11.1%";  // the paper's 320 of 2,880
const std::vector<std::string> kMethods = {"random",      "resize",   "fastervlm", "divprune",
                                           "cdpruner",    "tome",     "fastv",     "sparsevlm",
                                           "pyramiddrop", "mustdrop", "dart"};
constexpr int32_t kRepetitions = 15;
/// Four steps that halve, and one step that gives the layers as many tokens in the mean.
const std::string kFour = "then(fastv@2, fastv@3, fastv@4, fastv@5)";
const std::string kFourKeeps = "50%,50%,50%,50%";

/// What is measured, and which two of it are set against each other.
struct Plan {
  struct Contrast {
    std::string text;
    std::size_t changed = 0, base = 0;  // of cases
  };
  std::vector<sweep::LatencyCase> cases;
  std::size_t n_methods = 0;  ///< the first ones; behind them the same again with another attention
  std::vector<Contrast> contrasts;
  std::vector<std::string> left_out;
};

/// Adds a configuration and returns its visual tokens, mean over the layers; nothing, with the reason in
/// left_out, when the model cannot run it.
std::optional<double> add(const Lab& lab, const std::string& method, const std::string& keep,
                          const std::string& budget, Plan& plan) {
  sweep::ConfigurationRequest request;
  request.methods = {method};
  request.keeps = {keep};
  request.budget = budget;
  try {
    sweep::Configuration c = sweep::configurations(request, lab.model()).front();
    sweep::LatencyOptions once = lab.latency_options(1);
    once.n_warmup = 0;
    const sweep::LatencyCase one{c.name, std::move(c.prune)};
    const auto tried =
        sweep::measure(lab.shared_model(), sweep::default_picture(lab.model()), {&one, 1}, once);
    plan.cases.push_back(one);
    return tried.front().n_visual_average;
  } catch (const Error& error) {
    plan.left_out.push_back(fmt::format("{} @ {} ({})", method, keep, error.what()));
    return std::nullopt;
  }
}

/// A configuration of the plan with fused and with materialised attention.
void add_attention(const std::string& name, const char* text, Plan& plan) {
  const auto found = std::find_if(plan.cases.begin(), plan.cases.end(),
                                  [&](const sweep::LatencyCase& one) { return one.name == name; });
  if (found == plan.cases.end()) return;
  sweep::LatencyCase fused = *found, materialised = *found;
  fused.flash = engine::FlashAttention::On;
  fused.name += ", fused attention";
  materialised.flash = engine::FlashAttention::Off;
  materialised.name += ", materialised attention";
  plan.cases.push_back(std::move(fused));
  plan.cases.push_back(std::move(materialised));
  plan.contrasts.push_back({text, plan.cases.size() - 1, plan.cases.size() - 2});
}

Plan plan_for(const Lab& lab) {
  Plan plan;
  add(lab, "none", "auto", "exact", plan);
  for (const std::string& method : lab.runnable(kMethods, plan.left_out)) {
    if (!add(lab, method, kKeep, "exact", plan)) add(lab, method, "25%", "exact", plan);
  }
  if (const auto mean = add(lab, kFour, kFourKeeps, "exact", plan)) {
    const std::size_t four = plan.cases.size() - 1;
    if (add(lab, "fastv", fmt::format("{}", static_cast<int64_t>(*mean)), "average", plan))
      plan.contrasts.push_back(
          {"Four steps against one with as many tokens in the mean", four, plan.cases.size() - 1});
  }
  plan.n_methods = plan.cases.size();
  add_attention("none", "Materialised against fused attention, unpruned", plan);
  add_attention(eval::config_name("fastv", kKeep), "Materialised against fused attention, with FastV", plan);
  return plan;
}

double flops_of(const Latency& l) { return l.encode_flops + l.prefill_flops; }

std::string cost_table(const std::vector<Latency>& list) {
  const Latency& base = list.front();
  Table table{{"configuration", "tokens behind the last step", "tokens, mean over layers, %", "FLOPs, %",
               "decoder's FLOPs, %", "cache bytes, %", "select ms", "prefill ms",
               "first token ms [quartiles]", "first token, %", "realised / ideal"},
              {}};
  for (const Latency& l : list) {
    const auto percent = [](double value, double of) { return fmt::format("{:.1f}", 100.0 * value / of); };
    const double ideal = flops_of(base) / flops_of(l),
                 realised = base.first_token_ms.median / l.first_token_ms.median;
    table.rows.push_back({l.name, fmt::format("{}", l.n_visual_after),
                          percent(l.n_visual_average, base.n_visual_average),
                          percent(flops_of(l), flops_of(base)), percent(l.prefill_flops, base.prefill_flops),
                          percent(static_cast<double>(l.kv_bytes), static_cast<double>(base.kv_bytes)),
                          fmt::format("{:.2f}", l.ms.select), fmt::format("{:.1f}", l.ms.prefill),
                          fmt::format("{:.1f} [{:.1f} {:.1f}]", l.first_token_ms.median, l.first_token_ms.low,
                                      l.first_token_ms.high),
                          percent(l.first_token_ms.median, base.first_token_ms.median),
                          fmt::format("{:.2f}", realised / ideal)});
  }
  return to_string(table, TableFormat::Markdown);
}

/// Pairs of which the one with fewer FLOPs is slower, by more than both quartile ranges.
std::vector<std::string> contradictions(const std::vector<Latency>& list) {
  std::vector<std::string> out;
  for (const Latency& a : list) {
    for (const Latency& b : list) {
      if (flops_of(a) < 0.99 * flops_of(b) && a.first_token_ms.low > b.first_token_ms.high)
        out.push_back(fmt::format("{} has {:.0f} % of the FLOPs of {} and takes {:.0f} % of its time", a.name,
                                  100.0 * flops_of(a) / flops_of(b), b.name,
                                  100.0 * a.first_token_ms.median / b.first_token_ms.median));
    }
  }
  return out;
}

std::string change_text(const Latency& a, const Latency& b) {
  const bool apart =
      a.first_token_ms.low > b.first_token_ms.high || a.first_token_ms.high < b.first_token_ms.low;
  return fmt::format("{:+.1f} % ({})", 100.0 * (a.first_token_ms.median / b.first_token_ms.median - 1.0),
                     apart ? "the quartiles are apart" : "the quartiles overlap");
}

}  // namespace

Section latency(const Lab& lab) {
  const Plan plan = plan_for(lab);
  const sweep::LatencyOptions options = lab.latency_options(kRepetitions);
  const std::vector<Latency> list =
      sweep::measure(lab.shared_model(), sweep::default_picture(lab.model()), plan.cases, options);
  const std::vector<std::string> wrong =
      contradictions({list.begin(), list.begin() + static_cast<int64_t>(plan.n_methods)});
  Section section;
  section.answer = claim_text(!wrong.empty(), wrong.empty());
  section.answer += wrong.empty()
                        ? "No configuration with fewer FLOPs is slower than one with more, beyond the spread."
                        : fmt::format("In {} pairs the one with fewer FLOPs is slower; for example, {}.",
                                      wrong.size(), wrong.front());
  for (const Plan::Contrast& contrast : plan.contrasts)
    section.answer +=
        fmt::format(" {}: {}.", contrast.text, change_text(list[contrast.changed], list[contrast.base]));
  const Latency& base = list.front();
  const double encode_ms = base.ms.image + base.ms.tower + base.ms.projector;
  section.body = fmt::format(
      "Everything in percent of the unpruned model, {} repetitions in turns, medians. Pictures, tower and "
      "projector take {:.1f} of {:.1f} ms, so no pruning behind them can be faster than {:.2f} x (Amdahl). "
      "Realised / "
      "ideal: the measured speed-up of the first token over that of the counted FLOPs.\n\n{}{}",
      options.n_repetitions, encode_ms, base.first_token_ms.median, base.first_token_ms.median / encode_ms,
      cost_table(list), left_out_text(plan.left_out));
  return section;
}

}  // namespace winnow::study
