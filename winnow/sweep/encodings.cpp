#include "winnow/sweep/encodings.h"

#include <string_view>
#include <utility>

namespace winnow::sweep {
namespace {

constexpr auto kShared = static_cast<std::size_t>(-1);

/// In front of the tower or between its blocks.
bool changes_tower(const Configuration& c) {
  if (c.prune.steps.empty()) return false;
  const int32_t layer = c.prune.steps.front().layer;
  return layer == prune::kInTower || layer == prune::kBeforeTower;
}

/// What one encoding must hold so that it serves every configuration that leaves the tower alone. Asks for
/// each of the others too, so that what the model cannot do is known now.
engine::TowerRequest common_request(const engine::Session& session,
                                    std::span<const Configuration> configurations) {
  engine::PruneOptions all;
  for (const Configuration& c : configurations) {
    session.tower_request(c.prune);
    if (!changes_tower(c)) all.steps.insert(all.steps.end(), c.prune.steps.begin(), c.prune.steps.end());
  }
  return session.tower_request(all);
}

}  // namespace

Encodings::Encodings(engine::Session& session, std::span<const Configuration> configurations,
                     engine::ImageFit fit, const engine::ImageLimits& limits)
    : session_(session),
      configurations_(configurations),
      fit_(fit),
      limits_(limits),
      common_(common_request(session, configurations)) {}

void Encodings::next_question() {
  before_ = std::move(now_);
  now_.clear();
}

std::vector<EncodingPtr> Encodings::of(const eval::Item& item, std::size_t configuration_idx) {
  const bool own = changes_tower(configurations_[configuration_idx]);
  const std::size_t n = item.images.size();
  const auto n_images = static_cast<int32_t>(n);
  std::vector<EncodingPtr> out;
  for (std::size_t i = 0; i < n; ++i) {
    const Key key =
        own ? Key{configuration_idx, item.images[i].key, i, n}
            : Key{kShared, item.images[i].key, 0, session_.model().tiling().reads_whole(n_images) ? n : 0};
    out.push_back(encoded(item.images[i], key));
  }
  return out;
}

EncodingPtr Encodings::encoded(const eval::ItemImage& image, const Key& key) {
  if (const auto found = now_.find(key); found != now_.end()) return found->second;
  if (const auto found = before_.find(key); found != before_.end())
    return now_.emplace(key, found->second).first->second;
  const auto [own, name, place, n_images] = key;
  auto encoding = std::make_shared<Encoding>();
  const engine::Stopwatch watch;
  const engine::Image picture = read(image);
  encoding->read_ms = watch.ms();
  encoding->picture = {picture.width, picture.height};
  engine::TowerRequest request = common_;
  request.whole = session_.model().tiling().reads_whole(static_cast<int32_t>(n_images));
  if (own != kShared) {
    request = session_.tower_request(configurations_[own].prune, static_cast<int32_t>(n_images),
                                     static_cast<int32_t>(place));
  }
  encoding->image = session_.encode(picture, fit_, request);
  return now_.emplace(key, std::move(encoding)).first->second;
}

engine::Image Encodings::read(const eval::ItemImage& image) const {
  if (image.bytes == nullptr) return engine::load_image(image.path, limits_);
  const std::string& bytes = *image.bytes;
  return engine::decode_image({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, limits_);
}

}  // namespace winnow::sweep
