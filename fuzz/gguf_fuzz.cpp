// Any bytes are either a model file that passes every check made before weights are loaded, or an Error.

#include <fcntl.h>
#include <gguf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "winnow/base/error.h"
#include "winnow/engine/decoder/llama.h"
#include "winnow/engine/projector/mlp.h"
#include "winnow/engine/projector/tiling.h"
#include "winnow/engine/tokenizer.h"
#include "winnow/engine/vision/clip.h"

namespace {

using namespace winnow::engine;

/// A file in memory with a path, because the loader takes a path.
class MemoryFile {
 public:
  MemoryFile(const uint8_t* data, size_t size) : fd_(::memfd_create("gguf", MFD_CLOEXEC)) {
    if (fd_ < 0 || ::write(fd_, data, size) != static_cast<ssize_t>(size)) __builtin_trap();
  }
  ~MemoryFile() { ::close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

template <class Check>
void attempt(const Check& check) {
  try {
    check();
  } catch (const winnow::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const MemoryFile memory(data, size);
  attempt([&] {
    const GgufFile file(memory.path());
    for (int64_t i = 0; i < gguf_get_n_kv(file.meta()); ++i) file.describe(i);
    attempt([&] {
      const ClipConfig clip = read_clip_config(file);
      check_tensors(file, clip_tensors(clip));
      const MlpConfig mlp = read_mlp_config(file, clip.n_embd, clip.grid());
      check_tensors(file, mlp_tensors(mlp));
      check_tensors(file, tiling_tensors(read_tiling(file, clip.image_size_px), mlp.n_out));
    });
    attempt([&] {
      const LlamaConfig llama = read_llama_config(file);
      check_tensors(file, llama_tensors(llama));
      embed_tokens(llama, file, std::vector<int32_t>{0, llama.n_vocab - 1});
    });
    attempt([&] {
      check_tokenizer(file);
      const Tokenizer tokenizer(file.path());
      for (const int32_t id : tokenizer.tokenize("Is it <a> dog?\n\xff", true)) tokenizer.piece(id);
      tokenizer.piece(tokenizer.n_tokens());
      tokenizer.is_end(tokenizer.end_token());
    });
  });
  return 0;
}
