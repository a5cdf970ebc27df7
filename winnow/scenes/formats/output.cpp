#include "winnow/scenes/formats/output.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "winnow/base/error.h"
#include "winnow/scenes/render.h"

namespace winnow::scenes {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWhere = "scenes.export";

[[noreturn]] void fail_at(const std::string& path, const std::string& why) {
  fail(ErrorCode::Io, kWhere, "{}: cannot be written: {}", path, why);
}

}  // namespace

OutputFile::OutputFile(std::string path) : path_(std::move(path)), partial_(path_ + ".partial") {
  const fs::path parent = fs::path(path_).parent_path();
  std::error_code error;
  if (!parent.empty()) fs::create_directories(parent, error);
  if (error) fail_at(parent.string(), error.message());
  file_.reset(std::fopen(partial_.c_str(), "wb"));
  if (file_ == nullptr) fail_writing();
}

OutputFile::~OutputFile() {
  if (file_ == nullptr) return;
  file_.reset();
  std::error_code ignored;
  fs::remove(partial_, ignored);
}

void OutputFile::fail_writing() const { fail_at(path_, std::strerror(errno)); }

void OutputFile::append(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) fail_writing();
}

void OutputFile::finish() {
  if (std::fflush(file_.get()) != 0) fail_writing();  // a full disk may show up only here
  std::error_code error;
  fs::rename(partial_, path_, error);
  if (error) fail_at(path_, error.message());
  if (std::fclose(file_.release()) != 0) fail_writing();
}

Output::Output(std::string folder, std::string_view benchmark, int64_t n_pictures)
    : folder_(std::move(folder)), progress_(benchmark, n_pictures) {}

OutputFile Output::open(const std::string& name) {
  question_files_.push_back(name);
  return OutputFile((fs::path(folder_) / name).string());
}

void Output::finish(OutputFile& file) {
  file.finish();
  ++n_files_;
}

void Output::write(const std::string& name, std::string_view bytes) {
  OutputFile file = open(name);
  file.append(bytes);
  finish(file);
}

void Output::write_json(const std::string& name, const Json& value) { write(name, value.dump() + "\n"); }

void Output::write_picture(const std::string& name, const Scene& scene) {
  OutputFile file((fs::path(folder_) / name).string());
  file.append(picture(scene));
  finish(file);
}

std::string Output::picture(const Scene& scene) {
  const std::vector<uint8_t> png = encode_png(render(scene), kSide, kSide);
  ++n_pictures_;
  progress_.step();
  return {png.begin(), png.end()};
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) bits = bits << 8U | (k < n ? static_cast<uint8_t>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) out += k <= n ? kLetters[bits >> (18 - 6 * k) & 63U] : '=';
  }
  return out;
}

}  // namespace winnow::scenes
