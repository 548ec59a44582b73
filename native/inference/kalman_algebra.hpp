// Small matrices of doubles for the Kalman kernels: rows of `n` values, `s` apart, padded with zeros to [s, s].
//
// For 1 to 4 states the sizes are compile-time constants; otherwise rows are padded to whole vectors.
#pragma once

#include "engine/layer.hpp"
#include "engine/simd64.hpp"

namespace elman::ELMAN_ISA {

template <int N>
struct Size {
  static constexpr Index n = N, s = N;
  static constexpr bool fixed = true;
  static constexpr bool vectors = N % W64 == 0;
  explicit Size(Index) {}
};
template <>
struct Size<0> {
  Index n, s;
  static constexpr bool fixed = false;
  static constexpr bool vectors = true;
  explicit Size(Index states) : n(states), s((states + W64 - 1) / W64 * W64) {}
};

ELMAN_INLINE double fused(double a, double b, double c) {
#if defined(__FMA__)
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}
ELMAN_INLINE double absolute(double x) { return __builtin_fabs(x); }
ELMAN_INLINE double root(double x) { return __builtin_sqrt(x); }
ELMAN_INLINE bool finite(double x) { return absolute(x) < infinity; }

// Allocates parts of one block of memory; without a block, only counts.
struct Pieces {
  double* memory;
  Index used = 0;

  double* take(Index count) {
    double* const piece = memory ? memory + used : nullptr;
    used += (count + 7) / 8 * 8;
    return piece;
  }
};

template <class Z>
ELMAN_INLINE void fill(Z z, Index rows, double value, double* x) {
  for (Index i = 0; i < rows * z.s; ++i) x[i] = value;
}
ELMAN_INLINE void copy(Index count, const double* __restrict__ x, double* __restrict__ y) {
  for (Index i = 0; i < count; ++i) y[i] = x[i];
}
template <class Z>
ELMAN_INLINE void copy(Z z, Index rows, const double* x, double* y) {
  copy(rows * z.s, x, y);
}

// Converts between the caller's rows, n apart, and rows s apart.
template <class Z>
ELMAN_INLINE void widen(Z z, Index rows, const double* x, double* y) {
  if (z.n == z.s) return copy(rows * z.n, x, y);
  for (Index i = 0; i < rows; ++i) {
    copy(z.n, x + i * z.n, y + i * z.s);
    for (Index j = z.n; j < z.s; ++j) y[i * z.s + j] = 0;
  }
}
template <class Z>
ELMAN_INLINE void narrow(Z z, Index rows, const double* x, double* y) {
  if (z.n == z.s) return copy(rows * z.n, x, y);
  for (Index i = 0; i < rows; ++i) copy(z.n, x + i * z.s, y + i * z.n);
}

// y += a x
template <class Z>
ELMAN_INLINE void add(Z z, double a, const double* x, double* y) {
  if constexpr (Z::vectors) {
    const D factor = splat(a);
    for (Index j = 0; j < z.s; j += W64) store(y + j, fma(factor, load(x + j), load(y + j)));
  } else {
    for (Index j = 0; j < z.s; ++j) y[j] = fused(a, x[j], y[j]);
  }
}

template <class Z>
ELMAN_INLINE double dot(Z z, const double* x, const double* y) {
  if constexpr (Z::vectors) {
    D total{};
    for (Index j = 0; j < z.s; j += W64) total = fma(load(x + j), load(y + j), total);
    return sum(total);
  } else {
    double total = x[0] * y[0];
    for (Index j = 1; j < z.s; ++j) total = fused(x[j], y[j], total);
    return total;
  }
}

// A matrix with the places of its nonzero entries, row by row; zeros are skipped where sizes are not constants.
struct Sparse {
  double* a = nullptr;      // [rows, s]
  Index* places = nullptr;  // [rows, s]
  Index* counts = nullptr;  // [rows]
  bool dense = false;       // most entries are nonzero

