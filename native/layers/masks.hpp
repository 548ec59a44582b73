// Counter-based random masks: a bit depends on its position, not on when or where it is drawn.
#pragma once

#include "engine/layer.hpp"

namespace elman {

// A mask [N, U]. `key` hashes the counters that all rows share, such as the seed and the layer; `steps` are `words`
// arrays [N] of the counters of each row.
struct Masks {
  Index rows, units;
  std::uint32_t key;
  const Index* const* steps;
  Index words;
  std::uint32_t threshold;  // units whose hash is below it are kept
  std::uint8_t* kept;       // [N, U], ones and zeros
};

// Hash of 32 bits, a bijection in which every input bit affects every output bit: "lowbias32" (Wellons 2018).
template <class Word>
[[gnu::always_inline]] inline Word mix(Word x) {
  x ^= x >> 16;
  x *= 0x21F0AAADu;
  x ^= x >> 15;
  x *= 0xD35A2D97u;
  return x ^ (x >> 15);
}

// Adds a number to a hash.
[[gnu::always_inline]] inline std::uint32_t mix(std::uint32_t mixed, Index number) {
  return mix(mixed ^ static_cast<std::uint32_t>(number)) + 0x9E3779B9u;
}

// Draws `kept` and, if x [N, U] is not null, computes y = x scale for kept units, x 0 for the others.
void draw_masks(const Masks&, float scale, const float* x, float* y);

// y = x scale for kept units, x 0 for the others.
void masked(Index size, const std::uint8_t* kept, float scale, const float* x, float* y);

}  // namespace elman
