// Weights in the order in which the tiles read them.
#pragma once

#include "engine/gemm.hpp"

namespace elman::ELMAN_ISA {

// B(k, gate and unit) = w[(source[gate] * units + unit), k], for products with the transposed weights. `w` is
// [gates * units, k]. Writes only the vectors from `from` to `to`, and for a slice only its k.
static inline void pack_transposed(const Panels& b, const float* w, const int* source, Index from, Index to) {
  const int nv = vectors_of(b.gates);
  const Index depth = b.depth ? b.depth : b.k;
  for (Index v = from; v < to; ++v) {
    const Index block = v / nv, width = (b.vectors() - block * nv < nv ? b.vectors() - block * nv : nv) * W;
    float* out = b.data + block * nv * W * depth + b.from * width + v % nv * W;
    const Index gate = source[v % b.gates], unit = v / b.gates * W, real = b.units - unit < W ? b.units - unit : W;
    const float* rows[W];
    for (Index u = 0; u < W; ++u) rows[u] = w + (gate * b.units + unit + (u < real ? u : 0)) * b.k;
    Index k = 0;
    if (real == W)
      for (; k + W <= b.k; k += W) {
        V square[W];
        for (int u = 0; u < W; ++u) square[u] = load(rows[u] + k);
        transpose(square);
        for (int u = 0; u < W; ++u) store(out + (k + u) * width, square[u]);
      }
    for (; k < b.k; ++k)
      for (Index u = 0; u < W; ++u) out[k * width + u] = u < real ? rows[u][k] : 0.0f;
  }
}

// B(slot and unit, n) = w[(source[slot] * units + unit), n], for products with the weights as they are. `w` is [gates *
// units, columns]. Rows of padding are zero.
static inline void pack_plain(float* data, const Panels& b, const float* w, const int* source, Index units, Index from,
                              Index to) {
  const int nv = vectors_of(1);
  for (Index v = from; v < to; ++v) {
    const Index block = v / nv, width = (b.vectors() - block * nv < nv ? b.vectors() - block * nv : nv) * W;
    float* out = data + block * nv * W * b.k + v % nv * W;
    for (Index k = 0; k < b.k; ++k) {
      const Index slot = k / padded(units), unit = k % padded(units);
      store(out + k * width,
            unit < units ? load(w + (source[slot] * units + unit) * b.units + v * W, b.units - v * W) : V{});
    }
  }
}

static inline void pack_bias(float* data, const Panels& b, const float* bias, const int* source) {
  for (Index v = 0; v < b.vectors(); ++v) {
    const Index gate = source[v % b.gates], unit = v / b.gates * W;
    store(data + v * W, load(bias + gate * b.units + unit, b.units - unit));
  }
}

}  // namespace elman::ELMAN_ISA
