// Session::encode: a picture through preprocessing, tower and projector, one tile after the other; a video,
// one temporal step after the other.

#include <map>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/engine/session.h"
#include "winnow/engine/step_signals.h"
#include "winnow/engine/tower_request.h"
#include "winnow/engine/vision/patches.h"
#include "winnow/engine/vision/qwen2_vl.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.encode";

/// Features and signals of the tower per visual token. Where the projector merges patches, all of them become
/// means over the group, so that methods see one row (or column) for each token they choose from: a mean of
/// features and keys points the group's common way, and a mean of attention keeps the scale of one patch. No
/// paper says what they should be; methods were published for towers without merging.
void reduce_to_tokens(const PatchMerge& merge, int64_t d_tower, TowerOutput& tower) {
  if (merge.side == 1) return;
  tower.features = group_means(merge, tower.features, d_tower);
  for (TowerSignal& signal : tower.signals) {
    const bool per_token = prune::signal_shape(signal.need.signal) == prune::SignalShape::PerToken;
    const int64_t width = per_token ? std::ssize(signal.values) / signal.rows : 1;
    signal.values = group_means(merge, signal.values, width);
    if (per_token) signal.rows = merge.grid().size();
  }
}

/// Tower and projector for one picture.
struct VisionConfig {
  ClipConfig clip;
  MlpConfig mlp;
  prune::Grid full;  ///< visual tokens had no step made the picture smaller
};

/// The tower and projector at hand for n_step inputs of their own size, which a step may make smaller.
VisionConfig own_size_vision(const Model& model, const TowerRequest& request, const ClipConfig& clip,
                             int32_t n_step) {
  VisionConfig vision{clip, model.mlp(), {}};
  vision.mlp.merge.patches = clip.grid();
  vision.full = vision.mlp.merge.grid();
  if (!request.picture) return vision;
  const auto& [step, n_images] = *request.picture;
  const prune::Grid grid = picture_grid(model, {&step, 1}, n_images, vision.full, n_step);
  const int32_t side = vision.mlp.merge.side;
  vision.mlp.merge.patches = vision.clip.fitted = {grid.rows * side, grid.cols * side};
  return vision;
}

/// The model's own, or for the smaller picture of a request, or for this picture. Throws InvalidArgument for
/// a grid that is none.
VisionConfig vision_for(const Model& model, const TowerRequest& request, const Image& image) {
  if (model.clip().takes_any_size()) {
    return own_size_vision(model, request, fitted_to(model.clip(), {image.width, image.height}), 1);
  }
  VisionConfig vision{model.clip(), model.mlp(), model.grid()};
  if (!request.grid) return vision;
  const prune::Grid& grid = *request.grid;
  WINNOW_CHECK(grid.rows == grid.cols && grid.rows >= 1 && grid.rows <= model.grid().rows, InvalidArgument,
               kWhere,
               "visual tokens of a smaller picture, got {} x {}, expected a square of at most {} x {}",
               grid.rows, grid.cols, model.grid().rows, model.grid().cols);
  vision.clip = with_side(vision.clip, grid.rows * vision.mlp.merge.side);
  vision.mlp.merge.patches = vision.clip.grid();
  return vision;
}

