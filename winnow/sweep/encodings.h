#pragma once

// Pictures through tower and projector, once for all configurations and for neighbouring questions that show
// the same picture.

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "winnow/engine/session.h"
#include "winnow/eval/benchmark.h"
#include "winnow/sweep/configuration.h"

namespace winnow::sweep {

/// An encoded picture and what reading its file took.
struct Encoding {
  engine::EncodedImage image;
  engine::PixelSize picture;
  double read_ms = 0.0;
};
using EncodingPtr = std::shared_ptr<const Encoding>;

/// Of one session; remembers the pictures of the question before. Not thread-safe.
class Encodings {
 public:
  /// The configurations must outlive it. Throws Unsupported when the model cannot give a signal that one of
  /// them reads.
  Encodings(engine::Session& session, std::span<const Configuration> configurations, engine::ImageFit fit,
            const engine::ImageLimits& limits);

  /// To be called when the next question begins.
  void next_question();
  /// The question's pictures for one configuration. Those that change what the tower computes have
  /// encodings of their own, all others share one with the signals of all. Throws what reading and encoding
  /// throws.
  std::vector<EncodingPtr> of(const eval::Item& item, std::size_t configuration_idx);

 private:
  /// Configuration that has its own encodings or npos, picture, its place, number of pictures.
  using Key = std::tuple<std::size_t, std::string, std::size_t, std::size_t>;
  EncodingPtr encoded(const eval::ItemImage& image, const Key& key);
  engine::Image read(const eval::ItemImage& image) const;

  engine::Session& session_;
  std::span<const Configuration> configurations_;
  engine::ImageFit fit_;
  engine::ImageLimits limits_;
  engine::TowerRequest common_;
  std::map<Key, EncodingPtr> now_, before_;
};

}  // namespace winnow::sweep
