// The k largest scores of each row. Definition: src/elman/kernels/best.py.
#pragma once

#include "engine/layer.hpp"

namespace elman {

// For each row of scores [R, V]: finds the indices of the k <= V largest scores, the smaller index first among equal
// ones, and their log-probabilities under a softmax, [R, k] each.
void best(Index rows, Index size, Index k, const float* scores, Index* ids, double* log_probs);

}  // namespace elman
