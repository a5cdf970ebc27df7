#include "winnow/prune/similarity.h"

#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <vector>

#include "winnow/base/error.h"
#include "winnow/prune/kernels_impl.h"

namespace winnow::prune {
namespace {

constexpr int64_t kPackedRows = 256;  // right rows, 512 KB: what stays in a second-level cache
constexpr int64_t kStayingRows = 24;  // left rows, at 4096 components 400 KB
constexpr int64_t kFewRows = 3;       // so few are not worth packing the other side for

/// Floats at the start of a cache line, as wide as the widest vector.
class AlignedFloats {
 public:
  explicit AlignedFloats(int64_t n)
      : data_(static_cast<float*>(
            ::operator new (static_cast<std::size_t>(n) * sizeof(float), std::align_val_t{kAlignment}))) {}
  float* data() const { return data_.get(); }

 private:
  static constexpr std::size_t kAlignment = 256;
  struct Free {
    void operator()(float* p) const { ::operator delete (p, std::align_val_t{kAlignment}); }
  };
  std::unique_ptr<float, Free> data_;
};

/// Copies `n_row` rows from `first` on, components [begin, end), in the order of a panel (kernels_impl.h),
/// all rows side by side: so many streams at once hide the latency of memory. Rows behind the last one and
/// the last step are filled up with zeros.
void pack(const MatrixView& rows, int64_t first, int64_t n_row, int64_t begin, int64_t end, float* panel) {
  static constexpr std::array<float, kChunk> kZeros{};
  std::array<const float*, kMostLeftRows> from{};
  for (int64_t r = 0; r < n_row; ++r) {
    const bool there = first + r < rows.rows;
    from[static_cast<std::size_t>(r)] = there ? rows.row(first + r).data() + begin : kZeros.data();
  }
  const std::span<const float* const> sources(from.data(), static_cast<std::size_t>(n_row));
  const int64_t n_whole = (end - begin) / kPartialSums * kPartialSums;
  for (int64_t k = 0; k < n_whole; k += kPartialSums) {
    for (const float* source : sources) panel = std::copy_n(source + k, kPartialSums, panel);
  }
  const int64_t n_rest = end - begin - n_whole;
  if (n_rest == 0) return;
  for (const float* source : sources) {
    panel = std::copy_n(source + n_whole, n_rest, panel);
    panel = std::fill_n(panel, kPartialSums - n_rest, 0.0F);
  }
}

/// inner_block in the manner of Goto and van de Geijn (2008): a chunk of some rows of b lies packed in the
/// second-level cache, one panel of a in the first. When a has few rows, all of it stays packed and b streams
/// by. With above_only, products left of the diagonal of `out` may be left at 0.
class BlockProduct {
 public:
  BlockProduct(const MatrixView& a, const MatrixView& b, bool above_only, std::span<float> out)
      : a_(a), b_(b), above_only_(above_only), out_(out) {
    if (!a_stays_) return;
    for (int64_t begin = 0; begin < a_.cols; begin += kChunk) {
      for (int64_t i = 0; i < a_.rows; i += n_left_)
        pack(a_, i, n_left_, begin, std::min(begin + kChunk, a_.cols), left_of(i, begin));
    }
  }

  void run() {
    std::fill(out_.begin(), out_.end(), 0.0F);
    for (int64_t first_j = 0; first_j < b_.rows; first_j += n_packed_) {
      for (int64_t begin = 0; begin < a_.cols; begin += kChunk)
        add_chunk(begin, std::min(begin + kChunk, a_.cols), first_j);
    }
  }

