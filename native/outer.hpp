// Sums of outer products over all steps: out[m, f] = sum over n of g[n, m] features[n, f], in the order of n.
//
// This is the gradient of every weight: g holds the gradients of the gates, the features are what the weights were
// multiplied with. The features are packed a stretch of steps and a few vectors at a time, so that threads share
// nothing.
#pragma once

#include "gemm.hpp"

namespace elman::ELMAN_ISA {

constexpr Index stretch = 256;      // steps at once: a block of features fills half of the first cache
constexpr Index widest_outer = 32;  // vectors of features at once
constexpr Index outer_rows = 1024;  // rows of the sums at once, where a caller can choose

// W floats from place `at` of the n at `from` (null: zeros), behind which there is a one, or zeros.
static inline void one_behind(const float* from, Index at, Index n, bool one, float* to) {
  store(to, from && at < n ? load(from + at, n - at) : V{});
  if (one && at <= n && n < at + W) to[n - at] = 1.0f;
}

// The rows of g are packed as well, a strip of tiles at once: its columns lie far apart.
constexpr Index strip = 16;  // tiles
constexpr Index ahead = 16;  // steps whose gradients are fetched before they are packed

constexpr Index outer_scratch(Index rows) {  // floats for sums of so many rows
  return stretch * widest_outer * W + strip * most_rows * stretch + rows * widest_outer * W;
}

// `pack(n, count, vector, out, stride)` writes one vector of the features of the steps n to n + count. Columns of g
// that lie behind `units` in each of the slots of `slot` floats are left out. In bfloat16 two steps share a word.
// Returns the sums [slots * units, vectors * W].
template <class Pack>
static inline float* outer(Index steps, const float* g, Index g_stride, Index slots, Index units, Index slot,
                           Index vectors, float* scratch, const Pack& pack, Products products = Products::float32) {
  constexpr int NV = vectors_of(1), M = rows_of(NV);
  const bool pairs = products == Products::bfloat16;
  const Index together = pairs ? 2 : 1;  // steps
  float* const tiles = scratch + stretch * widest_outer * W;
  float* const sums = tiles + strip * most_rows * stretch;
  Panels features;
  features.units = vectors * W;
  features.data = scratch;
  features.products = products;
  for (Index n = 0; n == 0 || n < steps; n += stretch) {
    const Index count = smaller(steps - n, stretch);
    features.k = features.depth = count;
    for (Index v = 0; v < vectors; ++v) {
      const Index block = v / NV, width = smaller(vectors - block * NV, NV) * W;
      pack(n, count, v, scratch + block * NV * W * count + v % NV * W, width);
    }
    if (pairs) halve(features, 0, vectors), features.k = (count + 1) / 2;
    for (Index s = 0; s < slots; ++s)
      for (Index from = 0; from < units; from += strip * M) {
        const Index height = smaller(units - from, strip * M);
        const float* source = g + n * g_stride + s * slot + from;
        float paired[strip * most_rows + W];
        for (Index k = 0; k < features.k; ++k, source += together * g_stride) {  // [tile, k, M]
          for (Index i = ahead; i < ahead + together; ++i)
            for (Index m = 0; m < height; m += 16) __builtin_prefetch(source + i * g_stride + m);
          const float* row = source;
          if (pairs) {
            pair_rows(source, 2 * k + 1 < count ? source + g_stride : nullptr, height, paired);
            row = paired;
          }
          Index m = 0;
          for (; m + M <= height; m += M) std::memcpy(tiles + m * count + k * M, row + m, sizeof(float) * M);
          for (Index i = m; i < height; ++i) tiles[m * count + k * M + i - m] = row[i];
        }
        for (Index m = 0; m < height; m += M) {
          const float* a[M];
          float* c[M];
          const Index rows = smaller(height - m, M);
          for (Index i = 0; i < rows; ++i) {
            a[i] = tiles + m * count + i;
            c[i] = sums + (s * units + from + m + i) * vectors * W;
          }
          multiply<1, false>(rows, a, M, nullptr, 0, features, c, n ? Start::add : Start::zero, nullptr, Nothing{});
        }
      }
  }
  return sums;
}

}  // namespace elman::ELMAN_ISA
