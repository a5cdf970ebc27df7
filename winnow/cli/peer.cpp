#include "winnow/cli/peer.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <nlohmann/json.hpp>

#include "winnow/base/error.h"
#include "winnow/base/process.h"

namespace winnow::cli {

Peer::Peer(const PeerRequest& r) {
  WINNOW_CHECK(peer_available(), Unsupported, "cli.peer",
               "--peer: this build has no libmtmd to compare with");
  std::array<int, 2> down{};
  std::array<int, 2> up{};
  WINNOW_CHECK(::pipe2(down.data(), O_CLOEXEC) == 0 && ::pipe2(up.data(), O_CLOEXEC) == 0, Io, "cli.peer",
               "no pipes for the peer process");
  std::signal(SIGPIPE, SIG_IGN);
  const std::string program = program_path();
  const std::string threads = std::to_string(r.n_threads);
  const std::string decode = std::to_string(r.n_decode);
  const std::string context = std::to_string(r.n_ctx);
  pid_ = ::fork();
  WINNOW_CHECK(pid_ >= 0, Io, "cli.peer", "no process for the peer");
  if (pid_ == 0) {
    ::dup2(down[0], STDIN_FILENO);
    ::dup2(up[1], STDOUT_FILENO);
    ::execl(program.c_str(), program.c_str(), "peer", "-m", r.text_path.c_str(), "--mmproj",
            r.mmproj_path.c_str(), "--image", r.image_path.c_str(), "-p", r.prompt.c_str(), "-t",
            threads.c_str(), "--ctx", context.c_str(), "--decode", decode.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(down[0]);
  ::close(up[1]);
  to_child_ = down[1];
  from_child_ = up[0];
  const std::string hello = read_line();
  WINNOW_CHECK(hello == "ready", Io, "cli.peer", "llama.cpp cannot load these files, it says: '{}'", hello);
}

Peer::~Peer() {
  ::close(to_child_);
  ::close(from_child_);
  int status = 0;
  ::waitpid(pid_, &status, 0);
}

std::string Peer::read_line() {
  std::string line;
  char c = 0;
  while (::read(from_child_, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

PeerTimes Peer::run() {
  const bool sent = ::write(to_child_, "run\n", 4) == 4;
  const std::string line = sent ? read_line() : "";
  const auto j = nlohmann::json::parse(line, nullptr, false);
  WINNOW_CHECK(j.is_object() && j.contains("prefill_ms"), Io, "cli.peer", "the peer process failed: '{}'",
               line);
  return {j["image_ms"], j["tower_ms"], j["prefill_ms"], j["decode_ms"], j["n_tokens"], j["peak_rss_bytes"]};
}

}  // namespace winnow::cli
