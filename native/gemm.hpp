// Products of few rows with a packed matrix: C[m, n] (+)= sum over k of A(m, k) B(k, n), in the order of k.
//
// A tile keeps M rows times NV vectors of C in registers. Rows of A and of C are plain pointers, so nothing is gathered
// or padded: a row is read where it is. An element of C is one chain of fused products that starts with what C held, a
// bias or zero, whatever rows stand beside it: a row does not see its company, to the bit.
#pragma once

#include <cstddef>

#include "bfloat16.hpp"
#include "layer.hpp"
#include "simd.hpp"

namespace elman::ELMAN_ISA {

// Vectors of a block and rows of a tile, by the number of gates that lie side by side for a unit.
constexpr int vectors_of(int gates) {
  return many_registers ? (gates == 3 ? 3 : gates == 2 ? 2 : 4) : (gates == 3 ? 3 : 2);
}
constexpr int rows_of(int vectors) { return many_registers ? (vectors == 3 ? 8 : 6) : (vectors == 3 ? 4 : 6); }
constexpr int most_rows = many_registers ? 8 : 6;

constexpr Index smaller(Index a, Index b) { return a < b ? a : b; }
constexpr Index padded(Index n) { return (n + W - 1) / W * W; }

// B(k, n) in blocks of `vectors_of(gates)` vectors, each block [K][vectors * W]; the last block may have less vectors.
// Vector v holds W units of gate v % gates: the units (v / gates) * W and on. In C, gates lie `gate_stride` apart.
struct Panels {
  float* data = nullptr;
  Index k = 0;
  Index units = 0;  // columns of each gate
  int gates = 1;
  Index gate_stride = 0;
  Index first = 0;  // where in a row of C the first vector lies
  Index depth = 0;  // rows of a block, where this is a slice of `k` from it; 0: this is the whole
  Index from = 0;   // in which row of a block the slice begins
  Index from_block = 0, to_block = INT64_MAX;  // the blocks that are wanted
  Products products = Products::float32;       // in bfloat16, rows of a block are of two k: see `halve`
  Index split = 0;                             // where a row of A begins anew: no two k share a row across it

