// Interface between the time loop (recurrence_kernels.cpp) and the arithmetic of one step of each cell (recurrences/).
//
// The gates of a step are in `saved`, in consecutive slots of padded(H) floats. The forward pass first fills them with
// the input products, a chunk of steps at a time, and then runs step by step. The backward pass overwrites them with
// gradients.
#pragma once

#include "engine/gemm.hpp"
#include "engine/layer.hpp"
#include "engine/simd.hpp"

namespace elman::ELMAN_ISA {

// Packed weights of a recurrence, for the forward or the backward pass.
struct Weights {
  bool fused = false;   // few inputs: `hh` holds the k of `ih`, then its own, and each step multiplies with both
  Panels ih, hh, hh_n;  // forward: [D] and [P] -> gates; hh_n: the candidate of a GRU with the reset gate before it
  Panels ih_back, hh_back, hh_n_back;  // backward: gates -> [D], [P]
  Panels hr, hr_back;                  // the projection [H] -> [P], and its transpose
  float* bias = nullptr;               // in the order of `ih`
  float* bias_hn = nullptr;            // [padded(H)]
  float* zeros = nullptr;              // [padded(H)]
};

// The rows that are computed together at one time step.
struct Rows {
  Index count = 0;
  Index carried = 0;  // rows that have a previous state (in the backward pass: a next step); they come first
  Index row[Lanes::widest];
  Index step[Lanes::widest];  // in [N, ...]
  const float* x[Lanes::widest];
  const float* h[Lanes::widest];     // h[t-1]
  const float* h_in[Lanes::widest];  // h[t-1] as the gates read it: masked where there is a mask over h
  const float* c[Lanes::widest];     // c[t-1], LSTM only
  float* saved[Lanes::widest];       // slots of this step
  float* masked[Lanes::widest];      // an extra slot, where there is a mask over h
  float* y[Lanes::widest];           // output of this step, equal to h[t]

  // Backward pass.
  const float* dy[Lanes::widest];  // dL/dy[t]
  float* dh[Lanes::widest];        // in: dL/dh[t] from step t+1; out: the part of dL/dh[t-1] that bypasses the product
  float* dc[Lanes::widest];        // in: dL/dc[t] from step t+1; out: dL/dc[t-1]
  float* sums[Lanes::widest];      // [sums, padded(H)] accumulated over the steps of the row
  const float* dnext[Lanes::widest];  // for carried rows: gradients of the gates of step t+1 that read h[t]
};

// Returns a callback for a product that calls f(m, u) for each row m and each vector of units from u on.
template <class F>
ELMAN_INLINE auto each_vector(const F& f) {
  return [f](Index row, Index count, Index unit, Index units) __attribute__((flatten)) {
    for (Index m = row; m < row + count; ++m)
      for (Index u = unit; u < unit + units; u += W) f(m, u);
  };
}

// Converts up to n mask bytes, 0 or 1, to floats.
ELMAN_INLINE V mask_values(const std::uint8_t* kept, Index n) {
  typedef std::uint8_t Bytes __attribute__((vector_size(W)));
  Bytes bytes{};
  std::memcpy(&bytes, kept, static_cast<std::size_t>(n < W ? n : W));
  return __builtin_convertvector(__builtin_convertvector(bytes, Integers), V);
}

// The mask over h of a row, for the units from u on, scaled.
ELMAN_INLINE V hidden_mask(const Layer& l, Index row, Index u) {
  return mask_values(l.options.hidden.kept + row * l.outputs + u, l.outputs - u) * splat(l.options.hidden.rate);
}

// Operand of the recurrent weights: h[t-1], followed by a one where there is a recurrent bias, or r h[t-1].
enum class Source { none, h, h_and_one, reset_h };

// A sum of outer products that gives some rows of the weight gradients: of the gates in `slots` slots from `slot` on,
// whose rows in the weights are `order`, with [x, 1] where `x`, and with the source of the state.
struct WeightGradient {
  int slot, slots;
  const int* order;
  bool x;
  Source h;
};

// A kind of cell: the layout of its slots, and one step of its forward and backward pass.
struct Cell {
  int x_gates, h_gates;          // gates that read x, gates that read h
  int x_slot, h_slot;            // first slot of the input and of the recurrent product, and of their gradients
  int cell_slot;                 // slot of the cell state; 0: no cell state
  int slots;                     // slots per step
  const int *x_order, *h_order;  // gate of the weights for each slot of the products
  bool fusable;                  // x and h feed the same gates: with few inputs, one product per step
  bool direct;                   // h[t-1] also reaches h[t] without the recurrent product
  bool separate_candidate;       // the candidate of a GRU has its own recurrent product
  bool projection;               // h is a projection, of P <= H features
  bool normed;                   // products are normalised before the bias is added
  int sums;                      // vectors of padded(H) that the backward pass accumulates for each row
  const WeightGradient* gradients;
  Index gradient_count;

  void (*forward)(const Layer&, const Weights&, const Rows&);
  void (*backward)(const Layer&, const Weights&, const Rows&);
  // Completes some units of some rows after the input product; may be null, as the next one.
  void (*prepare)(const Layer&, const Weights&, Index count, float* const* saved, Index unit, Index units);
  // Computes the gradients of other parameters than the weights, one of `parts` parts of them.
  void (*other_gradients)(const Layer&, Ragged, Index stride, float* scratch, Index part, Index parts);
};

// Default properties of a cell.
struct Defaults {
  static constexpr bool fusable = false, direct = false, separate_candidate = false, projection = false, normed = false;
  static constexpr int x_slot = 0, sums = 0;
  static constexpr decltype(Cell::prepare) prepare = nullptr;
  static constexpr decltype(Cell::other_gradients) other_gradients = nullptr;
};

template <class R>
constexpr Cell cell_of = {
    .x_gates = R::x_gates,
    .h_gates = R::h_gates,
    .x_slot = R::x_slot,
    .h_slot = R::h_slot,
    .cell_slot = R::cell_slot,
    .slots = R::slots,
    .x_order = R::x_order,
    .h_order = R::h_order,
    .fusable = R::fusable,
    .direct = R::direct,
    .separate_candidate = R::separate_candidate,
    .projection = R::projection,
    .normed = R::normed,
    .sums = R::sums,
    .gradients = R::gradients,
    .gradient_count = sizeof(R::gradients) / sizeof(WeightGradient),
    .forward = R::forward,
    .backward = R::backward,
    .prepare = R::prepare,
    .other_gradients = R::other_gradients,
};

// The cell of a layer, by its kind, activation and options.
const Cell& rnn_cell(const Layer&);
const Cell& lstm_cell(const Layer&);
const Cell& gru_cell(const Layer&);

// Computes the recurrent product, and the input product where they are fused; calls `after` for all rows.
void recurrent_product(const Layer&, const Weights&, const Rows&, After);

// Adds the gradient that arrives through the gates of the next step, and through the mask over h, to dh; calls `after`
// for all rows. Without `direct`, dh is overwritten.
void recurrent_product_backward(const Layer&, const Weights&, const Rows&, bool direct, After);

}  // namespace elman::ELMAN_ISA