 private:
  void add_chunk(int64_t begin, int64_t end, int64_t first_j) {
    const int64_t last_j = std::min(first_j + n_packed_, b_.rows);
    const int64_t n_step = (end - begin + kPartialSums - 1) / kPartialSums;
    for (int64_t j = first_j; j < last_j; j += kRightRows)
      pack(b_, j, kRightRows, begin, end, right_.data() + (j - first_j) * kChunk);
    for (int64_t i = 0; i < a_.rows && !(above_only_ && i >= last_j); i += n_left_) {
      if (!a_stays_) pack(a_, i, n_left_, begin, end, left_of(i, begin));
      // The first panel that reaches the diagonal or lies above it.
      const int64_t skipped = above_only_ && i > first_j ? (i - first_j) / kRightRows * kRightRows : 0;
      for (int64_t j = first_j + skipped; j < last_j; j += kRightRows) {
        kernels_.multiply_panels(left_of(i, begin), right_.data() + (j - first_j) * kChunk, n_step,
                                 sums_.data());
        add_sums(i, j);
      }
    }
  }

  float* left_of(int64_t i, int64_t begin) const {
    return a_stays_ ? left_.data() + begin * n_left_all_ + i * kChunk : left_.data();
  }

  void add_sums(int64_t first_i, int64_t first_j) {
    const int64_t n_i = std::min(n_left_, a_.rows - first_i);
    const int64_t n_j = std::min(kRightRows, b_.rows - first_j);
    const float* sums = sums_.data();
    float* out = out_.data() + first_i * b_.rows + first_j;
    for (int64_t i = 0; i < n_i; ++i, sums += kRightRows, out += b_.rows) {
      if (n_j == kRightRows) {
        for (int64_t j = 0; j < kRightRows; ++j) out[j] += sums[j];
      } else {
        for (int64_t j = 0; j < n_j; ++j) out[j] += sums[j];
      }
    }
  }

