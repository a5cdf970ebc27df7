#pragma once

// image file -> pixels -> what the tower reads.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace winnow::engine {

struct PixelSize {
  int32_t width = 0;
  int32_t height = 0;
  bool operator==(const PixelSize&) const = default;
};

/// 8-bit RGB picture, row-major [height, width, 3].
struct Image {
  int32_t width = 0;
  int32_t height = 0;
  std::vector<uint8_t> rgb;
};

struct ImageLimits {
  int64_t max_pixels = 100'000'000;  ///< width * height, checked from the header before anything is allocated
  int64_t max_side_px = 1'000'000;   ///< longer side; keeps the work for a 1 x N picture bounded
  int64_t max_file_bytes = 512 << 20;
  int64_t max_animation_pixels = 1'000'000'000;  ///< of all frames together
};

/// Decodes JPEG, PNG (8/16 bit, grey, alpha, palette), BMP, GIF (first frame) or WebP (first frame) as PIL's
/// convert("RGB") does (alpha is dropped, not blended), and turns it upright by its EXIF orientation. 16-bit
/// samples keep their high byte, also for grey PNG, where PIL clips. A file cut off anywhere is an error,
/// even where its pixels are all there. Throws Unsupported (not an image Winnow knows), Corrupt (truncated,
/// zero-sized), InvalidArgument (over the limits).
Image decode_image(std::span<const uint8_t> bytes, const ImageLimits& limits = {});
/// The same from a file; the path is part of every message. Throws Io / NotFound as well.
Image load_image(const std::string& path, const ImageLimits& limits = {});

/// Every frame of a GIF as it is seen, all of one size, as PIL's ImageSequence converted to RGB shows them;
/// the one picture of a file of another format. Throws as load_image(), and Corrupt for a frame that leaves
/// the picture.
std::vector<Image> load_animation(const std::string& path, const ImageLimits& limits = {});

/// Writes an 8-bit RGB PNG. Throws Io.
void save_png(const Image& image, const std::string& path);

enum class ImageFit {
  Crop,  ///< Hugging Face CLIPImageProcessor: shortest edge to the input size, bicubic, centre crop
  Pad,   ///< LLaVA's code (image_aspect_ratio = pad): pad to a square with the mean colour, then as above
};
/// "crop", "pad". Throws InvalidArgument for any other word.
ImageFit parse_image_fit(const std::string& name);
std::string image_fit_name(ImageFit fit);

struct ImageSpec {
  int32_t size_px = 0;          ///< the tower's input is size_px x size_px
  std::array<float, 3> mean{};  ///< per channel, of values in 0..1
  std::array<float, 3> std{};
  ImageFit fit = ImageFit::Pad;
};

/// Where the tower's input came from: the point (x, y) of the input shows the source at (left + x * scale_x,
/// top + y * scale_y), both with (0, 0) at the top left corner of the first pixel; outside the source it is
/// padding. For drawing kept tokens back on the picture.
struct ImageMap {
  double left = 0.0, top = 0.0, scale_x = 1.0, scale_y = 1.0;
};

struct Pixels {
  std::vector<float> values;  // [3, size.height, size.width], normalised
  PixelSize size;
  ImageMap map;
};

/// PIL's bicubic (a = -0.5, antialiased, 8-bit fixed point) so that results equal Pillow's to the bit.
/// Throws InvalidArgument for an empty image or size.
Image resize_bicubic(const Image& image, int32_t width, int32_t height);

/// Image -> what the tower reads. Throws InvalidArgument for an empty image or spec.
Pixels preprocess(const Image& image, const ImageSpec& spec);

/// The whole picture squeezed or stretched to a size, then as above; spec.size_px and spec.fit have no say.
Pixels squeeze(const Image& image, PixelSize size, const ImageSpec& spec);

/// 8-bit pixels -> (value / 255 - mean) / std of each channel, [3, height, width]. Throws InvalidArgument for
/// an empty image or spec.
std::vector<float> normalise(const Image& image, const ImageSpec& spec);

/// Patches of one input of the tower: indices into the row-major rows x cols grid that covers it.
struct KeptPatches {
  ImageMap map;
  PixelSize size;
  int32_t rows = 0, cols = 0;
  std::vector<int32_t> kept{};
};

/// The picture with everything dimmed but the kept patches; what the tower never saw is dimmed too. Where
/// several inputs show the same place (the tiles of a picture), it is bright if one of them is kept there.
/// Throws InvalidArgument for an index outside a grid.
Image draw_kept(const Image& image, std::span<const KeptPatches> inputs);

}  // namespace winnow::engine
