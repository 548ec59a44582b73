// Pairs of bfloat16 values in 32-bit words: the first value in the upper half, the second in the lower half.
#pragma once

#include "engine/simd.hpp"

namespace elman::ELMAN_ISA {

typedef std::uint32_t Bits __attribute__((vector_size(4 * W)));

ELMAN_INLINE V upper(V words) { return reinterpret_cast<V>(reinterpret_cast<Bits>(words) & 0xFFFF0000u); }
ELMAN_INLINE V lower(V words) { return reinterpret_cast<V>(reinterpret_cast<Bits>(words) << 16); }

// Rounds to nearest, ties to even; NaN stays NaN.
ELMAN_INLINE Bits rounded(V x) {
  const Bits bits = reinterpret_cast<Bits>(x), nearest = bits + 0x7FFFu + (bits >> 16 & 1u);
  return (x == x ? nearest : bits | 0x00400000u) & 0xFFFF0000u;
}
ELMAN_INLINE V words(V first, V second) { return reinterpret_cast<V>(rounded(first) | rounded(second) >> 16); }

// The word at p in all lanes. It is copied as an integer: as a float, arithmetic could change it.
ELMAN_INLINE V splat_word(const float* p) {
  std::uint32_t word;
  std::memcpy(&word, p, sizeof word);
  return reinterpret_cast<V>(Bits{} + word);
}

// Whether `dot` is one instruction.
#if defined(__AVX512BF16__) && ELMAN_WIDTH == 16
constexpr bool multiplies_bfloat16 = true;
#else
constexpr bool multiplies_bfloat16 = false;
#endif

// acc + a.first * b.first + a.second * b.second, in float32.
ELMAN_INLINE V dot(V a, V b, V acc) {
#if defined(__AVX512BF16__) && ELMAN_WIDTH == 16
  return reinterpret_cast<V>(
      _mm512_dpbf16_ps(reinterpret_cast<__m512>(acc), reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b)));
#else
  return fma(lower(a), lower(b), fma(upper(a), upper(b), acc));
#endif
}

template <int... I>
ELMAN_INLINE V neighbours(V low, V high, Places<I...>) {
  return words(__builtin_shufflevector(low, high, (2 * I)...), __builtin_shufflevector(low, high, (2 * I + 1)...));
}

// Packs neighbours of a row into words: `count` words of the n values at `from`, then zeros. Writes whole vectors.
static inline void pair_neighbours(const float* from, std::int64_t n, std::int64_t count, float* to) {
  const auto some = [&](std::int64_t at) { return at < n ? load(from + at, n - at) : V{}; };
  for (std::int64_t i = 0; i < count; i += W) store(to + i, neighbours(some(2 * i), some(2 * i + W), Count<W>::Type{}));
}

// Packs two rows of n values into words, column by column; null: zeros. Writes whole vectors.
static inline void pair_rows(const float* first, const float* second, std::int64_t n, float* to) {
  for (std::int64_t i = 0; i < n; i += W)
    store(to + i, words(load(first + i, n - i), second ? load(second + i, n - i) : V{}));
}

}  // namespace elman::ELMAN_ISA
