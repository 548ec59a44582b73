// Random masks from a counter: a bit depends on what it is for, not on when or where it is drawn.
#pragma once

#include "engine/layer.hpp"

namespace elman {

// A mask [N, U]. What its rows share, as seed and place, is mixed into `key`; `steps` are `words` arrays [N] that tell
// one row from another.
struct Masks {
  Index rows, units;
  std::uint32_t key;
  const Index* const* steps;
  Index words;
  std::uint32_t threshold;  // bits below it are kept
  std::uint8_t* kept;       // [N, U], ones and zeros
};

// A bijection of 32 bits in which every bit that comes in moves every bit that goes out: "lowbias32" (Wellons 2018).
template <class Word>
[[gnu::always_inline]] inline Word mix(Word x) {
  x ^= x >> 16;
  x *= 0x21F0AAADu;
  x ^= x >> 15;
  x *= 0xD35A2D97u;
  return x ^ (x >> 15);
}

// One more number for what is mixed already.
[[gnu::always_inline]] inline std::uint32_t mix(std::uint32_t mixed, Index number) {
  return mix(mixed ^ static_cast<std::uint32_t>(number)) + 0x9E3779B9u;
}

// Writes `kept` and, where there is an x [N, U], y = x scale where it is kept, else x 0.
void draw_masks(const Masks&, float scale, const float* x, float* y);

// y = x scale where it is kept, else x 0.
void masked(Index size, const std::uint8_t* kept, float scale, const float* x, float* y);

}  // namespace elman