  MatrixView a_, b_;
  bool above_only_;
  std::span<float> out_;
  const Kernels& kernels_ = kernels();
  int64_t n_left_ = kernels_.left_rows;
  bool a_stays_ = a_.rows <= kStayingRows;
  int64_t n_left_all_ = (a_.rows + n_left_ - 1) / n_left_ * n_left_;
  int64_t n_packed_ = a_stays_ ? kRightRows : kPackedRows;
  AlignedFloats left_{a_stays_ ? n_left_all_ * ((a_.cols + kChunk - 1) / kChunk) * kChunk : n_left_ * kChunk};
  AlignedFloats right_{n_packed_ * kChunk};
  AlignedFloats sums_{n_left_ * kRightRows};
};

/// Rows from `first` on; the last one stands in for those behind it.
template <std::size_t kRows>
std::array<const float*, kRows> rows_from(const MatrixView& rows, int64_t first) {
  std::array<const float*, kRows> pointers{};
  for (int64_t i = 0; i < std::ssize(pointers); ++i)
    pointers[static_cast<std::size_t>(i)] = rows.row(std::min(first + i, rows.rows - 1)).data();
  return pointers;
}

template <std::size_t kRows>
void store(const std::array<float, kRows>& values, int64_t first, std::span<float> out) {
  const std::span<float> to = out.subspan(static_cast<std::size_t>(first));
  std::copy_n(values.begin(), std::min(values.size(), to.size()), to.begin());
}

}  // namespace

void inner_with(const MatrixView& rows, std::span<const float> vector, std::span<float> out) {
  WINNOW_ASSERT(vector.size() == static_cast<std::size_t>(rows.cols));
  WINNOW_ASSERT(out.size() == static_cast<std::size_t>(rows.rows));
  const Kernels& table = kernels();
  for (int64_t at = 0; at < rows.rows; at += 8) {
    std::array<float, 8> products{};
    if (rows.rows - at > 4) {
      table.inner_eight(rows_from<8>(rows, at), vector.data(), rows.cols, products.data());
    } else {
      table.inner_four(rows_from<4>(rows, at), vector.data(), rows.cols, products.data());
    }
    store(products, at, out);
  }
}

void inner_with(const MatrixView& rows, std::span<const float> vector, std::span<float> out,
                std::span<float> squares) {
  WINNOW_ASSERT(vector.size() == static_cast<std::size_t>(rows.cols));
  WINNOW_ASSERT(out.size() == static_cast<std::size_t>(rows.rows) && squares.size() == out.size());
  const Kernels& table = kernels();
  for (int64_t at = 0; at < rows.rows; at += 4) {
    std::array<float, 4> products{};
    std::array<float, 4> own{};
    table.inner_four_with_squares(rows_from<4>(rows, at), vector.data(), rows.cols, products.data(),
                                  own.data());
    store(products, at, out);
    store(own, at, squares);
  }
}

double inner_double(std::span<const double> a, std::span<const double> b) {
  WINNOW_ASSERT(a.size() == b.size());
  return kernels().inner_double(a.data(), b.data(), a.size());
}

void inner_block(const MatrixView& a, const MatrixView& b, std::span<float> out) {
  WINNOW_ASSERT(a.cols == b.cols);
  WINNOW_ASSERT(out.size() == static_cast<std::size_t>(a.rows * b.rows));
  if (a.rows > kFewRows) {
    BlockProduct(a, b, false, out).run();
    return;
  }
  const auto n = static_cast<std::size_t>(b.rows);
  for (int64_t i = 0; i < a.rows; ++i)
    inner_with(b, a.row(i), out.subspan(static_cast<std::size_t>(i) * n, n));
}

void for_each_pair_strip(const MatrixView& rows,
                         const std::function<void(int64_t first, const MatrixView& products)>& visit) {
  std::vector<float> products(static_cast<std::size_t>(std::min(kPairStrip, rows.rows) * rows.rows));
  for (int64_t first = 0; first < rows.rows; first += kPairStrip) {
    const MatrixView rest{rows.data + first * rows.cols, rows.rows - first, rows.cols};
    const MatrixView strip{rest.data, std::min(kPairStrip, rest.rows), rows.cols};
    const std::span<float> out(products.data(), static_cast<std::size_t>(strip.rows * rest.rows));
    BlockProduct(strip, rest, true, out).run();
    for (int64_t i = 1; i < strip.rows; ++i)  // panels that cross the diagonal
      std::fill_n(products.begin() + i * rest.rows, i, 0.0F);
    visit(first, {products.data(), strip.rows, rest.rows});
  }
}

Products::Products(const MatrixView& rows)
    : rows_(rows), values_(static_cast<std::size_t>((all() ? n() : kMostAtOnce) * n())) {
  if (all()) make_all();
}

bool Products::all() const {
  constexpr int64_t kMostKept = 4096;
  return n() <= kMostKept;
}

MatrixView Products::rows(int64_t first, int64_t count) {
  WINNOW_ASSERT(first >= 0 && count >= 1 && count <= kMostAtOnce && first + count <= n());
  if (all()) return {values_.data() + first * n(), count, n()};
  inner_block({rows_.row(first).data(), count, rows_.cols}, rows_,
              std::span(values_).first(static_cast<std::size_t>(count * n())));
  return {values_.data(), count, n()};
}

void Products::make_all() {
  constexpr int64_t kTile = 32;  // of the transposition
  const int64_t n = rows_.rows;
  for_each_pair_strip(rows_, [&](int64_t first, const MatrixView& products) {
    for (int64_t i = 0; i < products.rows; ++i) {
      const std::span<const float> right = products.row(i).subspan(static_cast<std::size_t>(i));
      std::copy(right.begin(), right.end(), values_.begin() + (first + i) * (n + 1));
    }
    for (int64_t top = 0; top < products.rows; top += kTile) {
      for (int64_t left = top; left < products.cols; left += kTile) {
        for (int64_t j = left; j < std::min(left + kTile, products.cols); ++j) {
          float* column = values_.data() + (first + j) * n + first;
          for (int64_t i = top; i < std::min({top + kTile, products.rows, j}); ++i)
            column[i] = products(i, j);
        }
      }
    }
  });
}

std::vector<float> gathered_rows(const MatrixView& rows, std::span<const int32_t> which) {
  std::vector<float> out;
  out.reserve(which.size() * static_cast<std::size_t>(rows.cols));
  for (const int32_t row : which) out.insert(out.end(), rows.row(row).begin(), rows.row(row).end());
  return out;
}

}  // namespace winnow::prune
