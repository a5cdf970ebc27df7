// The kernels for every vector instruction set that Highway knows: this file is compiled once per set, and
// the best one of the machine is chosen when the program runs.

#include "winnow/prune/kernels_impl.h"

// Sets that bring these loops nothing over the next smaller one.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "winnow/prune/kernels_highway.cpp"
#include <hwy/foreach_target.h>  // comes before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace winnow::prune::HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR  // no vectors at all
const Kernels& table() { return plain_kernels(); }
#else

namespace hn = hwy::HWY_NAMESPACE;
using Narrow = hn::FixedTag<float, kPartialSums>;                     // the partial sums of one row
using Wide = hn::CappedTag<float, kMostLeftRows * kPartialSums / 3>;  // of as many rows as fit a vector

/// The partial sums of four products, one product per 128-bit block of a vector, added up: block p of the
/// result is the products of blocks p.
template <class D, class V = hn::Vec<D> >
HWY_INLINE V add_partial_sums(D d, V v0, V v1, V v2, V v3) {
  const hn::RepartitionToWide<hn::RebindToUnsigned<D> > pairs;
  const V v01 = hn::Add(hn::InterleaveLower(d, v0, v1), hn::InterleaveUpper(d, v0, v1));
  const V v23 = hn::Add(hn::InterleaveLower(d, v2, v3), hn::InterleaveUpper(d, v2, v3));
  const auto low = hn::InterleaveLower(pairs, hn::BitCast(pairs, v01), hn::BitCast(pairs, v23));
  const auto high = hn::InterleaveUpper(pairs, hn::BitCast(pairs, v01), hn::BitCast(pairs, v23));
  return hn::Add(hn::BitCast(d, low), hn::BitCast(d, high));
}

/// Twelve accumulators: three vectors of left rows times four right rows. That hides the latency of the
/// multiply-add and fits sixteen registers; the fences keep a compiler from loading ahead, which would not.
void multiply_panels(const float* HWY_RESTRICT left, const float* HWY_RESTRICT right, int64_t n_step,
                     float* HWY_RESTRICT sums) {
  const Wide d;
  const std::size_t lanes = hn::Lanes(d);
  auto s00 = hn::Zero(d), s01 = s00, s02 = s00, s03 = s00;
  auto s10 = s00, s11 = s00, s12 = s00, s13 = s00;
  auto s20 = s00, s21 = s00, s22 = s00, s23 = s00;
  for (int64_t step = 0; step < n_step; ++step) {
    const auto a0 = hn::Load(d, left);
    const auto a1 = hn::Load(d, left + lanes);
    const auto a2 = hn::Load(d, left + 2 * lanes);
    left += 3 * lanes;
    const auto b0 = hn::LoadDup128(d, right);
    s00 = hn::MulAdd(a0, b0, s00);
    s10 = hn::MulAdd(a1, b0, s10);
    s20 = hn::MulAdd(a2, b0, s20);
    HWY_FENCE;
    const auto b1 = hn::LoadDup128(d, right + kPartialSums);
    s01 = hn::MulAdd(a0, b1, s01);
    s11 = hn::MulAdd(a1, b1, s11);
    s21 = hn::MulAdd(a2, b1, s21);
    HWY_FENCE;
    const auto b2 = hn::LoadDup128(d, right + 2 * kPartialSums);
    s02 = hn::MulAdd(a0, b2, s02);
    s12 = hn::MulAdd(a1, b2, s12);
    s22 = hn::MulAdd(a2, b2, s22);
    HWY_FENCE;
    const auto b3 = hn::LoadDup128(d, right + 3 * kPartialSums);
    s03 = hn::MulAdd(a0, b3, s03);
    s13 = hn::MulAdd(a1, b3, s13);
    s23 = hn::MulAdd(a2, b3, s23);
    right += kRightRows * kPartialSums;
  }
  hn::Store(add_partial_sums(d, s00, s01, s02, s03), d, sums);
  hn::Store(add_partial_sums(d, s10, s11, s12, s13), d, sums + lanes);
  hn::Store(add_partial_sums(d, s20, s21, s22, s23), d, sums + 2 * lanes);
}

/// The last d % kPartialSums components at p, followed by zeros.
HWY_INLINE hn::Vec<Narrow> load_rest(const float* p, int64_t n) {
  HWY_ALIGN float padded[kPartialSums] = {};
  for (int64_t i = 0; i < n; ++i) padded[i] = p[i];
  return hn::Load(Narrow(), padded);
}

/// Beside the products of four rows: nothing, the squares of these rows, or the products of four more. Eight
/// independent sums hide the latency of the multiply-add; four are enough where memory is slower.
enum class Beside { Nothing, Squares, FourMore };

