#pragma once

// Groups of options that several commands share.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "winnow/engine/session.h"

namespace winnow::cli {

/// Which model, on what, how.
struct ModelArguments {
  std::string text;
  std::string mmproj;
  std::string device = "auto";
  std::string text_type = "auto", tower_type = "auto";
  int32_t tower_blocks = 0;
  bool f32 = false;
  int32_t threads = 0;
  int32_t context = 0;
  int32_t batch = 0;
  std::string kv_type = "f16";
  std::string flash = "auto";

  void add_to(CLI::App& command);
  /// Paths filled in with the built-in model when -m was not given. Throws InvalidArgument, NotFound.
  engine::ModelOptions model_options() const;
  engine::SessionOptions session_options() const;
};

/// Which tokens stay.
struct PruneArguments {
  std::string method = "none";
  std::string keep;
  std::string budget = "exact";
  std::string position;
  std::optional<int32_t> layer;
  uint64_t seed = 0;

  void add_to(CLI::App& command);
  /// What can be known to be wrong before a model is loaded. Throws InvalidArgument, NotFound.
  void check() const;
  engine::PruneOptions options(const engine::Model& model) const;
};

/// Images of one prompt.
struct ImageArguments {
  std::vector<std::string> paths;
  std::string fit = "pad";
  int64_t max_pixels = engine::ImageLimits{}.max_pixels;

  void add_to(CLI::App& command);
  std::vector<engine::Image> load() const;
};

/// For unsigned options: CLI11 would wrap "-1" around.
CLI::Validator not_negative();

/// For files that are written at the end of minutes of work. An empty path is fine. Throws Io.
void check_writable(const std::string& path);
/// Makes the folder of --out, before anything long begins. Throws Io.
void make_out_folder(const std::string& folder);
/// --data: a folder or the word scenes. Throws NotFound.
void check_data(const std::string& data);
/// All processors that this process may use, at most as many as sessions take; `on_host` alike processes of
/// one machine share them unless each has its own.
int32_t default_threads(int32_t on_host = 1);

/// Folder of the built-in model. Throws NotFound and says where it looked.
std::string builtin_model_folder();

/// "cpu: AMD EPYC ...", "Vulkan0: ...": what computes.
std::string backend_text(const engine::Model& model);

}  // namespace winnow::cli
