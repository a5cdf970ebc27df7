#pragma once

// What the user says -> token ids with the images at their places.

#include <cstdint>
#include <string>
#include <vector>

#include "winnow/engine/gguf.h"
#include "winnow/engine/tokenizer.h"

namespace winnow::engine {

/// Where the images of a turn stand inside the user's text; without one they come first.
inline constexpr const char* kImageMarker = "<image>";

/// One stretch of a prompt: text tokens, or the place of one image.
struct PromptPiece {
  std::vector<int32_t> ids;
  int32_t image = -1;  ///< index of the image; -1: text
};
using Prompt = std::vector<PromptPiece>;

/// How a turn is written for the model. Templates are data:
///   first  the first turn, with {image} (all images of the turn that the user did not place) and {prompt}
///   next   every later turn
/// or a chat template of libllama's list / of the GGUF file (chat), in which the images stand at the head of
/// the user's text.
struct PromptTemplate {
  std::string name;
  std::string first;
  std::string next;
  std::string chat;
  std::string image_begin = {};  ///< stands in front of every image
  std::string image_end = {};    ///< and behind it
};

/// vicuna_v1, llava_llama_2, mistral_instruct, qwen2_vl (ChatML), llava_onevision (ChatML), plain.
const std::vector<PromptTemplate>& prompt_templates();

/// `wanted` is a name of prompt_templates(), a text with {prompt} in it, or empty. Empty: the key
/// winnow.prompt_template (a name or a text), else qwen2_vl or llava_onevision by the architecture, else
/// tokenizer.chat_template if libllama knows it, else vicuna_v1. Throws InvalidArgument.
PromptTemplate choose_template(const std::string& wanted, const GgufFile& text_model,
                               const Tokenizer& tokenizer);

/// One turn written out, kImageMarker at every image's place.
std::string written_turn(const PromptTemplate& prompt_template, const std::string& text, int32_t n_images,
                         bool first_turn, const Tokenizer& tokenizer);

/// One turn as pieces. n_images images are spread over the kImageMarker places of the text (as many as
/// images), or put where the template says. Text between images is tokenised piece by piece, as LLaVA's own
/// code does. Throws InvalidArgument for an empty prompt or when markers and images differ in number.
Prompt make_turn(const PromptTemplate& prompt_template, const std::string& text, int32_t n_images,
                 bool first_turn, const Tokenizer& tokenizer);

/// Token ids in which every run of `image_token` stands for one image, or several in a row. image_tokens:
/// [n_image] of each of them. Throws InvalidArgument when a run does not fit or the images do not come out
/// even.
Prompt prompt_from_ids(const std::vector<int32_t>& ids, int32_t image_token,
                       const std::vector<int32_t>& image_tokens);
/// The same for n_images images of tokens_per_image tokens.
Prompt prompt_from_ids(const std::vector<int32_t>& ids, int32_t image_token, int32_t tokens_per_image,
                       int32_t n_images);

}  // namespace winnow::engine
