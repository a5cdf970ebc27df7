#include <algorithm>

#include "winnow/base/error.h"
#include "winnow/engine/image.h"
#include "winnow/engine/resample.h"

namespace winnow::engine {
namespace {

struct Fit {
  ResampleAxis x, y;
  std::array<uint8_t, 3> background{};
};

// CLIPImageProcessor: shortest edge to the input size, the other truncated as Python's int() does, centre
// crop.
Fit fit_crop(const Image& image, const ImageSpec& spec) {
  const int64_t width = image.width, height = image.height, size = spec.size_px;
  const int64_t shorter = std::min(width, height);
  const auto resized = [&](int64_t edge) {
    return edge == shorter
               ? size
               : static_cast<int64_t>(static_cast<double>(size * edge) / static_cast<double>(shorter));
  };
  const int64_t new_width = resized(width), new_height = resized(height);
  return {{width, 0, new_width, (new_width - size) / 2, spec.size_px},
          {height, 0, new_height, (new_height - size) / 2, spec.size_px},
          {}};
}

// LLaVA's expand2square, then the above on a square.
Fit fit_pad(const Image& image, const ImageSpec& spec) {
  const int64_t width = image.width, height = image.height;
  const int64_t side = std::max(width, height);
  Fit fit{{side, (side - width) / 2, spec.size_px, 0, spec.size_px},
          {side, (side - height) / 2, spec.size_px, 0, spec.size_px},
          {}};
  for (size_t c = 0; c < 3; ++c) {
    fit.background[c] =
        static_cast<uint8_t>(std::clamp(static_cast<double>(spec.mean[c]) * 255.0, 0.0, 255.0));
  }
  return fit;
}

// [3, 256]: 8-bit value -> normalised, rounded as NumPy does: value / 255 in float64, the rest in float32.
std::array<std::array<float, 256>, 3> normalised_values(const ImageSpec& spec) {
  constexpr double kRescale = 0.00392156862745098;
  std::array<std::array<float, 256>, 3> values{};
  for (size_t c = 0; c < 3; ++c) {
    for (size_t v = 0; v < 256; ++v) {
      const auto rescaled = static_cast<float>(static_cast<double>(v) * kRescale);
      values[c][v] = (rescaled - spec.mean[c]) / spec.std[c];
    }
  }
  return values;
}

void check_input(const Image& image, const ImageSpec& spec) {
  constexpr const char* kWhere = "engine.preprocess";
  WINNOW_CHECK(image.width > 0 && image.height > 0, InvalidArgument, kWhere, "empty image, got {}x{}",
               image.width, image.height);
  WINNOW_CHECK(spec.size_px > 0, InvalidArgument, kWhere, "bad input size, got {}, expected at least 1",
               spec.size_px);
  for (const float std : spec.std) {
    WINNOW_CHECK(std > 0.0f, InvalidArgument, kWhere, "bad standard deviation, got {}, expected above 0",
                 std);
  }
}

}  // namespace

ImageFit parse_image_fit(const std::string& name) {
  if (name == "crop") return ImageFit::Crop;
  if (name == "pad") return ImageFit::Pad;
  fail(ErrorCode::InvalidArgument, "engine.parse_image_fit",
       "unknown image fit, got '{}', expected crop or pad", name);
}

std::string image_fit_name(ImageFit fit) { return fit == ImageFit::Crop ? "crop" : "pad"; }

std::vector<float> normalise(const Image& image, const ImageSpec& spec) {
  check_input(image, spec);
  const auto normalised = normalised_values(spec);
  const std::size_t n = image.rgb.size() / 3;
  std::vector<float> values(image.rgb.size());
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t i = 0; i < n; ++i) values[c * n + i] = normalised[c][image.rgb[3 * i + c]];
  }
  return values;
}

Pixels squeeze(const Image& image, PixelSize size, const ImageSpec& spec) {
  check_input(image, spec);
  return {normalise(resize_bicubic(image, size.width, size.height), spec),
          size,
          {0.0, 0.0, static_cast<double>(image.width) / size.width,
           static_cast<double>(image.height) / size.height}};
}

Pixels preprocess(const Image& image, const ImageSpec& spec) {
  check_input(image, spec);
  const Fit fit = spec.fit == ImageFit::Crop ? fit_crop(image, spec) : fit_pad(image, spec);
  const Image resized = resample_bicubic(image, fit.x, fit.y, fit.background);

  Pixels pixels;
  pixels.size = {spec.size_px, spec.size_px};
  const auto scale = [](const ResampleAxis& axis) {
    return static_cast<double>(axis.source_len) / static_cast<double>(axis.output_len);
  };
  pixels.map.scale_x = scale(fit.x);
  pixels.map.scale_y = scale(fit.y);
  pixels.map.left =
      static_cast<double>(fit.x.crop_at) * pixels.map.scale_x - static_cast<double>(fit.x.image_at);
  pixels.map.top =
      static_cast<double>(fit.y.crop_at) * pixels.map.scale_y - static_cast<double>(fit.y.image_at);
  pixels.values = normalise(resized, spec);
  return pixels;
}

}  // namespace winnow::engine
