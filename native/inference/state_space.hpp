// Kalman filter and smoother over a ragged batch: arguments and entry point. The caller owns all arrays.
#pragma once

#include <cstdint>

#include "engine/ragged.hpp"

namespace elman {

using Index = std::int64_t;

// N steps, B rows, n states, m outputs, M models:
// x[t] = H s[t] + d[t] + noise(R);  s[t+1] = F s[t] + b[t] + noise(Q)
struct StateSpace {
  Ragged batch;
  Index states = 0;                 // n
  Index outputs = 0;                // m
  bool per_step = false;            // each step has its own matrices, which lead to the next step
  bool square_root = false;         // use square roots in all rows, not only in those that need it
  const double* f = nullptr;        // [M, n, n], or [N, n, n]
  const double* h = nullptr;        // [M, m, n]
  const double* q = nullptr;        // [M, n, n]
  const double* r = nullptr;        // [M, m, m]
  const Index* model = nullptr;     // [B]
  const double* x = nullptr;        // [N, m], NaN: missing
  const double* b = nullptr;        // [N, n]; null: zeros
  const double* d = nullptr;        // [N, m]; null: zeros
  const double* mean = nullptr;     // [B, n] of the state at the first step of a row, before its input
  const double* cov = nullptr;      // [B, n, n]
  const double* diffuse = nullptr;  // [B, n, n]
};

// Reasons why a row fails even with square roots.
enum class Failure : Index { none, lost, output_noise, state_noise, start, diffuse_start, overflow, undetermined };

// Filtered or smoothed estimates of the states. Null: not needed. `diffuse` must be zero on entry.
struct StateEstimates {
  double* mean = nullptr;          // [N, n] given the inputs up to the step, or, smoothed, all inputs
  double* cov = nullptr;           // [N, n, n]
  double* diffuse = nullptr;       // [N, n, n]; smoothed: scratch
  double* log_prob = nullptr;      // [N] of each step given the steps before
  double* last_mean = nullptr;     // [B, n] of the state after the row
  double* last_cov = nullptr;      // [B, n, n]
  double* last_diffuse = nullptr;  // [B, n, n]
  double* total = nullptr;         // [B] log_prob of each row
  double* lag = nullptr;           // [N, n, n] Cov(s[t+1], s[t] | all inputs); not null: run the smoother
  Index* failed = nullptr;         // [B, 2] a Failure and its step in the row; the outputs of such a row are undefined
};

// Empty rows return their initial state, bitwise.
void state_space(const StateSpace&, const StateEstimates&);

}  // namespace elman
