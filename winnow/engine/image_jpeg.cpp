// JPEG by libjpeg(-turbo) with its default DCT and upsampling, which is what PIL uses.
// libjpeg reports errors by a callback that must not return. It jumps back into start() or read_rows(), whose
// frames hold plain data only; everything with a destructor lives in their caller.

// Order matters: jpeglib.h needs size_t and FILE, jerror.h needs jpeglib.h.
// clang-format off
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "winnow/engine/exif.h"
#include "winnow/engine/image_formats.h"

namespace winnow::engine {
namespace {

constexpr int kMaxScans = 500;  // a progressive file of tiny scans may not cost more than this many passes
constexpr int kExifMarker = JPEG_APP0 + 1;

struct Decoder {
  jpeg_decompress_struct info;
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  std::jmp_buf on_error;
  int error_code;
  bool truncated;
  bool too_many_scans;
  char message[JMSG_LENGTH_MAX];
};

Decoder* decoder_of(j_common_ptr info) { return static_cast<Decoder*>(info->client_data); }

[[noreturn]] void on_error(j_common_ptr info) {
  Decoder* decoder = decoder_of(info);
  decoder->error_code = info->err->msg_code;
  info->err->format_message(info, decoder->message);
  std::longjmp(decoder->on_error, 1);
}

// Warnings are what PIL lets pass, except that the data ended too early.
void on_message(j_common_ptr info, int level) {
  if (level >= 0 || info->err->msg_code != JWRN_JPEG_EOF) return;
  decoder_of(info)->truncated = true;
  on_error(info);
}

void on_output(j_common_ptr) {}

void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  decoder_of(info)->too_many_scans = true;
  on_error(info);
}

bool start(Decoder* decoder, const uint8_t* data, size_t n_bytes) {
  if (setjmp(decoder->on_error) != 0) return false;
  jpeg_create_decompress(&decoder->info);
  decoder->info.client_data = decoder;
  decoder->info.progress = &decoder->progress;
  jpeg_mem_src(&decoder->info, data, static_cast<unsigned long>(n_bytes));
  jpeg_save_markers(&decoder->info, kExifMarker, 0xFFFF);
  jpeg_read_header(&decoder->info, TRUE);
  const J_COLOR_SPACE stored = decoder->info.jpeg_color_space;
  decoder->info.out_color_space = stored == JCS_CMYK || stored == JCS_YCCK ? JCS_CMYK : JCS_RGB;
  return true;
}

int multiply_255(int a, int b) {
  const int product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

// PIL: CMYK in JPEG is stored inverted (Adobe's convention), and RGB = (255 - K) * (255 - C, M, Y) / 255.
void cmyk_to_rgb(const uint8_t* cmyk, size_t width, uint8_t* rgb) {
  for (size_t x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    const int light = cmyk[3];
    for (int c = 0; c < 3; ++c) rgb[c] = static_cast<uint8_t>(light - multiply_255(255 - cmyk[c], light));
  }
}

// `cmyk` is room for one row of four channels, or null where the file is not CMYK.
bool read_rows(Decoder* decoder, uint8_t* rgb, uint8_t* cmyk) {
  if (setjmp(decoder->on_error) != 0) return false;
  jpeg_decompress_struct* info = &decoder->info;
  jpeg_start_decompress(info);
  const size_t width = info->output_width;
  while (info->output_scanline < info->output_height) {
    uint8_t* out = rgb + static_cast<size_t>(info->output_scanline) * width * 3;
    JSAMPROW row = cmyk != nullptr ? cmyk : out;
    jpeg_read_scanlines(info, &row, 1);
    if (cmyk != nullptr) cmyk_to_rgb(cmyk, width, out);
  }
  jpeg_finish_decompress(info);  // reads up to the end mark
  return true;
}

struct Destroy {
  Decoder* decoder;
  ~Destroy() { jpeg_destroy_decompress(&decoder->info); }
};

[[noreturn]] void fail_jpeg(const Decoder& decoder, size_t n_bytes) {
  if (decoder.truncated) fail_truncated("JPEG", n_bytes);
  WINNOW_CHECK(!decoder.too_many_scans, Unsupported, kDecodeImage, "JPEG image has more than {} scans",
               kMaxScans);
  switch (decoder.error_code) {
    case JERR_EMPTY_IMAGE:
      fail(ErrorCode::Corrupt, kDecodeImage, "zero-sized JPEG image, expected at least 1x1");
    case JERR_IMAGE_TOO_BIG:
      fail(ErrorCode::InvalidArgument, kDecodeImage, "JPEG image is too large: {}", decoder.message);
    case JERR_OUT_OF_MEMORY: fail(ErrorCode::OutOfMemory, kDecodeImage, "JPEG image: {}", decoder.message);
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CCIR601_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_NOTIMPL:
    case JERR_SOF_UNSUPPORTED:
      fail(ErrorCode::Unsupported, kDecodeImage, "this kind of JPEG is not supported: {}", decoder.message);
    default: fail(ErrorCode::Corrupt, kDecodeImage, "bad JPEG image: {}", decoder.message);
  }
}

int32_t find_orientation(const jpeg_decompress_struct& info) {
  for (auto marker = info.marker_list; marker != nullptr; marker = marker->next) {
    const std::span<const uint8_t> data(marker->data, marker->data_length);
    if (marker->marker == kExifMarker && data.size() > 6 && data[0] == 'E' && data[1] == 'x') {
      return exif_orientation(data);
    }
  }
  return 1;
}

}  // namespace

DecodedImage decode_jpeg(std::span<const uint8_t> bytes, const ImageLimits& limits) {
  Decoder decoder{};
  decoder.info.err = jpeg_std_error(&decoder.errors);
  decoder.info.client_data = &decoder;
  decoder.errors.error_exit = on_error;
  decoder.errors.emit_message = on_message;
  decoder.errors.output_message = on_output;
  decoder.progress.progress_monitor = on_progress;
  const Destroy destroy{&decoder};

  if (!start(&decoder, bytes.data(), bytes.size())) fail_jpeg(decoder, bytes.size());
  DecodedImage decoded{new_image("JPEG", decoder.info.image_width, decoder.info.image_height, limits),
                       find_orientation(decoder.info)};
  const bool is_cmyk = decoder.info.out_color_space == JCS_CMYK;
  std::vector<uint8_t> cmyk(is_cmyk ? size_t{4} * decoder.info.image_width : 0);
  if (!read_rows(&decoder, decoded.image.rgb.data(), is_cmyk ? cmyk.data() : nullptr)) {
    fail_jpeg(decoder, bytes.size());
  }
  return decoded;
}

}  // namespace winnow::engine
