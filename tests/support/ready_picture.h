#pragma once

// A session and one picture or video, encoded once for all methods: making them costs more than a run.

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "tests/support/engine_models.h"
#include "winnow/prune/method.h"

namespace winnow::testing {

/// The encoding holds the signals of every method that the model can run.
class ReadyPicture {
 public:
  ReadyPicture(std::shared_ptr<const engine::Model> model, const engine::SessionOptions& options,
               engine::Prompt prompt, const engine::Image& picture, engine::ImageFit fit)
      : session(std::move(model), options), prompt_(std::move(prompt)) {
    image = session.encode(picture, fit, all_signals());
  }
  /// The frames of a video.
  ReadyPicture(std::shared_ptr<const engine::Model> model, const engine::SessionOptions& options,
               engine::Prompt prompt, const std::vector<engine::Image>& frames)
      : session(std::move(model), options), prompt_(std::move(prompt)) {
    image = session.encode_video(frames, all_signals());
  }

  /// Prompt, then n_decode greedy tokens.
  Turn run(const engine::PruneOptions& options, int32_t n_decode = 0) {
    session.clear();
    return decode_turn(session, session.prefill(prompt_, {&image}, options, n_decode), n_decode);
  }

  engine::Session session;
  engine::EncodedImage image;

 private:
  engine::TowerRequest all_signals() const {
    engine::PruneOptions all;
    for (const prune::Method* method : prune::selecting_methods()) {
      const prune::MethodInfo& info = method->info();
      if (!can_run(session.model(), info.name)) continue;
      all.steps.push_back({{method, prune::Params(info.name, info.params, {})}, 0, {1.0, false, {}}});
    }
    return session.tower_request(all);
  }

  engine::Prompt prompt_;
};

/// Where a method is tried: -1 after the tower, else before that layer.
inline std::vector<int32_t> places(const prune::MethodInfo& info) {
  if (info.stage == prune::Stage::AfterTower) return {-1};
  if (info.stage == prune::Stage::Either) return {-1, 2};
  return {std::max(2, info.min_layer)};
}

}  // namespace winnow::testing
