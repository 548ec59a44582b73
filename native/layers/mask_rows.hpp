// Random masks of some rows, a vector of units at a time.
#pragma once

#include "engine/simd.hpp"
#include "layers/masks.hpp"

namespace elman::ELMAN_ISA {

typedef std::uint32_t Words __attribute__((vector_size(4 * W)));
typedef std::uint8_t Bytes __attribute__((vector_size(W)));

// y = x scale for kept units, x 0 for the others.
static void masked(Index size, const std::uint8_t* kept, float scale, const float* x, float* y) {
  Index i = 0;
  for (; i + W <= size; i += W) {
    Bytes ones;
    std::memcpy(&ones, kept + i, W);
    const Integers all_bits = -__builtin_convertvector(ones, Integers);
    store(y + i, load(x + i) * reinterpret_cast<V>(all_bits & reinterpret_cast<Integers>(splat(scale))));
  }
  for (; i < size; ++i) y[i] = x[i] * (kept[i] ? scale : 0.0f);
}

// `columns`: hashes of the unit numbers, padded to whole vectors.
static void draw_masks(const Masks& m, const std::uint32_t* columns, Index from, Index to, float scale, const float* x,
                       float* y) {
  const auto units = static_cast<std::size_t>(m.units);
  std::uint32_t before = 0;
  for (Index row = from; row < to; ++row) {
    const Index at = row * m.units;
    std::uint8_t* const kept = m.kept + at;
    std::uint32_t word = m.key;
    for (Index i = 0; i < m.words; ++i) word = mix(word, m.steps[i][row]);
    if (row > from && word == before) {  // rows that share a mask
      std::memcpy(kept, kept - m.units, units);
    } else {
      for (Index u = 0; u < m.units; u += W) {
        Words column;
        std::memcpy(&column, columns + u, sizeof column);
        const Bytes ones = __builtin_convertvector(mix(mix(column ^ word)) < m.threshold, Bytes) & 1;
        if (u + W <= m.units) std::memcpy(kept + u, &ones, W);
        else std::memcpy(kept + u, &ones, static_cast<std::size_t>(m.units - u));
      }
    }
    before = word;
    if (x) masked(m.units, kept, scale, x + at, y + at);
  }
}

}  // namespace elman::ELMAN_ISA
