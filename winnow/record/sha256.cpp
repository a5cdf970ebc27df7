#include "winnow/record/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include "winnow/base/error.h"
#include "winnow/base/progress.h"

namespace winnow::record {
namespace {

constexpr const char* kWhere = "record.sha256";
constexpr std::size_t kChunk = std::size_t{1} << 20;

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    check(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void add(std::string_view bytes) {
    check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned int size = 0;
    check(EVP_DigestFinal_ex(context_.get(), bytes.data(), &size) == 1);
    std::string out;
    for (unsigned int i = 0; i < size; ++i) out += fmt::format("{:02x}", bytes[i]);
    return out;
  }

 private:
  static void check(bool worked) {
    WINNOW_CHECK(worked, Unsupported, kWhere, "OpenSSL's libcrypto cannot compute SHA-256 here");
  }

  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string sha256_of(std::string_view bytes) {
  Digest digest;
  digest.add(bytes);
  return digest.hex();
}

std::string sha256_of_file(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  WINNOW_CHECK(fs::exists(path, ignored), NotFound, kWhere, "{}: no such file", path);
  std::ifstream file(path, std::ios::binary);
  WINNOW_CHECK(file && fs::is_regular_file(path, ignored), Io, kWhere, "{}: cannot be read", path);
  Progress progress(fmt::format("hashing {}", fs::path(path).filename().string()),
                    static_cast<int64_t>(fs::file_size(path, ignored)));
  Digest digest;
  std::vector<char> chunk(kChunk);
  while (file) {
    file.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    digest.add({chunk.data(), static_cast<std::size_t>(file.gcount())});
    progress.step(file.gcount());
  }
  WINNOW_CHECK(file.eof(), Io, kWhere, "{}: cannot be read", path);
  return digest.hex();
}

}  // namespace winnow::record
