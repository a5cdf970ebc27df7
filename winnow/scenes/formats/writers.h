#pragma once

// One writer for each benchmark, and the parts of rows that several share. Private to winnow/scenes/formats.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "winnow/scenes/benchmark.h"
#include "winnow/scenes/formats/output.h"

namespace winnow::scenes {

using Items = std::span<const BenchmarkItem>;

void write_pope(Items items, Output& out);
void write_mme(Items items, Output& out);
void write_gqa(Items items, Output& out);
void write_mmbench(Items items, Output& out);
void write_scienceqa(Items items, Output& out);
void write_textvqa(Items items, Output& out);
void write_vizwiz(Items items, Output& out);
void write_refcoco(Items items, Output& out);
void write_haystack(Items items, Output& out);
void write_vqav2(Items items, Output& out);

// Prompt suffixes (design/benchmarks.md, 0 and 1).
const std::string& short_answer_suffix();
const std::string& yes_no_suffix();
const std::string& unanswerable_suffix();

/// "000012"
std::string six_digits(std::size_t idx);
/// "Yes" -> "yes", "No" -> "no": as files with ground truth write it. Anything else stays.
std::string lower_yes_no(const std::string& answer);
/// A question with options without them.
std::string stem_of(const Question& question);
/// The line of a llava question file.
std::string llava_line(const Json& question_id, std::string_view image, std::string_view text,
                       std::string_view category = "default");

}  // namespace winnow::scenes
