#include "winnow/train/vocabulary.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "winnow/base/error.h"
#include "winnow/scenes/question.h"

namespace winnow::train {
namespace {

constexpr int32_t kNormal = 1, kUnknown = 2, kControl = 3;  // llama_token_type of llama.h
constexpr std::string_view kSpace = "\xe2\x96\x81";         // U+2581, SentencePiece's mark for a space
const std::vector<std::string>& control_tokens() {
  static const std::vector<std::string> tokens = {"<pad>", "<s>", "</s>", "<unk>"};
  return tokens;
}

// Detected by llama.cpp as "vicuna": "USER: ...\nASSISTANT:".
constexpr const char* kChatTemplate =
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ 'USER: ' + message['content'] + '\\n' "
    "}}"
    "{% elif message['role'] == 'assistant' %}{{ 'ASSISTANT: ' + message['content'] + '</s>\\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}";

std::vector<std::string> all_tokens() {
  std::vector<std::string> tokens = control_tokens();
  const auto& pieces = scenes::pieces();
  tokens.insert(tokens.end(), pieces.begin(), pieces.end());
  return tokens;
}

/// Longest pieces win: each costs the same, so the segmentation with the fewest pieces scores best; single
/// characters cost a little more than parts of words.
float score_of(const std::string& token) { return token.size() == 1 ? -1.5F : -1.0F; }

/// Metadata and nothing else: enough for a vocabulary-only load.
class VocabularyFile {
 public:
  VocabularyFile() {
    std::error_code error;
    const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
    WINNOW_CHECK(!error, Io, "train.vocabulary", "no folder for temporary files: {} (TMPDIR says which)",
                 error.message());
    path_ = (folder / fmt::format("winnow-vocabulary-{}-{}.gguf", ::getpid(), static_cast<const void*>(this)))
                .string();
    engine::GgufWriter writer(path_);
    writer.set_str("general.architecture", "llama");
    writer.set_u32("llama.block_count", 1);
    writer.set_u32("llama.context_length", 16);
    writer.set_u32("llama.embedding_length", 32);
    writer.set_u32("llama.feed_forward_length", 32);
    writer.set_u32("llama.attention.head_count", 1);
    writer.set_f32("llama.attention.layer_norm_rms_epsilon", 1e-5F);
    Vocabulary::describe(writer);
    writer.begin();
    writer.finish();
  }
  ~VocabularyFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  VocabularyFile(const VocabularyFile&) = delete;
  VocabularyFile& operator=(const VocabularyFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

void Vocabulary::describe(engine::GgufWriter& writer) {
  const std::vector<std::string> tokens = all_tokens();
  std::vector<float> scores;
  std::vector<int32_t> types;
  const auto n_control = static_cast<int32_t>(control_tokens().size());
  for (int32_t i = 0; i < static_cast<int32_t>(tokens.size()); ++i) {
    const bool control = i < n_control;
    scores.push_back(control ? 0.0F : score_of(tokens[static_cast<std::size_t>(i)]));
    types.push_back(!control ? kNormal : i == n_control - 1 ? kUnknown : kControl);
  }
  writer.set_str("tokenizer.ggml.model", "t5");
  writer.set_str("tokenizer.ggml.pre", "default");
  writer.set_str_array("tokenizer.ggml.tokens", tokens);
  writer.set_f32_array("tokenizer.ggml.scores", scores);
  writer.set_i32_array("tokenizer.ggml.token_type", types);
  writer.set_u32("tokenizer.ggml.padding_token_id", 0);
  writer.set_u32("tokenizer.ggml.bos_token_id", 1);
  writer.set_u32("tokenizer.ggml.eos_token_id", 2);
  writer.set_u32("tokenizer.ggml.unknown_token_id", 3);
  writer.set_bool("tokenizer.ggml.add_bos_token", true);
  writer.set_bool("tokenizer.ggml.add_eos_token", false);
  writer.set_bool("tokenizer.ggml.add_space_prefix", false);
  writer.set_bool("tokenizer.ggml.remove_extra_whitespaces", false);
  writer.set_str("tokenizer.chat_template", kChatTemplate);
  writer.set_str("winnow.prompt_template", "USER: {image}\n{prompt} ASSISTANT:");
}

bool Vocabulary::is_spelled(int32_t token) const {
  std::string_view piece = tokens_[static_cast<std::size_t>(token)];
  if (piece.starts_with(kSpace)) piece.remove_prefix(kSpace.size());
  return !piece.empty() && std::all_of(piece.begin(), piece.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
}

Vocabulary::Vocabulary() : tokens_(all_tokens()) {
  for (std::size_t i = control_tokens().size(); i < tokens_.size(); ++i) {
    const std::string& t = tokens_[i];
    float value = 0.0F;
    const bool number =
        t.size() == 4 && t[1] == '.' && std::from_chars(t.data(), t.data() + 4, value).ptr == t.data() + 4;
    if (number) coordinates_.emplace(static_cast<int32_t>(i), value);
  }
  const VocabularyFile file;
  tokenizer_ = std::make_unique<engine::Tokenizer>(file.path());
}

}  // namespace winnow::train