  template <class Z>
  void lay(Z z, Index rows, Pieces& pieces) {
    a = pieces.take(rows * z.s);
    places = reinterpret_cast<Index*>(pieces.take(rows * z.s));
    counts = reinterpret_cast<Index*>(pieces.take(rows));
  }
  template <class Z>
  void find(Z z, Index rows) {
    if constexpr (!Z::fixed) {
      Index all = 0;
      for (Index i = 0; i < rows; ++i) {
        Index count = 0;
        for (Index j = 0; j < z.n; ++j) {
          places[i * z.s + count] = j;
          count += a[i * z.s + j] != 0;
        }
        all += counts[i] = count;
      }
      dense = 2 * all > rows * z.n;
    }
  }
};

template <int V, class Z>
ELMAN_INLINE void combine_vectors(Z z, const double* a, const Index* places, Index count, const double* x,
                                  const double* more, double* y) {
  D total[V];
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) total[v] = more ? load(more + v * W64) : D{};
  for (Index c = 0; c < count; ++c) {
    const Index k = places ? places[c] : c;
    const D factor = splat(a[k]);
    const double* row = x + k * z.s;
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) total[v] = fma(factor, load(row + v * W64), total[v]);
  }
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) store(y + v * W64, total[v]);
}

// y = more + sum over k of a[k] x[k], for rows x[k], from column `from` on. The k are `places`, or the first `count`
// where null; null `more`: zeros.
template <class Z>
ELMAN_INLINE void combine(Z z, const double* a, const Index* places, Index count, const double* x, const double* more,
                          double* y, Index from = 0) {
  if constexpr (Z::vectors) {
    Index j = from / W64 * W64;
    const auto go = [&]<int V>(Index at) __attribute__((always_inline)) {
      combine_vectors<V>(z, a, places, count, x + at, more ? more + at : nullptr, y + at);
    };
    for (; j + 4 * W64 <= z.s; j += 4 * W64) go.template operator()<4>(j);
    switch ((z.s - j) / W64) {
      case 3: return go.template operator()<3>(j);
      case 2: return go.template operator()<2>(j);
      case 1: return go.template operator()<1>(j);
      default: return;
    }
  } else {
    double total[Z::s];
    for (Index j = 0; j < z.s; ++j) total[j] = more ? more[j] : 0;
    for (Index k = 0; k < z.n; ++k)
      for (Index j = 0; j < z.s; ++j) total[j] = fused(a[k], x[k * z.s + j], total[j]);
    for (Index j = 0; j < z.s; ++j) y[j] = total[j];
  }
}
template <class Z>
ELMAN_INLINE void combine(Z z, const Sparse& matrix, Index row, const double* x, const double* more, double* y,
                          Index from = 0) {
  const double* a = matrix.a + row * z.s;
  if constexpr (!Z::fixed) combine(z, a, matrix.places + row * z.s, matrix.counts[row], x, more, y, from);
  else combine(z, a, nullptr, z.n, x, more, y, from);
}
template <class Z>
ELMAN_INLINE double dot(Z z, const Sparse& matrix, Index row, const double* x) {
  if constexpr (!Z::fixed) {
    const double* a = matrix.a + row * z.s;
    const Index* places = matrix.places + row * z.s;
    double total = 0;
    if (matrix.counts[row] * 2 > z.n) return dot(z, a, x);
    for (Index c = 0; c < matrix.counts[row]; ++c) total = fused(a[places[c]], x[places[c]], total);
    return total;
  } else {
    return dot(z, matrix.a + row * z.s, x);
  }
}

