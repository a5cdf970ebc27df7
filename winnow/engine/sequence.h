#pragma once

// The tokens of one turn on their way through the decoder, and what pruning makes of them.

#include <cstdint>
#include <span>
#include <vector>

#include "winnow/base/view.h"
#include "winnow/engine/session.h"
#include "winnow/prune/plan.h"
#include "winnow/prune/positions.h"

namespace winnow::engine {

/// The tokens of one image inside the sequence; all of them may be gone (count 0).
struct ImageRun {
  const EncodedImage* image = nullptr;
  int32_t first = 0;  ///< index in the sequence
  int32_t count = 0;
  int32_t first_id = 0;  ///< position ids that the image covers
  int32_t n_ids = 0;
  std::vector<int32_t> token_of;  ///< [count] cell of each remaining token; empty: all cells
  std::vector<int32_t> row_of;    ///< [count] row of `image` of each remaining token; empty: all rows
  std::vector<float> input;       ///< [n_input, n_embd] rows that entered layer 0, if a step reads them
  std::vector<int32_t> input_of;  ///< [count] row of `input` of each remaining token; empty: all rows
  prune::Grid id_grid{};          ///< rows and columns of ids covered, in a decoder with three axes
  int32_t n_time = 1;             ///< ids in time covered there
};

struct Sequence {
  int64_t width = 0;             ///< n_embd
  std::vector<float> hidden;     // [n, width]
  std::vector<int32_t> ids;      // [n] position ids, relative to the turn
  std::vector<int32_t> row_ids;  // [n] in a decoder with three axes, where ids are those in time; else empty
  std::vector<int32_t> col_ids;
  std::vector<int32_t> origin;   // [n] which token of the unpruned turn each one is (position_of, if merged)
  std::vector<ImageRun> images;  ///< in the order of the sequence
  std::vector<float> text_embeds;  // [n_text, width] as they came from the table, if a step reads them
  std::vector<float> clip_text;    // [n_segment, n_joint] the question in CLIP's space, once a step reads it
  int32_t id_span = 0;             ///< ids that the turn uses up

  int32_t n() const { return static_cast<int32_t>(ids.size()); }
  int32_t n_visual() const;
  /// Tokens of each image.
  std::vector<int32_t> image_tokens() const;
  /// The first text token behind the last image; the last token of all when there is none.
  int32_t first_text() const;
  int32_t n_text() const { return n() - first_text(); }
  PositionIds position_ids() const { return {ids, row_ids, col_ids}; }
  MatrixView rows(int32_t first, int32_t count) const {
    return {hidden.data() + first * width, count, width};
  }
};

/// The rows of a plan's outputs, [n_out, width]: weighted sums of the image's rows [n, width]. cls: [n_tile,
/// width] or empty; the plan may name input n + t, the [CLS] token of tile t.
std::vector<float> plan_outputs(const prune::Plan& plan, const MatrixView& rows, std::span<const float> cls);

/// Gives the tokens of a shorter sequence the ids of the policy. On entry ids are those from before; spans as
/// position_ids() takes them, one for each image.
void renumber(Sequence& sequence, std::span<const prune::VisualSpan> spans, prune::PositionPolicy policy);

/// Builds the shorter sequence: text as it is, of each image the outputs of its plan. Ids follow the policy.
void gather(Sequence& sequence, const std::vector<prune::Plan>& plans,
            const std::vector<std::vector<float>>& outputs, prune::PositionPolicy policy);

}  // namespace winnow::engine
