#include "winnow/engine/tile_step.h"

#include <algorithm>
#include <limits>
#include <list>
#include <numeric>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/prune/streams.h"

namespace winnow::engine {
namespace {

using prune::Signal;
using prune::SignalShape;

/// Tokens of a picture that are left of one tile.
struct TileRun {
  prune::Grid grid;
  std::vector<int32_t> tokens;  ///< of the run, ascending
  std::vector<int32_t> cells;   ///< [tokens] in the tile's rectangle

  int32_t n() const { return static_cast<int32_t>(tokens.size()); }
  bool is_whole() const { return n() == grid.size(); }
};

/// One for each tile, and behind them the newlines.
std::vector<TileRun> tile_runs(const ImageRun& run) {
  const TokenLayout& layout = run.image->layout;
  std::vector<TileRun> runs(layout.tiles.size() + 1);
  for (std::size_t t = 0; t < layout.tiles.size(); ++t) runs[t].grid = layout.tiles[t].grid;
  for (int32_t token = 0; token < run.count; ++token) {
    const int32_t cell = run.token_of.empty() ? token : run.token_of[static_cast<std::size_t>(token)];
    const int32_t t = layout.tile_of(cell);
    TileRun& tile = t < 0 ? runs.back() : runs[static_cast<std::size_t>(t)];
    tile.tokens.push_back(token);
    if (t < 0) continue;
    const TileTokens& place = layout.tiles[static_cast<std::size_t>(t)];
    tile.cells.push_back((cell / layout.grid.cols - place.row) * tile.grid.cols + cell % layout.grid.cols -
                         place.col);
  }
  return runs;
}

/// The signals of one tile, cut out of those of its picture.
class TileSignals {
 public:
  TileSignals(const prune::Signals& whole, const TileRun& tile, int32_t index,
              const std::vector<prune::Need>& needs)
      : tokens_(tile.tokens) {
    signals_.grid = tile.grid;
    if (!tile.is_whole()) signals_.token_of = tile.cells;
    for (const prune::Need& need : needs) signals_.set(need, cut(need.signal, whole.view(need), index));
  }
  const prune::Signals& signals() const { return signals_; }

 private:
  MatrixView cut(Signal signal, const MatrixView& from, int32_t index) {
    if (!from.present()) return from;
    switch (prune::signal_shape(signal)) {
      case SignalShape::PerToken: return rows(from, tokens_);
      case SignalShape::PerHead:
      case SignalShape::OneRow: return columns(from);
      case SignalShape::OneVector: return signal == Signal::ClsToken ? rows(from, {index}) : from;
      case SignalShape::Text:
      case SignalShape::AllTokens: break;
    }
    return from;
  }
  MatrixView rows(const MatrixView& from, const std::vector<int32_t>& picked) {
    std::vector<float>& out = owned_.emplace_back();
    for (const int32_t i : picked) out.insert(out.end(), from.row(i).begin(), from.row(i).end());
    return {out.data(), std::ssize(picked), from.cols};
  }
  MatrixView columns(const MatrixView& from) {
    std::vector<float>& out = owned_.emplace_back();
    for (int64_t r = 0; r < from.rows; ++r) {
      for (const int32_t token : tokens_) out.push_back(from(r, token));
    }
    return {out.data(), from.rows, std::ssize(tokens_)};
  }