void check_request(const Model& model, const TowerRequest& request) {
  for (const prune::Need& need : request.needs) {
    const std::string missing = missing_signal(model, need);
    WINNOW_CHECK(missing.empty(), Unsupported, kWhere, "{} is wanted {}", prune::signal_name(need.signal),
                 missing);
  }
  WINNOW_CHECK(!request.merge || model.mlp().merge.side == 1, Unsupported, kWhere,
               "{} merges rows in the tower, but the projector of {} merges squares of its patches",
               request.merge->use.method->info().name, model.options().mmproj_path);
  WINNOW_CHECK(model.clip().takes_any_size() ? !request.grid : !request.picture, Unsupported, kWhere,
               "a request to make a picture of {} smaller, expected {}", model.options().mmproj_path,
               request.grid ? "a step, as its pictures have grids of their own"
                            : "a grid, as its pictures have one size");
  WINNOW_CHECK(!model.tiling().cuts() || (!request.merge && !request.grid), Unsupported, kWhere,
               "{} cuts pictures into tiles, got a request to {}, expected tiles as they are",
               model.options().mmproj_path, request.merge ? "merge rows in the tower" : "shrink the picture");
  WINNOW_CHECK(!request.whole || model.tiling().cuts(), InvalidArgument, kWhere,
               "{} cuts no pictures into tiles, got a request to leave one whole",
               model.options().mmproj_path);
}

/// What the tower shows of each tile, shown as one batch (of rows, where a picture has no batch dimension)
/// when all of them are through.
class BatchObserver {
 public:
  Observer observer() {
    return [this](std::string_view name, std::span<const int64_t> shape, std::span<const float> values) {
      Shown& shown = shown_[std::string(name)];
      shown.shape.assign(shape.begin(), shape.end());
      shown.values.insert(shown.values.end(), values.begin(), values.end());
    };
  }
  void show(int64_t n_tile, const Observer& observer) {
    for (auto& [name, shown] : shown_) {
      shown.shape.front() *= n_tile;
      observer(name, shown.shape, shown.values);
    }
  }

 private:
  struct Shown {
    std::vector<int64_t> shape;
    std::vector<float> values;
  };
  std::map<std::string, Shown> shown_;
};

/// One input of the tower: a picture, a tile of it, or the frames of a video's temporal step.
using TowerInput = std::vector<Pixels>;

/// What becomes of it, with features and signals per visual token.
struct EncodedTile {
  TowerOutput tower;
  std::vector<float> projected;  // [n, n_embd]
  std::vector<float> cls_token;  // [1, n_embd] if ClsToken was asked for
};

/// Tiles, one after the other, and what each of them took.
class TileEncoder {
 public:
  TileEncoder(const Model& model, const VisionConfig& vision, const TowerRequest& request,
              const Execution& watched, EncodedImage& times)
      : model_(model),
        vision_(vision),
        request_(request),
        watched_(watched),
        unwatched_{watched.backends, nullptr, watched.fused},
        times_(times) {}

  EncodedTile encode(const TowerInput& input) {
    EncodedTile tile;
    Stopwatch watch;
    const int32_t d_tower = vision_.clip.n_embd;
    tile.tower = run_clip(vision_.clip, model_.tower_weights(), input, request_, watched_);
    times_.tower_ms += watch.lap();
    tile.projected = run_mlp(vision_.mlp, model_.projector_weights(), tile.tower.features, watched_);
    if (!tile.tower.cls.empty()) {
      tile.cls_token = run_mlp(vision_.mlp, model_.projector_weights(), tile.tower.cls, unwatched_);
    }
    if (request_.wants(prune::Signal::ClipImage)) {
      const int64_t n = std::ssize(tile.tower.features) / d_tower;
      tile.tower.signals.push_back(
          {{prune::Signal::ClipImage}, n, model_.clip_joint()->image(tile.tower.features, unwatched_)});
    }
    reduce_to_tokens(vision_.mlp.merge, d_tower, tile.tower);
    times_.projector_ms += watch.lap();
    return tile;
  }

 private:
  const Model& model_;
  const VisionConfig& vision_;
  const TowerRequest& request_;
  Execution watched_, unwatched_;
  EncodedImage& times_;
};

/// The one tile of a picture that was not cut, as it is.
void take_single(EncodedTile& tile, EncodedImage& out) {
  out.projected = std::move(tile.projected);
  out.features = std::move(tile.tower.features);
  out.cls_feature = std::move(tile.tower.cls);
  out.cls_token = std::move(tile.cls_token);
  out.signals = std::move(tile.tower.signals);
  out.merge = std::move(tile.tower.merge);
}

