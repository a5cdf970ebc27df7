#include "winnow/engine/vision/clip_tokenizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <memory>

#include "winnow/base/error.h"

namespace winnow::engine {
namespace {

constexpr const char* kWhere = "engine.clip_tokenizer";
constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kMerges = "tokenizer.ggml.merges";
constexpr std::string_view kStart = "<|startoftext|>";
constexpr std::string_view kEnd = "<|endoftext|>";
constexpr std::string_view kWordEnd = "</w>";
constexpr int32_t kNever = std::numeric_limits<int32_t>::max();

std::string utf8(int32_t code_point) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto n = utf8proc_encode_char(code_point, bytes.data());
  return {bytes.begin(), bytes.begin() + n};
}

/// GPT-2's printable spelling of bytes: those that print in Latin-1 stand for themselves, the others for
/// U+0100 and on, in their order.
std::array<std::string, 256> byte_spelling() {
  std::array<std::string, 256> spelling;
  int32_t next = 0x100;
  for (int32_t byte = 0; byte < 256; ++byte) {
    const bool prints =
        (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
    spelling[static_cast<std::size_t>(byte)] = utf8(prints ? byte : next++);
  }
  return spelling;
}

std::string normal_form(std::string_view text) {
  struct Free {
    void operator()(utf8proc_uint8_t* bytes) const { std::free(bytes); }
  };
  utf8proc_uint8_t* bytes = nullptr;
  const auto n = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                              static_cast<utf8proc_ssize_t>(text.size()), &bytes,
                              static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, Free> owned(bytes);
  WINNOW_CHECK(n >= 0, InvalidArgument, kWhere, "the question, got {}, expected UTF-8", utf8proc_errmsg(n));
  return {bytes, bytes + n};
}

/// Code points of text in normal form, lower-cased one by one as Rust does.
std::vector<int32_t> lower_case(const std::string& text) {
  constexpr int32_t kDottedI = 0x130;  // the one letter whose lower case is two code points
  std::vector<int32_t> out;
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t code_point = 0;
    const auto n = utf8proc_iterate(at, left, &code_point);
    at += n;
    left -= n;
    if (code_point == kDottedI) {
      out.insert(out.end(), {'i', 0x307});
    } else {
      out.push_back(utf8proc_tolower(code_point));
    }
  }
  return out;
}

enum class Kind { Space, Letter, Digit, Other };

Kind kind_of(int32_t code_point) {
  if ((code_point >= 9 && code_point <= 13) || code_point == 0x85) return Kind::Space;
  switch (utf8proc_category(code_point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return Kind::Letter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return Kind::Digit;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP: return Kind::Space;
    default: return Kind::Other;
  }
}

/// Length of the fixed text that stands at this place, 0 if none does: a special token or an English ending.
std::size_t fixed_length(const std::vector<int32_t>& text, std::size_t at) {
  for (const std::string_view fixed :
       {kStart, kEnd, std::string_view("'s"), std::string_view("'t"), std::string_view("'re"),
        std::string_view("'ve"), std::string_view("'m"), std::string_view("'ll"), std::string_view("'d")}) {
    if (text.size() - at >= fixed.size() &&
        std::equal(fixed.begin(), fixed.end(), text.begin() + static_cast<int64_t>(at))) {
      return fixed.size();
    }
  }
  return 0;
}

}  // namespace

std::vector<std::string> clip_words(std::string_view text) {
  const std::vector<int32_t> points = lower_case(normal_form(text));
  std::vector<std::string> words;
  for (std::size_t at = 0; at < points.size();) {
    const Kind kind = kind_of(points[at]);
    std::size_t length = fixed_length(points, at);
    if (length == 0) {
      length = 1;
      const bool runs = kind != Kind::Digit;
      while (runs && at + length < points.size() && kind_of(points[at + length]) == kind) ++length;
    }
    if (kind != Kind::Space) {
      std::string& word = words.emplace_back();
      for (std::size_t i = at; i < at + length; ++i) word += utf8(points[i]);
    }
    at += length;
  }
  return words;
}

ClipTokenizer::ClipTokenizer(const GgufFile& file) : spelling_(byte_spelling()) {
  const std::vector<std::string> tokens = file.texts(kTokens);
  WINNOW_CHECK(std::ssize(tokens) < kNever, Corrupt, kWhere, "{}: key '{}', got {} tokens", file.path(),
               kTokens, tokens.size());
  n_tokens_ = static_cast<int32_t>(tokens.size());
  for (int32_t id = 0; id < n_tokens_; ++id) ids_.emplace(tokens[static_cast<std::size_t>(id)], id);
  const auto id_of = [&](const std::string& token) {
    const auto found = ids_.find(token);
    WINNOW_CHECK(found != ids_.end(), Corrupt, kWhere,
                 "{}: key '{}', got {} tokens without '{}', expected CLIP's vocabulary: every byte alone and "
                 "with {}, {} and {}",
                 file.path(), kTokens, tokens.size(), token, kWordEnd, kStart, kEnd);
    return found->second;
  };
  for (const std::string& byte : spelling_) {
    id_of(byte);
    id_of(byte + std::string(kWordEnd));
  }
  start_ = id_of(std::string(kStart));
  end_ = id_of(std::string(kEnd));
  if (file.has(kMerges)) read_merges(file);
}

void ClipTokenizer::read_merges(const GgufFile& file) {
  for (const std::string& merge : file.texts(kMerges)) {
    const std::size_t space = merge.find(' ');
    const bool two = space != std::string::npos && space > 0 && space + 1 < merge.size();
    WINNOW_CHECK(two && ids_.contains(merge.substr(0, space) + merge.substr(space + 1)), Corrupt, kWhere,
                 "{}: key '{}', got '{}', expected two parts that make a token", file.path(), kMerges, merge);
    ranks_.emplace(merge, static_cast<int32_t>(ranks_.size()));
  }
}

/// When the pair is merged, lowest first; kNever if it is not.
int32_t ClipTokenizer::rank(const std::string& left, const std::string& right) const {
  const auto& table = ranks_.empty() ? ids_ : ranks_;
  const auto found = table.find(ranks_.empty() ? left + right : left + ' ' + right);
  return found == table.end() ? kNever : found->second;
}

void ClipTokenizer::add_word(std::string_view word, std::vector<int32_t>& ids) const {
  std::vector<std::string> parts;
  for (const char c : word) parts.push_back(spelling_[static_cast<uint8_t>(c)]);
  parts.back() += kWordEnd;
  std::vector<int32_t> ranks;  // of each part with the next
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) ranks.push_back(rank(parts[i], parts[i + 1]));
  while (!ranks.empty()) {
    const auto best = std::min_element(ranks.begin(), ranks.end());
    if (*best == kNever) break;
    const auto at = static_cast<std::size_t>(best - ranks.begin());
    parts[at] += parts[at + 1];
    parts.erase(parts.begin() + static_cast<int64_t>(at) + 1);
    ranks.erase(best);
    if (at > 0) ranks[at - 1] = rank(parts[at - 1], parts[at]);
    if (at < ranks.size()) ranks[at] = rank(parts[at], parts[at + 1]);
  }
  for (const std::string& part : parts) ids.push_back(ids_.at(part));
}

std::vector<int32_t> ClipTokenizer::tokenize(std::string_view text) const {
  std::vector<int32_t> ids = {start_};
  for (const std::string& word : clip_words(text)) {
    if (word == kStart || word == kEnd) {
      ids.push_back(word == kStart ? start_ : end_);
    } else {
      add_word(word, ids);
    }
  }
  ids.push_back(end_);
  return ids;
}

}  // namespace winnow::engine
