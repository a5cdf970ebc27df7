#pragma once

// image -> pixels -> tower -> projector -> selection -> decoder -> answer, for one conversation.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "winnow/engine/kv_cache.h"
#include "winnow/engine/model.h"
#include "winnow/engine/projector/token_layout.h"
#include "winnow/engine/prompt.h"
#include "winnow/engine/sampler.h"
#include "winnow/engine/stopwatch.h"
#include "winnow/prune/positions.h"
#include "winnow/prune/schedule.h"

namespace winnow::engine {

enum class FlashAttention { Auto, On, Off };
/// "auto", "on", "off". Throws InvalidArgument.
FlashAttention parse_flash_attention(const std::string& name);
std::string flash_attention_name(FlashAttention flash);

struct SessionOptions {
  int32_t n_threads = 0;        ///< 0: all processors, at most 64
  int32_t n_ctx = 0;            ///< longest sequence (position ids); 0: the model's own
  int32_t n_batch = 0;          ///< prompt tokens per graph; 0: 512
  std::string kv_type = "f16";  ///< f32, f16, bf16, q8_0
  FlashAttention flash = FlashAttention::Auto;
};

/// What pruning does in a run. No steps: nothing is dropped.
struct PruneOptions {
  std::vector<prune::Step> steps;  ///< after the tower first, then ascending layers, one step each; a lone
                                   ///< kOwnSchedule step becomes its method's schedule
  std::optional<prune::PositionPolicy> position;  ///< absent: each method's own
  uint64_t seed = 0;
  /// What the user asks in this turn, without template and answer instructions: for methods that read it
  /// through CLIP's text tower. Image markers in it become spaces.
  std::string question = {};
};

/// One image after tower and projector: n tokens, those of the layout unless the tower merged rows. The
/// layout is of the model's own grid, of that of a smaller picture, of tiles, or of a video's steps. Newlines
/// have zeros for features and signals. The signals are those of the needs it was encoded for.
struct EncodedImage {
  TokenLayout layout;
  std::optional<prune::Plan> merge;  ///< the tokens' cells, when rows were merged in the tower
  std::string merged_by;             ///< the use that did it, as MethodUse::to_string()
  std::vector<float> features;       // [n, d_tower], of merged patches their mean
  std::vector<float> projected;      // [n, n_embd]
  std::vector<float> cls_feature;    // [n_tile, d_tower] if ClsToken was asked for
  std::vector<float> cls_token;      // [n_tile, n_embd] the same, projected
  std::vector<TowerSignal> signals;
  std::vector<BlockRows> tower_rows;  ///< for each block that was run on one tile, for counting FLOPs
  std::vector<prune::Need> computed;  ///< what was made beside features and projection
  std::vector<ImageMap> maps;         ///< [n_tile] where each tile shows its picture, for drawing
  PixelSize tile_px;                  ///< of each tile
  prune::Grid full;                   ///< tokens of each tile, had no step made the picture smaller
  double preprocess_ms = 0.0;
  double tower_ms = 0.0;
  double projector_ms = 0.0;

  int32_t n_token() const { return merge ? merge->n_out() : layout.n(); }
  /// Tokens of the picture without any step.
  int32_t n_full() const {
    return static_cast<int32_t>(int64_t{layout.n()} * full.size() / layout.tile.size());
  }
  int32_t n_tile() const { return static_cast<int32_t>(layout.tiles.size()); }
  /// Rows that went through the projector, padding of tiles among them.
  int32_t n_projected() const { return merge ? merge->n_out() : n_tile() * layout.tile.size(); }
};

/// What one step did to one image.
struct StepResult {
  int32_t step = 0;  ///< index in PrefillResult::schedule
  std::string method;
  int32_t layer = prune::kAfterTower;
  int32_t image = 0;
  int32_t n_before = 0;
  std::vector<int32_t> kept;  ///< for selections: indices into the image's original tokens, in output order
  std::vector<float> scores;  ///< [n_before] or empty
  prune::Plan plan;
};

struct PrefillResult {
  std::vector<float> logits;                       // [n_vocab] of the last prompt token
  std::vector<prune::Step> schedule;               ///< the steps as they were run
  std::vector<StepResult> steps;                   ///< what they did, image by image
  std::vector<std::vector<prune::Need>> computed;  ///< [step] signals that were made or handed over
  std::vector<std::string> notes;  ///< things a user should know ("image 0 has only 144 tokens: keeps all")
  int32_t n_text = 0;
  int32_t n_visual_before = 0;    ///< of the pictures as the tower read them
  int32_t n_visual_after = 0;     ///< entering the last layer
  double n_visual_average = 0.0;  ///< mean over the layers
  double select_ms = 0.0;         ///< signals and methods
  double gather_ms = 0.0;         ///< building the shorter sequence
  double prefill_ms = 0.0;
  int64_t kv_bytes = 0;           ///< rows this prompt left in the cache
  int64_t kv_bytes_unpruned = 0;  ///< what they would be without any of the steps
};

/// What a step asked of its method for one image, or for one tile of it, and the answer. Views live during
/// the call.
struct Selection {
  std::size_t step_idx = 0;
  int32_t image = 0;
  int32_t tile = -1;  ///< -1: all of the image's tokens
  const prune::Step& step;
  int32_t n_keep = 0;
  const prune::Signals& signals;  ///< with what the plan acts on (projected or hidden), asked for or not
  const prune::Plan& plan;
};
using SelectionObserver = std::function<void(const Selection&)>;

/// One conversation: images, KV cache and positions. Not thread-safe; sessions of one model may run side by
/// side.
class Session {
 public:
  Session(std::shared_ptr<const Model> model, const SessionOptions& options);

