// Sums of outer products over all steps: out[m, f] = sum over n of g[n, m] features[n, f], in the order of n.
//
// This is the gradient of every weight: g holds the gradients of the gates, the features are what the weights were multiplied
// with. The features are packed a stretch of steps and a few vectors at a time, so that threads share nothing.
#pragma once

#include "gemm.hpp"

namespace elman::ELMAN_ISA {

constexpr Index stretch = 256;      // steps at once: a block of features fills half of the first cache
constexpr Index widest_outer = 16;  // vectors of features at once

// `pack(n, count, vector, out, stride)` writes one vector of the features of the steps n to n + count. Columns of g that lie
// behind `units` in each of the slots of `slot` floats are left out. out is [slots * units, vectors * W]: rows of g that are real.
template <class Pack>
static inline void outer(Index steps, const float* g, Index g_stride, Index slots, Index units, Index slot, Index vectors,
                         float* scratch, float* out, const Pack& pack) {
  constexpr int NV = vectors_of(1), M = rows_of(NV);
  Panels features;
  features.units = vectors * W;
  features.data = scratch;
  for (Index n = 0; n == 0 || n < steps; n += stretch) {
    features.k = steps - n < stretch ? steps - n : stretch;
    for (Index v = 0; v < vectors; ++v) {
      const Index block = v / NV, width = (vectors - block * NV < NV ? vectors - block * NV : Index{NV}) * W;
      pack(n, features.k, v, scratch + block * NV * W * features.k + v % NV * W, width);
    }
    const float* a[M];
    float* c[M];
    for (Index s = 0; s < slots; ++s)
      for (Index m = 0; m < units; m += M) {
        const Index count = units - m < M ? units - m : Index{M};
        for (Index i = 0; i < count; ++i) {
          a[i] = g + n * g_stride + s * slot + m + i;
          c[i] = out + (s * units + m + i) * vectors * W;
        }
        product<1>(count, a, g_stride, features, c, n ? Start::add : Start::zero);
      }
  }
}

}  // namespace elman::ELMAN_ISA
