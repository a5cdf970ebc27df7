#pragma once

// Answers questions by reading their text and looking at the scene's list: no code in common with
// question*.cpp.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/scenes/scene.h"

namespace winnow::scenes::oracle {

/// Objects that a phrase fits: "small red star", "red things", "stars". Throws std::runtime_error on unknown
/// words.
std::vector<const Object*> matching(const Scene& scene, std::string_view phrase);

/// The true answer of an open or yes/no question; nothing if the question is ambiguous, has no answer, or is
/// of a kind that the oracle does not know.
std::optional<std::string> truth(const Scene& scene, std::string_view text);

/// The same for a question about several pictures; `needle` is set to the picture that holds the anchor.
std::optional<std::string> needle_truth(std::span<const Scene> scenes, std::string_view text,
                                        int32_t& needle);

}  // namespace winnow::scenes::oracle
