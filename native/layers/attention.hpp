// Attention of ragged queries over a ragged memory: see src/elman/kernels/attention.py, the definition.
#pragma once

#include "engine/layer.hpp"

namespace elman {

// N queries of B rows, M steps of memory, P pairs of a query and a step that it reads: by row, query and step.
struct Attention {
  Index rows = 0;      // B
  Index memory = 0;    // M
  Index features = 0;  // A
  Index outputs = 0;   // D
  const Index* steps = nullptr;
  const Index* starts = nullptr;
  const Index* sizes = nullptr;      // [B] each: the queries of a row, and the steps that they read
  const float* queries = nullptr;    // [N, A]
  const float* keys = nullptr;       // [M, A]
  const float* values = nullptr;     // [M, D]
  const float* direction = nullptr;  // [A]: a score is its product with tanh(query + key); null: query . key
  float* context = nullptr;          // [N, D]
  float* weights = nullptr;          // [P]; the way back reads them

  const float* dcontext = nullptr;  // [N, D]
  const float* dweights = nullptr;  // [P]; null: zeros
  float* dqueries = nullptr;        // null, as those that follow: nobody asks for it
  float* dkeys = nullptr;
  float* dvalues = nullptr;
  float* ddirection = nullptr;
};

// Some queries, one after another, and what all of them read.
struct Read {
  static constexpr Index most = 32;  // queries that a kernel takes at once

  Index query, queries;
  Index start, size;
  Index pair;  // the first one
};

// Writes context and weights.
void attend(const Attention&);

// Writes the gradients that are asked for.
void attend_backward(const Attention&);

}  // namespace elman
