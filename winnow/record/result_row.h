#pragma once

// One question answered under one configuration: a line of RUN/rows.jsonl. docs/runs.md is the schema.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace winnow::record {

class JsonRow;

/// Milliseconds. What the configurations of a question share (image, tower, projector) stands in each of
/// their rows.
struct StageTimes {
  double image = 0.0;  ///< reading, decoding, resizing
  double tower = 0.0, projector = 0.0, select = 0.0, gather = 0.0, prefill = 0.0, decode = 0.0;

  /// To the first token.
  double first_token() const { return image + tower + projector + select + gather + prefill; }
};

/// What is left of a picture as one input of the tower showed it.
struct KeptMap {
  int32_t rows = 0, cols = 0;  ///< grid over the box
  std::array<double, 4>
      box{};  ///< left, top, right, bottom in widths and heights of the picture; padding: outside
  std::vector<int32_t> kept;  ///< cells, row-major
};

struct ResultRow {
  std::string benchmark;
  int64_t index = 0;  ///< of the question among those of the run's benchmark
  std::string question_id;
  std::string convention;
  std::string config;  ///< name of the configuration

  std::string group, category, subcategory, split;  ///< what the benchmark's sums go by
  std::string prompt;                               ///< the user's turn, with <image>
  std::string answer;                               ///< the truth; of several the first

  std::string prediction;                ///< the model's text
  std::string extracted;                 ///< what the scorer read off it
  double score = 0.0;                    ///< 0..1
  bool valid = false;                    ///< the prediction had the form that is asked for
  std::map<std::string, double> detail;  ///< further measures of the scorer
  bool ended = false;                    ///< by an end token, not by the limit
  int32_t n_decoded = 0;                 ///< decode steps

  uint64_t seed = 0;  ///< of methods that draw, for this question
  int32_t n_text = 0;
  int32_t n_visual_before = 0;
  int32_t n_visual_after = 0;     ///< entering the last layer
  double n_visual_average = 0.0;  ///< mean over the layers
  int64_t kv_bytes = 0;
  int64_t kv_bytes_unpruned = 0;
  StageTimes stage_ms;
  /// [image] indices of the tokens that are left, if they were asked for and nothing was merged.
  std::optional<std::vector<std::vector<int32_t>>> kept;
  /// [image][input of the tower] the same on the pictures, of tiles and smaller pictures too.
  std::optional<std::vector<std::vector<KeptMap>>> kept_maps;

  std::string error;  ///< not empty: the question failed; no prediction, score 0
  bool failed() const { return !error.empty(); }
};

/// One line, without its end. Bytes that are not UTF-8 become U+FFFD. Throws InvalidArgument for what could
/// not be read again: a number that is not finite, a negative count.
std::string to_line(const ResultRow& row);
/// Throws Corrupt (FILE:LINE and the field).
ResultRow result_row(const JsonRow& json);

}  // namespace winnow::record
