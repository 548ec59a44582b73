// Tables of the functions that are compiled once per instruction set, and the choice of a table for this processor.
//
// Files named *_kernels.cpp define one family each. The families of a table are shared by several instruction sets
// where their code would be the same.
#pragma once

#include "engine/layer.hpp"
#include "inference/semiring.hpp"
#include "inference/state_space.hpp"
#include "layers/attention.hpp"
#include "layers/masks.hpp"

namespace elman {

// A recurrence. `packed` is the memory that `pack` has filled, for the forward or the backward pass.
struct RecurrenceKernels {
  Index (*saved_stride)(const Layer&);
  Index (*packed_size)(const Layer&, bool back);
  void (*pack)(const Layer&, float* packed, bool back, Index part, Index parts);
  void (*close_up)(const Layer&, float* packed, bool back);  // in bfloat16, once all parts are packed
  std::uint64_t (*fingerprint)(const Layer&);                // of the weights
  void (*forward)(const Layer&, float* packed, Ragged, Lanes, Index from, Index to);
  void (*backward)(const Layer&, float* packed, Ragged, Lanes, float* carry, Index from, Index to);
  Index (*sums)(const Layer&);  // floats per row that the backward pass accumulates over the steps
  Index (*gradient_scratch)(const Layer&);
  void (*weight_gradients)(const Layer&, Ragged, float* scratch, Index part, Index parts);
};

// Linear maps: y = x W' + b and, with `back`, dx = dy W. `packed` is the memory that `pack` has filled.
struct LinearKernels {
  Index (*size)(Index inputs, Index outputs, bool back);
  void (*pack)(const float* weight, const float* bias, Index inputs, Index outputs, bool back, float* packed,
               Index part, Index parts);
  Index (*blocks)(Index outputs);                             // blocks of columns: the unit of work of `multiply`
  void (*halve)(Index inputs, Index outputs, float* packed);  // converts the packed weights to bfloat16
  void (*multiply)(float* packed, Index inputs, Index outputs, bool back, bool half, Index rows, const float* x,
                   Index x_stride, float* y, Index y_stride, Index from_block, Index to_block, float* scratch);
  Index (*scratch)();
  void (*weight_gradients)(Index rows, Index inputs, Index outputs, const float* x, Index x_stride, const float* dy,
                           Index dy_stride, float* dweight, float* dbias, float* scratch, Index part, Index parts);
};

// Sums and maxima over paths of states, for a band of rows at once. `packed` is the memory that `pack` has filled.
struct SemiringKernels {
  Index (*padded)(Index states);
  Index (*packed)(Index states);
  void (*pack)(Index states, const double* log_matrix, bool logs, double* packed);
  Index (*scratch)(Index states, Index rows, Index steps, bool per_step, bool back);
  void (*sums)(const Trellis&, const double* packed, const Band&, const Sums&, double* counts, double* scratch);
  void (*counts)(Index states, const double* packed, const double* const* sums, Index count, Index from, Index to,
                 double* out);
  Index (*logs_scratch)(Index states, Index steps, bool back);
  void (*logs)(const Trellis&, Index row, const Sums&, double* counts, double* scratch);
  Index (*best_scratch)(Index states, Index steps, bool per_step);
  void (*best)(const Trellis&, const double* packed, const Band&, Index* states, double* log_prob, double* scratch);
  Index (*k_best_scratch)(Index states, Index steps, Index k);
  void (*k_best)(const Trellis&, Index row, Index k, Index* paths, double* log_prob, double* scratch);
  Index (*draw_scratch)(Index states, bool per_step);
  void (*draw)(const Trellis&, const double* packed, Index row, const double* probs, Index samples,
               const double* uniforms, Index* paths, std::uint8_t* lost, double* scratch);
};

// Kalman filter and smoother of the rows `from` to `to`.
struct KalmanKernels {
  Index (*scratch)(const StateSpace&);  // in doubles
  void (*run)(const StateSpace&, const StateEstimates&, Index from, Index to, double* scratch);
};

// Attention of at most Read::most queries that read the same steps. The backward pass adds to dkeys, dvalues and
// `ddirection`; its `scratch` holds one number per pair.
struct AttentionKernels {
  void (*attend)(const Attention&, const Read&);
  void (*attend_backward)(const Attention&, const Read&, float* ddirection, float* scratch);
};

// Small kernels that work on one row, or on each row of a batch, without a product.
struct RowKernels {
  // The k largest of the scores of one row.
  void (*best)(Index size, Index k, const float* scores, Index* ids, double* log_probs);

  // The cross-entropy loss of one row; its gradient replaces the scores.
  void (*softmax_gradient)(Index size, float smoothing, Index target, float* scores, float* loss, float* log_prob);

  // Random masks of some rows, from the hashed units in `columns`, and the products with them.
  void (*draw_masks)(const Masks&, const std::uint32_t* columns, Index from, Index to, float scale, const float* x,
                     float* y);
  void (*masked)(Index size, const std::uint8_t* kept, float scale, const float* x, float* y);

  void (*linear_scan)(Ragged, Index features, const float* a, const float* x, const float* h0, float* h, float* last);
  void (*linear_scan_backward)(Ragged, Index features, const float* a, const float* h, const float* h0, const float* dh,
                               const float* dlast, float* da, float* dx, float* dh0);

  // One step of one row.
  void (*min_gru)(Index units, const float* gates, float* h);
  void (*layer_norm)(Index size, float epsilon, const float* weight, const float* bias, const float* x, float* y);

  Index (*multiply_add)(Index repeats, float* values);  // the peak rate of a thread: see peak.hpp
};

struct Kernels {
  const char* isa;
  Index width;               // floats per vector
  bool multiplies_bfloat16;  // with an instruction; without one, bfloat16 products take longer than float32

  Index (*padded)(Index units);  // rounds up to whole vectors

  const RecurrenceKernels& recurrence;
  const LinearKernels& linear;
  const SemiringKernels& semiring;
  const KalmanKernels& kalman;
  const AttentionKernels& attention;
  const RowKernels& rows;
};

bool supported(const char* isa);  // whether this processor runs it: `avx512bf16`, `avx512`, `avx2` or `baseline`

const Kernels& kernels();  // the set that ELMAN_ISA names, else the widest one that this processor supports

}  // namespace elman
