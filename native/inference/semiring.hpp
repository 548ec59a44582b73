// Sums, maxima and samples over all paths of states, for each row of a ragged batch: arguments and entry points. The
// caller owns all arrays.
#pragma once

#include <cstdint>

#include "engine/ragged.hpp"

namespace elman {

using Index = std::int64_t;

// N steps, B rows, K states, M models. The weight of a path is the product of its initial weight, its transitions and
// the scores of its states, all given as logarithms.
struct Trellis {
  Ragged batch;
  Index states = 0;                        // K
  Index models = 0;                        // M
  bool per_step = false;                   // each step has its own transitions, to the next step
  const double* log_start = nullptr;       // [B, K]
  const double* log_transition = nullptr;  // [M, K, K] from, to; `per_step`: [N, K, K]
  const double* scores = nullptr;          // [N, K]
  const Index* model = nullptr;            // [B]

  Index length(Index row) const { return batch.end(row) - batch.begin(row); }
  const double* matrix(Index number) const { return log_transition + number * states * states; }
};

// Rows of one model that are processed together, the longest first. None is empty.
struct Band {
  static constexpr Index tallest = 6;

  const Index* rows;
  Index count;
};

// Results of sums over paths. Null: not needed.
struct Sums {
  double* probs =
      nullptr;  // [N, K] of the states given the inputs up to the step, or, with a backward pass, all inputs
  double* log_prob = nullptr;  // [N] of each step given the steps before
  double* last = nullptr;      // [B, K] predicted for the step after the row
  double* total = nullptr;     // [B] log_prob of each row
  double* transitions =
      nullptr;  // [M, K, K] expected counts, or [N, K, K]; not null (with probs and total): run the backward pass
  std::uint8_t* lost = nullptr;  // [B] rows that under- or overflowed, and were recomputed in logarithms
};

// `last` and `total` are not written for empty rows.
void semiring_sums(const Trellis&, const Sums&);

// Finds the best k paths of each row: states [k, N] and log_prob [k, B], -1 and -inf where there are fewer. Nothing is
// written for empty rows.
void semiring_best(const Trellis&, Index k, Index* states, double* log_prob);

// Samples paths [samples, N] backward from filtered probs [N, K]; skips rows that are lost already.
void semiring_draw(const Trellis&, const double* probs, Index samples, const double* uniforms, Index* paths,
                   std::uint8_t* lost);

}  // namespace elman
