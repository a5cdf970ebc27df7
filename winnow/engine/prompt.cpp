#include "winnow/engine/prompt.h"

#include <utility>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.prompt";
constexpr const char* kImageSlot = "{image}";
constexpr const char* kPromptSlot = "{prompt}";

std::string replaced(std::string text, std::string_view from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

int32_t count(std::string_view text, std::string_view word) {
  int32_t n = 0;
  for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + word.size()))
    ++n;
  return n;
}

}  // namespace

const std::vector<PromptTemplate>& prompt_templates() {
  static const std::vector<PromptTemplate> templates = {
      {"vicuna_v1",
       "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
       "detailed, and polite answers to the user's questions. USER: {image}\n{prompt} ASSISTANT:",
       "USER: {image}\n{prompt} ASSISTANT:", ""},
      {"llava_llama_2",
       "[INST] <<SYS>>\nYou are a helpful language and vision assistant. You are able to understand the "
       "visual "
       "content that the user provides, and assist the user with a variety of tasks using natural language.\n"
       "<</SYS>>\n\n{image}\n{prompt} [/INST]",
       "<s>[INST] {image}\n{prompt} [/INST]", ""},
      {"mistral_instruct", "[INST] {image}\n{prompt} [/INST]", "[INST] {image}\n{prompt} [/INST]", ""},
      {"qwen2_vl",
       "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
       "<|im_start|>user\n{image}{prompt}<|im_end|>\n<|im_start|>assistant\n",
       "\n<|im_start|>user\n{image}{prompt}<|im_end|>\n<|im_start|>assistant\n", "", "<|vision_start|>",
       "<|vision_end|>"},
      {"llava_onevision", "<|im_start|>user\n{image}\n{prompt}<|im_end|>\n<|im_start|>assistant\n",
       "\n<|im_start|>user\n{image}\n{prompt}<|im_end|>\n<|im_start|>assistant\n", ""},
      {"plain", "{image}{prompt}", "{image}{prompt}", ""},
  };
  return templates;
}

PromptTemplate choose_template(const std::string& wanted, const GgufFile& text_model,
                               const Tokenizer& tokenizer) {
  std::string known;
  for (const PromptTemplate& t : prompt_templates()) {
    if (t.name == wanted) return t;
    known += t.name + ", ";
  }
  if (!wanted.empty()) {
    WINNOW_CHECK(wanted.find(kPromptSlot) != std::string::npos, InvalidArgument, kWhere,
                 "template, got '{}', expected one of {}or a text with {{prompt}} in it", wanted, known);
    return {"given", replaced(wanted, "\\n", "\n"), "", ""};
  }
  if (text_model.has("winnow.prompt_template")) {
    const std::string stored = text_model.text("winnow.prompt_template");
    for (const PromptTemplate& t : prompt_templates()) {
      if (t.name == stored) return t;
    }
    return {"winnow.prompt_template", stored, "", ""};
  }
  // libllama's ChatML has neither Qwen2-VL's system sentence and tokens around an image nor the line breaks
  // between turns.
  const std::string architecture = text_model.text_or("general.architecture", "");
  if (architecture == "qwen2vl") return choose_template("qwen2_vl", text_model, tokenizer);
  if (architecture == "qwen2") return choose_template("llava_onevision", text_model, tokenizer);
  if (text_model.has("tokenizer.chat_template")) {
    const std::string chat = text_model.text("tokenizer.chat_template");
    if (!tokenizer.apply_chat_template(chat, {{"user", "x"}}).empty()) {
      return {"tokenizer.chat_template", "", "", chat};
    }
  }
  return prompt_templates().front();
}

namespace {

/// The turn before the tokens around its images.
std::string bare_turn(const PromptTemplate& t, const std::string& text, int32_t n_images, bool first_turn,
                      const Tokenizer& tokenizer) {
  std::string images;
  if (count(text, kImageMarker) == 0) {
    for (int32_t i = 0; i < n_images; ++i) images += kImageMarker;
  }
  if (!t.chat.empty()) {
    const std::string content = images.empty() ? text : images + "\n" + text;
    return tokenizer.apply_chat_template(t.chat, {{"user", content}});
  }
  std::string form = first_turn || t.next.empty() ? t.first : t.next;
  // "{image}\n" belongs together: no image, no empty line.
  if (images.empty()) form = replaced(form, std::string(kImageSlot) + "\n", "");
  std::string joined = images;
  if (form.find(std::string(kImageSlot) + "\n") != std::string::npos && !images.empty()) {
    joined = kImageMarker;
    for (int32_t i = 1; i < n_images; ++i) joined += std::string("\n") + kImageMarker;
  }
  // The images first: the user's text may hold the words of a slot.
  return replaced(replaced(form, kImageSlot, joined), kPromptSlot, text);
}

}  // namespace

