#pragma once

#include <string>
#include <string_view>

namespace winnow::eval {

/// RFC 4648 with padding; line breaks and blanks between the letters are skipped. `place` says where the text
/// comes from. Stricter than Python, which skips foreign characters too. Throws Corrupt.
std::string decode_base64(std::string_view text, std::string_view place);

}  // namespace winnow::eval
