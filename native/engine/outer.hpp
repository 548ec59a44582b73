// Sums of outer products over all time steps: out[m, f] = sum over n of g[n, m] features[n, f], in the order of n.
//
// Every weight gradient has this form: g holds the gradients of the gates, the features are the values that the weights
// were multiplied with. Each thread packs its own features, a few vectors and a stretch of steps at a time.
#pragma once

#include "engine/gemm.hpp"

namespace elman::ELMAN_ISA {

constexpr Index stretch = 256;      // steps at once: a block of features fills half of the first-level cache
constexpr Index widest_outer = 32;  // vectors of features at once
constexpr Index outer_rows = 1024;  // rows of the sums at once, where a caller can choose
constexpr Index strip = 16;         // tiles whose part of g is packed at once: its columns are far apart in memory

// Stores W floats from offset `at` of a row of n floats (null: zeros), followed by a one where `one`, and by zeros.
static inline void append_one(const float* from, Index at, Index n, bool one, float* to) {
  store(to, from && at < n ? load(from + at, n - at) : V{});
  if (one && at <= n && n < at + W) to[n - at] = 1.0f;
}

// Floats of scratch for the sums of `rows` rows.
constexpr Index outer_scratch(Index rows) {
  return stretch * widest_outer * W + strip * most_rows * stretch + rows * widest_outer * W;
}

// Called as pack(n, count, vector, out, stride): writes one vector of the features of the steps n to n + count.
using PackFeatures = Callback<Index, Index, Index, float*, Index>;

// Gradients g [steps, slots, slot]; columns of each slot from `units` on are left out.
struct Gates {
  const float* g;
  Index stride;  // floats from step to step
  Index slots;
  Index units;
  Index slot;  // floats from slot to slot
};

// Returns the sums [slots * units, vectors * W], in `scratch`. In bfloat16 two steps share a word.
float* outer(Index steps, const Gates&, Index vectors, float* scratch, PackFeatures,
             Products products = Products::float32);

}  // namespace elman::ELMAN_ISA