  /// Signals of tower and projector that the steps read, to encode images for. Throws Unsupported for one
  /// that the model cannot give, and names the method and, if there is one, a parameter that does without.
  /// n_images, image: how many images the run has and which of them this is, because they share the budget of
  /// a step in the tower or in front of it, as if all were of this one's size, and LLaVA-OneVision reads
  /// several of them whole. Throws InvalidArgument for a budget that it cannot meet.
  TowerRequest tower_request(const PruneOptions& options, int32_t n_images = 1, int32_t image = 0) const;
  /// Picture -> features. Question-free, so one encoding serves many questions. Throws Unsupported as
  /// tower_request() does.
  EncodedImage encode(const Image& image, ImageFit fit, const TowerRequest& request);
  /// The frames of a video, in their order, for a model that reads them in temporal steps (Qwen2-VL: of two
  /// frames; the last one is repeated if their number is odd). max_tokens: most visual tokens of all steps,
  /// 0: those of the largest picture. A prompt has the result at the place of a picture. Throws Unsupported
  /// for a model without video and as above; InvalidArgument for no frames, frames of several sizes, or more
  /// of them than max_tokens has room for.
  EncodedImage encode_video(std::span<const Image> frames, const TowerRequest& request,
                            int32_t max_tokens = 0);

  /// Runs a turn's prompt through the decoder, pruning on the way. `reserve`: tokens that will be generated,
  /// so that the cache is allocated once. all_logits: logits of every remaining token [n, n_vocab] instead of
  /// the last. Throws InvalidArgument for a prompt longer than the context, images that do not fit, or steps
  /// that do not suit the model; whatever it throws, the conversation stays as it was before the turn.
  PrefillResult prefill(const Prompt& prompt, const std::vector<const EncodedImage*>& images,
                        const PruneOptions& prune, int32_t reserve, bool all_logits = false);
  /// Appends one token; logits [n_vocab] of the next.
  std::vector<float> decode(int32_t token);
  /// Hands over a token that ends an answer without having been decoded (its logits were not needed): the
  /// next prefill or decode runs it first.
  void defer(int32_t token) { deferred_.push_back(token); }
  /// Position ids used so far; the context's length is the limit.
  int32_t n_ids() const { return n_ids_; }
  int32_t n_ctx() const { return n_ctx_; }

  void set_observer(Observer observer) { observer_ = std::move(observer); }
  void set_selection_observer(SelectionObserver observer) { selection_observer_ = std::move(observer); }
  void clear();

  const KvCache& cache() const { return cache_; }
  const Model& model() const { return *model_; }
  int32_t n_threads() const { return backends_.n_threads(); }

 private:
  friend class Prefill;
  Execution execution(bool watched = true);

  std::shared_ptr<const Model> model_;
  SessionOptions options_;
  Backends backends_;
  KvCache cache_;
  Observer observer_;
  SelectionObserver selection_observer_;
  int32_t n_ctx_ = 0;
  int32_t n_ids_ = 0;
  std::vector<int32_t> deferred_;
};

}  // namespace winnow::engine
