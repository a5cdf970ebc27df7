// Any bytes are either a picture or an Error; nothing else may happen.

#include <span>

#include "winnow/base/error.h"
#include "winnow/engine/image_frames.h"
#include "winnow/engine/image_tiles.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  winnow::engine::ImageLimits limits;
  limits.max_pixels = 1 << 18;
  limits.max_animation_pixels = 1 << 20;
  try {
    winnow::engine::decode_animation(std::span(data, size), limits);
  } catch (const winnow::Error&) {
  }
  try {
    const winnow::engine::Image image = winnow::engine::decode_image(std::span(data, size), limits);
    for (const auto fit : {winnow::engine::ImageFit::Crop, winnow::engine::ImageFit::Pad}) {
      const winnow::engine::ImageSpec spec{8, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}, fit};
      const winnow::engine::Pixels pixels = winnow::engine::preprocess(image, spec);
      const winnow::engine::KeptPatches kept{pixels.map, pixels.size, 2, 2, {0, 3}};
      winnow::engine::draw_kept(image, {&kept, 1});
    }
    const winnow::engine::PixelSize resolutions[] = {{16, 8}, {8, 16}};
    const auto canvas = winnow::engine::choose_canvas({image.width, image.height}, resolutions, 8);
    winnow::engine::cut_tiles(image, canvas, {8, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}, {}});
  } catch (const winnow::Error&) {
  }
  return 0;
}
