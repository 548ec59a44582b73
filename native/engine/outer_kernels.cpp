#include "engine/outer.hpp"

namespace elman::ELMAN_ISA {

constexpr Index ahead = 16;  // steps from the prefetch of a row of gradients to its use

float* outer(Index steps, const Gates& gates, Index vectors, float* scratch, PackFeatures pack, Products products) {
  constexpr int NV = vectors_of(1), M = rows_of(NV);
  const bool pairs = products == Products::bfloat16;
  const Index together = pairs ? 2 : 1;  // steps per word
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
    for (Index s = 0; s < gates.slots; ++s)
      for (Index from = 0; from < gates.units; from += strip * M) {
        const Index height = smaller(gates.units - from, strip * M);
        const float* source = gates.g + n * gates.stride + s * gates.slot + from;
        float paired[strip * most_rows + W];
        for (Index k = 0; k < features.k; ++k, source += together * gates.stride) {  // [tile, k, M]
          for (Index i = ahead; i < ahead + together; ++i)
            for (Index m = 0; m < height; m += 16) __builtin_prefetch(source + i * gates.stride + m);
          const float* row = source;
          if (pairs) {
            pair_rows(source, 2 * k + 1 < count ? source + gates.stride : nullptr, height, paired);
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
            c[i] = sums + (s * gates.units + from + m + i) * vectors * W;
          }
          multiply({.rows = rows, .a = a, .a_stride = M, .b = features, .c = c, .start = n ? Start::add : Start::zero});
        }
      }
  }
  return sums;
}

}  // namespace elman::ELMAN_ISA
