// winnow synth: a random-weight model of a real shape (latency does not depend on weights).

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>

#include "winnow/cli/arguments.h"
#include "winnow/cli/command.h"
#include "winnow/engine/synth.h"
#include "winnow/engine/weight_types.h"

namespace winnow::cli {
namespace {

struct SynthArguments {
  std::string like;
  std::string type = "q4_0";
  std::string out;
  uint64_t seed = 0;
  int32_t merge = 1;
  int32_t pool = 1;
  bool text_tower = false;

  /// The shape by its name; merging and the text tower are in the name of the files too.
  engine::SynthShape shape() const {
    engine::SynthShape shape = engine::synth_shape(like);
    if (merge != 1) {
      shape.name += fmt::format("-merge{}", merge);
      shape.merge = merge;
    }
    if (pool != 1) shape.name += fmt::format("-pool{}", pool);
    shape.pool = pool;
    if (text_tower) shape.name += "-text-tower";
    shape.text_tower = text_tower;
    return shape;
  }
};

}  // namespace

void add_synth(CLI::App& app, Action& action) {
  auto args = std::make_shared<SynthArguments>();
  CLI::App& command = *app.add_subcommand("synth", "Write a random-weight GGUF pair of a real shape");
  command.add_option("--like", args->like, fmt::format("{}", fmt::join(engine::synth_shape_names(), ", ")))
      ->required();
  command.add_option("--type", args->type, fmt::format("{}", fmt::join(engine::weight_type_names(), ", ")))
      ->capture_default_str();
  command.add_option("-o,--out", args->out, "Folder")->required();
  command.add_option("--merge", args->merge, "The projector merges K x K neighbouring patches")
      ->capture_default_str();
  command.add_option("--pool", args->pool, "The projector reads the mean of K x K patches")
      ->capture_default_str();
  command.add_flag("--text-tower", args->text_tower, "With CLIP's text tower, for methods that ask it");
  command.add_option("--seed", args->seed, "Seed of the weights")
      ->check(not_negative())
      ->capture_default_str();
  command.callback([args, &action] {
    action = [args] {
      const auto files =
          engine::synth_model(args->shape(), engine::parse_weight_type(args->type), args->seed, args->out);
      fmt::print("{}\n{}\n", files.text, files.mmproj);
      return 0;
    };
  });
}

}  // namespace winnow::cli
