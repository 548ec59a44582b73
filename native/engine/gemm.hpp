// Products of a few rows with a packed matrix: C[m, n] (+)= sum over k of A(m, k) B(k, n), summed in the order of k.
//
// A tile keeps M rows times NV vectors of C in registers. Rows of A and C are plain pointers, so nothing is gathered or
// padded: a row is read where it is. Each element of C is one chain of fused multiply-adds that starts from the old
// value of C, a bias or zero. The chain does not depend on the other rows of the batch, so results are bitwise equal
// for any batch.
#pragma once

#include <cstddef>

#include "engine/bfloat16.hpp"
#include "engine/callback.hpp"
#include "engine/layer.hpp"
#include "engine/simd.hpp"

namespace elman::ELMAN_ISA {

// Vectors per block and rows per tile, by the number of gates that are interleaved for each unit.
constexpr int vectors_of(int gates) {
  return many_registers ? (gates == 3 ? 3 : gates == 2 ? 2 : 4) : (gates == 3 ? 3 : 2);
}
constexpr int rows_of(int vectors) { return many_registers ? (vectors == 3 ? 8 : 6) : (vectors == 3 ? 4 : 6); }
constexpr int most_rows = many_registers ? 8 : 6;

constexpr Index smaller(Index a, Index b) { return a < b ? a : b; }
constexpr Index padded(Index n) { return (n + W - 1) / W * W; }

// B(k, n) in blocks of `vectors_of(gates)` vectors, each block [K][vectors * W]; the last block may have fewer vectors.
// Vector v holds W units of gate v % gates, from unit (v / gates) * W on. In C, gates are `gate_stride` floats apart.
struct Panels {
  float* data = nullptr;
  Index k = 0;
  Index units = 0;  // columns per gate
  int gates = 1;
  Index gate_stride = 0;
  Index first = 0;                             // offset of the first vector in a row of C
  Index depth = 0;                             // for a slice of k: rows of the whole block; 0: not a slice
  Index from = 0;                              // for a slice: its first row in the block
  Index from_block = 0, to_block = INT64_MAX;  // range of blocks to compute
  Products products = Products::float32;       // in bfloat16, each row of a block holds two k: see `halve`
  Index split = 0;                             // where a second part of A begins: no pair of k spans the two parts

  Index vectors() const { return padded(units) / W * gates; }
  Index size() const { return vectors() * W * k; }
  Index rows() const {  // per block
    return depth ? depth : products == Products::float32 ? k : (split + 1) / 2 + (k - split + 1) / 2;
  }
  const float* block(Index j, Index block_vectors, Index vectors) const {
    return data + (j * block_vectors * rows() + from * vectors) * W;
  }
};

enum class Start { zero, bias, add };  // initial value of each element's chain: zero, the bias, or the old value of C

// Converts the vectors `from` to `to` of B to bfloat16 in place: pairs of k fill the first rows of each block.
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

// Moves the halved blocks together, in the order of memory.
static inline void close_up(const Panels& b) {
  const int nv = vectors_of(b.gates);
  for (Index v = nv; v < b.vectors(); v += nv)
    std::memmove(b.data + v * W * b.rows(), b.data + v * W * b.k,
                 sizeof(float) * static_cast<std::size_t>(smaller(b.vectors() - v, nv) * W * b.rows()));
}

// Called as after(row, rows, unit, units) for each part of C as soon as it is complete, while it is in the cache.
using After = Callback<Index, Index, Index, Index>;

// Operands of a product: rows a[0..rows) times B into rows c[0..rows).
struct Product {
  Index rows;
  const float* const* a;
  Index a_stride = 1;                    // from A(m, k) to A(m, k + 1); 1 where B is all bfloat16
  const float* const* a_tail = nullptr;  // [rows] source of the last `tail_k` of the k of B; null: none
  Index tail_k = 0;
  const Panels& b;
  float* const* c;
  Start start = Start::zero;
  const float* bias = nullptr;  // packed in the order of B's columns
  bool bounded = false;         // with one gate: nothing is written behind the last unit; else C holds whole vectors
  After after = {};
};

void product(const Product&);

// The same with A as the tiles read it: where B is all bfloat16, A and the k of B count words of two values.
void multiply(const Product&);

}  // namespace elman::ELMAN_ISA
