#include "winnow/base/error.h"
#include "winnow/cli/peer.h"

namespace winnow::cli {

bool peer_available() { return false; }

int serve_peer(const PeerRequest&) { fail(ErrorCode::Unsupported, "cli.peer", "this build has no libmtmd"); }

}  // namespace winnow::cli
