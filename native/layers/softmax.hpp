// The loss of a softmax and its gradient: see src/elman/kernels/softmax.py, the definition.
#pragma once

#include "engine/layer.hpp"

namespace elman {

// Of each row of scores [R, V] and its target: the loss and the log-probability of the target; the scores become the
// gradient of the loss.
void softmax_gradient(Index rows, Index size, float smoothing, const Index* targets, float* scores, float* losses,
                      float* log_probs);

}  // namespace elman
