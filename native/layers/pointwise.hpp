// Operations of one step of one row, without products.
#pragma once

#include "engine/layer.hpp"
#include "engine/simd.hpp"

namespace elman::ELMAN_ISA {

// h = (1 - sigmoid(z)) h + sigmoid(z) n, in place; `gates` is z n.
static void min_gru(Index units, const float* gates, float* h) {
  for (Index u = 0; u < units; u += W) {
    const Index n = units - u;
    const V z = sigmoid(load(gates + u, n));
    store(h + u, (splat(1.0f) - z) * load(h + u, n) + z * load(gates + units + u, n), n);
  }
}

// y = (x - mean) / sqrt(variance + epsilon) * weight + bias.
static void layer_norm(Index size, float epsilon, const float* weight, const float* bias, const float* x, float* y) {
  const Index whole = size / W * W;
  V sums{}, squares{};
  for (Index i = 0; i < size; i += W) sums += load(x + i, size - i);
  const float mean = sum(sums) / static_cast<float>(size);
  for (Index i = 0; i < whole; i += W) {
    const V d = load(x + i) - splat(mean);
    squares += d * d;
  }
  float variance = sum(squares);
  for (Index i = whole; i < size; ++i) variance += (x[i] - mean) * (x[i] - mean);
  const V scale = splat(1.0f / __builtin_sqrtf(variance / static_cast<float>(size) + epsilon));
  for (Index i = 0; i < size; i += W) {
    const Index n = size - i;
    store(y + i, (load(x + i, n) - splat(mean)) * scale * load(weight + i, n) + load(bias + i, n), n);
  }
}

}  // namespace elman::ELMAN_ISA