std::string written_turn(const PromptTemplate& t, const std::string& text, int32_t n_images, bool first_turn,
                         const Tokenizer& tokenizer) {
  return replaced(bare_turn(t, text, n_images, first_turn, tokenizer), kImageMarker,
                  t.image_begin + kImageMarker + t.image_end);
}

Prompt make_turn(const PromptTemplate& prompt_template, const std::string& text, int32_t n_images,
                 bool first_turn, const Tokenizer& tokenizer) {
  WINNOW_CHECK(!text.empty(), InvalidArgument, kWhere, "the prompt is empty, expected a question");
  const int32_t n_markers = count(text, kImageMarker);
  WINNOW_CHECK(n_markers == 0 || n_markers == n_images, InvalidArgument, kWhere,
               "the prompt places {} images with '{}', got {} images", n_markers, kImageMarker, n_images);
  const std::string whole = written_turn(prompt_template, text, n_images, first_turn, tokenizer);
  const int32_t n_places = count(whole, kImageMarker);
  WINNOW_CHECK(n_places == n_images, InvalidArgument, kWhere,
               "the template '{}' makes {} places for {} images, expected {{image}} in it, once",
               prompt_template.name, n_places, n_images);
  Prompt prompt;
  if (!first_turn && tokenizer.end_token() >= 0) {
    prompt.push_back({{tokenizer.end_token()}, -1});  // closes the answer before it
  }
  std::size_t start = 0;
  for (int32_t image = 0; image <= n_images; ++image) {
    const std::size_t end = image < n_images ? whole.find(kImageMarker, start) : whole.size();
    const bool head = first_turn && start == 0;
    if (end > start || head) {
      auto ids = tokenizer.tokenize(std::string_view(whole).substr(start, end - start), head);
      if (!ids.empty()) prompt.push_back({std::move(ids), -1});
    }
    if (image < n_images) prompt.push_back({{}, image});
    start = end + std::string_view(kImageMarker).size();
  }
  return prompt;
}

Prompt prompt_from_ids(const std::vector<int32_t>& ids, int32_t image_token,
                       const std::vector<int32_t>& image_tokens) {
  WINNOW_CHECK(!ids.empty(), InvalidArgument, kWhere, "the list of token ids is empty");
  const auto n_images = static_cast<int32_t>(image_tokens.size());
  Prompt prompt;
  int32_t image = 0;
  std::size_t i = 0;
  while (i < ids.size()) {
    std::size_t end = i;
    const bool visual = ids[i] == image_token;
    while (end < ids.size() && (ids[end] == image_token) == visual) ++end;
    if (!visual) {
      prompt.push_back(
          {{ids.begin() + static_cast<int64_t>(i), ids.begin() + static_cast<int64_t>(end)}, -1});
    } else {
      for (auto left = static_cast<int32_t>(end - i); left > 0; ++image) {
        WINNOW_CHECK(image < n_images, InvalidArgument, kWhere,
                     "ids hold the places of more images, got {} images", n_images);
        const int32_t n = image_tokens[static_cast<std::size_t>(image)];
        WINNOW_CHECK(n <= left, InvalidArgument, kWhere,
                     "ids do not fit the images: a run of {} image tokens at {}, expected {} for image {}",
                     end - i, i, n, image);
        left -= n;
        prompt.push_back({{}, image});
      }
    }
    i = end;
  }
  WINNOW_CHECK(image == n_images, InvalidArgument, kWhere, "ids hold the places of {} images, got {} images",
               image, n_images);
  return prompt;
}

Prompt prompt_from_ids(const std::vector<int32_t>& ids, int32_t image_token, int32_t tokens_per_image,
                       int32_t n_images) {
  const std::vector<int32_t> image_tokens(static_cast<std::size_t>(n_images), tokens_per_image);
  return prompt_from_ids(ids, image_token, image_tokens);
}

}  // namespace winnow::engine