  const std::vector<int32_t>& tokens_;
  std::list<std::vector<float>> owned_;
  prune::Signals signals_;
};

/// Shares of n_keep in proportion to the tiles' tokens, at least one each if it goes round.
std::vector<int32_t> even_quotas(const std::vector<TileRun>& tiles, int32_t n_keep) {
  std::vector<int32_t> sizes;
  for (const TileRun& tile : tiles) {
    if (tile.n() > 0) sizes.push_back(tile.n());
  }
  std::vector<int32_t> shares(sizes.size(), 0);
  if (n_keep < std::ssize(sizes)) {
    std::fill_n(shares.begin(), n_keep, 1);
  } else {
    shares = prune::image_quotas(n_keep, sizes);
  }
  std::vector<int32_t> quotas;
  auto next = shares.begin();
  for (const TileRun& tile : tiles) quotas.push_back(tile.n() > 0 ? *next++ : 0);
  return quotas;
}

/// Tokens of each tile; n_keep: of all of them, at most as many as there are.
std::vector<int32_t> quotas_of(const prune::Step& step, const prune::Grid& arrangement,
                               const std::vector<TileRun>& tiles, const prune::Signals& whole,
                               int32_t n_keep) {
  const prune::Method& method = *step.use.method;
  const prune::Params& params = step.use.params;
  if (n_keep == prune::kMethodDecides || method.fixed_count(tiles.front().grid, params)) {
    std::vector<int32_t> quotas;
    for (const TileRun& tile : tiles) {
      const int32_t count = method.fixed_count(tile.grid, params).value_or(prune::kMethodDecides);
      quotas.push_back(tile.n() > 0 ? count : 0);
    }
    return quotas;
  }
  const std::vector<prune::Need> needs = method.tile_needs(params);
  if (!needs.empty() && arrangement.size() > 0 && tiles.front().is_whole()) {
    const TileSignals first(whole, tiles.front(), 0, needs);
    std::vector<int32_t> quotas = method.tile_quotas({first.signals(), arrangement, n_keep}, params);
    WINNOW_ASSERT(quotas.empty() || quotas.size() == tiles.size());
    for (std::size_t t = 0; t < quotas.size(); ++t) quotas[t] = std::min(quotas[t], tiles[t].n());
    const bool any = std::any_of(quotas.begin(), quotas.end(), [](int32_t quota) { return quota > 0; });
    if (any) return quotas;  // rounding down leaves nothing of a budget of one token
  }
  return even_quotas(tiles, n_keep);
}

/// An output of a tile's plan as one of its picture's. They are sorted by key, and stay as they came where
/// keys are equal.
struct TileOutput {
  std::vector<int32_t> sources;
  std::vector<float> weights;
  int32_t position = 0;
  std::pair<int32_t, int32_t> key{};  ///< group (Method::tile_group), place in it
};

/// What comes of one tile. n_token: of the picture; behind them are the tiles' [CLS] tokens.
void add_outputs(std::vector<TileOutput>& outputs, const prune::Step& step, const prune::Plan& plan,
                 const TileRun& tile, int32_t index, int32_t n_token) {
  const prune::Method& method = *step.use.method;
  for (int32_t o = 0; o < plan.n_out(); ++o) {
    TileOutput& output = outputs.emplace_back();
    for (const int32_t source : plan.sources(o)) {
      const bool is_cls = source == tile.n();
      output.sources.push_back(is_cls ? n_token + index : tile.tokens[static_cast<std::size_t>(source)]);
    }
    output.weights.assign(plan.weights(o).begin(), plan.weights(o).end());
    output.position = tile.tokens[static_cast<std::size_t>(plan.position_of[static_cast<std::size_t>(o)])];
    if (method.info().raster_order) {
      output.key = {0, output.position};
    } else if (const auto group = method.tile_group(plan, o, step.use.params); group) {
      const bool kept_as_it_is = *group == 0 || plan.n_out() == tile.n();
      if (index > 0) output.key = kept_as_it_is ? std::pair(0, output.position) : std::pair(*group, 0);
      if (index == 0) output.key = {-1, 0};
    }
  }
}

/// The first `count` newlines, which nothing was asked of.
void add_newlines(std::vector<TileOutput>& outputs, const prune::Step& step, const TileRun& newlines,
                  int32_t count) {
  for (int32_t i = 0; i < count; ++i) {
    const int32_t token = newlines.tokens[static_cast<std::size_t>(i)];
    const bool raster = step.use.method->info().raster_order;
    outputs.push_back({{token}, {1.0F}, token, {raster ? 0 : std::numeric_limits<int32_t>::max(), token}});
  }
}

prune::Plan joined(std::vector<TileOutput> outputs) {
  std::stable_sort(outputs.begin(), outputs.end(),
                   [](const auto& a, const auto& b) { return a.key < b.key; });
  prune::Plan plan;
  for (const TileOutput& output : outputs) plan.add_merged(output.sources, output.weights, output.position);
  return plan;
}

/// Every tile asked of a method that fixes the count, of all images together.
std::vector<int32_t> fixed_quotas(const prune::Step& step, const std::vector<ImageRun>& images,
                                  int32_t n_layer) {
  std::vector<prune::Grid> grids;
  std::vector<int32_t> tokens;
  std::vector<std::size_t> image_of;
  for (std::size_t i = 0; i < images.size(); ++i) {
    std::vector<TileRun> tiles = tile_runs(images[i]);
    tiles.pop_back();
    for (const TileRun& tile : tiles) {
      if (tile.n() == 0) continue;
      grids.push_back(tile.grid);
      tokens.push_back(tile.n());
      image_of.push_back(i);
    }
  }
  const std::vector<int32_t> quotas = prune::step_quotas(step, grids, tokens, n_layer);
  std::vector<int32_t> out(images.size(), 0);
  for (std::size_t t = 0; t < quotas.size(); ++t) out[image_of[t]] += quotas[t];
  return out;
}

}  // namespace

bool is_tilewise(const prune::Step& step, const EncodedImage& image) {
  const prune::MethodInfo& info = step.use.method->info();
  return step.layer == prune::kAfterTower && image.layout.is_tiled() && !info.across_tiles;
}

std::vector<int32_t> picture_quotas(const prune::Step& step, const std::vector<ImageRun>& images,
                                    std::span<const int32_t> image_tokens, int32_t n_layer) {
  std::vector<prune::Grid> grids;
  bool by_tile = false;
  for (const ImageRun& run : images) {
    const prune::Grid& grid = run.image->layout.grid;
    grids.push_back(grid);
    by_tile = by_tile || (is_tilewise(step, *run.image) &&
                          step.use.method->fixed_count(run.image->layout.tile, step.use.params));
  }
  return by_tile ? fixed_quotas(step, images, n_layer)
                 : prune::step_quotas(step, grids, image_tokens, n_layer);
}

prune::Plan plan_by_tile(const prune::Step& step, const ImageRun& run, const prune::Signals& whole,
                         int32_t n_keep, const TileDraws& draws, const TileObserver& observer) {
  if (n_keep == run.count) return prune::identity_plan(run.count);
  std::vector<TileRun> tiles = tile_runs(run);
  const TileRun newlines = std::move(tiles.back());
  tiles.pop_back();
  const int32_t n_patch = run.count - newlines.n();
  const std::vector<int32_t> quotas =
      quotas_of(step, run.image->layout.arrangement, tiles, whole, std::min(n_keep, n_patch));
  const std::vector<prune::Need> needs = step.use.method->needs(step.use.params);
  std::vector<TileOutput> outputs;
  std::vector<float> scores(static_cast<std::size_t>(run.count), 0.0F);
  bool scored = true;
  for (std::size_t t = 0; t < tiles.size(); ++t) {
    const TileRun& tile = tiles[t];
    if (quotas[t] == 0) continue;
    const auto index = static_cast<int32_t>(t);
    const TileSignals cut(whole, tile, index, needs);
    Rng rng(draws.seed, prune::random_stream(draws.image, index));
    const prune::Plan plan = prune::run_method(step.use, cut.signals(), quotas[t], rng);
    observer(index, quotas[t], tile.tokens, cut.signals(), plan);
    add_outputs(outputs, step, plan, tile, index, run.count);
    scored = scored && !plan.scores.empty();
    for (std::size_t i = 0; i < plan.scores.size(); ++i) {
      scores[static_cast<std::size_t>(tile.tokens[i])] = plan.scores[i];
    }
  }
  add_newlines(outputs, step, newlines, n_keep - n_patch);
  prune::Plan plan = joined(std::move(outputs));
  if (scored) plan.scores = std::move(scores);
  return plan;
}

}  // namespace winnow::engine