// Transposes in log2(W64) rounds, which interleave the first half of the vectors with the second.
template <int... I>
ELMAN_INLINE void interleave(D a, D b, D& low, D& high, Places<I...>) {
  low = __builtin_shufflevector(a, b, (I % 2 * W64 + I / 2)...);
  high = __builtin_shufflevector(a, b, (I % 2 * W64 + W64 / 2 + I / 2)...);
}
// y = x' for a tile of W64 by W64.
ELMAN_INLINE void transpose_tile(Index s, const double* x, double* y) {
  D rows[W64];
#pragma GCC unroll 8
  for (int i = 0; i < W64; ++i) rows[i] = load(x + i * s);
#pragma GCC unroll 3
  for (int round = 1; round < W64; round *= 2) {
    D mixed[W64];
#pragma GCC unroll 4
    for (int i = 0; i < W64 / 2; ++i)
      interleave(rows[i], rows[i + W64 / 2], mixed[2 * i], mixed[2 * i + 1], typename Count<W64>::Type{});
#pragma GCC unroll 8
    for (int i = 0; i < W64; ++i) rows[i] = mixed[i];
  }
#pragma GCC unroll 8
  for (int i = 0; i < W64; ++i) store(y + i * s, rows[i]);
}

// y = x'. Matrices are padded to s rows, so that all tiles are whole.
template <class Z>
ELMAN_INLINE void transpose(Z z, const double* x, double* y) {
  if constexpr (!Z::fixed) {
    for (Index i = 0; i < z.s; i += W64)
      for (Index j = 0; j < z.s; j += W64) transpose_tile(z.s, x + i * z.s + j, y + j * z.s + i);
  } else {
    for (Index i = 0; i < z.n; ++i)
      for (Index j = 0; j < z.n; ++j) y[j * z.s + i] = x[i * z.s + j];
  }
}

// Copies the upper triangle to the lower one.
template <class Z>
ELMAN_INLINE void mirror(Z z, double* x) {
  if constexpr (!Z::fixed) {
    for (Index i = 0; i < z.s; i += W64) {
      for (Index j = i + W64; j < z.s; j += W64) transpose_tile(z.s, x + i * z.s + j, x + j * z.s + i);
      for (Index k = 1; k < W64; ++k)
        for (Index j = 0; j < k; ++j) x[(i + k) * z.s + i + j] = x[(i + j) * z.s + i + k];
    }
  } else {
    for (Index i = 1; i < z.n; ++i)
      for (Index j = 0; j < i; ++j) x[i * z.s + j] = x[j * z.s + i];
  }
}

// y = f x f' + more, for symmetric x and more.
template <class Z>
ELMAN_INLINE void sandwich(Z z, const Sparse& f, const double* f_transposed, const double* x, const double* more,
                           double* y, double* work, double* work2) {
  if (Z::fixed || f.dense) {  // work = x f'
    for (Index i = 0; i < z.n; ++i) combine(z, x + i * z.s, nullptr, z.n, f_transposed, nullptr, work + i * z.s);
    work2 = work;
  } else {
    for (Index i = 0; i < z.n; ++i) combine(z, f, i, x, nullptr, work + i * z.s);
    transpose(z, work, work2);
  }
  for (Index i = 0; i < z.n; ++i) combine(z, f, i, work2, more + i * z.s, y + i * z.s, Z::fixed ? 0 : i);
  mirror(z, y);
}

constexpr double rank_share = 1e-13;        // a variance below this share of its initial value is zero
constexpr double diffuse_share = 1e-8;      // an observation below this share does not depend on the diffuse part
constexpr double certain_share = 1e-14;     // a variance without noise is zero below this share of its terms
constexpr double lost_share = 1e-11;        // too few digits are left if a variance is below this share of its terms,
constexpr double fall_share = 1e-5;         // or if an observation leaves less than this share, but not zero
constexpr double indefinite_share = 1e-12;  // tolerance for negative pivots, as a share of the diagonal
constexpr double negative_share = 1e-7;     // tolerance for what remains of a matrix after its rank is exhausted
constexpr double noisy_share = 1e-3;        // the short update is accurate if noise is at least this share
constexpr double impossible_share = 1e-8;   // a value without variance contradicts its mean beyond this share

