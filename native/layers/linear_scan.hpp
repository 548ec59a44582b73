// h[t] = a[t] * h[t-1] + x[t] along every row of a ragged batch.
#pragma once

#include "engine/layer.hpp"
#include "engine/simd.hpp"

namespace elman::ELMAN_ISA {

// One step of one row: h = a * before + x.
static inline void advance(Index features, const float* __restrict__ a, const float* __restrict__ x,
                           const float* __restrict__ before, float* __restrict__ h) {
  for (Index i = 0; i < features; ++i) h[i] = a[i] * before[i] + x[i];
}

// Backward pass of one step. `carry` is dL/dh from the next step, and becomes that for the previous step.
static inline void advance_backward(Index features, const float* __restrict__ a, const float* __restrict__ before,
                                    const float* __restrict__ dh, float* __restrict__ carry, float* __restrict__ da,
                                    float* __restrict__ dx) {
  for (Index i = 0; i < features; ++i) {
    const float e = dh[i] + carry[i];
    dx[i] = e;
    da[i] = e * before[i];
    carry[i] = a[i] * e;
  }
}

// a, x, h: [N, H], h0, last: [B, H], row-major. Writes h, and the last h of each row (h0 for empty rows).
static void linear_scan(Ragged batch, Index features, const float* a, const float* x, const float* h0, float* h,
                        float* last) {
  for (Index row = 0; row < batch.rows; ++row) {
    const float* before = h0 + row * features;
    for (Index step = batch.begin(row); step < batch.end(row); ++step) {
      const Index at = step * features;
      advance(features, a + at, x + at, before, h + at);
      before = h + at;
    }
    for (Index i = 0; i < features; ++i) last[row * features + i] = before[i];
  }
}

// Backward pass. dh, da, dx: [N, H], dlast, dh0: [B, H]. Writes da, dx and dh0, which holds the carry meanwhile.
static void linear_scan_backward(Ragged batch, Index features, const float* a, const float* h, const float* h0,
                                 const float* dh, const float* dlast, float* da, float* dx, float* dh0) {
  for (Index row = 0; row < batch.rows; ++row) {
    float* carry = dh0 + row * features;
    for (Index i = 0; i < features; ++i) carry[i] = dlast[row * features + i];
    for (Index step = batch.end(row); step-- > batch.begin(row);) {
      const Index at = step * features;
      const float* before = step > batch.begin(row) ? h + at - features : h0 + row * features;
      advance_backward(features, a + at, before, dh + at, carry, da + at, dx + at);
    }
  }
}

}  // namespace elman::ELMAN_ISA
