// winnow inspect: what a model file holds.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gguf.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "winnow/cli/command.h"
#include "winnow/engine/decoder/llama.h"
#include "winnow/engine/projector/mlp.h"
#include "winnow/engine/projector/tiling.h"
#include "winnow/engine/vision/clip.h"

namespace winnow::cli {
namespace {

/// "144 patches merged 2 x 2: ", or nothing where every patch is a visual token.
std::string merging(const engine::PatchMerge& merge) {
  if (merge.side == 1) return "";
  return fmt::format("{} patches {} {} x {}: ", merge.patches.size(), merge.mean ? "averaged" : "merged",
                     merge.side, merge.side);
}

/// ", for the whole picture and each tile of 672 x 336, 336 x 672 px", or of many the last; or nothing.
std::string tiles(const engine::Tiling& tiling) {
  if (!tiling.cuts()) return "";
  constexpr std::size_t kListed = 8;
  std::vector<std::string> sizes;
  for (const auto& size : tiling.resolutions)
    sizes.push_back(fmt::format("{} x {}", size.width, size.height));
  const std::string list = sizes.size() <= kListed
                               ? fmt::format("{}", fmt::join(sizes, ", "))
                               : fmt::format("{} sizes, the last {}", sizes.size(), sizes.back());
  return fmt::format(", for the whole picture and each tile of {} px{}", list,
                     tiling.max_tiles > 0 ? fmt::format(", shrunk to {} tiles", tiling.max_tiles) : "");
}

/// "392 px", or of a tower that reads pictures in their own size the range of it.
std::string input_size(const engine::ClipConfig& clip) {
  if (!clip.takes_any_size()) return fmt::format("{} px", clip.image_size_px);
  return fmt::format("pictures of {} to {} pixels, for example {} x {} px,", clip.own_size.min,
                     clip.own_size.max, clip.image_size_px, clip.image_size_px);
}

const char* tower_name(const engine::ClipConfig& clip) {
  if (clip.window_side > 0) return "Qwen2.5-VL";
  if (clip.rotary) return "Qwen2-VL";
  return clip.siglip ? "SigLIP" : "CLIP";
}

/// "28 of them in windows of 8 x 8 patches, ", or nothing.
std::string windows(const engine::ClipConfig& clip) {
  if (clip.window_side == 0) return "";
  const int32_t side = clip.window_side * clip.group_side;
  return fmt::format("{} of them in windows of {} x {} patches, ",
                     clip.n_layer - clip.n_layer / clip.full_every, side, side);
}

/// What Winnow would run, or why it would not.
std::string verdict(const engine::GgufFile& file) {
  try {
    if (file.text_or("general.architecture", "") == "clip") {
      const auto clip = engine::read_clip_config(file);
      const auto mlp = engine::read_mlp_config(file, clip.n_embd, clip.grid());
      engine::check_tensors(file, engine::clip_tensors(clip));
      const auto tiling = engine::read_tiling(file, clip.image_size_px);
      engine::check_tensors(file, engine::mlp_tensors(mlp));
      engine::check_tensors(file, engine::tiling_tensors(tiling, mlp.n_out));
      return fmt::format(
          "{} tower, {} of {} stored blocks are run, {}{} in patches of {}: {}{} visual tokens of width "
          "{} -> {}{}",
          tower_name(clip), clip.n_layer, clip.n_layer_stored, windows(clip), input_size(clip),
          clip.patch_size_px, merging(mlp.merge), mlp.merge.grid().size(), mlp.n_in, mlp.n_out,
          tiles(tiling));
    }
    const auto llama = engine::read_llama_config(file);
    engine::check_tensors(file, engine::llama_tensors(llama));
    return fmt::format("{} decoder, {} layers of width {}, {} heads ({} for keys), {} tokens, context {}{}",
                       llama.rope.has_axes() ? "Qwen2-VL"
                       : llama.rope.halves   ? "Qwen2"
                                             : "Llama",
                       llama.n_layer, llama.n_embd, llama.n_head, llama.n_head_kv, llama.n_vocab, llama.n_ctx,
                       llama.tied ? ", tied output" : "");
  } catch (const std::exception& error) {
    return fmt::format("Winnow cannot run this file: {}", error.what());
  }
}

int inspect(const std::string& path, bool tensors) {
  const engine::GgufFile file(path);
  fmt::print("{}\n{}\n\nmetadata\n", path, verdict(file));
  for (int64_t i = 0; i < gguf_get_n_kv(file.meta()); ++i) {
    fmt::print("  {:<48} {}\n", gguf_get_key(file.meta(), i), file.describe(i));
  }
  std::map<std::string, std::pair<int64_t, double>> by_type;
  for (const engine::GgufTensor& t : file.tensors()) {
    auto& [count, bytes] = by_type[ggml_type_name(t.type)];
    ++count;
    bytes += static_cast<double>(t.bytes);
  }
  fmt::print("\n{} tensors\n", file.tensors().size());
  for (const auto& [type, sum] : by_type) {
    fmt::print("  {:<8} {:>5} tensors {:>10.2f} MB\n", type, sum.first, sum.second / 1e6);
  }
  if (tensors) {
    fmt::print("\n");
    for (const engine::GgufTensor& t : file.tensors()) {
      fmt::print("  {:<40} {:<6} {}\n", t.name, ggml_type_name(t.type), t.shape());
    }
  }
  return 0;
}

}  // namespace

void add_inspect(CLI::App& app, Action& action) {
  auto path = std::make_shared<std::string>();
  auto tensors = std::make_shared<bool>(false);
  CLI::App& command = *app.add_subcommand("inspect", "Show what a GGUF file holds");
  command.add_option("file", *path, "GGUF file")->required();
  command.add_flag("--tensors", *tensors, "List every tensor");
  command.callback(
      [path, tensors, &action] { action = [path, tensors] { return inspect(*path, *tensors); }; });
}

}  // namespace winnow::cli
