// Whole passes over layers and groups of lanes, shared by the threads.
#pragma once

#include <vector>

#include "engine/layer.hpp"
#include "engine/memory.hpp"
#include "engine/plan.hpp"

namespace elman {

// Layers of one call over one batch. `below` is the layer whose y is this one's x, an earlier one of the same call, or
// -1; `packed` are its weights.
struct Placed {
  Layer layer;
  int below = -1;
  float* packed = nullptr;
};

Index saved_stride(const Layer&);  // floats of `saved` for each step

Memory packed(const Layer&, bool back);  // its weights as the kernels read them, for `scan` or for `scan_backward`

// Every row of every layer from its first step to its last. A layer goes on as soon as the one below it has done its
// part of a group: deep stacks run as a wave, and layers that do not wait for each other, as the two directions, side
// by side.
void scan(const Plan&, const std::vector<Placed>&);

// The same back through time, from the last layer to the first, then the gradients of the weights. It writes the
// gradients of the gates over them in `saved`.
void scan_backward(const Plan&, std::vector<Placed>);

// y = x W' + b, and its way back. Null: no bias; a gradient that nobody asks for.
void linear(Index rows, Index inputs, Index outputs, const float* x, const float* weight, const float* bias, float* y);
void linear_backward(Index rows, Index inputs, Index outputs, const float* x, const float* weight, const float* dy,
                     float* dx, float* dweight, float* dbias);

}  // namespace elman
