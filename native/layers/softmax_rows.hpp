// Softmax cross-entropy and its gradient, row by row: three passes over a row in the cache.
#pragma once

#include "engine/simd.hpp"

namespace elman::ELMAN_ISA {

static void softmax_gradient(Index size, float smoothing, Index target, float* scores, float* loss, float* log_prob) {
  constexpr int side = 4;  // vectors at once
  V tops[side], sums[side]{}, parts[side]{};
  for (V& top : tops) top = splat(-__builtin_inff());
  Index i = 0;
  for (; i + side * W <= size; i += side * W)
#pragma GCC unroll 4
    for (int v = 0; v < side; ++v) {
      const V x = load(scores + i + v * W);
      tops[v] = x > tops[v] ? x : tops[v];
      sums[v] += x;
    }
  float largest = -__builtin_inff(), all = sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (const V& top : tops)
    for (int lane = 0; lane < W; ++lane) largest = top[lane] > largest ? top[lane] : largest;
  for (; i < size; ++i) {
    largest = scores[i] > largest ? scores[i] : largest;
    all += scores[i];
  }
  const float wanted = scores[target] - largest, shift = largest, mean = all / static_cast<float>(size) - largest;
  for (i = 0; i + side * W <= size; i += side * W)
#pragma GCC unroll 4
    for (int v = 0; v < side; ++v) {
      const V e = exp(load(scores + i + v * W) - splat(shift));
      store(scores + i + v * W, e);
      parts[v] += e;
    }
  float total = sum((parts[0] + parts[1]) + (parts[2] + parts[3]));
  for (; i < size; ++i) {
    scores[i] = exp(splat(scores[i] - shift))[0];
    total += scores[i];
  }
  const V scale = splat(1.0f / total), spread = splat(smoothing / static_cast<float>(size));
  for (i = 0; i < size; i += W) store(scores + i, load(scores + i, size - i) * scale - spread, size - i);
  scores[target] -= 1.0f - smoothing;
  const float log_total = __builtin_logf(total);
  *log_prob = wanted - log_total;
  *loss = log_total - (1.0f - smoothing) * wanted - (smoothing > 0 ? smoothing * mean : 0.0f);
}

}  // namespace elman::ELMAN_ISA
