#pragma once

#include <string>
#include <string_view>

namespace winnow::record {

/// SHA-256 (FIPS 180-4) as 64 lower-case hexadecimal digits, as sha256sum prints it.
std::string sha256_of(std::string_view bytes);
/// The same of a whole file, with progress. Throws NotFound, Io.
std::string sha256_of_file(const std::string& path);

}  // namespace winnow::record
