// Vectors of W floats and the elementary functions of gates. Compiled once per instruction set.
//
// ELMAN_ISA names the namespace and ELMAN_WIDTH is W. Multiplications and additions are fused only where the source
// says `fma`, so that every row of a batch, every element of a tile and every stepper rounds alike.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#if defined(__FMA__)
#include <immintrin.h>
#endif

namespace elman::ELMAN_ISA {

constexpr int W = ELMAN_WIDTH;
constexpr bool many_registers = W == 16;  // 32 vector registers instead of 16

typedef float V __attribute__((vector_size(4 * W)));
typedef float Unaligned __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef std::int32_t Integers __attribute__((vector_size(4 * W)));

#define ELMAN_INLINE [[gnu::always_inline]] static inline

ELMAN_INLINE V load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
ELMAN_INLINE void store(float* p, V v) { *reinterpret_cast<Unaligned*>(p) = v; }
ELMAN_INLINE V splat(float x) { return x - V{}; }

// Loads or stores the first n of W floats; missing ones are loaded as zeros.
ELMAN_INLINE V load(const float* p, std::int64_t n) {
  if (n >= W) return load(p);
  V v{};
  std::memcpy(&v, p, sizeof(float) * static_cast<std::size_t>(n));
  return v;
}
ELMAN_INLINE void store(float* p, V v, std::int64_t n) {
  if (n >= W) return store(p, v);
  std::memcpy(p, &v, sizeof(float) * static_cast<std::size_t>(n));
}

ELMAN_INLINE V fma(V a, V b, V c) {
#if defined(__AVX512F__) && ELMAN_WIDTH == 16
  return reinterpret_cast<V>(
      _mm512_fmadd_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(c)));
#elif defined(__FMA__) && ELMAN_WIDTH == 8
  return reinterpret_cast<V>(
      _mm256_fmadd_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
#else
  return a * b + c;
#endif
}

// Transposes a square in log2(W) rounds, which interleave the first half of the vectors with the second.
template <int... I>
struct Places {};
template <int N, int... I>
struct Count : Count<N - 1, N - 1, I...> {};
template <int... I>
struct Count<0, I...> {
  using Type = Places<I...>;
};
template <int... I>
ELMAN_INLINE void interleave(V a, V b, V& low, V& high, Places<I...>) {
  low = __builtin_shufflevector(a, b, (I % 2 * W + I / 2)...);
  high = __builtin_shufflevector(a, b, (I % 2 * W + W / 2 + I / 2)...);
}
ELMAN_INLINE void transpose(V (&rows)[W]) {
#pragma GCC unroll 4
  for (int round = 1; round < W; round *= 2) {
    V mixed[W];
#pragma GCC unroll 8
    for (int i = 0; i < W / 2; ++i)
      interleave(rows[i], rows[i + W / 2], mixed[2 * i], mixed[2 * i + 1], Count<W>::Type{});
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) rows[i] = mixed[i];
  }
}

ELMAN_INLINE V clamp(V x, float low, float high) {  // NaN stays NaN
#if defined(__AVX512F__) && ELMAN_WIDTH == 16
  return reinterpret_cast<V>(
      _mm512_min_ps(_mm512_set1_ps(high), _mm512_max_ps(_mm512_set1_ps(low), reinterpret_cast<__m512>(x))));
#elif defined(__FMA__) && ELMAN_WIDTH == 8
  return reinterpret_cast<V>(
      _mm256_min_ps(_mm256_set1_ps(high), _mm256_max_ps(_mm256_set1_ps(low), reinterpret_cast<__m256>(x))));
#else
  x = x < low ? splat(low) : x;
  return x > high ? splat(high) : x;
#endif
}

// e^x with a relative error of 1e-7: 2^n e^r with |r| <= ln(2) / 2 (polynomial from Moshier's Cephes).
ELMAN_INLINE V exp(V x) {
  x = clamp(x, -87.33f, 88.02f);
  const V to_integer = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const V n = fma(x, splat(1.44269504f), to_integer) - to_integer;
  const V r = fma(n, splat(2.12194440e-4f), fma(n, splat(-0.693359375f), x));
  V p = splat(1.9875691500e-4f);
  p = fma(p, r, splat(1.3981999507e-3f));
  p = fma(p, r, splat(8.3334519073e-3f));
  p = fma(p, r, splat(4.1665795894e-2f));
  p = fma(p, r, splat(1.6666665459e-1f));
  p = fma(p, r, splat(5.0000001201e-1f));
  p = fma(p * r, r, r) + splat(1.0f);
  const Integers power = (__builtin_convertvector(n, Integers) + 127) << 23;
  return p * reinterpret_cast<V>(power);
}

ELMAN_INLINE V sigmoid(V x) { return splat(1.0f) / (splat(1.0f) + exp(-x)); }

// tanh with a relative error of 3e-7: the rational function of Eigen's ptanh. x is clamped where the function rounds to
// exactly one, which depends on fused products: then 1 - tanh^2 of a saturated unit is zero and does not accumulate
// over many steps.
ELMAN_INLINE V tanh(V x) {
#if defined(__FMA__)
  constexpr float one = 7.99881172f;
#else
  constexpr float one = 7.90531111f;
#endif
  x = clamp(x, -one, one);
  const V s = x * x;
  V p = splat(-2.76076847742355e-16f);
  p = fma(p, s, splat(2.00018790482477e-13f));
  p = fma(p, s, splat(-8.60467152213735e-11f));
  p = fma(p, s, splat(5.12229709037114e-08f));
  p = fma(p, s, splat(1.48572235717979e-05f));
  p = fma(p, s, splat(6.37261928875436e-04f));
  p = fma(p, s, splat(4.89352455891786e-03f));
  V q = splat(1.19825839466702e-06f);
  q = fma(q, s, splat(1.18534705686654e-04f));
  q = fma(q, s, splat(2.26843463243900e-03f));
  q = fma(q, s, splat(4.89352518554385e-03f));
  return x * p / q;
}

// Sum of all lanes, in their order.
ELMAN_INLINE float sum(V v) {
  float total = 0;
  for (int i = 0; i < W; ++i) total += v[i];
  return total;
}

}  // namespace elman::ELMAN_ISA
