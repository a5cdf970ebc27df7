#pragma once

// Questions to look at: the picture, the true answer, what each configuration kept and answered.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "winnow/record/run_folder.h"
#include "winnow/report/pictures.h"

namespace winnow::report {

struct ExampleAnswer {
  std::string config;
  std::string prediction;  ///< the error for a failed question
  bool is_right = false;   ///< score of at least 0.5
  double score = 0.0;
  int32_t n_kept = 0;
  /// [input of the tower] what is left; nothing when tokens were merged
  std::optional<std::vector<record::KeptMap>> maps;
};

struct Example {
  std::string benchmark, question_id, prompt, answer;
  std::optional<Thumbnail> picture;
  std::vector<ExampleAnswer> answers;  ///< in the order of the header
};

/// Benchmarks in turn; inside one the questions on which configurations disagree most (the smaller one of the
/// numbers of right and wrong answers), the earlier first. Only questions about one picture
/// whose kept tokens were recorded. Without pictures.
std::vector<Example> choose_examples(std::span<const record::Run> runs, int32_t n);

/// Where a run came from, for its pictures.
struct PictureSource {
  std::vector<std::string> run_folders;  ///< [runs]
  std::string data;                      ///< overrides the headers' folders; may be empty
  MakeThumbnail make;
};

/// Fills the pictures in. Returns, line by line, why some are not there.
std::vector<std::string> add_pictures(std::span<const record::Run> runs, const PictureSource& source,
                                      std::vector<Example>& examples);

}  // namespace winnow::report
