#pragma once

#include <cstdint>
#include <span>

#include "winnow/engine/model.h"
#include "winnow/engine/projector/token_layout.h"
#include "winnow/prune/schedule.h"

namespace winnow::engine {

/// Visual tokens of each of n_images pictures as the tower reads them: `full` as without steps, or the grid
/// of the step that makes the picture smaller. All of the pictures count as alike, also where a budget does
/// not divide by their number; so do the n_step temporal steps of a video, which have `full` tokens each.
/// Throws InvalidArgument for such a step anywhere but in front, and as the method's grid() does; Unsupported
/// for one in a model that cuts pictures into tiles.
prune::Grid picture_grid(const Model& model, std::span<const prune::Step> steps, int32_t n_images,
                         const prune::Grid& full, int32_t n_step = 1);

/// The tokens that a picture of this size gets, one of n_images of a prompt, behind the same steps. Throws as
/// picture_grid() and choose_canvas() and smart_resize().
TokenLayout picture_layout(const Model& model, std::span<const prune::Step> steps, int32_t n_images,
                           PixelSize picture);

/// The tokens that a video gets, as Session::encode_video() takes it, behind the same steps. Throws as
/// picture_grid() and fitted_to_video().
TokenLayout video_layout(const Model& model, std::span<const prune::Step> steps, int32_t n_images,
                         PixelSize frame, int32_t n_frames, int32_t max_tokens);

}  // namespace winnow::engine
