#include "winnow/engine/prompt.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/engine_models.h"
#include "winnow/base/error.h"
#include "winnow/engine/gguf_writer.h"

namespace winnow::engine {
namespace {

using testing::tiny_model;

const std::string kVicunaSystem =
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
    "detailed, and polite answers to the user's questions. ";

const Tokenizer& tokenizer() { return tiny_model()->tokenizer(); }

PromptTemplate named(const std::string& name) {
  return choose_template(name, tiny_model()->text_file(), tokenizer());
}

std::string written(const std::string& name, const std::string& text, int32_t n_images, bool first = true) {
  return written_turn(named(name), text, n_images, first, tokenizer());
}

/// Text between images, images as "<image N>".
std::string read_back(const Prompt& prompt) {
  std::string out;
  for (const PromptPiece& piece : prompt) {
    if (piece.image >= 0) out += "<image " + std::to_string(piece.image) + ">";
    for (const int32_t id : piece.ids) out += tokenizer().piece(id);
  }
  return out;
}

TEST(PromptTemplates, VicunaIsWrittenAsLlavaDoes) {
  EXPECT_EQ(written("vicuna_v1", "What is this?", 1),
            kVicunaSystem + "USER: <image>\nWhat is this? ASSISTANT:");
  EXPECT_EQ(written("vicuna_v1", "Hello", 0), kVicunaSystem + "USER: Hello ASSISTANT:");
  EXPECT_EQ(written("vicuna_v1", "And this?", 0, false), "USER: And this? ASSISTANT:");
  EXPECT_EQ(written("vicuna_v1", "And this?", 1, false), "USER: <image>\nAnd this? ASSISTANT:");
}

TEST(PromptTemplates, LlamaTwoAndMistralAreWrittenAsLlavaDoes) {
  EXPECT_EQ(
      written("llava_llama_2", "What?", 1),
      "[INST] <<SYS>>\nYou are a helpful language and vision assistant. You are able to understand the "
      "visual content that the user provides, and assist the user with a variety of tasks using natural "
      "language.\n<</SYS>>\n\n<image>\nWhat? [/INST]");
  EXPECT_EQ(written("llava_llama_2", "And?", 0, false), "<s>[INST] And? [/INST]");
  EXPECT_EQ(written("mistral_instruct", "What?", 1), "[INST] <image>\nWhat? [/INST]");
  EXPECT_EQ(written("plain", "What?", 1), "<image>What?");
}

TEST(PromptTemplates, Qwen2VlPutsTokensAroundEveryImage) {
  const std::string system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n";
  const std::string image = "<|vision_start|><image><|vision_end|>";
  const std::string end = "<|im_end|>\n<|im_start|>assistant\n";
  EXPECT_EQ(written("qwen2_vl", "What?", 1), system + "<|im_start|>user\n" + image + "What?" + end);
  EXPECT_EQ(written("qwen2_vl", "What?", 2), system + "<|im_start|>user\n" + image + image + "What?" + end);
  EXPECT_EQ(written("qwen2_vl", "Is <image> like <image>?", 2),
            system + "<|im_start|>user\nIs " + image + " like " + image + "?" + end);
  EXPECT_EQ(written("qwen2_vl", "And?", 0, false), "\n<|im_start|>user\nAnd?" + end);
}

/// The chat template of transformers' convert_llava_onevision_weights_to_hf.py.
TEST(PromptTemplates, LlavaOneVisionHasALineForEveryImage) {
  const std::string end = "<|im_end|>\n<|im_start|>assistant\n";
  EXPECT_EQ(written("llava_onevision", "What?", 1), "<|im_start|>user\n<image>\nWhat?" + end);
  EXPECT_EQ(written("llava_onevision", "What?", 2), "<|im_start|>user\n<image>\n<image>\nWhat?" + end);
  EXPECT_EQ(written("llava_onevision", "What?", 0), "<|im_start|>user\nWhat?" + end);
  EXPECT_EQ(written("llava_onevision", "And?", 0, false), "\n<|im_start|>user\nAnd?" + end);
}

TEST(PromptTemplates, SeveralImagesAndPlacesOfTheUser) {
  EXPECT_EQ(written("vicuna_v1", "Compare.", 3),
            kVicunaSystem + "USER: <image>\n<image>\n<image>\nCompare. ASSISTANT:");
  EXPECT_EQ(written("vicuna_v1", "Is <image> like <image>?", 2),
            kVicunaSystem + "USER: Is <image> like <image>? ASSISTANT:");
  EXPECT_EQ(written("a {image}: {prompt}", "b", 2), "a <image><image>: b");
}

TEST(PromptTemplates, UserTextIsTakenAsItIs) {
  EXPECT_EQ(written("plain", "what is {image} or {prompt}?", 1), "<image>what is {image} or {prompt}?");
  EXPECT_EQ(written("plain", "a\x01\nb", 1), "<image>a\x01\nb");
}

TEST(MakeTurn, PiecesHoldImagesAtTheirPlaces) {
  const Prompt prompt = make_turn(named("vicuna_v1"), "Is <image> like <image>?", 2, true, tokenizer());
  ASSERT_EQ(prompt.size(), 5U);
  EXPECT_EQ(prompt[1].image, 0);
  EXPECT_EQ(prompt[3].image, 1);
  EXPECT_EQ(prompt[0].ids.front(), 1) << "begins with <s>";
  for (std::size_t piece = 1; piece < prompt.size(); ++piece) {
    EXPECT_EQ(std::count(prompt[piece].ids.begin(), prompt[piece].ids.end(), 1), 0) << "<s> only once";
  }
  const std::string text = read_back(prompt);
  // Every stretch gets the tokenizer's leading blank, in LLaVA's code as here.
  EXPECT_NE(text.find("USER: Is <image 0>  like <image 1> ? ASSISTANT:"), std::string::npos) << text;
}

TEST(MakeTurn, EachStretchIsTokenisedAsTheTokenizerDoes) {
  const Prompt prompt = make_turn(named("vicuna_v1"), "What is this?", 1, true, tokenizer());
  ASSERT_EQ(prompt.size(), 3U);
  EXPECT_EQ(prompt[0].ids, tokenizer().tokenize(kVicunaSystem + "USER: ", true));
  EXPECT_EQ(prompt[1].image, 0);
  EXPECT_EQ(prompt[2].ids, tokenizer().tokenize("\nWhat is this? ASSISTANT:", false));
}

TEST(MakeTurn, LaterTurnsCloseTheAnswerBefore) {
  const Prompt prompt = make_turn(named("vicuna_v1"), "And?", 0, false, tokenizer());
  ASSERT_EQ(prompt.size(), 2U);
  EXPECT_EQ(prompt[0].ids, std::vector<int32_t>{tokenizer().end_token()});
  EXPECT_EQ(prompt[1].ids, tokenizer().tokenize("USER: And? ASSISTANT:", false));
}

TEST(MakeTurn, RefusesWhatDoesNotFit) {
  EXPECT_THROW(make_turn(named("vicuna_v1"), "", 1, true, tokenizer()), Error);
  EXPECT_THROW(make_turn(named("vicuna_v1"), "one <image>", 2, true, tokenizer()), Error);
  EXPECT_THROW(make_turn(named("vicuna_v1"), "one <image>", 0, true, tokenizer()), Error);
  EXPECT_THROW(make_turn(named("no place: {prompt}"), "q", 1, true, tokenizer()), Error);
  EXPECT_EQ(make_turn(named("no place: {prompt}"), "q", 0, true, tokenizer()).size(), 1U);
}

TEST(ChooseTemplate, NamesTextsAndErrors) {
  EXPECT_EQ(named("").name, "vicuna_v1") << "when the file says nothing";
  EXPECT_EQ(named("Q: {prompt}\\nA:").first, "Q: {prompt}\nA:");
  EXPECT_THROW(named("vicuna_v9"), Error);
  for (const PromptTemplate& t : prompt_templates()) EXPECT_EQ(named(t.name).first, t.first);
}

/// A GGUF file with nothing but text keys.
std::string texts_file(const std::string& name,
                       const std::vector<std::pair<std::string, std::string>>& keys) {
  return testing::keys_file(name, [&](GgufWriter& writer) {
    writer.set_str("general.architecture", "llama");
    for (const auto& [key, value] : keys) writer.set_str(key, value);
  });
}

const std::string kChatMl =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + "
    "'\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

TEST(ChooseTemplate, TheFilesOwnChatTemplateIsHonoured) {
  const GgufFile file(texts_file("chatml.gguf", {{"tokenizer.chat_template", kChatMl}}));
  const PromptTemplate chosen = choose_template("", file, tokenizer());
  EXPECT_EQ(chosen.name, "tokenizer.chat_template");
  EXPECT_EQ(written_turn(chosen, "What?", 2, true, tokenizer()),
            "<|im_start|>user\n<image><image>\nWhat?<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(written_turn(chosen, "Is <image> it?", 1, true, tokenizer()),
            "<|im_start|>user\nIs <image> it?<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(choose_template("plain", file, tokenizer()).name, "plain") << "the user's word comes first";
}

TEST(ChooseTemplate, TheFilesWinnowTemplateComesBeforeItsChatTemplate) {
  const GgufFile file(texts_file(
      "own.gguf", {{"tokenizer.chat_template", kChatMl}, {"winnow.prompt_template", "{image}Q {prompt} A"}}));
  const PromptTemplate chosen = choose_template("", file, tokenizer());
  EXPECT_EQ(written_turn(chosen, "x", 1, true, tokenizer()), "<image>Q x A");
  EXPECT_EQ(written_turn(chosen, "x", 0, false, tokenizer()), "Q x A") << "the same form in later turns";
}

TEST(ChooseTemplate, TheFilesWinnowTemplateMayBeTheNameOfOne) {
  const GgufFile file(texts_file(
      "named.gguf", {{"tokenizer.chat_template", kChatMl}, {"winnow.prompt_template", "vicuna_v1"}}));
  const PromptTemplate chosen = choose_template("", file, tokenizer());
  EXPECT_EQ(chosen.name, "vicuna_v1");
  EXPECT_EQ(written_turn(chosen, "x", 0, false, tokenizer()), "USER: x ASSISTANT:")
      << "later turns have their own form";
}

TEST(ChooseTemplate, ArchitecturesWithTheirOwn) {
  for (const auto& [architecture, name] : {std::pair{"qwen2", "llava_onevision"}, {"qwen2vl", "qwen2_vl"}}) {
    const std::string path = testing::keys_file(std::string(architecture) + ".gguf", [&](GgufWriter& writer) {
      writer.set_str("general.architecture", architecture);
      writer.set_str("tokenizer.chat_template", kChatMl);
    });
    EXPECT_EQ(choose_template("", GgufFile(path), tokenizer()).name, name);
  }
}

TEST(ChooseTemplate, UnknownChatTemplatesFallBack) {
  const GgufFile file(texts_file("odd.gguf", {{"tokenizer.chat_template", "{{ something nobody knows }}"}}));
  EXPECT_EQ(choose_template("", file, tokenizer()).name, "vicuna_v1");
}

TEST(PromptFromIds, RunsOfTheImageTokenAreImages) {
  const Prompt prompt = prompt_from_ids({1, 9, 9, 9, 9, 5, 9, 9, 6}, 9, 2, 3);
  ASSERT_EQ(prompt.size(), 6U);
  EXPECT_EQ(prompt[0].ids, std::vector<int32_t>{1});
  EXPECT_EQ(prompt[1].image, 0);
  EXPECT_EQ(prompt[2].image, 1);
  EXPECT_EQ(prompt[4].image, 2);
  EXPECT_EQ(prompt[5].ids, std::vector<int32_t>{6});
  EXPECT_THROW(prompt_from_ids({}, 9, 2, 0), Error);
  EXPECT_THROW(prompt_from_ids({1, 9, 9, 9}, 9, 2, 1), Error) << "one and a half images";
  EXPECT_THROW(prompt_from_ids({1, 9, 9}, 9, 2, 2), Error) << "an image without a place";
  EXPECT_THROW(prompt_from_ids({1, 9, 9}, 9, 2, 0), Error) << "a place without an image";
}

TEST(Tokenizing, RoundTrip) {
  for (const std::string text : {"What is in the picture?", "a  b\n3.14 <c>", "Gr\xc3\xbc\xc3\x9f"}) {
    std::string back;
    for (const int32_t id : tokenizer().tokenize(text, false)) back += tokenizer().piece(id);
    EXPECT_EQ(back.substr(back.find_first_not_of(' ')), text);
  }
  EXPECT_EQ(tokenizer().tokenize("</s>", false).back(), tokenizer().end_token());
  EXPECT_TRUE(tokenizer().is_end(tokenizer().end_token()));
  EXPECT_FALSE(tokenizer().is_end(300));
  EXPECT_EQ(tokenizer().piece(tokenizer().end_token()), "");
}

}  // namespace
}  // namespace winnow::engine
