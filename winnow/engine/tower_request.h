#pragma once

#include <cstdint>
#include <span>

#include "winnow/engine/model.h"
#include "winnow/engine/projector/token_layout.h"
#include "winnow/prune/schedule.h"

namespace winnow::engine {

/// Visual tokens of each of n_images pictures as the tower reads them: the model's own grid, or that of the
/// step that makes the picture smaller. All pictures have the same size, also where a budget does not divide
/// by their number. Throws InvalidArgument for such a step anywhere but in front, and as the method's grid()
/// does; Unsupported for one in a model that cuts pictures into tiles or reads
/// them in their own size (whose grid is then only typical).
prune::Grid picture_grid(const Model& model, std::span<const prune::Step> steps, int32_t n_images);

/// The tokens that a picture of this size gets, behind the same steps. Throws as picture_grid() and
/// choose_canvas() and smart_resize().
TokenLayout picture_layout(const Model& model, std::span<const prune::Step> steps, int32_t n_images,
                           PixelSize picture);

/// The tokens that a video gets, as Session::encode_video() takes it. Throws Unsupported for a model without
/// video, InvalidArgument as fitted_to_video().
TokenLayout video_layout(const Model& model, PixelSize frame, int32_t n_frames, int32_t max_tokens);

}  // namespace winnow::engine
