// The largest numbers of rows: see src/elman/kernels/best.py, the definition.
#pragma once

#include "engine/layer.hpp"

namespace elman {

// Of each row of scores [R, V]: the places of its k <= V largest, the smaller place first among equals, and their
// distance from the logarithm of the sum of all exponentials: [R, k].
void best(Index rows, Index size, Index k, const float* scores, Index* ids, double* log_probs);

}  // namespace elman
