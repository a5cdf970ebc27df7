#pragma once

// Sentences that the conventions put behind questions, and where the pictures stand.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "winnow/eval/benchmark.h"

namespace winnow::eval {

inline constexpr std::string_view kShortAnswer = "\nAnswer the question using a single word or phrase.";
inline constexpr std::string_view kLetterAnswer =
    "\nAnswer with the option's letter from the given choices directly.";
inline constexpr std::string_view kYesNoAnswer = " Please answer yes or no.";
inline constexpr std::string_view kUnanswerable =
    "\nWhen the provided information is insufficient, respond with 'Unanswerable'.";

/// Pictures first, each as "<image>". llava: a line each (model_vqa_loader.py has one picture; the Visual
/// Haystacks toolkit writes LLaVA's several so). lmms: one line, blanks between them
/// (models/simple/llava.py). vlmeval hands pictures and text over apart, and its adapters differ (" <image>
/// ", "<image>\n"): a line each.
std::string with_images(std::size_t n_images, Convention convention, std::string_view text);

/// "\nA. first\nB. second", without options that are missing.
std::string option_lines(std::span<const std::string> choices);

}  // namespace winnow::eval
