#include "winnow/cli/arguments.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "winnow/base/error.h"
#include "winnow/base/log.h"
#include "winnow/base/process.h"
#include "winnow/prune/cascade.h"
#include "winnow/sweep/evaluation.h"

namespace winnow::cli {
namespace fs = std::filesystem;
namespace {

constexpr unsigned kMaxThreads = 64;  // as engine::SessionOptions

/// The one file of the folder whose name holds `part`.
std::string file_with(const std::string& folder, std::string_view part) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() == ".gguf" && name.find(part) != std::string::npos) {
      found.push_back(entry.path().string());
    }
  }
  WINNOW_CHECK(found.size() == 1, NotFound, "cli.model", "{}: got {} '*{}*.gguf' files, expected one", folder,
               found.size(), part);
  return found.front();
}

}  // namespace

CLI::Validator not_negative() {
  return CLI::Validator(
      [](const std::string& text) {
        if (text.starts_with('-')) return fmt::format("got {}, expected 0 or more", text);
        uint64_t value = 0;
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool fits = parsed.ec != std::errc::result_out_of_range;
        return fits ? std::string() : fmt::format("got {}, expected at most {}", text, UINT64_MAX);
      },
      "");
}

void check_writable(const std::string& path) {
  if (path.empty()) return;
  const fs::path file(path);
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  int why = 0;
  if (fs::is_directory(file)) {
    why = EISDIR;
  } else if (::access(fs::exists(file) ? file.c_str() : folder.c_str(), W_OK) != 0) {
    why = errno;
  }
  WINNOW_CHECK(why == 0, Io, "cli.output", "{}: cannot be written: {}", path, std::strerror(why));
}

void make_out_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  WINNOW_CHECK(!error, Io, "cli.output", "--out, {}: cannot be made: {}", folder, error.message());
}

void check_data(const std::string& data) {
  std::error_code ignored;
  WINNOW_CHECK(data == sweep::kScenes || fs::exists(data, ignored), NotFound, "cli.data",
               "--data, got '{}', expected a folder or the word scenes", data);
}

int32_t default_threads(int32_t on_host) {
  const auto n_host = static_cast<int32_t>(std::clamp(std::thread::hardware_concurrency(), 1U, kMaxThreads));
  const int32_t n_mine = processors_of_process();
  return n_mine > 0 && n_mine < n_host ? n_mine : std::max(n_host / on_host, 1);
}

std::string builtin_model_folder() {
  const fs::path program = fs::path(program_path()).parent_path();
  std::vector<fs::path> places;
  if (const char* set = std::getenv("WINNOW_MODEL_DIR")) places.emplace_back(set);
  places.push_back(program / "../share/winnow/models");
  places.push_back(program / "../../../models");  // a build folder inside the source tree
  std::string looked;
  for (const fs::path& place : places) {
    const fs::path clean = place.lexically_normal();
    if (fs::is_directory(clean)) {
      for (const auto& entry : fs::directory_iterator(clean)) {
        if (entry.path().extension() == ".gguf") return clean.string();
      }
    }
    looked += (looked.empty() ? "" : ", ") + clean.string();
  }
  fail(ErrorCode::NotFound, "cli.model",
       "the built-in model is not there (looked in {}): give a model with -m and --mmproj", looked);
}

void ModelArguments::add_to(CLI::App& command) {
  command.add_option("-m,--model", text, "GGUF text model (default: the built-in model)");
  command.add_option("--mmproj", mmproj, "GGUF vision tower and projector that belong to it");
  command.add_option("--device", device, "auto, cpu, or a device name of ggml")->capture_default_str();
  command.add_option("-t,--threads", threads, "Threads (default: all processors)")
      ->check(CLI::Range(1, 1024));
  command.add_option("-c,--ctx", context, "Context length (default: the model's)")
      ->check(CLI::Range(1, 1 << 30));
  command.add_option("--batch", batch, "Prompt tokens per graph (default: 512)")
      ->check(CLI::Range(1, 1 << 20));
  command.add_option("--kv-type", kv_type, "KV cache: f32, f16, bf16, q8_0")->capture_default_str();
  command.add_option("--flash-attn", flash, "Fused attention: auto, on, off")->capture_default_str();
  command
      .add_option("--text-type", text_type,
                  "Decoder matrices: auto (q8_0 in the built-in model, else stored), stored, or a type")
      ->capture_default_str();
  command.add_option("--tower-type", tower_type, "Tower matrices: the same")->capture_default_str();
  command
      .add_option("--tower-blocks", tower_blocks,
                  "Read the features after this many blocks (default: from the file)")
      ->check(CLI::Range(1, 1024));
  command.add_flag("--f32", f32, "Weights, KV and activations in f32: for exact comparison");
}

