// winnow convert: a Hugging Face checkpoint as a GGUF pair.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "winnow/cli/command.h"
#include "winnow/convert/convert.h"
#include "winnow/engine/weight_types.h"

namespace winnow::cli {
namespace {

struct ConvertArguments {
  convert::ConvertOptions options;
  std::string type = "f16";
};

}  // namespace

void add_convert(CLI::App& app, Action& action) {
  auto args = std::make_shared<ConvertArguments>();
  CLI::App& command = *app.add_subcommand("convert",
                                          "Write a Hugging Face LLaVA-1.5, LLaVA-NeXT, LLaVA-OneVision, "
                                          "Qwen2-VL or Qwen2.5-VL checkpoint as a GGUF "
                                          "pair");
  command
      .add_option("folder", args->options.checkpoint,
                  "Folder with config.json, safetensors, tokenizer.model or (Qwen) tokenizer.json")
      ->required();
  command.add_option("-o,--out", args->options.out, "Folder")->required();
  command.add_option("--type", args->type, fmt::format("{}", fmt::join(engine::weight_type_names(), ", ")))
      ->capture_default_str();
  command.add_option("--tower", args->options.tower,
                     "Folder of the CLIP tower, for the original authors' checkpoints");
  command.add_option("--text-tower", args->options.text_tower,
                     "Folder of a whole CLIP model, whose text tower cdpruner and trim ask");
  command.callback([args, &action] {
    action = [args] {
      args->options.type = engine::parse_weight_type(args->type);
      const convert::ConvertedFiles files = convert::convert_checkpoint(args->options);
      fmt::print("{}\n{}\n", files.text, files.mmproj);
      return 0;
    };
  });
}

}  // namespace winnow::cli