  Index vectors() const { return padded(units) / W * gates; }
  Index size() const { return vectors() * W * k; }
  Index rows() const {  // of a block
    return depth ? depth : products == Products::float32 ? k : (split + 1) / 2 + (k - split + 1) / 2;
  }
  const float* block(Index j, Index block_vectors, Index vectors) const {
    return data + (j * block_vectors * rows() + from * vectors) * W;
  }
};

enum class Start { zero, bias, add };  // what the chain of an element begins with

// P blocks side by side keep enough chains in flight where there are few rows.
struct Tile {
  const float* const* a;  // [M]
  Index a_stride;         // from A(m, k) to A(m, k + 1)
  Index k;
  const float* const* then;  // [M] where A goes on, after k, for
  Index then_k;
  const float* b;
  Index b_stride;     // from block to block
  float* const* c;    // [M]
  const Index* at;    // [P] where in a row of C a block begins
  Index c_stride;     // from vector to vector
  const float* bias;  // [P, NV * W]
  Start start;
};

// The vectors `from` to `to` of B to bfloat16 in place: rows of two k are the first of each block.
static inline void halve(const Panels& b, Index from, Index to) {
  const int nv = vectors_of(b.gates);
  const Index parts[] = {b.split, b.k - b.split};
  for (Index v = from; v < to; ++v) {
    const Index block = v / nv, width = smaller(b.vectors() - block * nv, nv) * W;
    float* out = b.data + block * nv * W * b.k + v % nv * W;
    const float* in = out;
    for (const Index part : parts)
      for (Index k = 0; k < part; k += 2, out += width) {
        const bool two = k + 1 < part;
        store(out, words(load(in), two ? load(in + width) : V{}));
        in += (two ? 2 : 1) * width;
      }
  }
}

// What was halved to the first half of B: block after block, in the order of memory.
static inline void close_up(const Panels& b) {
  const int nv = vectors_of(b.gates);
  for (Index v = nv; v < b.vectors(); v += nv)
    std::memmove(b.data + v * W * b.rows(), b.data + v * W * b.k,
                 sizeof(float) * static_cast<std::size_t>(smaller(b.vectors() - v, nv) * W * b.rows()));
}

template <int M, int NV, int P, Products PRODUCTS>
[[gnu::noinline]] static void tile(const Tile& arguments) {
  constexpr bool weights_alone = PRODUCTS == Products::bfloat16_weights, pairs = PRODUCTS == Products::bfloat16;
  const Tile t = arguments;  // a copy that no store can reach
  V acc[M][P * NV];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v)
        acc[m][p * NV + v] = t.start == Start::add    ? load(t.c[m] + t.at[p] + v * t.c_stride)
                             : t.start == Start::bias ? load(t.bias + (p * NV + v) * W)
                                                      : V{};
  const float* b = t.b;
  for (int part = 0; part < (t.then_k ? 2 : 1); ++part) {
    const float* a[M];
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) a[m] = part ? t.then[m] : t.a[m];
    const Index end = (part ? t.then_k : t.k) * t.a_stride;
    for (Index k = 0; k < end; k += (weights_alone ? 2 : 1) * t.a_stride, b += NV * W) {
      if constexpr (weights_alone) {  // a word at a time: there are no registers for all of them
        const bool two = k + t.a_stride < end;
        V first[M], second[M];
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) first[m] = splat(a[m][k]), second[m] = two ? splat(a[m][k + t.a_stride]) : V{};
#pragma GCC unroll 16
        for (int j = 0; j < P * NV; ++j) {
          const V words = load(b + j / NV * t.b_stride + j % NV * W), high = upper(words), low = lower(words);
#pragma GCC unroll 16
          for (int m = 0; m < M; ++m) acc[m][j] = fma(second[m], low, fma(first[m], high, acc[m][j]));
        }
      } else {
        V bs[P * NV];
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p)
#pragma GCC unroll 16
          for (int v = 0; v < NV; ++v) bs[p * NV + v] = load(b + p * t.b_stride + v * W);
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) {
          const V x = pairs ? splat_word(a[m] + k) : splat(a[m][k]);
#pragma GCC unroll 16
          for (int j = 0; j < P * NV; ++j) acc[m][j] = pairs ? dot(x, bs[j], acc[m][j]) : fma(x, bs[j], acc[m][j]);
        }
      }
    }
  }
  float* c[M];
  Index at[P];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) c[m] = t.c[m];
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) at[p] = t.at[p];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v) store(c[m] + at[p] + v * t.c_stride, acc[m][p * NV + v]);
}

using TileFunction = void (*)(const Tile&);

// Blocks that a tile of one or two rows takes at once.
constexpr int side_by_side(int rows, int vectors) {
  const int chains = many_registers ? 12 : 8;
  return rows * vectors >= chains || rows > 3 ? 1 : (chains + rows * vectors - 1) / (rows * vectors);
}

template <int NV, Products PRODUCTS>
struct Tiles {
  template <int M>
  static constexpr TileFunction tall() {
    if constexpr (M <= rows_of(NV)) return tile<M, NV, 1, PRODUCTS>;
    else return nullptr;
  }
  static constexpr TileFunction one[] = {nullptr,   tall<1>(), tall<2>(), tall<3>(), tall<4>(),
                                         tall<5>(), tall<6>(), tall<7>(), tall<8>()};
  static constexpr TileFunction wide[] = {nullptr, tile<1, NV, side_by_side(1, NV), PRODUCTS>,
                                          tile<2, NV, side_by_side(2, NV), PRODUCTS>,
                                          tile<3, NV, side_by_side(3, NV), PRODUCTS>};
};