/// Tiles in the order in which the decoder reads them, with newlines.
void take_tiles(std::vector<EncodedTile>& tiles, const Model& model, EncodedImage& out) {
  const auto packed = [&](const auto& values_of, int64_t rows, int64_t width,
                          std::span<const float> newline = {}) {
    std::vector<std::vector<float>> values;
    for (EncodedTile& tile : tiles) values.push_back(std::move(values_of(tile)));
    return pack_tiles(out.layout, values, rows, width, newline);
  };
  using Values = std::vector<float>;
  for (const EncodedTile& tile : tiles) {
    out.cls_feature.insert(out.cls_feature.end(), tile.tower.cls.begin(), tile.tower.cls.end());
    out.cls_token.insert(out.cls_token.end(), tile.cls_token.begin(), tile.cls_token.end());
  }
  for (std::size_t s = 0; s < tiles.front().tower.signals.size(); ++s) {
    TowerSignal signal{tiles.front().tower.signals[s].need, tiles.front().tower.signals[s].rows, {}};
    const bool per_token = prune::signal_shape(signal.need.signal) == prune::SignalShape::PerToken;
    const auto n_value = std::ssize(tiles.front().tower.signals[s].values);
    const auto values_of = [s](EncodedTile& tile) -> Values& { return tile.tower.signals[s].values; };
    signal.values =
        per_token ? packed(values_of, 1, n_value / signal.rows) : packed(values_of, signal.rows, 1);
    if (per_token) signal.rows = out.layout.n();
    out.signals.push_back(std::move(signal));
  }
  out.features =
      packed([](EncodedTile& tile) -> Values& { return tile.tower.features; }, 1, model.clip().n_embd);
  out.projected = packed([](EncodedTile& tile) -> Values& { return tile.projected; }, 1, model.mlp().n_out,
                         model.image_newline());
}

/// Pixels of an input that lie in patches: SigLIP's tower leaves out a rest of 6.
PixelSize read_size(const ClipConfig& clip) {
  return {clip.grid().cols * clip.patch_size_px, clip.grid().rows * clip.patch_size_px};
}

/// Shows what the tower reads of one input.
void show_pixels(const ClipConfig& clip, const TowerInput& input, const Observer& observer) {
  if (clip.takes_any_size()) {
    ClipConfig by_group = clip;  // transformers' processor knows no windows
    by_group.window_side = 0;
    std::vector<std::vector<float>> frames;
    for (const Pixels& frame : input) frames.push_back(cut_patches(by_group, frame));
    const std::vector<float> values = interleave_frames(clip, frames);
    const int64_t n = clip.n_patch();
    const int64_t shape[] = {n, std::ssize(values) / n};
    observer("pixel_values", shape, values);
    return;
  }
  const int64_t shape[] = {1, 3, clip.image_size_px, clip.image_size_px};
  observer("pixel_values", shape, input.front().values);
}

/// Everything behind preprocessing. out: with its layout, whose tiles the inputs are.
void encode_inputs(const Model& model, const VisionConfig& vision, const TowerRequest& request,
                   const std::vector<TowerInput>& inputs, Execution execution, EncodedImage& out) {
  const Observer* whole = execution.observer;
  BatchObserver batch;
  const Observer of_tiles = batch.observer();
  const bool single = !out.layout.is_tiled();
  if (!single && whole != nullptr) execution.observer = &of_tiles;
  TileEncoder encoder(model, vision, request, execution, out);
  std::vector<EncodedTile> tiles;
  for (const TowerInput& input : inputs) {
    if (execution.observer != nullptr) show_pixels(vision.clip, input, *execution.observer);
    tiles.push_back(encoder.encode(input));
    out.maps.push_back(input.front().map);
  }
  out.tile_px = read_size(vision.clip);
  out.full = vision.full;
  out.tower_rows = tiles.front().tower.rows;
  if (request.merge) out.merged_by = request.merge->use.to_string();
  if (!tiles.front().tower.cls.empty()) out.computed.push_back({prune::Signal::ClsToken});
  for (const TowerSignal& signal : tiles.front().tower.signals) out.computed.push_back(signal.need);
  if (single) {
    take_single(tiles.front(), out);
    return;
  }
  const Stopwatch packing;
  take_tiles(tiles, model, out);
  out.projector_ms += packing.ms();
  if (whole == nullptr) return;
  batch.show(out.n_tile(), *whole);
  if (!model.tiling().cuts()) return;
  const int64_t shape[] = {out.n_token(), model.mlp().n_out};
  (*whole)("packed", shape, out.projected);
}

}  // namespace

