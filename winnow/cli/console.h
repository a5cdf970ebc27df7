#pragma once

namespace winnow::cli {

/// Shows the libraries' progress on stderr (a moving line on a terminal, one line per tenth otherwise) and,
/// when verbose, their messages.
void connect_console(bool verbose, bool quiet);

}  // namespace winnow::cli
