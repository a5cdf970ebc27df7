#include "winnow/report/pictures.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include "winnow/base/error.h"

namespace winnow::report {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWhere = "report.pictures";
constexpr const char* kScenes = "scenes";  // the header's word for procedural questions

std::string parameter(const record::RunHeader& header, const std::string& name) {
  const auto found = header.parameters.find(name);
  return found == header.parameters.end() ? std::string() : found->second;
}

/// `winnow eval` writes procedural questions to RUN/scenes/NAME[-SPLIT]-seedS-nN/NAME (the split test has no
/// name there), `winnow study` for all its runs OUT/STUDY/RUN to OUT/scenes.
std::string scenes_folder(const record::RunHeader& header, const record::BenchmarkPart& part,
                          const std::string& run_folder) {
  const std::string& benchmark = part.name;
  const std::string split = part.split.empty() || part.split == "test" ? "" : "-" + part.split;
  const std::string limit = parameter(header, "limit");
  const bool whole = !limit.empty() && limit != "0";  // else the default count
  const std::string begin =
      fmt::format("{}{}-seed{}-n{}", benchmark, split, parameter(header, "scenes_seed"), whole ? limit : "");
  const fs::path run(run_folder);
  for (const fs::path& scenes : {run / kScenes, run / ".." / ".." / kScenes}) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(scenes, ignored)) {
      const std::string name = entry.path().filename().string();
      if (whole ? name != begin : !name.starts_with(begin)) continue;
      const fs::path inside = entry.path() / benchmark;
      if (fs::is_directory(inside, ignored)) return inside.string();
    }
  }
  fail(ErrorCode::NotFound, kWhere, "{}: no folder {}{}/{} with the run's procedural questions",
       (run / kScenes).string(), begin, whole ? "" : "*", benchmark);
}

}  // namespace

std::string data_folder(const record::RunHeader& header, const record::BenchmarkPart& part,
                        const std::string& run_folder, const std::string& data) {
  const std::string root = data.empty() ? header.data : data;
  if (root == kScenes) return scenes_folder(header, part, run_folder);
  std::error_code ignored;
  const fs::path own = fs::path(root) / part.name;
  if (fs::is_directory(own, ignored)) return own.string();
  WINNOW_CHECK(header.benchmarks.size() == 1 && fs::exists(root, ignored), NotFound, kWhere,
               "{}: no such folder with the pictures of {}", own.string(), part.name);
  return root;
}

std::map<std::string, eval::Item> questions_by_id(const record::RunHeader& header,
                                                  const record::BenchmarkPart& part,
                                                  const std::string& folder) {
  // A folder of procedural questions is of one split.
  eval::LoadOptions options{header.data == kScenes ? "" : part.split, 0};
  const std::string limit = parameter(header, "limit");
  std::from_chars(limit.data(), limit.data() + limit.size(), options.limit);
  std::map<std::string, eval::Item> out;
  for (eval::Item& item : eval::find_benchmark(part.name).load(folder, options)) {
    std::string id = item.id;
    out.emplace(std::move(id), std::move(item));
  }
  return out;
}

}  // namespace winnow::report
