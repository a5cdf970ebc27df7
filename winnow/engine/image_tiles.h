#pragma once

// A picture of any shape -> several squares of the tower's input, LLaVA-NeXT's "AnyRes" (Liu et al. 2024,
// "LLaVA-NeXT: Improved reasoning, OCR, and world knowledge"): the whole picture first, and then the picture
// at the best of several resolutions, cut into tiles. Equal to transformers' LlavaNextImageProcessor.

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/engine/image.h"

namespace winnow::engine {

/// The resolution that a picture is fitted into. Without one (a size of 0) the whole picture is all there is.
struct TileCanvas {
  PixelSize picture;  ///< as it came
  PixelSize size;     ///< of the canvas, a multiple of the tile
  PixelSize fitted;   ///< the picture on it, as large as its shape allows
  int32_t left = 0;   ///< of the picture on the canvas, which is black elsewhere
  int32_t top = 0;
  int32_t tile_px = 0;

  int32_t rows() const { return size.height / tile_px; }
  int32_t cols() const { return size.width / tile_px; }
};

/// The resolution that keeps most of the picture's pixels; among equals the one with the least canvas to
/// spare, then the first. resolutions: not empty, multiples of tile_px. Throws InvalidArgument for an empty
/// picture.
TileCanvas choose_canvas(PixelSize picture, std::span<const PixelSize> resolutions, int32_t tile_px);

/// The whole picture squeezed into the tower's square, whatever its shape, then the tiles row by row.
/// spec.fit has no say. Throws InvalidArgument for an empty spec or a canvas of another picture.
std::vector<Pixels> cut_tiles(const Image& image, const TileCanvas& canvas, const ImageSpec& spec);

}  // namespace winnow::engine