template <Beside kBeside>
HWY_INLINE void inner_rows(const float* const* rows, const float* vector, int64_t d, float* products,
                           float* others) {
  const Narrow tag;
  auto product = hn::Zero(tag), other = product;
  for (int64_t begin = 0; begin < d; begin += kChunk) {
    const int64_t end = HWY_MIN(begin + kChunk, d);
    auto p0 = hn::Zero(tag), p1 = p0, p2 = p0, p3 = p0;
    auto q0 = p0, q1 = p0, q2 = p0, q3 = p0;
    const auto add = [&](auto load) HWY_ATTR {
      const auto v = load(vector);
      const auto r0 = load(rows[0]), r1 = load(rows[1]), r2 = load(rows[2]), r3 = load(rows[3]);
      p0 = hn::MulAdd(r0, v, p0);
      p1 = hn::MulAdd(r1, v, p1);
      p2 = hn::MulAdd(r2, v, p2);
      p3 = hn::MulAdd(r3, v, p3);
      if constexpr (kBeside == Beside::Squares) {
        q0 = hn::MulAdd(r0, r0, q0);
        q1 = hn::MulAdd(r1, r1, q1);
        q2 = hn::MulAdd(r2, r2, q2);
        q3 = hn::MulAdd(r3, r3, q3);
      } else if constexpr (kBeside == Beside::FourMore) {
        q0 = hn::MulAdd(load(rows[4]), v, q0);
        q1 = hn::MulAdd(load(rows[5]), v, q1);
        q2 = hn::MulAdd(load(rows[6]), v, q2);
        q3 = hn::MulAdd(load(rows[7]), v, q3);
      }
    };
    int64_t at = begin;
    for (; at + kPartialSums <= end; at += kPartialSums) {
      add([&](const float* row) HWY_ATTR { return hn::LoadU(tag, row + at); });
    }
    if (at < end) add([&](const float* row) HWY_ATTR { return load_rest(row + at, end - at); });
    product = hn::Add(product, add_partial_sums(tag, p0, p1, p2, p3));
    if constexpr (kBeside != Beside::Nothing) other = hn::Add(other, add_partial_sums(tag, q0, q1, q2, q3));
  }
  hn::StoreU(product, tag, products);
  if constexpr (kBeside != Beside::Nothing) hn::StoreU(other, tag, others);
}

void inner_four(const FourRows& rows, const float* vector, int64_t d, float* products) {
  inner_rows<Beside::Nothing>(rows.data(), vector, d, products, nullptr);
}

void inner_four_with_squares(const FourRows& rows, const float* vector, int64_t d, float* products,
                             float* squares) {
  inner_rows<Beside::Squares>(rows.data(), vector, d, products, squares);
}

void inner_eight(const EightRows& rows, const float* vector, int64_t d, float* products) {
  inner_rows<Beside::FourMore>(rows.data(), vector, d, products, products + 4);
}

/// Sixteen sums hide the latency of the multiply-add with any vector up to eight wide.
double inner_double(const double* HWY_RESTRICT a, const double* HWY_RESTRICT b, std::size_t n) {
  const hn::CappedTag<double, kDoubleSums / 4> d;
  const std::size_t lanes = hn::Lanes(d);
  HWY_ALIGN std::array<double, kDoubleSums> sums{};
  const std::size_t whole = n / kDoubleSums * kDoubleSums;
  // Each round serves four vectors; narrow ones need several rounds over their part of the sums.
  for (std::size_t part = 0; part < kDoubleSums; part += 4 * lanes) {
    auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    for (std::size_t at = part; at < whole; at += kDoubleSums) {
      s0 = hn::MulAdd(hn::LoadU(d, a + at), hn::LoadU(d, b + at), s0);
      s1 = hn::MulAdd(hn::LoadU(d, a + at + lanes), hn::LoadU(d, b + at + lanes), s1);
      s2 = hn::MulAdd(hn::LoadU(d, a + at + 2 * lanes), hn::LoadU(d, b + at + 2 * lanes), s2);
      s3 = hn::MulAdd(hn::LoadU(d, a + at + 3 * lanes), hn::LoadU(d, b + at + 3 * lanes), s3);
    }
    hn::StoreU(s0, d, &sums[part]);
    hn::StoreU(s1, d, &sums[part + lanes]);
    hn::StoreU(s2, d, &sums[part + 2 * lanes]);
    hn::StoreU(s3, d, &sums[part + 3 * lanes]);
  }
  for (std::size_t k = whole; k < n; ++k) sums[k - whole] += a[k] * b[k];
  return add_halves(sums);
}

/// NaN and infinity have the largest exponent: without the sign their bits are no smaller than infinity's.
/// Four quarters are read side by side, which the memory serves faster than one.
bool all_finite(const float* values, std::size_t n) {
  const hn::ScalableTag<int32_t> d;
  const hn::RebindToFloat<decltype(d)> df;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t quarter = n / 4 / lanes * lanes;
  const auto magnitude = hn::Set(d, 0x7fffffff);
  const auto load = [&](const float* p)
                        HWY_ATTR { return hn::And(hn::BitCast(d, hn::LoadU(df, p)), magnitude); };
  auto m0 = hn::Zero(d), m1 = m0, m2 = m0, m3 = m0;
  for (std::size_t at = 0; at < quarter; at += lanes) {
    m0 = hn::Max(m0, load(values + at));
    m1 = hn::Max(m1, load(values + quarter + at));
    m2 = hn::Max(m2, load(values + 2 * quarter + at));
    m3 = hn::Max(m3, load(values + 3 * quarter + at));
  }
  const auto largest = hn::Max(hn::Max(m0, m1), hn::Max(m2, m3));
  if (!hn::AllTrue(d, hn::Lt(largest, hn::Set(d, 0x7f800000)))) return false;
  return plain_kernels().all_finite(values + 4 * quarter, n - 4 * quarter);
}

const Kernels& table() {
  static const Kernels table{3 * static_cast<int64_t>(hn::Lanes(Wide())) / kPartialSums,
                             multiply_panels,
                             inner_four,
                             inner_four_with_squares,
                             inner_eight,
                             inner_double,
                             all_finite};
  return table;
}

#endif
}  // namespace winnow::prune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace winnow::prune {

HWY_EXPORT(table);

const Kernels& kernels() { return HWY_DYNAMIC_DISPATCH(table)(); }

}  // namespace winnow::prune
#endif
