#pragma once

// A run of `winnow eval`: benchmarks, configurations and settings -> rows in a folder.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "winnow/sweep/sweep.h"

namespace winnow::sweep {

/// The word instead of a folder with data: procedural questions.
inline constexpr const char* kScenes = "scenes";
/// Questions of each procedural benchmark when no limit is given.
inline constexpr int64_t kDefaultScenes = 1000;

/// The program that makes the rows, and where it runs.
struct Origin {
  std::string version, commit, hardware;
};

/// All that a row depends on but the model.
struct Evaluation {
  std::vector<std::string> benchmarks;  ///< "all" alone with kScenes: those that have procedural questions
  std::string data =
      kScenes;        ///< folder with the benchmark's files or with a folder for each benchmark, or kScenes
  std::string split;  ///< empty: each benchmark's default; with kScenes train, val or test, the default
  int64_t limit = 0;  ///< questions of each benchmark, always the same ones; 0: all
  uint64_t scenes_seed = 0;
  std::string scenes_folder;  ///< where procedural questions are written, and found the next time
  ConfigurationRequest request;
  SweepOptions options;
};

/// The benchmarks' names, "all" resolved. Throws NotFound, InvalidArgument (a name twice).
std::vector<std::string> chosen_benchmarks(const Evaluation& evaluation);

/// Writes procedural questions that are not there yet. Throws NotFound, Io, Corrupt (FILE:LINE),
/// InvalidArgument.
std::vector<Questions> load_questions(const Evaluation& evaluation);

/// Answers the shard's questions into the run in `folder`, as far as their rows are not there. Throws what
/// RunWriter, configurations() and sweep() throw.
void answer(const std::shared_ptr<const engine::Model>& model, const Evaluation& evaluation,
            const std::vector<Questions>& questions, const Origin& origin, const std::string& folder);

}  // namespace winnow::sweep
