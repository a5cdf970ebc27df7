#include "winnow/prune/cpython_set.h"

#include <utility>

#include "winnow/base/error.h"

namespace winnow::prune {
namespace {

constexpr int32_t kEmpty = -1;
using Table = std::vector<int32_t>;  // slot -> index of a value, or kEmpty; the size is a power of two

void insert(Table& table, int32_t index, int32_t value) {
  constexpr uint64_t kRun = 9;
  constexpr uint64_t kShift = 5;
  const uint64_t mask = table.size() - 1;
  auto perturb = static_cast<uint64_t>(value);
  uint64_t at = perturb & mask;
  while (true) {
    const uint64_t last = at + kRun <= mask ? at + kRun : at;
    for (uint64_t slot = at; slot <= last; ++slot) {
      if (table[slot] != kEmpty) continue;
      table[slot] = index;
      return;
    }
    perturb >>= kShift;
    at = (at * 5 + 1 + perturb) & mask;
  }
}

}  // namespace

std::vector<int32_t> cpython_set_order(std::span<const int32_t> values) {
  constexpr std::size_t kSmallest = 8;
  constexpr std::size_t kLarge = 50000;  // from here on a table only doubles
  Table table(kSmallest, kEmpty);
  for (std::size_t i = 0; i < values.size(); ++i) {
    WINNOW_ASSERT(values[i] >= 0);
    insert(table, static_cast<int32_t>(i), values[i]);
    const std::size_t used = i + 1;
    if (used * 5 < (table.size() - 1) * 3) continue;
    std::size_t size = kSmallest;
    while (size <= used * (used > kLarge ? 2 : 4)) size *= 2;
    const Table old = std::exchange(table, Table(size, kEmpty));
    for (const int32_t index : old) {
      if (index != kEmpty) insert(table, index, values[static_cast<std::size_t>(index)]);
    }
  }
  std::erase(table, kEmpty);
  return table;
}

}  // namespace winnow::prune
