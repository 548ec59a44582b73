// Transition matrices, and their products with rows of values, in the sum-product and in the max-plus semiring.
#pragma once

#include "engine/simd64.hpp"
#include "inference/semiring.hpp"

namespace elman::ELMAN_ISA {

constexpr double unseen = 1e-300;  // more than doubles lose in one step

ELMAN_INLINE Index vectors_of_states(Index states) { return (states + W64 - 1) / W64; }
static inline Index padded_states(Index states) { return vectors_of_states(states) * W64; }

// K x K matrix in panels of two vectors of columns (the last one may have one), each stored as K consecutive rows.
struct SquareMatrix {
  double* data;
  Index states;

  static Index size(Index states) { return states * padded_states(states); }
  // Address of a vector of row i.
  double* at(Index i, Index vector) const {
    const Index width = vector / 2 * 2 + 1 < vectors_of_states(states) ? 2 : 1;
    return data + vector / 2 * 2 * W64 * states + (i * width + vector % 2) * W64;
  }
  double& entry(Index i, Index j) const { return at(i, j / W64)[j % W64]; }
};

struct SumProduct {
  static constexpr double zero = 0;
  ELMAN_INLINE D add(D sum, D a, D b) { return fma(a, b, sum); }
};

struct MaxPlus {
  static constexpr double zero = -infinity;
  ELMAN_INLINE D add(D sum, D a, D b) { return larger(sum, a + b); }
};

// to[r] = from[r] m for R rows and some panels of `width` vectors. Each entry is one chain over the states, independent
// of the other rows.
template <class Ring, int R, int panels, int width>
ELMAN_INLINE void tile(const SquareMatrix& m, Index vector, const double* const* from, double* const* to) {
  constexpr int C = panels * width;
  const double* b = m.data + vector * W64 * m.states;
  const Index next = 2 * W64 * m.states;
  D sums[R][C];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) sums[r][c] = splat(Ring::zero);
  for (Index i = 0; i < m.states; ++i, b += width * W64) {
    D columns[C];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) columns[c] = load(b + c / width * next + c % width * W64);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const D x = splat(from[r][i]);
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) sums[r][c] = Ring::add(sums[r][c], x, columns[c]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) store(to[r] + (vector + c) * W64, sums[r][c]);
}

template <class Ring, int R>
static void rows_product(const SquareMatrix& m, const double* const* from, double* const* to) {
  constexpr int panels = R == 1 ? 4 : R <= 3 ? 2 : 1;  // enough chains in flight, within the registers
  const Index vectors = vectors_of_states(m.states);
  Index v = 0;
  if constexpr (panels > 1)
    for (; v + 2 * panels <= vectors; v += 2 * panels) tile<Ring, R, panels, 2>(m, v, from, to);
  for (; v + 2 <= vectors; v += 2) tile<Ring, R, 1, 2>(m, v, from, to);
  if (v < vectors) tile<Ring, R, 1, 1>(m, v, from, to);
}

// to[r] = from[r] m, from rows of K values to rows of whole vectors.
template <class Ring>
static void product(const SquareMatrix& m, Index count, const double* const* from, double* const* to) {
  for (; count > 6; count -= 6, from += 6, to += 6) rows_product<Ring, 6>(m, from, to);
  switch (count) {
    case 1: return rows_product<Ring, 1>(m, from, to);
    case 2: return rows_product<Ring, 2>(m, from, to);
    case 3: return rows_product<Ring, 3>(m, from, to);
    case 4: return rows_product<Ring, 4>(m, from, to);
    case 5: return rows_product<Ring, 5>(m, from, to);
    case 6: return rows_product<Ring, 6>(m, from, to);
    default: return;
  }
}

// sums[i, j] += a[n, i] w[n, j] over `steps` rows, for R states i and C vectors of states j.
template <int R, int C>
ELMAN_INLINE void outer_tile(const double* a, Index a_stride, const double* w, Index stride, Index steps,
                             double* sums) {
  D s[R][C];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) s[r][c] = load(sums + r * stride + c * W64);
  for (Index n = 0; n < steps; ++n, a += a_stride, w += stride) {
    D columns[C];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) columns[c] = load(w + c * W64);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const D x = splat(a[r]);
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) s[r][c] = fma(x, columns[c], s[r][c]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) store(sums + r * stride + c * W64, s[r][c]);
}

template <int C>
static void outer_column(Index states, const double* a, const double* w, Index stride, Index steps, double* sums) {
  Index i = 0;
  for (; i + 6 <= states; i += 6) outer_tile<6, C>(a + i, states, w, stride, steps, sums + i * stride);
  a += i, sums += i * stride;
  switch (states - i) {
    case 1: return outer_tile<1, C>(a, states, w, stride, steps, sums);
    case 2: return outer_tile<2, C>(a, states, w, stride, steps, sums);
    case 3: return outer_tile<3, C>(a, states, w, stride, steps, sums);
    case 4: return outer_tile<4, C>(a, states, w, stride, steps, sums);
    case 5: return outer_tile<5, C>(a, states, w, stride, steps, sums);
    default: return;
  }
}

static void outer(Index states, const double* a, const double* w, Index stride, Index steps, double* sums) {
  Index v = 0;
  for (; v + 2 <= vectors_of_states(states); v += 2)
    outer_column<2>(states, a, w + v * W64, stride, steps, sums + v * W64);
  if (v < vectors_of_states(states)) outer_column<1>(states, a, w + v * W64, stride, steps, sums + v * W64);
}

// Packed transition matrix and its transpose. The entries are logarithms, or e^(log - top).
struct Transitions {
  SquareMatrix forward, back;
  double top = 0;    // the largest finite logarithm
  double least = 0;  // the smallest entry

  static Index size(Index states) { return 2 * SquareMatrix::size(states) + 8; }

  // Returns the matrices that `pack` has written.
  static Transitions in(const double* packed, Index states) {
    auto* data = const_cast<double*>(packed);
    return {{data + 8, states}, {data + 8 + SquareMatrix::size(states), states}, data[0], data[1]};
  }

  // Packs both matrices, or `forward` alone.
  static void pack(Index states, const double* log_matrix, bool logs, bool both, double* packed) {
    Transitions m = in(packed, states);
    D high = splat(-infinity), low = splat(infinity);
    for (Index i = 0; i < states; ++i)
      for (Index j = 0; j < states; j += W64) {
        const double* entries = log_matrix + i * states + j;
        high = larger(load(entries, states - j, -infinity), high);
        low = -larger(-load(entries, states - j, infinity), -low);
      }
    m.top = largest(high);
    if (m.top == -infinity) m.top = 0;
    packed[0] = m.top;
    packed[1] = logs ? 0 : exp(splat(-largest(-low) - m.top))[0];
    for (Index i = 0; i < states; ++i)
      for (Index v = 0; v < vectors_of_states(states); ++v) {
        const D entries = load(log_matrix + i * states + v * W64, states - v * W64, -infinity);
        store(m.forward.at(i, v), logs ? entries : exp(entries - splat(m.top)));
      }
    if (!both) return;
    for (Index i = 0; i < states; ++i)
      for (Index j = 0; j < states; ++j) m.back.entry(j, i) = m.forward.entry(i, j);
    for (Index i = 0; i < states; ++i)
      for (Index j = states; j < padded_states(states); ++j) m.back.entry(i, j) = logs ? -infinity : 0;
  }
};

}  // namespace elman::ELMAN_ISA
