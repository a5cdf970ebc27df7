#include "winnow/sweep/scenes_data.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "winnow/base/error.h"
#include "winnow/scenes/formats/formats.h"
#include "winnow/scenes/question.h"

namespace winnow::sweep {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWhere = "sweep.scenes_data";
constexpr int32_t kPopeFiles = 3;  // with n questions each

}  // namespace

std::string scenes_data(const std::string& benchmark, scenes::Split split, uint64_t seed, int32_t n,
                        const std::string& folder) {
  const auto& known = scenes::benchmarks();
  WINNOW_CHECK(std::find(known.begin(), known.end(), benchmark) != known.end(), InvalidArgument, kWhere,
               "benchmark without procedural questions, got '{}', expected some of {}", benchmark,
               fmt::join(known, ", "));
  // The name says what is inside; the folder appears under it when it is whole.
  const char* part = split == scenes::Split::Test ? "" : split == scenes::Split::Train ? "-train" : "-val";
  const fs::path whole = fs::path(folder) / fmt::format("{}{}-seed{}-n{}", benchmark, part, seed, n);
  const fs::path partial = whole.string() + ".partial";
  if (!fs::is_directory(whole)) {
    scenes::ExportRequest request;
    request.benchmark = benchmark;
    request.split = split;
    request.seed = seed;
    request.n = benchmark == "pope" ? (n + kPopeFiles - 1) / kPopeFiles : n;
    request.folder = partial.string();
    scenes::export_benchmark(request);
    std::error_code error;
    fs::rename(partial, whole, error);
    WINNOW_CHECK(!error, Io, kWhere, "{}: cannot be written: {}", whole.string(), error.message());
  }
  return (whole / benchmark).string();
}

}  // namespace winnow::sweep
