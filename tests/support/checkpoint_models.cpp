#include "tests/support/checkpoint_models.h"

#include <filesystem>
#include <map>
#include <utility>

namespace winnow::testing {
namespace fs = std::filesystem;

std::string checkpoint_path(const std::string& family, const std::string& name) {
  return WINNOW_TEST_DATA "/" + family + "/" + name;
}

const convert::ConvertedFiles& converted_checkpoint(const std::string& family, ggml_type type) {
  static std::map<std::pair<std::string, ggml_type>, convert::ConvertedFiles> made;
  const auto found = made.find({family, type});
  if (found != made.end()) return found->second;
  const std::string folder = scratch_folder() + "/checkpoint_" + family;
  fs::create_directories(folder);
  constexpr auto kAgain = fs::copy_options::overwrite_existing;
  for (const auto& entry : fs::directory_iterator(checkpoint_path(family, "hf"))) {
    fs::copy_file(entry.path(), folder / entry.path().filename(), kAgain);
  }
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    fs::copy_file(qwen_path(std::string("hf/") + name), fs::path(folder) / name, kAgain);
  }
  const convert::ConvertOptions options = {folder, "", "", type, folder + "_gguf"};
  return made[{family, type}] = convert::convert_checkpoint(options);
}

std::shared_ptr<const engine::Model> checkpoint_model(const std::string& family) {
  static std::map<std::string, std::shared_ptr<const engine::Model>> loaded;
  auto& model = loaded[family];
  if (model == nullptr) {
    const convert::ConvertedFiles& files = converted_checkpoint(family);
    model = load_model({files.text, files.mmproj});
  }
  return model;
}

const record::TensorFile& checkpoint_results(const std::string& family, const std::string& name) {
  static std::map<std::string, record::TensorFile> read;
  const std::string path = checkpoint_path(family, name + ".safetensors");
  const auto found = read.find(path);
  return found != read.end() ? found->second : read[path] = record::read_safetensors(path);
}

}  // namespace winnow::testing
