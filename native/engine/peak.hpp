// Peak arithmetic rate of a thread: fused multiply-adds in registers, without memory traffic.
#pragma once

#include "engine/layer.hpp"
#include "engine/simd.hpp"

namespace elman::ELMAN_ISA {

// Computes s = s a + b `repeats` times in each of 12 chains, more than any processor keeps in flight, and returns the
// number of floating-point operations. `values` holds the 14 W floats of a, b and the chains: they are read and written
// so that the compiler cannot remove the loop.
static Index multiply_add(Index repeats, float* values) {
  constexpr int chains = 12;
  float* const ends = values + 2 * W;
  const V a = load(values), b = load(values + W);
  V s[chains];
#pragma GCC unroll 16
  for (int i = 0; i < chains; ++i) s[i] = load(ends + i * W);
  for (Index n = 0; n < repeats; ++n)
#pragma GCC unroll 16
    for (int i = 0; i < chains; ++i) s[i] = fma(s[i], a, b);
#pragma GCC unroll 16
  for (int i = 0; i < chains; ++i) store(ends + i * W, s[i]);
  return 2 * W * chains * repeats;
}

}  // namespace elman::ELMAN_ISA