engine::ModelOptions ModelArguments::model_options() const {
  engine::ModelOptions options;
  WINNOW_CHECK(text.empty() == mmproj.empty(), InvalidArgument, "cli.model",
               "-m and --mmproj belong together, got only {}", text.empty() ? "--mmproj" : "-m");
  options.text_path = text;
  options.mmproj_path = mmproj;
  options.text_type = text_type;
  options.tower_type = tower_type;
  if (text.empty()) {
    const std::string folder = builtin_model_folder();
    options.text_path = file_with(folder, "text");
    options.mmproj_path = file_with(folder, "mmproj");
    // Half the time of f16 on processors without its instructions; docs/model.md has what it changes.
    if (text_type == "auto") options.text_type = "q8_0";
    if (tower_type == "auto") options.tower_type = "q8_0";
  }
  options.device = device;
  options.f32 = f32;
  options.tower_blocks = tower_blocks;
  return options;
}

engine::SessionOptions ModelArguments::session_options() const {
  engine::SessionOptions options;
  options.n_threads = threads;
  options.n_ctx = context;
  options.n_batch = batch;
  options.kv_type = kv_type;
  options.flash = engine::parse_flash_attention(flash);
  return options;
}

void PruneArguments::add_to(CLI::App& command) {
  command
      .add_option("--prune", method,
                  "NAME[:param=value,...], see 'winnow methods'; window(NAME, RxC), then(NAME@LAYER, ...)")
      ->capture_default_str();
  command.add_option("--keep", keep,
                     "Visual tokens that stay: a number or a percentage, 144 or 25%; of then(), 50%,25%");
  command
      .add_option("--budget", budget,
                  "exact: after the step; average: mean over the decoder's layers; total, trr: with the "
                  "projector's merging counted, as ratio or as the paper's rate")
      ->capture_default_str();
  command.add_option("--layer", layer, "Prune before this decoder layer (default: the method's own place)");
  command.add_option("--position", position, "original, compact or regrid (default: the method's own)");
  command.add_option("--seed", seed, "For methods and sampling that draw at random")
      ->check(not_negative())
      ->capture_default_str();
}

void PruneArguments::check() const {
  prune::parse_cascade(method);
  prune::parse_budgets(keep, prune::parse_budget_mode(budget));
  if (!position.empty()) prune::parse_position_policy(position);
}

engine::PruneOptions PruneArguments::options(const engine::Model& model) const {
  engine::PruneOptions out;
  out.seed = seed;
  if (!position.empty()) out.position = prune::parse_position_policy(position);
  const int32_t n_layer = model.llama().n_layer;
  WINNOW_CHECK(!layer || *layer >= 0, InvalidArgument, "cli.prune", "--layer, got {}, expected 0 to {}",
               *layer, n_layer - 1);
  out.steps = prune::parse_steps(method, keep, prune::parse_budget_mode(budget), layer.value_or(-1), n_layer,
                                 sweep::tacr(model));
  std::erase_if(out.steps, [](const prune::Step& step) { return step.use.method->info().keeps_all; });
  if (out.steps.empty() && !keep.empty()) {
    log(LogLevel::Warning, "--keep {} has no effect with --prune {}", keep, method);
  }
  return out;
}

void ImageArguments::add_to(CLI::App& command) {
  command
      .add_option("-i,--image", paths,
                  "Picture: JPEG, PNG, BMP, GIF or WebP; several times for several pictures")
      ->allow_extra_args(false);
  command
      .add_option("--image-fit", fit,
                  "pad: to a square with the mean colour; crop: the centre (neither where the model cuts "
                  "tiles or reads any size)")
      ->capture_default_str();
  command.add_option("--max-pixels", max_pixels, "Larger pictures are refused")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40).description(""))
      ->capture_default_str();
}

std::vector<engine::Image> ImageArguments::load() const {
  engine::ImageLimits limits;
  limits.max_pixels = max_pixels;
  std::vector<engine::Image> images;
  for (const std::string& path : paths) images.push_back(engine::load_image(path, limits));
  return images;
}

std::string backend_text(const engine::Model& model) {
  ggml_backend_dev_t device = model.device();
  if (engine::is_cpu(device)) return "cpu: " + processor_name();
  return std::string(ggml_backend_dev_name(device)) + ": " + ggml_backend_dev_description(device);
}

}  // namespace winnow::cli