// What `use` gives for what is known only now.
template <class Use>
ELMAN_INLINE TileFunction of(Products products, const Use& use) {
  switch (products) {
    case Products::bfloat16: return use.template operator()<Products::bfloat16>();
    case Products::bfloat16_weights: return use.template operator()<Products::bfloat16_weights>();
    default: return use.template operator()<Products::float32>();
  }
}

// The tile of `rows` rows and one block of `vectors` vectors.
ELMAN_INLINE TileFunction tile_of(Products products, Index rows, Index vectors) {
  return of(products, [=]<Products PRODUCTS>() -> TileFunction {
    switch (vectors) {
      case 1: return Tiles<1, PRODUCTS>::one[rows];
      case 2: return Tiles<2, PRODUCTS>::one[rows];
      case 3: return Tiles<3, PRODUCTS>::one[rows];
      default:
        if constexpr (many_registers) return Tiles<4, PRODUCTS>::one[rows];
        else return nullptr;
    }
  });
}

struct Nothing {
  void operator()(Index, Index, Index, Index) const {}
};

// `product` of rows that are as tiles read them: where B is all of it in bfloat16, A and the k of B are in words.
template <int GATES, bool BOUNDED, class After>
static inline void multiply(Index rows, const float* const* a, Index a_stride, const float* const* then, Index then_k,
                            const Panels& b, float* const* c, Start start, const float* bias, const After& after) {
  constexpr int NV = vectors_of(GATES), M = rows_of(NV), parts = GATES % NV == 0 ? GATES / NV : 1;  // blocks of a unit
  static_assert(GATES == 1 || GATES % NV == 0);
  const Index vectors = b.vectors(), whole = BOUNDED ? b.units / W / NV : vectors / NV, rest = vectors - whole * NV;
  const Index block = b.rows() * NV * W, c_stride = GATES > 1 ? b.gate_stride : W;
  const auto place = [&](Index j) {  // of block j in a row of C
    return b.first + (GATES > 1 ? j % parts * NV * b.gate_stride + j / parts * W : j * NV * W);
  };
  const auto finished = [&](Index row, Index count, Index j) {
    if ((j + 1) % parts == 0) {
      if constexpr (GATES > 1) after(row, count, j / parts * W, Index{W});
      else after(row, count, j * NV * W, j < whole ? Index{NV * W} : rest * W);
    }
  };
  const auto bias_of = [&](Index j) { return bias ? bias + j * NV * W : nullptr; };
  Index j = b.from_block;
  const Index end = b.to_block < whole + (rest > 0) ? b.to_block : whole + (rest > 0);
  if (rows <= 3) {
    const int sides = side_by_side(static_cast<int>(rows), NV);
    const TileFunction wide = of(b.products, [=]<Products PRODUCTS>() { return Tiles<NV, PRODUCTS>::wide[rows]; });
    Index at[16];
    for (; j + sides <= smaller(whole, end); j += sides) {
      for (int p = 0; p < sides; ++p) at[p] = place(j + p);
      wide({a, a_stride, b.k - then_k, then, then_k, b.block(j, NV, NV), block, c, at, c_stride, bias_of(j), start});
      for (int p = 0; p < sides; ++p) finished(0, rows, j + p);
    }
  }
  const Index tiles = (rows + M - 1) / M, least = rows / tiles, larger = rows % tiles;  // balanced: 32 = 6 6 5 5 5 5
  for (; j < end; ++j) {
    const Index at = place(j), nv = j < whole ? NV : rest;
    for (Index i = 0, row = 0; i < tiles; ++i) {
      const Index m = least + (i < larger);
      if (BOUNDED && j == whole) {
        const Index units = b.units - j * NV * W;
        float scratch[M][NV * W];
        float* into[M];
        for (Index r = 0; r < m; ++r) {
          into[r] = scratch[r];
          if (start == Start::add)
            std::memcpy(scratch[r], c[row + r] + at, sizeof(float) * static_cast<std::size_t>(units));
        }
        const Index zero = 0;
        tile_of(b.products, m, nv)({a + row, a_stride, b.k - then_k, then ? then + row : nullptr, then_k,
                                    b.block(j, NV, nv), 0, into, &zero, c_stride, bias_of(j), start});
        for (Index r = 0; r < m; ++r)
          std::memcpy(c[row + r] + at, scratch[r], sizeof(float) * static_cast<std::size_t>(units));
      } else {
        tile_of(b.products, m, nv)({a + row, a_stride, b.k - then_k, then ? then + row : nullptr, then_k,
                                    b.block(j, NV, nv), 0, c + row, &at, c_stride, bias_of(j), start});
      }
      finished(row, m, j);
      row += m;
    }
  }
}

