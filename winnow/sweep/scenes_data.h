#pragma once

#include <cstdint>
#include <string>

#include "winnow/scenes/scene.h"

namespace winnow::sweep {

/// Writes the procedural benchmark in its own file format into `folder`, unless it is there from before, and
/// returns the folder that its loader reads. It has about n questions (pope and mme round up).
/// Throws InvalidArgument for a benchmark that has no procedural questions, Io.
std::string scenes_data(const std::string& benchmark, scenes::Split split, uint64_t seed, int32_t n,
                        const std::string& folder);

}  // namespace winnow::sweep
