#pragma once

// Questions and pictures as files, in the benchmarks' own formats. docs/scenes.md shows them.

#include <cstdint>
#include <string>
#include <vector>

#include "winnow/scenes/scene.h"

namespace winnow::scenes {

struct ExportRequest {
  std::string benchmark;
  Split split = Split::Test;
  uint64_t seed = 0;
  int32_t n = 0;  ///< questions; pope: in each of its three files; mme: rounded up to whole pairs
  Difficulty difficulty;
  std::string folder;  ///< the files go to folder/benchmark
};

struct ExportSummary {
  std::string benchmark;
  std::string folder;  ///< that of the benchmark
  int64_t n_questions = 0;
  int64_t n_pictures = 0;
  std::vector<std::string> files;  ///< with questions and answers, relative to the folder
};

/// Writes one benchmark. Equal requests write equal bytes on every machine. Each file appears under its name
/// when it is complete; files of the same names are replaced, no others are touched (mme: texts of another
/// draw are refused, since its folders are the list of its questions). When it fails, what was
/// written before stays. Throws InvalidArgument, Io.
ExportSummary export_benchmark(const ExportRequest& request);

}  // namespace winnow::scenes
