#include "winnow/report/alpha_curves.h"

#include <algorithm>

#include "winnow/eval/config_name.h"
#include "winnow/report/names.h"

namespace winnow::report {

std::vector<AlphaCurve> alpha_curves(std::span<const record::ConfigurationPart> configurations) {
  std::vector<AlphaCurve> curves;
  for (std::size_t i = 0; i < configurations.size(); ++i) {
    const auto use = alpha_of(configurations[i].method);
    if (!use) continue;
    const std::string budget = eval::budget_of(configurations[i].name);
    auto curve = std::find_if(curves.begin(), curves.end(), [&](const AlphaCurve& c) {
      return c.family == use->family && c.budget == budget;
    });
    if (curve == curves.end()) curve = curves.insert(curves.end(), {use->family, budget, {}});
    curve->points.push_back({use->alpha, configurations[i].name, i});
  }
  std::erase_if(curves, [](const AlphaCurve& c) { return c.points.size() < 2; });
  for (AlphaCurve& curve : curves) {
    std::stable_sort(curve.points.begin(), curve.points.end(),
                     [](const AlphaPoint& a, const AlphaPoint& b) { return a.alpha < b.alpha; });
  }
  return curves;
}

}  // namespace winnow::report
