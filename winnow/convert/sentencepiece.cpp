#include "winnow/convert/sentencepiece.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <functional>

#include "winnow/base/error.h"

namespace winnow::convert {
namespace {

constexpr const char* kWhere = "convert.sentencepiece";
constexpr uint64_t kBytePairs = 2;  // TrainerSpec.ModelType.BPE

/// One field of a message: a number (varint, or the bits of a fixed one) or the bytes of a text or message.
struct Field {
  uint64_t number = 0;
  uint64_t value = 0;
  std::span<const uint8_t> bytes{};
};

/// Reads the fields of one message, front to back.
class Message {
 public:
  Message(std::span<const uint8_t> rest, const std::string& place) : rest_(rest), place_(place) {}

  void for_each(const std::function<void(const Field&)>& take) {
    while (!rest_.empty()) {
      const uint64_t tag = varint();
      Field field{.number = tag >> 3};
      switch (tag & 7) {
        case 0: field.value = varint(); break;
        case 1: field.value = fixed(8); break;
        case 2: field.bytes = cut(varint()); break;
        case 5: field.value = fixed(4); break;
        default: fail(ErrorCode::Corrupt, kWhere, "{}: wire type {}, expected 0, 1, 2 or 5", place_, tag & 7);
      }
      take(field);
    }
  }

 private:
  std::span<const uint8_t> cut(uint64_t n) {
    WINNOW_CHECK(n <= rest_.size(), Corrupt, kWhere, "{}: cut short, {} bytes are left of {}", place_,
                 rest_.size(), n);
    const auto front = rest_.first(static_cast<std::size_t>(n));
    rest_ = rest_.subspan(front.size());
    return front;
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t byte = cut(1).front();
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    fail(ErrorCode::Corrupt, kWhere, "{}: a number of more than 64 bits", place_);
  }

  uint64_t fixed(std::size_t n) {
    uint64_t value = 0;
    std::memcpy(&value, cut(n).data(), n);  // the format is little-endian, and so are we
    return value;
  }

  std::span<const uint8_t> rest_;
  const std::string& place_;
};

static_assert(std::endian::native == std::endian::little, "protocol buffers are little-endian");

/// Field numbers of ModelProto.SentencePiece, TrainerSpec and NormalizerSpec.
SentencePiece read_piece(std::span<const uint8_t> bytes, const std::string& place) {
  SentencePiece piece;
  Message(bytes, place).for_each([&](const Field& field) {
    if (field.number == 1) piece.text.assign(field.bytes.begin(), field.bytes.end());
    if (field.number == 2) piece.score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
    if (field.number == 3) piece.type = static_cast<int32_t>(field.value);
  });
  WINNOW_CHECK(piece.type >= 1 && piece.type <= 6, Corrupt, kWhere,
               "{}: type of piece '{}', got {}, expected 1 to 6", place, piece.text, piece.type);
  WINNOW_CHECK(std::isfinite(piece.score), Corrupt, kWhere, "{}: score of piece '{}' is no finite number",
               place, piece.text);
  return piece;
}

void read_trainer(std::span<const uint8_t> bytes, const std::string& place, SentencePieceModel& model) {
  Message(bytes, place).for_each([&](const Field& field) {
    const auto id = static_cast<int32_t>(field.value);
    if (field.number == 3) model.byte_pairs = field.value == kBytePairs;
    if (field.number == 40) model.unk = id;
    if (field.number == 41) model.bos = id;
    if (field.number == 42) model.eos = id;
    if (field.number == 43) model.pad = id;
  });
}

void read_normalizer(std::span<const uint8_t> bytes, const std::string& place, SentencePieceModel& model) {
  Message(bytes, place).for_each([&](const Field& field) {
    if (field.number == 3) model.space_prefix = field.value != 0;
  });
}

}  // namespace

SentencePieceModel parse_sentencepiece(std::span<const uint8_t> bytes, const std::string& place) {
  SentencePieceModel model;
  Message(bytes, place).for_each([&](const Field& field) {
    if (field.number == 1) model.pieces.push_back(read_piece(field.bytes, place));
    if (field.number == 2) read_trainer(field.bytes, place, model);
    if (field.number == 3) read_normalizer(field.bytes, place, model);
  });
  WINNOW_CHECK(!model.pieces.empty(), Corrupt, kWhere, "{}: no pieces, expected a SentencePiece model",
               place);
  return model;
}

}  // namespace winnow::convert
