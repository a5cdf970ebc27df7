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

/// A configuration, or nothing with the reason when the model cannot run it.
std::optional<sweep::LatencyCase> case_of(const Lab& lab, const std::string& method, const std::string& keep,
                                          const std::string& budget, std::vector<std::string>& left_out) {
  sweep::ConfigurationRequest request;
  request.methods = {method};
  request.keeps = {keep};
  request.budget = budget;
  try {
    sweep::Configuration c = sweep::configurations(request, lab.model()).front();
    sweep::LatencyOptions once = lab.latency_options(kRepetitions);
    once.n_repetitions = 1;
    once.n_warmup = 0;
    const sweep::LatencyCase out{c.name, std::move(c.prune)};
    sweep::measure(lab.shared_model(), sweep::default_picture(lab.model()), {&out, 1}, once);
    return out;
  } catch (const Error& error) {
    left_out.push_back(fmt::format("{} @ {} ({})", method, keep, error.what()));
    return std::nullopt;
  }
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
    const double ideal = flops_of(base) / flops_of(l), realised = base.first_token_ms / l.first_token_ms;
    table.rows.push_back(
        {l.name, fmt::format("{}", l.n_visual_after), percent(l.n_visual_average, base.n_visual_average),
         percent(flops_of(l), flops_of(base)), percent(l.prefill_flops, base.prefill_flops),
         percent(static_cast<double>(l.kv_bytes), static_cast<double>(base.kv_bytes)),
         fmt::format("{:.2f}", l.ms.select), fmt::format("{:.1f}", l.ms.prefill),
         fmt::format("{:.1f} [{:.1f} {:.1f}]", l.first_token_ms, l.first_token_low, l.first_token_high),
         percent(l.first_token_ms, base.first_token_ms), fmt::format("{:.2f}", realised / ideal)});
  }
  return to_string(table, TableFormat::Markdown);
}

/// Pairs of which the one with fewer FLOPs is slower, by more than both quartile ranges.
std::vector<std::string> contradictions(const std::vector<Latency>& list) {
  std::vector<std::string> out;
  for (const Latency& a : list) {
    for (const Latency& b : list) {
      if (flops_of(a) < 0.99 * flops_of(b) && a.first_token_low > b.first_token_high)
        out.push_back(fmt::format("{} has {:.0f} % of the FLOPs of {} and takes {:.0f} % of its time", a.name,
                                  100.0 * flops_of(a) / flops_of(b), b.name,
                                  100.0 * a.first_token_ms / b.first_token_ms));
    }
  }
  return out;
}

std::string change_text(const Latency& a, const Latency& b) {
  const bool apart = a.first_token_low > b.first_token_high || a.first_token_high < b.first_token_low;
  return fmt::format("{:+.1f} % ({})", 100.0 * (a.first_token_ms / b.first_token_ms - 1.0),
                     apart ? "the quartiles are apart" : "the quartiles overlap");
}

}  // namespace

Section latency(const Lab& lab) {
  std::vector<std::string> left_out;
  std::vector<sweep::LatencyCase> cases;
  const auto add = [&](const std::string& method, const std::string& keep,
                       const std::string& budget = "exact") {
    auto one = case_of(lab, method, keep, budget, left_out);
    if (one) cases.push_back(std::move(*one));
    return one.has_value();
  };
  add("none", "auto");
  std::vector<std::string> unrunnable;
  for (const std::string& method : lab.runnable(kMethods, left_out)) {
    if (!add(method, kKeep)) add(method, "25%");
  }
  const sweep::LatencyOptions options = lab.latency_options(kRepetitions);
  const engine::Image picture = sweep::default_picture(lab.model());
  std::size_t i_four = 0, i_one = 0;
  if (add(kFour, kFourKeeps)) {
    i_four = cases.size() - 1;
    sweep::LatencyOptions once = options;
    once.n_repetitions = 1;
    const double mean =
        sweep::measure(lab.shared_model(), picture, {&cases.back(), 1}, once).front().n_visual_average;
    if (add("fastv", fmt::format("{}", static_cast<int64_t>(mean)), "average")) i_one = cases.size() - 1;
  }
  const std::size_t i_plain = cases.size();
  for (const char* method : {"none", "fastv"}) {
    for (const auto& [flash, word] :
         {std::pair{engine::FlashAttention::On, "fused"}, {engine::FlashAttention::Off, "materialised"}}) {
      sweep::LatencyCase one =
          *case_of(lab, method, method == std::string("none") ? "auto" : kKeep, "exact", left_out);
      one.flash = flash;
      one.name += fmt::format(", {} attention", word);
      cases.push_back(std::move(one));
    }
  }
  const std::vector<Latency> list = sweep::measure(lab.shared_model(), picture, cases, options);
  const std::vector<std::string> wrong =
      contradictions({list.begin(), list.begin() + static_cast<int64_t>(i_plain)});
  Section section;
  section.answer = claim_text(!wrong.empty(), wrong.empty());
  section.answer +=
      wrong.empty() ? "No configuration with fewer FLOPs is slower than one with more, beyond the spread. "
                    : fmt::format("In {} pairs the one with fewer FLOPs is slower; for example, {}. ",
                                  wrong.size(), wrong.front());
  if (i_four > 0 && i_one > 0)
    section.answer += fmt::format("Four steps against one with as many tokens in the mean: {}. ",
                                  change_text(list[i_four], list[i_one]));
  section.answer += fmt::format("Materialised against fused attention: unpruned {}, with FastV {}.",
                                change_text(list[i_plain + 1], list[i_plain]),
                                change_text(list[i_plain + 3], list[i_plain + 2]));
  const Latency& base = list.front();
  const double encode_ms = base.ms.image + base.ms.tower + base.ms.projector;
  section.body = fmt::format(
      "Everything in percent of the unpruned model, {} repetitions in turns, medians. Pictures, tower and "
      "projector take {:.1f} of {:.1f} ms, so no "
      "pruning behind them can be faster than {:.2f} x (Amdahl). Realised / ideal: the measured speed-up of "
      "the first token over that of "
      "the counted FLOPs.\n\n{}",
      options.n_repetitions, encode_ms, base.first_token_ms, base.first_token_ms / encode_ms,
      cost_table(list));
  for (const std::string& text : left_out) section.body += fmt::format("\nLeft out: {}.\n", text);
  return section;
}

}  // namespace winnow::study
