#pragma once

#include <string>

#include "winnow/base/rng.h"
#include "winnow/scenes/scene.h"

namespace winnow::scenes {

/// What a picture holds, in words, one thing a line in random order:
///   "\n small red star [0.12, 0.34, 0.24, 0.46]\n blue text CAT [0.50, 0.10, 0.92, 0.26]"
/// Enough to answer every question that the picture answers. For training a decoder before it sees pictures.
std::string describe(const Scene& scene, Rng& rng);

}  // namespace winnow::scenes
