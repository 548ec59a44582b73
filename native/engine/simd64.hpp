// Vectors of W / 2 doubles, the counterpart of simd.hpp: for hidden Markov models and linear dynamical systems.
#pragma once

#include "engine/simd.hpp"

namespace elman::ELMAN_ISA {

constexpr int W64 = W / 2;

typedef double D __attribute__((vector_size(4 * W)));
typedef double Unaligned64 __attribute__((vector_size(4 * W), aligned(8), may_alias));
typedef std::int64_t Longs __attribute__((vector_size(4 * W)));

constexpr double infinity = __builtin_inf();

ELMAN_INLINE D load(const double* p) { return *reinterpret_cast<const Unaligned64*>(p); }
ELMAN_INLINE void store(double* p, D v) { *reinterpret_cast<Unaligned64*>(p) = v; }
ELMAN_INLINE D splat(double x) { return x - D{}; }

ELMAN_INLINE Longs lanes() {
  Longs v;
  for (int i = 0; i < W64; ++i) v[i] = i;
  return v;
}

// Loads the first n of W64 doubles; missing ones are `rest`.
ELMAN_INLINE D load(const double* p, std::int64_t n, double rest = 0) {
  if (n >= W64) return load(p);
#if defined(__AVX512F__) && ELMAN_WIDTH == 16
  const auto mask = static_cast<__mmask8>((1u << n) - 1);
  return reinterpret_cast<D>(_mm512_mask_loadu_pd(_mm512_set1_pd(rest), mask, p));
#elif defined(__AVX2__) && ELMAN_WIDTH == 8
  const Longs real = lanes() < (n - Longs{});
  const D v = reinterpret_cast<D>(_mm256_maskload_pd(p, reinterpret_cast<__m256i>(real)));
  return real ? v : splat(rest);
#else
  D v = splat(rest);
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
#endif
}
ELMAN_INLINE void store(double* p, D v, std::int64_t n) {
  if (n >= W64) return store(p, v);
#if defined(__AVX512F__) && ELMAN_WIDTH == 16
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1), reinterpret_cast<__m512d>(v));
#elif defined(__AVX2__) && ELMAN_WIDTH == 8
  const Longs real = lanes() < (n - Longs{});
  _mm256_maskstore_pd(p, reinterpret_cast<__m256i>(real), reinterpret_cast<__m256d>(v));
#else
  for (int i = 0; i < n; ++i) p[i] = v[i];
#endif
}

ELMAN_INLINE D fma(D a, D b, D c) {
#if defined(__AVX512F__) && ELMAN_WIDTH == 16
  return reinterpret_cast<D>(
      _mm512_fmadd_pd(reinterpret_cast<__m512d>(a), reinterpret_cast<__m512d>(b), reinterpret_cast<__m512d>(c)));
#elif defined(__FMA__) && ELMAN_WIDTH == 8
  return reinterpret_cast<D>(
      _mm256_fmadd_pd(reinterpret_cast<__m256d>(a), reinterpret_cast<__m256d>(b), reinterpret_cast<__m256d>(c)));
#else
  return a * b + c;
#endif
}

// The larger one of each pair of lanes; b where one is NaN.
ELMAN_INLINE D larger(D a, D b) {
#if defined(__AVX512F__) && ELMAN_WIDTH == 16
  return reinterpret_cast<D>(_mm512_max_pd(reinterpret_cast<__m512d>(a), reinterpret_cast<__m512d>(b)));
#elif defined(__AVX2__) && ELMAN_WIDTH == 8
  return reinterpret_cast<D>(_mm256_max_pd(reinterpret_cast<__m256d>(a), reinterpret_cast<__m256d>(b)));
#else
  return a > b ? a : b;
#endif
}

// Reduces all lanes to one number, by halves.
template <class F>
ELMAN_INLINE double fold(D v, const F& f) {
#if ELMAN_WIDTH == 16
  v = f(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3));
  v = f(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5));
  v = f(v, __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6));
#elif ELMAN_WIDTH == 8
  v = f(v, __builtin_shufflevector(v, v, 2, 3, 0, 1));
  v = f(v, __builtin_shufflevector(v, v, 1, 0, 3, 2));
#else
  v = f(v, __builtin_shufflevector(v, v, 1, 0));
#endif
  return v[0];
}
ELMAN_INLINE double sum(D v) {
  return fold(v, [](D a, D b) __attribute__((always_inline)) { return a + b; });
}
ELMAN_INLINE double largest(D v) {
  return fold(v, [](D a, D b) __attribute__((always_inline)) { return larger(a, b); });
}

// e^x for x up to 709 with a relative error of 3e-16: 2^n e^r with |r| <= ln(2) / 2, and a polynomial through Chebyshev
// nodes. Zero below -708, where doubles become subnormal.
ELMAN_INLINE D exp(D x) {
  const D to_integer = splat(6755399441055744.0);  // 1.5 * 2^52: adding it rounds to an integer
  const D shifted = fma(x, splat(1.4426950408889634), to_integer);
  const D n = shifted - to_integer;
  const D r = fma(n, splat(-1.90821492927058770002e-10), fma(n, splat(-6.93147180369123816490e-01), x));
  const D r2 = r * r, r4 = r2 * r2;  // Estrin's scheme: short dependency chains
  const D a = fma(r, splat(0.16666666666666666667), splat(0.5));
  const D b = fma(r, splat(0.008333333333332155748), splat(0.041666666666651355025));
  const D c = fma(r, splat(0.00019841269854338611409), splat(0.0013888888905881542497));
  const D d = fma(r, splat(2.7557280067016979588e-6), splat(0.000024801536388690767814));
  const D e = fma(r, splat(2.509555467711111097e-8), splat(2.7613806861538288093e-7));
  const D p = fma(fma(fma(e, r4, fma(d, r2, c)), r4, fma(b, r2, a)), r2, r) + splat(1.0);
  const Longs power = (reinterpret_cast<Longs>(shifted) - reinterpret_cast<Longs>(to_integer) + 1023) << 52;
  return x < splat(-708.0) ? D{} : p * reinterpret_cast<D>(power);
}

// log x with a relative error of 3e-16 (fdlibm's polynomial); x must be positive and not subnormal.
ELMAN_INLINE D log(D x) {
  const Longs bits = reinterpret_cast<Longs>(x);
  const Longs half = std::int64_t{0x3fe6a09e667f3bcd} - Longs{};  // sqrt(1/2)
  const Longs power = (bits - half) >> 52;                        // exponent of two that leaves sqrt(1/2) .. sqrt(2)
  const D f = reinterpret_cast<D>(bits - (power << 52)) - splat(1.0);
  const D magic = splat(6755399441055744.0);
  const D k = reinterpret_cast<D>(power + reinterpret_cast<Longs>(magic)) - magic;
  const D s = f / (splat(2.0) + f), z = s * s;
  D r = splat(1.479819860511658591e-01);
  r = fma(r, z, splat(1.531383769920937332e-01));
  r = fma(r, z, splat(1.818357216161805012e-01));
  r = fma(r, z, splat(2.222219843214978396e-01));
  r = fma(r, z, splat(2.857142874366239149e-01));
  r = fma(r, z, splat(3.999999999940941908e-01));
  r = fma(r, z, splat(6.666666666666735130e-01)) * z;
  const D half_square = splat(0.5) * f * f;
  const D low = fma(k, splat(1.90821492927058770002e-10), s * (half_square + r));
  return fma(k, splat(6.93147180369123816490e-01), f - (half_square - low));
}

}  // namespace elman::ELMAN_ISA
