#include "winnow/scenes/formats/formats.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/scenes/formats/writers.h"

namespace winnow::scenes {
namespace {

constexpr const char* kWhere = "scenes.export";
constexpr int32_t kMaxQuestions = 100000;  // held in memory; ids have six digits

struct Format {
  std::string_view benchmark;
  void (*write)(Items items, Output& out);
  int32_t n_files = 1;        ///< with n questions each
  int32_t n_per_picture = 1;  ///< questions that share a picture
};

constexpr std::array<Format, 10> kFormats = {{
    {.benchmark = "pope", .write = write_pope, .n_files = 3},
    {.benchmark = "mme", .write = write_mme, .n_per_picture = 2},
    {.benchmark = "gqa", .write = write_gqa},
    {.benchmark = "mmbench", .write = write_mmbench},
    {.benchmark = "scienceqa", .write = write_scienceqa},
    {.benchmark = "textvqa", .write = write_textvqa},
    {.benchmark = "vizwiz", .write = write_vizwiz},
    {.benchmark = "refcoco", .write = write_refcoco},
    {.benchmark = "haystack", .write = write_haystack},
    {.benchmark = "vqav2", .write = write_vqav2},
}};

int64_t count_pictures(const Format& format, Items items) {
  int64_t n = 0;
  for (const BenchmarkItem& item : items) n += static_cast<int64_t>(item.scenes.size());
  return n / format.n_per_picture;
}

}  // namespace

ExportSummary export_benchmark(const ExportRequest& request) {
  const auto* format = std::find_if(kFormats.begin(), kFormats.end(),
                                    [&](const Format& f) { return f.benchmark == request.benchmark; });
  WINNOW_CHECK(format != kFormats.end(), InvalidArgument, kWhere,
               "unknown benchmark, got '{}', expected one of {}", request.benchmark,
               fmt::join(benchmarks(), ", "));
  WINNOW_CHECK(request.n >= 1 && request.n <= kMaxQuestions, InvalidArgument, kWhere,
               "number of questions, got {}, expected 1 to {}", request.n, kMaxQuestions);
  const int32_t n_groups = (request.n * format->n_files + format->n_per_picture - 1) / format->n_per_picture;
  const auto items = draw_benchmark(request.benchmark, request.split, request.seed,
                                    n_groups * format->n_per_picture, request.difficulty);
  const std::string folder = (std::filesystem::path(request.folder) / request.benchmark).string();
  Output out(folder, request.benchmark, count_pictures(*format, items));
  try {
    format->write(items, out);
  } catch (const Error& error) {
    if (out.n_files() == 0) throw;
    throw Error(error.code(),
                fmt::format("{}; {} files before it are in {}", error.what(), out.n_files(), folder));
  }
  return {request.benchmark, folder, static_cast<int64_t>(items.size()), out.n_pictures(),
          out.question_files()};
}

const std::string& short_answer_suffix() { return prompt_suffixes()[0]; }
const std::string& yes_no_suffix() { return prompt_suffixes()[2]; }
const std::string& unanswerable_suffix() { return prompt_suffixes()[4]; }

std::string six_digits(std::size_t idx) { return fmt::format("{:06}", idx); }

std::string lower_yes_no(const std::string& answer) {
  if (answer == "Yes") return "yes";
  if (answer == "No") return "no";
  return answer;
}

std::string stem_of(const Question& question) { return question.text.substr(0, question.text.find("\nA. ")); }

std::string llava_line(const Json& question_id, std::string_view image, std::string_view text,
                       std::string_view category) {
  const Json row = {{"question_id", question_id}, {"image", image}, {"text", text}, {"category", category}};
  return row.dump() + "\n";
}

}  // namespace winnow::scenes
