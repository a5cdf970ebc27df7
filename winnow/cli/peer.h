#pragma once

// The peer of `winnow bench --peer`: llama.cpp's own libmtmd + libllama on the same files, in a process of
// its own, so that each side's peak memory is its own. The parent asks for one repetition at a time and so
// interleaves both.

#include <cstdint>
#include <memory>
#include <string>

namespace winnow::cli {

struct PeerRequest {
  std::string text_path;
  std::string mmproj_path;
  std::string image_path;
  std::string prompt;  ///< the whole prompt with kImageMarker at the image's place
  int32_t n_threads = 1;
  int32_t n_decode = 0;  ///< tokens to generate after the first
  int32_t n_ctx = 2048;
};

/// One repetition, milliseconds.
struct PeerTimes {
  double image_ms = 0.0;
  double tower_ms = 0.0;  ///< tower and projector
  double prefill_ms = 0.0;
  double decode_ms = 0.0;
  int32_t n_tokens = 0;  ///< prompt tokens
  int64_t peak_rss_bytes = 0;
};

/// Whether this build has libmtmd.
bool peer_available();

/// Body of the child process: loads the model, then runs one repetition per line on stdin. Returns the exit
/// status.
int serve_peer(const PeerRequest& request);

/// The child process as the parent sees it.
class Peer {
 public:
  /// Starts this program again as a peer. Throws Unsupported without libmtmd, Io when the child fails.
  explicit Peer(const PeerRequest& request);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  PeerTimes run();

 private:
  std::string read_line();
  int to_child_ = -1;
  int from_child_ = -1;
  int pid_ = -1;
};

}  // namespace winnow::cli
