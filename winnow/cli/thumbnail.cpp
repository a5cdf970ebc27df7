#include "winnow/cli/thumbnail.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "winnow/engine/image.h"
#include "winnow/scenes/formats/output.h"
#include "winnow/scenes/render.h"

namespace winnow::cli {
namespace {

constexpr int32_t kMaxSidePx = 336;  // the input of CLIP ViT-L/14-336

engine::Image decoded(const eval::ItemImage& image) {
  if (image.bytes == nullptr) return engine::load_image(image.path);
  return engine::decode_image(
      std::span(reinterpret_cast<const uint8_t*>(image.bytes->data()), image.bytes->size()));
}

engine::Image scaled_down(const engine::Image& image) {
  const double scale = static_cast<double>(kMaxSidePx) / std::max(image.width, image.height);
  if (scale >= 1.0) return image;
  const auto side = [&](int32_t px) { return std::max(static_cast<int32_t>(std::lround(px * scale)), 1); };
  return engine::resize_bicubic(image, side(image.width), side(image.height));
}

}  // namespace

report::Thumbnail make_thumbnail(const eval::ItemImage& image) {
  const engine::Image small = scaled_down(decoded(image));
  const std::vector<uint8_t> png = scenes::encode_png(small.rgb, small.width, small.height);
  return {"data:image/png;base64," + scenes::base64(std::string(png.begin(), png.end())), small.width,
          small.height};
}

}  // namespace winnow::cli