constexpr Index word_rows = 48, word_columns = 128;  // of A that are in bfloat16 at once

// `multiply` with words that are made of A here, where it lies without gaps.
template <int GATES, bool BOUNDED, class After>
static inline void multiply_words(Index rows, const float* const* a, const float* const* then, Index then_k,
                                  const Panels& b, float* const* c, Start start, const float* bias,
                                  const After& after) {
  float memory[word_rows][word_columns + W];
  const float* read[word_rows];
  const Index k = b.k - then_k, first = (k + 1) / 2, all = first + (then_k + 1) / 2;
  Panels slice = b;
  slice.depth = b.rows();
  for (Index row = 0; row < rows; row += word_rows) {
    const Index some = smaller(rows - row, word_rows);
    slice.from = 0;
    do {
      slice.k = smaller(all - slice.from, word_columns);
      const Index split = slice.from < first ? smaller(first - slice.from, slice.k) : 0;
      const Index at = 2 * (slice.from + split - first);  // in `then`
      for (Index i = 0; i < some; ++i) {
        read[i] = memory[i];
        if (split) pair_neighbours(a[row + i] + 2 * slice.from, k - 2 * slice.from, split, memory[i]);
        if (split < slice.k) pair_neighbours(then[row + i] + at, then_k - at, slice.k - split, memory[i] + split);
      }
      const bool last = slice.from + slice.k == all;
      multiply<GATES, BOUNDED>(some, read, 1, nullptr, 0, slice, c + row, slice.from ? Start::add : start, bias,
                               [&](Index r, Index count, Index unit, Index units) {
                                 if (last) after(row + r, count, unit, units);
                               });
    } while ((slice.from += slice.k) < all);
  }
}

// Rows a[0..rows) times B into rows c[0..rows). `after(row, rows, unit, units)` follows each part of C that is
// complete, while it is in the cache. `GATES` is that of B. `bias` is packed as the columns of B are. C holds whole
// vectors, unless `BOUNDED`: then nothing is written behind its last unit. The last `then_k` of the k of B meet the
// rows of `then`: A goes on there. Where B is all of it in bfloat16, `a_stride` is 1.
template <int GATES, bool BOUNDED = false, class After = Nothing>
static inline void product(Index rows, const float* const* a, Index a_stride, const float* const* then, Index then_k,
                           const Panels& b, float* const* c, Start start, const float* bias = nullptr,
                           After&& after = {}) {
  if (rows == 0) return;
  if (b.products == Products::bfloat16)
    return multiply_words<GATES, BOUNDED>(rows, a, then, then_k, b, c, start, bias, after);
  multiply<GATES, BOUNDED>(rows, a, a_stride, then, then_k, b, c, start, bias, after);
}

template <int GATES, bool BOUNDED = false, class After = Nothing>
static inline void product(Index rows, const float* const* a, Index a_stride, const Panels& b, float* const* c,
                           Start start, const float* bias = nullptr, After&& after = {}) {
  product<GATES, BOUNDED>(rows, a, a_stride, nullptr, 0, b, c, start, bias, after);
}

}  // namespace elman::ELMAN_ISA
