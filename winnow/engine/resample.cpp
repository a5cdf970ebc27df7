#include "winnow/engine/resample.h"

#include <algorithm>
#include <cmath>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

// Pillow's 8-bit fixed point: 8 bits of value and 2 of headroom for the overshoot leave 22 for the weights.
constexpr int kWeightBits = 22;
constexpr int32_t kHalf = 1 << (kWeightBits - 1);
constexpr double kSupport = 2.0;

// Keys' cubic convolution (1981) with a = -0.5.
double bicubic(double x) {
  const double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

// The source pixels that one output pixel reads, with their fixed-point weights.
struct Window {
  int64_t first = 0;  // in the picture
  size_t count = 0;   // pixels inside the picture
  size_t weights_at = 0;
  int32_t inside = 0;   // sum of the weights inside the picture
  int32_t outside = 0;  // sum of the weights on padding
};

struct Windows {
  std::vector<Window> at;  // [crop_len]
  std::vector<int32_t> weights;
  int64_t first = 0, end = 0;  // picture pixels that any window reads

  std::span<const int32_t> weights_of(const Window& window) const {
    return std::span(weights).subspan(window.weights_at, window.count);
  }
};

Windows make_windows(const ResampleAxis& axis, int64_t image_len) {
  const double scale = static_cast<double>(axis.source_len) / static_cast<double>(axis.output_len);
  const double filter_scale = std::max(scale, 1.0);
  const double support = kSupport * filter_scale;
  const double inverse_filter_scale = 1.0 / filter_scale;

  Windows windows;
  windows.first = image_len;
  std::vector<double> exact;
  for (int64_t i = axis.crop_at; i < axis.crop_at + axis.crop_len; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const int64_t begin = std::max<int64_t>(static_cast<int64_t>(std::floor(center - support + 0.5)), 0);
    const int64_t end = std::min(static_cast<int64_t>(std::floor(center + support + 0.5)), axis.source_len);
    exact.clear();
    double sum = 0.0;
    for (int64_t s = begin; s < end; ++s) {
      exact.push_back(bicubic((static_cast<double>(s) - center + 0.5) * inverse_filter_scale));
      sum += exact.back();
    }
    Window window;
    window.weights_at = windows.weights.size();
    for (int64_t s = begin; s < end; ++s) {
      const double weight = exact[static_cast<size_t>(s - begin)] / sum;
      const auto fixed = static_cast<int32_t>(weight * (1 << kWeightBits) + (weight < 0.0 ? -0.5 : 0.5));
      const int64_t in_image = s - axis.image_at;
      if (in_image < 0 || in_image >= image_len) {
        window.outside += fixed;
        continue;
      }
      if (window.count == 0) window.first = in_image;
      window.inside += fixed;
      window.count += 1;
      windows.weights.push_back(fixed);
    }
    if (window.count > 0) {
      windows.first = std::min(windows.first, window.first);
      windows.end = std::max(windows.end, window.first + static_cast<int64_t>(window.count));
    }
    windows.at.push_back(window);
  }
  return windows;
}

uint8_t to_8_bit(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255)); }

struct Rows {
  size_t first_col = 0, n_col = 0;  // output columns that read any picture pixel; the others are background
  std::vector<uint8_t> rgb;         // [y.end - y.first, n_col, 3]
};

Rows resample_rows(const Image& image, const Windows& x, const Windows& y,
                   std::array<uint8_t, 3> background) {
  Rows rows;
  const auto reads_picture = [](const Window& window) { return window.count > 0; };
  const auto first = std::find_if(x.at.begin(), x.at.end(), reads_picture);
  rows.first_col = static_cast<size_t>(first - x.at.begin());
  rows.n_col = static_cast<size_t>(std::count_if(x.at.begin(), x.at.end(), reads_picture));
  rows.rgb.resize(static_cast<size_t>(std::max<int64_t>(y.end - y.first, 0)) * rows.n_col * 3);

  uint8_t* out = rows.rgb.data();
  for (int64_t r = y.first; r < y.end; ++r) {
    const uint8_t* row = image.rgb.data() + r * image.width * 3;
    for (const Window& window : std::span(x.at).subspan(rows.first_col, rows.n_col)) {
      int32_t red = kHalf + background[0] * window.outside;
      int32_t green = kHalf + background[1] * window.outside;
      int32_t blue = kHalf + background[2] * window.outside;
      const uint8_t* pixel = row + window.first * 3;
      for (const int32_t weight : x.weights_of(window)) {
        red += pixel[0] * weight;
        green += pixel[1] * weight;
        blue += pixel[2] * weight;
        pixel += 3;
      }
      *out++ = to_8_bit(red);
      *out++ = to_8_bit(green);
      *out++ = to_8_bit(blue);
    }
  }
  return rows;
}

}  // namespace

Image resample_bicubic(const Image& image, const ResampleAxis& x, const ResampleAxis& y,
                       std::array<uint8_t, 3> background) {
  const Windows x_windows = make_windows(x, image.width);
  const Windows y_windows = make_windows(y, image.height);
  const Rows rows = resample_rows(image, x_windows, y_windows, background);

  // A row of pure padding after the horizontal pass; rounding may move it off the background for wide
  // windows.
  std::vector<uint8_t> padding_row;
  for (const Window& window : x_windows.at) {
    for (const uint8_t value : background) {
      padding_row.push_back(to_8_bit(kHalf + value * (window.inside + window.outside)));
    }
  }

  Image out;
  out.width = x.crop_len;
  out.height = y.crop_len;
  out.rgb.reserve(padding_row.size() * y_windows.at.size());
  const size_t first = rows.first_col * 3;
  const size_t n = rows.n_col * 3;
  std::vector<int32_t> sums(padding_row.size());
  for (const Window& window : y_windows.at) {
    for (size_t j = 0; j < sums.size(); ++j) {
      const bool reads_picture = j >= first && j < first + n;
      sums[j] = kHalf + padding_row[j] * (window.outside + (reads_picture ? 0 : window.inside));
    }
    const uint8_t* row = rows.rgb.data() + static_cast<size_t>(window.first - y_windows.first) * n;
    for (const int32_t weight : y_windows.weights_of(window)) {
      for (size_t j = 0; j < n; ++j) sums[first + j] += row[j] * weight;
      row += n;
    }
    for (const int32_t sum : sums) out.rgb.push_back(to_8_bit(sum));
  }
  return out;
}

Image resize_bicubic(const Image& image, int32_t width, int32_t height) {
  constexpr const char* kWhere = "engine.resize_bicubic";
  WINNOW_CHECK(image.width > 0 && image.height > 0, InvalidArgument, kWhere, "empty image, got {}x{}",
               image.width, image.height);
  WINNOW_CHECK(width > 0 && height > 0, InvalidArgument, kWhere, "bad size, got {}x{}, expected at least 1x1",
               width, height);
  return resample_bicubic(image, {image.width, 0, width, 0, width}, {image.height, 0, height, 0, height}, {});
}

}  // namespace winnow::engine
