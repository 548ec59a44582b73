// Sums, maxima and draws over all paths of states, along every row of a ragged batch: what is asked, and the calls that
// share it among the threads. All arrays are the caller's.
#pragma once

#include <cstdint>

#include "engine/ragged.hpp"

namespace elman {

using Index = std::int64_t;

// N steps, B rows, K states, M models. The weight of a path is the product of its start, its transitions and the scores
// of its states; their logarithms come in.
struct Trellis {
  Ragged batch;
  Index states = 0;                        // K
  Index models = 0;                        // M
  bool per_step = false;                   // each step has transitions of its own, to the next step
  const double* log_start = nullptr;       // [B, K]
  const double* log_transition = nullptr;  // [M, K, K] from, to; `per_step`: [N, K, K]
  const double* scores = nullptr;          // [N, K]
  const Index* model = nullptr;            // [B]

  Index length(Index row) const { return batch.end(row) - batch.begin(row); }
  const double* matrix(Index number) const { return log_transition + number * states * states; }
};

// Rows of one model that go through time together, the longest first. None is empty.
struct Band {
  static constexpr Index tallest = 6;

  const Index* rows;
  Index count;
};

// What sums over paths leave behind. Null: nobody asks for it.
struct Sums {
  double* probs = nullptr;        // [N, K] of the states given the inputs up to here, or, on the way back, all inputs
  double* log_prob = nullptr;     // [N] of each step given those before
  double* last = nullptr;         // [B, K] predicted for the step after the row
  double* total = nullptr;        // [B] log_prob of each row
  double* transitions = nullptr;  // [M, K, K] expected within rows, or [N, K, K]; with probs and total: a way back
  std::uint8_t* lost = nullptr;   // [B] rows that floats could not hold, and that were done again in logarithms
};

// Empty rows are left alone: `last` and `total` are not written for them.
void semiring_sums(const Trellis&, const Sums&);

// The best k paths of each row: states [k, N] and log_prob [k, B], -1 and -inf where there are fewer. Empty rows are
// left alone.
void semiring_best(const Trellis&, Index k, Index* states, double* log_prob);

// Paths [samples, N], drawn backward from filtered probs [N, K]; rows that are lost already are left alone.
void semiring_draw(const Trellis&, const double* probs, Index samples, const double* uniforms, Index* paths,
                   std::uint8_t* lost);

}  // namespace elman
