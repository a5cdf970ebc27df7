// Any bytes are either a picture or an Error; nothing else may happen.

#include <span>

#include "winnow/base/error.h"
#include "winnow/engine/image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  winnow::engine::ImageLimits limits;
  limits.max_pixels = 1 << 18;
  try {
    const winnow::engine::Image image = winnow::engine::decode_image(std::span(data, size), limits);
    for (const auto fit : {winnow::engine::ImageFit::Crop, winnow::engine::ImageFit::Pad}) {
      const winnow::engine::ImageSpec spec{8, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}, fit};
      const winnow::engine::Pixels pixels = winnow::engine::preprocess(image, spec);
      winnow::engine::draw_kept(image, pixels, 2, 2, std::vector<int32_t>{0, 3});
    }
  } catch (const winnow::Error&) {
  }
  return 0;
}
