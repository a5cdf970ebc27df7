#pragma once

// How Winnow says that an input was bad. Libraries never print, abort or exit: they throw Error.
// Message form: "[room.function] what was wrong, got X, expected Y".

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace winnow {

/// What kind of failure it is; the command line maps all of them to exit status 2 except Internal (1).
enum class ErrorCode {
  InvalidArgument,  ///< an option, a parameter or a value out of range
  NotFound,         ///< a file, method, tensor or key that is not there
  Corrupt,          ///< a file whose content contradicts itself or its format
  Unsupported,      ///< well-formed, but nothing Winnow can do
  Io,               ///< the operating system refused a read or a write
  OutOfMemory,      ///< a buffer could not be allocated
  Internal,         ///< a bug of ours or of a library
};

/// Short lower-case name of a code, as written in JSON ("invalid_argument").
const char* error_code_name(ErrorCode code);

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

/// Throws Error with the message "[where] text".
template <class... Args>
[[noreturn]] void fail(ErrorCode code, std::string_view where, fmt::format_string<Args...> text,
                       Args&&... args) {
  throw Error(code, fmt::format("[{}] {}", where, fmt::format(text, std::forward<Args>(args)...)));
}

}  // namespace winnow

/// Checks what a user or a file controls. WINNOW_CHECK(cond, code, where, format, args...).
#define WINNOW_CHECK(cond, code, where, ...)                                    \
  do {                                                                          \
    if (!(cond)) ::winnow::fail(::winnow::ErrorCode::code, where, __VA_ARGS__); \
  } while (false)

/// Checks what only a bug can break; never reachable from input.
#define WINNOW_ASSERT(cond)                                                                              \
  do {                                                                                                   \
    if (!(cond)) ::winnow::fail(::winnow::ErrorCode::Internal, __func__, "assertion failed: {}", #cond); \
  } while (false)
