// Attention of ragged queries over a ragged memory. Definition: src/elman/kernels/attention.py.
#pragma once

#include "engine/layer.hpp"

namespace elman {

// N queries of B rows, M steps of memory, P pairs of a query and a step, ordered by row, query and step.
struct Attention {
  Index rows = 0;      // B
  Index memory = 0;    // M
  Index features = 0;  // A
  Index outputs = 0;   // D
  const Index* steps = nullptr;
  const Index* starts = nullptr;
  const Index* sizes = nullptr;      // [B] each: queries per row, and the steps of memory that they attend to
  const float* queries = nullptr;    // [N, A]
  const float* keys = nullptr;       // [M, A]
  const float* values = nullptr;     // [M, D]
  const float* direction = nullptr;  // [A] v of additive scores v . tanh(query + key); null: dot-product scores
  float* context = nullptr;          // [N, D]
  float* weights = nullptr;          // [P] attention weights; the backward pass reads them

  const float* dcontext = nullptr;  // [N, D]
  const float* dweights = nullptr;  // [P]; null: zeros
  float* dqueries = nullptr;        // null: not needed; so are the following
  float* dkeys = nullptr;
  float* dvalues = nullptr;
  float* ddirection = nullptr;
};

// Consecutive queries that attend to the same steps.
struct Read {
  static constexpr Index most = 32;  // queries per kernel call

  Index query, queries;
  Index start, size;
  Index pair;  // first pair
};

// Forward pass: writes context and weights.
void attend(const Attention&);

// Backward pass: writes the gradients that are not null.
void attend_backward(const Attention&);

}  // namespace elman
