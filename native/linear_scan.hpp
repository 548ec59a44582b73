// h[t] = a[t] * h[t-1] + x[t] along every row of a ragged batch.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ragged.hpp"
#include "simd.hpp"

namespace elman {

// a, x, h: [N, H], h0, last: [B, H], row-major. Writes h, and the last h of each row: h0 where a row is empty.
ELMAN_CLONES static void linear_scan(Ragged batch, std::int64_t features, const float* a, const float* x,
                                     const float* h0, float* h, float* last) {
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    const float* previous = h0 + row * features;
    for (std::int64_t step = batch.begin(row); step < batch.end(row); ++step) {
      const float* ELMAN_RESTRICT keep = a + step * features;
      const float* ELMAN_RESTRICT write = x + step * features;
      const float* ELMAN_RESTRICT before = previous;
      float* ELMAN_RESTRICT now = h + step * features;
      for (std::int64_t i = 0; i < features; ++i) now[i] = keep[i] * before[i] + write[i];
      previous = now;
    }
    std::copy_n(previous, features, last + row * features);
  }
}

// The same scan reversed: e[t] = dh[t] + a[t+1] * e[t+1] is the gradient of step t, and of x[t].
// da, dx, dh: [N, H], dlast, dh0: [B, H]. Writes da, dx and dh0, which carries a[t+1] * e[t+1] on its way back.
ELMAN_CLONES static void linear_scan_backward(Ragged batch, std::int64_t features, const float* a, const float* h,
                                              const float* h0, const float* dh, const float* dlast, float* da,
                                              float* dx, float* dh0) {
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    float* ELMAN_RESTRICT carry = dh0 + row * features;
    std::copy_n(dlast + row * features, features, carry);
    for (std::int64_t step = batch.end(row); step-- > batch.begin(row);) {
      const float* ELMAN_RESTRICT keep = a + step * features;
      const float* ELMAN_RESTRICT before =
          step > batch.begin(row) ? h + (step - 1) * features : h0 + row * features;
      const float* ELMAN_RESTRICT incoming = dh + step * features;
      float* ELMAN_RESTRICT dkeep = da + step * features;
      float* ELMAN_RESTRICT dwrite = dx + step * features;
      for (std::int64_t i = 0; i < features; ++i) {
        const float e = incoming[i] + carry[i];
        dwrite[i] = e;
        dkeep[i] = e * before[i];
        carry[i] = keep[i] * e;
      }
    }
  }
}

}  // namespace elman
