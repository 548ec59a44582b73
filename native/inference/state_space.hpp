// Linear Gaussian systems along every row of a ragged batch: what is asked, and the calls that share it among the
// threads. All arrays are the caller's.
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
  bool per_step = false;            // each step has matrices of its own: they lead to the next step
  bool square_root = false;         // in all rows, not only in those that need it
  const double* f = nullptr;        // [M, n, n], or [N, n, n]
  const double* h = nullptr;        // [M, m, n]
  const double* q = nullptr;        // [M, n, n]
  const double* r = nullptr;        // [M, m, m]
  const Index* model = nullptr;     // [B]
  const double* x = nullptr;        // [N, m], NaN where one is missing
  const double* b = nullptr;        // [N, n]; null: zeros
  const double* d = nullptr;        // [N, m]; null: zeros
  const double* mean = nullptr;     // [B, n] of the state at a row's first step, before its input
  const double* cov = nullptr;      // [B, n, n]
  const double* diffuse = nullptr;  // [B, n, n]
};

// Why even square roots did not help.
enum class Failure : Index { none, lost, output_noise, state_noise, start, diffuse_start, overflow, undetermined };

// What is known of the states. Null: nobody asks for it. `diffuse` comes full of zeros.
struct StateEstimates {
  double* mean = nullptr;          // [N, n] given the inputs up to here, or, smoothed, all inputs
  double* cov = nullptr;           // [N, n, n]
  double* diffuse = nullptr;       // [N, n, n]; smoothed: memory for what is between
  double* log_prob = nullptr;      // [N] of each step given those before
  double* last_mean = nullptr;     // [B, n] of the state after the row
  double* last_cov = nullptr;      // [B, n, n]
  double* last_diffuse = nullptr;  // [B, n, n]
  double* total = nullptr;         // [B] log_prob of each row
  double* lag = nullptr;           // [N, n, n] Cov(s[t+1], s[t] | all inputs): with it there is a way back
  Index* failed = nullptr;         // [B, 2] a Failure, and its step in the row; then the row's outputs are void
};

// Empty rows return their start to the bit.
void state_space(const StateSpace&, const StateEstimates&);

}  // namespace elman
