#pragma once

// Pictures of a run's questions, found again through the benchmarks' loaders. Decoding them is the caller's
// business: the report links no image library.

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "winnow/eval/benchmark.h"
#include "winnow/record/run_header.h"

namespace winnow::report {

/// A small picture that a page can hold.
struct Thumbnail {
  std::string data_url;  ///< "data:image/png;base64,..."
  int32_t width_px = 0, height_px = 0;
};

/// Throws what reading and decoding throw.
using MakeThumbnail = std::function<Thumbnail(const eval::ItemImage&)>;

/// The folder that a benchmark's loader reads for this run: DATA/NAME if it is there, else DATA for a single
/// benchmark; of procedural questions RUN/scenes/... `data` overrides the header's. Throws NotFound.
std::string data_folder(const record::RunHeader& header, const record::BenchmarkPart& part,
                        const std::string& run_folder, const std::string& data);

/// Question id -> question, of one benchmark of a run. Throws NotFound, Corrupt, Io.
std::map<std::string, eval::Item> questions_by_id(const record::RunHeader& header,
                                                  const record::BenchmarkPart& part,
                                                  const std::string& folder);

}  // namespace winnow::report
