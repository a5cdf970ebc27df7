#pragma once

// The contract of a pruning method: which tokens, never when or how many (that is schedule.h). A method is a
// pure function from signals to a plan. A new method is one file in methods/, one line in methods.cpp, one
// golden.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "winnow/base/rng.h"
#include "winnow/prune/params.h"
#include "winnow/prune/plan.h"
#include "winnow/prune/signals.h"

namespace winnow::prune {

enum class Stage {
  BeforeTower,  ///< on the picture (picture_method.h)
  InTower,      ///< between the tower's blocks (tower_method.h)
  AfterTower,   ///< between projector and decoder
  BeforeLayer,  ///< on the hidden states entering decoder layer K
  Either,       ///< after the tower unless a layer is given
};

/// "before_tower", "in_tower", "after_tower", "before_layer", "either".
std::string_view stage_name(Stage stage);
/// Whether methods of this stage select from signals; those in front of the tower and inside it do not.
constexpr bool selects_from_signals(Stage stage) {
  return stage != Stage::BeforeTower && stage != Stage::InTower;
}

/// What happens to the position ids of the sequence when tokens go.
enum class PositionPolicy {
  Original,  ///< every token keeps its id; decoding goes on from the unpruned prompt's length
  Compact,   ///< the shorter sequence is renumbered 0, 1, 2 ...
  Regrid,    ///< the kept visual tokens are spread evenly over their image's own ids; text keeps its ids
};

/// "original", "compact", "regrid".
std::string_view position_policy_name(PositionPolicy policy);
/// Throws InvalidArgument for any other word.
PositionPolicy parse_position_policy(std::string_view name);

/// n_keep of select() when an adaptive method is to find the count itself.
inline constexpr int32_t kMethodDecides = -1;

/// What the weights of an output are.
enum class Outputs {
  Selection,  ///< one input of weight 1 each
  Means,      ///< weights of an output sum to 1
  Sums,       ///< anything
};

struct MethodInfo {
  std::string name;     ///< one string everywhere: file, command line, records, reports
  std::string summary;  ///< the rule in one line
  std::string paper;    ///< authors, year, arXiv id; "baseline" where there is none
  Stage stage = Stage::AfterTower;
  int32_t default_layer = 2;  ///< K when the stage is BeforeLayer and nobody says
  int32_t min_layer = 0;      ///< smallest K that makes sense (1 when attention of layer K-1 is needed)
  PositionPolicy position = PositionPolicy::Compact;  ///< the authors' own (see default_position)
  bool keeps_all = false;                             ///< "none": no count is asked for, every token stays
  bool adaptive = false;      ///< without a budget the method decides the count itself (kMethodDecides)
  bool may_drop_all = false;  ///< inside the decoder a budget of 0 is meant
  Outputs outputs = Outputs::Selection;
  bool raster_order = true;  ///< outputs ascend by position_of; false: the authors' own order (see the file)
  /// When the prompt has run with several steps of the method, the caches of the layers from the one in front
  /// of the first step up to the last step are cut down to the tokens that are left.
  bool trims_cache = false;
  bool before_projector = false;  ///< the authors merge what enters the projector, then project the outputs
  bool reads_whole_turn = false;  ///< relevance to the turn with its answer format, not to the question alone
  /// After the tower, of a picture that was cut into tiles: false, each tile is selected from by itself and
  /// newline tokens go; true, all tokens are compared at once, newlines too.
  bool across_tiles = false;
  std::vector<ParamSpec> params{};
};

/// What a method with a schedule of its own is asked.
struct ScheduleRequest {
  int32_t n_visual = 0;
  int32_t n_layer = 0;
  double average = 0.0;  ///< visual tokens a layer sees in the mean, as papers print; 0: the authors' default
};

/// One step of a schedule.
struct Scheduled {
  int32_t layer = 0;
  int32_t n_keep = 0;                           ///< of all images together; may be kMethodDecides
  std::map<std::string, std::string> params{};  ///< over those of the use
};

/// What a method with a rule of its own for tiles is asked.
struct TileRequest {
  const Signals& whole;  ///< of the first tile, the whole picture, with tile_needs(); none of it is gone yet
  Grid tiles;            ///< arrangement of the others
  int32_t n_keep = 0;    ///< of all tiles together
};

/// Layer `layer` of a 32-layer decoder in one of n_layer layers: nearest, from 1 to n_layer - 1.
int32_t scaled_layer(int32_t layer, int32_t n_layer);

class Method {
 public:
  virtual ~Method() = default;
  virtual const MethodInfo& info() const = 0;
  /// Where it acts with these parameters, and what then happens to position ids: as in info(), unless a
  /// parameter chooses between variants that differ in it.
  virtual Stage stage(const Params&) const { return info().stage; }
  virtual PositionPolicy position(const Params&) const { return info().position; }
  /// The signals select() reads with these parameters; it may rely on no other.
  virtual std::vector<Need> needs(const Params& params) const = 0;
  /// The number of outputs of an unpruned image when the parameters alone fix it (pooling:window=2x2), else
  /// nothing.
  virtual std::optional<int32_t> fixed_count(const Grid&, const Params&) const { return std::nullopt; }
  /// Steps of a method that acts at several layers; empty: it acts once, where and as often as the user says.
  /// Layers ascend. Used when neither a layer is given nor the method stands in a cascade of the user's.
  virtual std::vector<Scheduled> schedule(const ScheduleRequest&, const Params&) const { return {}; }
  /// Signals of the whole picture that tile_quotas() reads.
  virtual std::vector<Need> tile_needs(const Params&) const { return {}; }
  /// Tokens that each tile of a picture keeps at most, the whole picture first; empty: tiles share in
  /// proportion to their tokens.
  virtual std::vector<int32_t> tile_quotas(const TileRequest&, const Params&) const { return {}; }
  /// Place of an output of a tile's plan in the plan of the picture, for methods with an order of their own:
  /// 0, among the outputs of all tiles by position; above, behind them in groups that ascend, tile after
  /// tile. The whole picture's outputs stand in front of all. Nothing: outputs stand tile after tile.
  virtual std::optional<int32_t> tile_group(const Plan&, int32_t /*output*/, const Params&) const {
    return std::nullopt;
  }
  /// True when select() keeps the n_keep best of Plan::scores and the scores are the same for every n_keep,
  /// so that window() may share them out.
  virtual bool ranks(const Params&) const { return false; }
  /// 0 < n_keep < signals.n(), or kMethodDecides for an adaptive method; signals are present, finite and of
  /// the right shapes (run_method checks).
  virtual Plan select(const Signals& signals, int32_t n_keep, const Params& params, Rng& rng) const = 0;
};

/// Every method, in the order of the docs. Lives as long as the program.
const std::vector<const Method*>& methods();
/// Those of them that select from signals: all but the ones in front of the tower and inside it.
const std::vector<const Method*>& selecting_methods();
/// Throws NotFound and lists the known names.
const Method& find_method(std::string_view name);

/// One use of a method as written on the command line, "NAME[:param=value,...]" or a combination of it
/// ("window(NAME...)").
struct MethodUse {
  const Method* method = nullptr;
  Params params{};
  std::shared_ptr<const Method> owner{};  ///< holds `method` when it was made for this use
  /// "balanced:alpha=0.3,..." with every parameter spelled out; parse_method() of it gives the same use.
  std::string to_string() const;
};
/// METHOD of syntax.h. Throws NotFound / InvalidArgument.
MethodUse parse_method(std::string_view text);

/// Throws InvalidArgument for an impossible grid, tokens outside it, or ids that are not one for each token.
void check_layout(const Signals& signals);

/// Runs a method on one image (a plan may name input n, the [CLS] token, when the method needs ClsToken):
/// checks the signals it needs (present, n columns or rows, finite), keeps
/// everything when n_keep == n (bit-identical to no pruning: the method is not asked), and checks the plan
/// that comes back. Throws InvalidArgument for 0 or more than n tokens to keep, for a count that contradicts
/// the parameters, or for bad signals.
Plan run_method(const MethodUse& use, const Signals& signals, int32_t n_keep, Rng& rng);

}  // namespace winnow::prune
