#include "winnow/engine/kept_patches.h"

#include <algorithm>
#include <numeric>

namespace winnow::engine {

std::optional<std::vector<int32_t>> kept_tokens(const EncodedImage& image, int32_t image_idx,
                                                const PrefillResult& prefill) {
  if (image.merge) return std::nullopt;
  std::vector<int32_t> kept(static_cast<std::size_t>(image.layout.n()));
  std::iota(kept.begin(), kept.end(), 0);
  for (const StepResult& step : prefill.steps) {
    // In front of the tower the picture became smaller, and its layout is already that of the smaller one.
    if (step.image != image_idx || step.layer == prune::kBeforeTower) continue;
    if (!step.plan.is_selection()) return std::nullopt;
    kept = step.kept;
  }
  return kept;
}

std::optional<std::vector<KeptPatches>> kept_patches(const EncodedImage& image, int32_t image_idx,
                                                     const PrefillResult& prefill) {
  const auto kept = kept_tokens(image, image_idx, prefill);
  if (!kept) return std::nullopt;
  const TokenLayout& layout = image.layout;
  std::vector<KeptPatches> inputs;
  for (const ImageMap& map : image.maps) {
    inputs.push_back({map, image.tile_px, layout.tile.rows, layout.tile.cols, {}});
  }
  for (const int32_t token : *kept) {
    const int32_t cell = layout.cells.empty() ? token : layout.cells[static_cast<std::size_t>(token)];
    if (layout.tile_of(cell) < 0) continue;
    for (const PatchShare& share : layout.shares_of(cell)) {
      inputs[static_cast<std::size_t>(share.tile)].kept.push_back(share.patch);
    }
  }
  for (KeptPatches& input : inputs) {  // tokens that are mixtures share patches
    std::sort(input.kept.begin(), input.kept.end());
    input.kept.erase(std::unique(input.kept.begin(), input.kept.end()), input.kept.end());
  }
  return inputs;
}

}  // namespace winnow::engine
