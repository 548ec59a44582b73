// h[t] = a[t] * h[t-1] + x[t] along every row of a ragged batch.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ragged.hpp"
#include "simd.hpp"

namespace elman {

// One step of one row: h = a * before + x.
static inline void advance(std::int64_t features, const float* ELMAN_RESTRICT a, const float* ELMAN_RESTRICT x,
                           const float* ELMAN_RESTRICT before, float* ELMAN_RESTRICT h) {
  for (std::int64_t i = 0; i < features; ++i) h[i] = a[i] * before[i] + x[i];
}

// Its way back: carry comes from the step after, as a gradient of h, and leaves to the step before.
static inline void retreat(std::int64_t features, const float* ELMAN_RESTRICT a, const float* ELMAN_RESTRICT before,
                           const float* ELMAN_RESTRICT dh, float* ELMAN_RESTRICT carry, float* ELMAN_RESTRICT da,
                           float* ELMAN_RESTRICT dx) {
  for (std::int64_t i = 0; i < features; ++i) {
    const float e = dh[i] + carry[i];
    dx[i] = e;
    da[i] = e * before[i];
    carry[i] = a[i] * e;
  }
}

// a, x, h: [N, H], h0, last: [B, H], row-major. Writes h, and the last h of each row: h0 where a row is empty.
ELMAN_CLONES static void linear_scan(Ragged batch, std::int64_t features, const float* a, const float* x,
                                     const float* h0, float* h, float* last) {
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    const float* before = h0 + row * features;
    for (std::int64_t step = batch.begin(row); step < batch.end(row); ++step) {
      const std::int64_t at = step * features;
      advance(features, a + at, x + at, before, h + at);
      before = h + at;
    }
    std::copy_n(before, features, last + row * features);
  }
}

// The same scan reversed. dh, da, dx: [N, H], dlast, dh0: [B, H]. Writes da, dx and dh0, which carries on the way.
ELMAN_CLONES static void linear_scan_backward(Ragged batch, std::int64_t features, const float* a, const float* h,
                                              const float* h0, const float* dh, const float* dlast, float* da,
                                              float* dx, float* dh0) {
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    float* carry = dh0 + row * features;
    std::copy_n(dlast + row * features, features, carry);
    for (std::int64_t step = batch.end(row); step-- > batch.begin(row);) {
      const std::int64_t at = step * features;
      const float* before = step > batch.begin(row) ? h + at - features : h0 + row * features;
      retreat(features, a + at, before, dh + at, carry, da + at, dx + at);
    }
  }
}

}  // namespace elman
