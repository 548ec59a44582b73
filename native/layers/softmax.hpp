// Softmax cross-entropy and its gradient. Definition: src/elman/kernels/softmax.py.
#pragma once

#include "engine/layer.hpp"

namespace elman {

// For each row of scores [R, V]: computes the loss and the log-probability of the target, and replaces the scores by
// the gradient of the loss.
void softmax_gradient(Index rows, Index size, float smoothing, const Index* targets, float* scores, float* losses,
                      float* log_probs);

}  // namespace elman