// Factors a = U diag(d) U', in the order `order`, where U is unit lower triangular. The pivot is the variance with the
// largest remaining share; remainders at rounding level are zero. Rows are `stride` apart; overwrites a, `scale` is
// scratch. Returns false if a is not semidefinite.
static inline bool factor(Index size, Index stride, double* a, double* u, double* d, Index* order, double* scale) {
  for (Index i = 0; i < size; ++i) {
    order[i] = i;
    scale[i] = a[i * stride + i];
    if (!(scale[i] >= 0)) return false;
    d[i] = 0;
    for (Index j = 0; j < size; ++j) u[i * stride + j] = i == j;
  }
  const auto swap = [](double& x, double& y) {
    const double kept = x;
    x = y, y = kept;
  };
  for (Index k = 0; k < size; ++k) {
    Index best = -1;
    double most = rank_share;
    for (Index i = k; i < size; ++i)
      if (scale[i] > 0 && a[i * stride + i] / scale[i] > most) most = a[i * stride + i] / scale[i], best = i;
    if (best < 0) {
      for (Index i = k; i < size; ++i)
        for (Index j = k; j < size; ++j)
          if (!(absolute(a[i * stride + j]) <= negative_share * root(scale[i] * scale[j]))) return false;
      break;
    }
    if (best != k) {
      const Index kept = order[k];
      order[k] = order[best], order[best] = kept;
      swap(scale[k], scale[best]);
      for (Index i = 0; i < size; ++i) swap(a[k * stride + i], a[best * stride + i]);
      for (Index i = 0; i < size; ++i) swap(a[i * stride + k], a[i * stride + best]);
      for (Index i = 0; i < k; ++i) swap(u[k * stride + i], u[best * stride + i]);
    }
    d[k] = a[k * stride + k];
    for (Index i = k + 1; i < size; ++i) {
      u[i * stride + k] = a[i * stride + k] / d[k];
      for (Index j = k + 1; j < size; ++j) a[i * stride + j] -= u[i * stride + k] * a[k * stride + j];
    }
  }
  return true;
}

// Inverts the unit lower triangular matrix u in place.
static inline void invert(Index size, Index stride, double* u) {
  for (Index i = 1; i < size; ++i)
    for (Index j = 0; j < i; ++j) {
      double total = u[i * stride + j];
      for (Index k = j + 1; k < i; ++k) total += u[i * stride + k] * u[k * stride + j];
      u[i * stride + j] = -total;
    }
}

static inline bool is_diagonal(Index size, const double* matrix) {
  for (Index i = 0; i < size; ++i)
    for (Index j = 0; j < i; ++j)
      if (matrix[i * size + j] != 0 || matrix[j * size + i] != 0) return false;
  return true;
}

// Reduces a [rows, s] to a triangle of n rows with the same a'a (Householder).
template <class Z>
static void triangle(Z z, Index rows, double* a, double* work) {
  for (Index c = 0; c < z.n; ++c) {
    double size = 0;
    for (Index i = c; i < rows; ++i) size += a[i * z.s + c] * a[i * z.s + c];
    if (size == 0) continue;
    double* const top = a + c * z.s;
    const double norm = root(size), head = top[c] > 0 ? -norm : norm;
    const double scale = 1 / (size - head * top[c]);  // 2 / v'v, v = column - head e1
    top[c] -= head;
    fill(z, 1, 0, work);
    for (Index i = c; i < rows; ++i)
      if (a[i * z.s + c] != 0) add(z, a[i * z.s + c], a + i * z.s, work);
    for (Index j = 0; j <= c; ++j) work[j] = 0;
    for (Index i = c + 1; i < rows; ++i)
      if (a[i * z.s + c] != 0) add(z, -a[i * z.s + c] * scale, work, a + i * z.s);
    add(z, -top[c] * scale, work, top);
    top[c] = head;
    for (Index i = c + 1; i < rows; ++i) a[i * z.s + c] = 0;
  }
  for (Index i = rows; i < z.n; ++i) fill(z, 1, 0, a + i * z.s);
}

}  // namespace elman::ELMAN_ISA
