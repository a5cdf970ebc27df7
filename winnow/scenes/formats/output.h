#pragma once

// Where the formats write to. Private to winnow/scenes/formats.

#include <cstdint>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/base/progress.h"
#include "winnow/scenes/scene.h"

namespace winnow::scenes {

using Json = nlohmann::ordered_json;  // keys in the order of the published files

/// A file that appears under its name when it is finished; until then it is PATH.partial, which goes away if
/// finish() is not reached. Movable, one thread.
class OutputFile {
 public:
  explicit OutputFile(std::string path);  ///< makes the folders on the way; throws Io
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  OutputFile(OutputFile&&) = default;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  void append(std::string_view bytes);  ///< throws Io
  void finish();                        ///< throws Io

 private:
  [[noreturn]] void fail_writing() const;

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_, partial_;
  std::unique_ptr<std::FILE, Close> file_;
};

/// The folder of one benchmark.
class Output {
 public:
  /// n_pictures: how many will be written, for the progress.
  Output(std::string folder, std::string_view benchmark, int64_t n_pictures);

  /// A file of questions, of which the caller says when it is finished. `name` is relative to the folder.
  OutputFile open(const std::string& name);
  void finish(OutputFile& file);
  void write(const std::string& name, std::string_view bytes);
  void write_json(const std::string& name, const Json& value);
  void write_picture(const std::string& name, const Scene& scene);
  /// For pictures that go into another file: the PNG's bytes.
  std::string picture(const Scene& scene);

  const std::string& folder() const { return folder_; }
  const std::vector<std::string>& question_files() const { return question_files_; }
  int64_t n_pictures() const { return n_pictures_; }
  int64_t n_files() const { return n_files_; }

 private:
  std::string folder_;
  Progress progress_;
  std::vector<std::string> question_files_;
  int64_t n_pictures_ = 0;
  int64_t n_files_ = 0;  // finished
};

/// RFC 4648 with padding, on one line.
std::string base64(std::string_view bytes);

}  // namespace winnow::scenes
