#pragma once

#include <cstdint>
#include <string>

namespace winnow {

/// Largest resident memory of this process so far, bytes.
int64_t peak_rss_bytes();
/// Absolute path of the running program; empty if the system does not tell.
std::string program_path();
/// Brand string of the processor ("AMD EPYC ..."); "unknown" if the system does not tell.
std::string processor_name();
/// Processors that this process may run on; 0 if the system does not tell.
int32_t processors_of_process();

}  // namespace winnow