EncodedImage Session::encode(const Image& image, ImageFit fit, const TowerRequest& request) {
  check_request(*model_, request);
  const VisionConfig vision = vision_for(*model_, request, image);
  const ClipConfig& clip = vision.clip;
  EncodedImage out;
  const Stopwatch watch;
  const ImageSpec spec{clip.image_size_px, clip.mean, clip.std, fit};
  const Tiling& tiling = model_->tiling();
  std::vector<TowerInput> inputs;
  out.layout = single_layout(vision.mlp.merge.grid());
  if (request.whole) {  // padded to a square, as transformers' LlavaOnevisionImageProcessor does
    out.layout = whole_layout(out.layout.tile);
    inputs.push_back({preprocess(image, {clip.image_size_px, clip.mean, clip.std, ImageFit::Pad})});
  } else if (tiling.cuts()) {
    const auto canvas = choose_canvas({image.width, image.height}, tiling.resolutions, clip.image_size_px);
    out.layout = tiled_layout(out.layout.tile, canvas, tiling.max_tiles);
    for (Pixels& tile : cut_tiles(image, canvas, spec)) inputs.push_back({std::move(tile)});
  } else if (clip.takes_any_size()) {
    inputs.push_back({squeeze(image, read_size(clip), spec)});
  } else {
    inputs.push_back({preprocess(image, spec)});
  }
  out.preprocess_ms = watch.ms();
  encode_inputs(*model_, vision, request, inputs, execution(), out);
  return out;
}

EncodedImage Session::encode_video(std::span<const Image> frames, const TowerRequest& request,
                                   int32_t max_tokens) {
  check_request(*model_, request);
  const auto n_frames = static_cast<int32_t>(frames.size());
  const PixelSize size = frames.empty() ? PixelSize{} : PixelSize{frames[0].width, frames[0].height};
  EncodedImage out;
  const Stopwatch watch;
  const ClipConfig clip = fitted_to_video(model_->clip(), size, n_frames, max_tokens);
  const int32_t n_step = n_video_steps(clip, n_frames);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    WINNOW_CHECK(frames[i].width == size.width && frames[i].height == size.height, InvalidArgument, kWhere,
                 "frame {} of a video has {}x{} pixels, expected {}x{} as the first one has", i,
                 frames[i].width, frames[i].height, size.width, size.height);
  }
  const VisionConfig vision = own_size_vision(*model_, request, clip, n_step);
  out.layout = video_layout(vision.mlp.merge.grid(), n_step);
  const ImageSpec spec{vision.clip.image_size_px, vision.clip.mean, vision.clip.std, ImageFit::Pad};
  std::vector<TowerInput> steps(static_cast<std::size_t>(n_step));
  for (std::size_t i = 0; i < frames.size(); ++i) {
    steps[i / static_cast<std::size_t>(clip.n_frame)].push_back(
        squeeze(frames[i], read_size(vision.clip), spec));
  }
  out.preprocess_ms = watch.ms();
  encode_inputs(*model_, vision, request, steps, execution(), out);
  return out;
}

}  // namespace winnow::engine
