// Tiles, and the loops over them. This is the only code that uses the bfloat16 instructions of a processor.
#include "engine/gemm.hpp"

namespace elman::ELMAN_ISA {

// Arguments of a tile of M rows and P blocks of NV vectors. Several blocks side by side keep enough chains in flight
// where there are few rows.
struct Tile {
  const float* const* a;  // [M]
  Index a_stride;         // from A(m, k) to A(m, k + 1)
  Index k;
  const float* const* a_tail;  // [M] source of the `tail_k` values of A that follow the first k
  Index tail_k;
  const float* b;
  Index b_stride;     // from block to block
  float* const* c;    // [M]
  const Index* at;    // [P] offset of each block in a row of C
  Index c_stride;     // from vector to vector
  const float* bias;  // [P, NV * W]
  Start start;
};

template <int M, int NV, int P, Products PRODUCTS>
[[gnu::noinline]] static void tile(const Tile& arguments) {
  constexpr bool weights_alone = PRODUCTS == Products::bfloat16_weights, pairs = PRODUCTS == Products::bfloat16;
  const Tile t = arguments;  // a local copy: the compiler knows that no store changes it
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
  for (int part = 0; part < (t.tail_k ? 2 : 1); ++part) {
    const float* a[M];
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) a[m] = part ? t.a_tail[m] : t.a[m];
    const Index end = (part ? t.tail_k : t.k) * t.a_stride;
    for (Index k = 0; k < end; k += (weights_alone ? 2 : 1) * t.a_stride, b += NV * W) {
      if constexpr (weights_alone) {  // one word of B at a time: there are too few registers for all
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

// Number of blocks that a tile of few rows computes at once.
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

// Returns use<PRODUCTS>() for a value that is known at run time only.
template <class Use>
ELMAN_INLINE TileFunction of(Products products, const Use& use) {
  switch (products) {
    case Products::bfloat16: return use.template operator()<Products::bfloat16>();
    case Products::bfloat16_weights: return use.template operator()<Products::bfloat16_weights>();
    default: return use.template operator()<Products::float32>();
  }
}

// Returns the tile of `rows` rows and one block of `vectors` vectors.
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

template <int GATES>
static void multiply_gates(const Product& p) {
  constexpr int NV = vectors_of(GATES), M = rows_of(NV), parts = GATES % NV == 0 ? GATES / NV : 1;  // blocks per unit
  static_assert(GATES == 1 || GATES % NV == 0);
  const Panels& b = p.b;
  const Index vectors = b.vectors(), whole = p.bounded ? b.units / W / NV : vectors / NV, rest = vectors - whole * NV;
  const Index block = b.rows() * NV * W, c_stride = GATES > 1 ? b.gate_stride : W, k = b.k - p.tail_k;
  const auto place = [&](Index j) {  // offset of block j in a row of C
    return b.first + (GATES > 1 ? j % parts * NV * b.gate_stride + j / parts * W : j * NV * W);
  };
  const auto finished = [&](Index row, Index count, Index j) {
    if ((j + 1) % parts == 0) {
      if constexpr (GATES > 1) p.after(row, count, j / parts * W, W);
      else p.after(row, count, j * NV * W, j < whole ? NV * W : rest * W);
    }
  };
  const auto bias_of = [&](Index j) { return p.bias ? p.bias + j * NV * W : nullptr; };
  Index j = b.from_block;
  const Index end = b.to_block < whole + (rest > 0) ? b.to_block : whole + (rest > 0);
  if (p.rows <= 3) {
    const int sides = side_by_side(static_cast<int>(p.rows), NV);
    const TileFunction wide = of(b.products, [&]<Products PRODUCTS>() { return Tiles<NV, PRODUCTS>::wide[p.rows]; });
    Index at[16];
    for (; j + sides <= smaller(whole, end); j += sides) {
      for (int side = 0; side < sides; ++side) at[side] = place(j + side);
      wide({p.a, p.a_stride, k, p.a_tail, p.tail_k, b.block(j, NV, NV), block, p.c, at, c_stride, bias_of(j), p.start});
      for (int side = 0; side < sides; ++side) finished(0, p.rows, j + side);
    }
  }
  const Index tiles = (p.rows + M - 1) / M, least = p.rows / tiles, larger = p.rows % tiles;  // 32 = 6 6 5 5 5 5
  for (; j < end; ++j) {
    const Index at = place(j), nv = j < whole ? NV : rest;
    for (Index i = 0, row = 0; i < tiles; ++i) {
      const Index m = least + (i < larger);
      const TileFunction tile = tile_of(b.products, m, nv);
      const auto run = [&](float* const* c, const Index* offset) {
        tile({p.a + row, p.a_stride, k, p.a_tail ? p.a_tail + row : nullptr, p.tail_k, b.block(j, NV, nv), 0, c, offset,
              c_stride, bias_of(j), p.start});
      };
      if (p.bounded && j == whole) {
        const auto bytes = sizeof(float) * static_cast<std::size_t>(b.units - j * NV * W);
        float scratch[M][NV * W];
        float* into[M];
        for (Index r = 0; r < m; ++r) {
          into[r] = scratch[r];
          if (p.start == Start::add) std::memcpy(scratch[r], p.c[row + r] + at, bytes);
        }
        const Index zero = 0;
        run(into, &zero);
        for (Index r = 0; r < m; ++r) std::memcpy(p.c[row + r] + at, scratch[r], bytes);
      } else {
        run(p.c + row, &at);
      }
      finished(row, m, j);
      row += m;
    }
  }
}

void multiply(const Product& p) {
  switch (p.b.gates) {
    case 2: return multiply_gates<2>(p);
    case 3: return multiply_gates<3>(p);
    case 4: return multiply_gates<4>(p);
    default: return multiply_gates<1>(p);
  }
}

constexpr Index word_rows = 48, word_columns = 128;  // part of A that is converted to bfloat16 at once

// Converts A to words of two bfloat16 values, some rows and columns at a time.
static void multiply_words(const Product& p) {
  float memory[word_rows][word_columns + W];
  const float* a[word_rows];
  const Index k = p.b.k - p.tail_k, first = (k + 1) / 2, all = first + (p.tail_k + 1) / 2;
  Panels slice = p.b;
  slice.depth = p.b.rows();
  for (Index row = 0; row < p.rows; row += word_rows) {
    const Index some = smaller(p.rows - row, word_rows);
    slice.from = 0;
    do {
      slice.k = smaller(all - slice.from, word_columns);
      const Index split = slice.from < first ? smaller(first - slice.from, slice.k) : 0;
      const Index at = 2 * (slice.from + split - first);  // in the tail
      for (Index i = 0; i < some; ++i) {
        a[i] = memory[i];
        if (split) pair_neighbours(p.a[row + i] + 2 * slice.from, k - 2 * slice.from, split, memory[i]);
        if (split < slice.k) pair_neighbours(p.a_tail[row + i] + at, p.tail_k - at, slice.k - split, memory[i] + split);
      }
      const auto after = [&](Index r, Index count, Index unit, Index units) { p.after(row + r, count, unit, units); };
      const bool last = slice.from + slice.k == all;
      multiply({.rows = some,
                .a = a,
                .b = slice,
                .c = p.c + row,
                .start = slice.from ? Start::add : p.start,
                .bias = p.bias,
                .bounded = p.bounded,
                .after = last ? After(after) : After()});
    } while ((slice.from += slice.k) < all);
  }
}

void product(const Product& p) {
  if (p.rows == 0) return;
  if (p.b.products == Products::bfloat16) multiply_words(p);
  else multiply(p);
}

}  // namespace elman::ELMAN_ISA
