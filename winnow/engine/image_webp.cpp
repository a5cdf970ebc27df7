// WebP by libwebp's animation decoder, which also reads still pictures; PIL uses the same one.

#include <webp/decode.h>
#include <webp/demux.h>

#include <cstring>
#include <memory>

#include "winnow/engine/exif.h"
#include "winnow/engine/image_formats.h"

namespace winnow::engine {
namespace {

struct Delete {
  void operator()(WebPAnimDecoder* decoder) const { WebPAnimDecoderDelete(decoder); }
};

int32_t find_orientation(const WebPAnimDecoder* decoder) {
  WebPChunkIterator chunk{};
  int32_t orientation = 1;
  if (WebPDemuxGetChunk(WebPAnimDecoderGetDemuxer(decoder), "EXIF", 1, &chunk) != 0) {
    orientation = exif_orientation({chunk.chunk.bytes, chunk.chunk.size});
  }
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

}  // namespace

DecodedImage decode_webp(std::span<const uint8_t> bytes, const ImageLimits& limits) {
  const uint64_t riff_bytes = 8 + (uint64_t{bytes[4]} | uint64_t{bytes[5]} << 8 | uint64_t{bytes[6]} << 16 |
                                   uint64_t{bytes[7]} << 24);
  if (riff_bytes > bytes.size()) fail_truncated("WebP", bytes.size());

  WebPBitstreamFeatures features{};
  const VP8StatusCode status = WebPGetFeatures(bytes.data(), bytes.size(), &features);
  if (status == VP8_STATUS_NOT_ENOUGH_DATA) fail_truncated("WebP", bytes.size());
  WINNOW_CHECK(status == VP8_STATUS_OK, Corrupt, kDecodeImage,
               "bad WebP image: header cannot be read (status {})", static_cast<int>(status));
  DecodedImage decoded{new_image("WebP", features.width, features.height, limits), 1};

  WebPAnimDecoderOptions options{};
  WebPAnimDecoderOptionsInit(&options);
  options.color_mode = MODE_RGBA;
  const WebPData data{bytes.data(), bytes.size()};
  const std::unique_ptr<WebPAnimDecoder, Delete> decoder(WebPAnimDecoderNew(&data, &options));
  WINNOW_CHECK(decoder != nullptr, Corrupt, kDecodeImage, "bad WebP image: its chunks contradict each other");
  WebPAnimInfo info{};
  uint8_t* rgba = nullptr;
  int end_ms = 0;
  const bool ok = WebPAnimDecoderGetInfo(decoder.get(), &info) != 0 &&
                  WebPAnimDecoderGetNext(decoder.get(), &rgba, &end_ms) != 0 && rgba != nullptr;
  WINNOW_CHECK(ok, Corrupt, kDecodeImage, "bad WebP image: its pixels cannot be decoded");
  WINNOW_CHECK(std::cmp_equal(info.canvas_width, features.width) &&
                   std::cmp_equal(info.canvas_height, features.height),
               Corrupt, kDecodeImage, "bad WebP image: canvas {}x{} but frame {}x{}", info.canvas_width,
               info.canvas_height, features.width, features.height);
  std::vector<uint8_t>& rgb = decoded.image.rgb;
  for (size_t i = 0; i < rgb.size() / 3; ++i) std::memcpy(&rgb[3 * i], rgba + 4 * i, 3);
  decoded.orientation = find_orientation(decoder.get());
  return decoded;
}

}  // namespace winnow::engine
