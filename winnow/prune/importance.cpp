#include "winnow/prune/importance.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/prune/ops.h"

namespace winnow::prune {
namespace {

struct Source {
  std::string_view name;
  std::string_view help;
  std::vector<Need> needs;
};

const Source& find_source(std::string_view name) {
  static const std::vector<Source> all{
      {"cls", "[CLS] attention", {{Signal::ClsAttention}}},
      {"column", "attention from all patches", {{Signal::ColumnAttention}}},
      {"l2", "length of the feature", {{Signal::Projected}}},
      {"text", "cosine to the mean text embedding", {{Signal::Projected}, {Signal::TextEmbeds}}}};
  const auto found = std::find_if(all.begin(), all.end(), [&](const Source& s) { return s.name == name; });
  WINNOW_ASSERT(found != all.end());
  return *found;
}

}  // namespace

ParamSpec importance_param(std::vector<std::string> sources) {
  WINNOW_ASSERT(!sources.empty());
  std::vector<std::string_view> help;
  for (const std::string& source : sources) help.push_back(find_source(source).help);
  std::string first = sources.front();
  return {.name = "importance",
          .kind = ParamKind::Choice,
          .default_value = std::move(first),
          .choices = std::move(sources),
          .help = fmt::format("{}", fmt::join(help, "; "))};
}

void add_importance_needs(std::string_view source, std::vector<Need>& needs) {
  for (const Need& need : find_source(source).needs) {
    if (std::find(needs.begin(), needs.end(), need) == needs.end()) needs.push_back(need);
  }
}

std::vector<float> importance_of(const Signals& signals, std::string_view source) {
  if (source == "l2") return row_lengths(signals.projected);
  if (source == "text") return cosine_to(signals.projected, mean_row(signals.text_embeds));
  return head_mean(signals.view(find_source(source).needs.front()));
}

}  // namespace winnow::prune
