// Forward and backward passes over all layers of a call and all groups of lanes, divided among the threads.
#pragma once

#include <vector>

#include "engine/layer.hpp"
#include "engine/memory.hpp"
#include "engine/plan.hpp"

namespace elman {

// A layer of a call. `below` is the index of the earlier layer whose y is this layer's x, or -1; `packed` are the
// packed weights.
struct StackLayer {
  Layer layer;
  int below = -1;
  float* packed = nullptr;
};

Index saved_stride(const Layer&);  // floats of `saved` per step

Memory packed(const Layer&, bool back);  // the weights, for `scan` or for `scan_backward`

// Runs all layers over all rows. A layer starts a job as soon as the layer below has finished the same job: deep stacks
// run as a wave, and independent layers, such as the two directions, run in parallel.
void scan(const Plan&, const std::vector<StackLayer>&);

// Backward pass through time, from the last layer to the first, then the gradients of the weights. Overwrites the gates
// in `saved` with their gradients.
void scan_backward(const Plan&, std::vector<StackLayer>);

// y = x W' + b from packed W [O, D] and b, in float32 or, if `half`, with W in bfloat16. Null: no bias.
Memory packed(Index inputs, Index outputs, const float* weight, const float* bias, bool half);
void linear(Index rows, Index inputs, Index outputs, const float* x, float* weights, float* y);  // float32

// The same with W as it is, and its backward pass. Null: no bias, or a gradient that is not needed.
void linear(Index rows, Index inputs, Index outputs, const float* x, const float* weight, const float* bias, float* y);
void linear_backward(Index rows, Index inputs, Index outputs, const float* x, const float* weight, const float* dy,
                     float* dx, float* dweight, float* dbias);

}  // namespace elman
