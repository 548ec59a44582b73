// The functions that are compiled once per instruction set, and the choice among them.
#pragma once

#include "attention.hpp"
#include "layer.hpp"
#include "masks.hpp"
#include "semiring.hpp"
#include "state_space.hpp"

namespace elman {

struct Kernels {
  const char* isa;
  Index width;               // floats of a vector
  bool multiplies_bfloat16;  // by an instruction of its own: elsewhere by two in float32, which takes longer

  Index (*padded)(Index units);  // to whole vectors

  // Recurrences. `packed` is what `pack` wrote, in `parts` shares, forward or back.
  Index (*saved_stride)(const Layer&);
  Index (*packed_size)(const Layer&, bool back);
  void (*pack)(const Layer&, float* packed, bool back, Index part, Index parts);
  void (*close_up)(const Layer&, float* packed, bool back);  // once all shares are packed, in bfloat16
  std::uint64_t (*fingerprint)(const Layer&);                // of the weights
  void (*forward)(const Layer&, float* packed, Ragged, Lanes, Index from, Index to);
  void (*backward)(const Layer&, float* packed, Ragged, Lanes, float* carry, Index from, Index to);
  Index (*sums)(const Layer&);  // floats that each row sums up on its way back
  Index (*gradient_scratch)(const Layer&);
  void (*weight_gradients)(const Layer&, Ragged, float* scratch, Index part, Index parts);

  // Linear maps: forward and, `back`, to dx. `packed` is what `linear_pack` wrote in `parts` shares.
  Index (*linear_size)(Index inputs, Index outputs, bool back);
  void (*linear_pack)(const float* weight, const float* bias, Index inputs, Index outputs, bool back, float* packed,
                      Index part, Index parts);
  Index (*linear_blocks)(Index outputs);                             // blocks of columns, the shares of a product
  void (*linear_halve)(Index inputs, Index outputs, float* packed);  // the pack to bfloat16
  void (*linear)(float* packed, Index inputs, Index outputs, bool back, bool half, Index rows, const float* x,
                 Index x_stride, float* y, Index y_stride, Index from_block, Index to_block, float* scratch);
  Index (*linear_scratch)();
  void (*linear_weight_gradients)(Index rows, Index inputs, Index outputs, const float* x, Index x_stride,
                                  const float* dy, Index dy_stride, float* dweight, float* dbias, float* scratch,
                                  Index part, Index parts);

  Index (*multiply_add)(Index repeats, float* values);

  void (*linear_scan)(Ragged, Index features, const float* a, const float* x, const float* h0, float* h, float* last);
  void (*linear_scan_backward)(Ragged, Index features, const float* a, const float* h, const float* h0, const float* dh,
                               const float* dlast, float* da, float* dx, float* dh0);

  // Sums and maxima over paths of states, a band of rows at once. `packed` is what `semiring_pack` wrote.
  Index (*semiring_padded)(Index states);
  Index (*semiring_packed)(Index states);
  void (*semiring_pack)(Index states, const double* log_matrix, bool logs, double* packed);
  Index (*semiring_scratch)(Index states, Index rows, Index steps, bool per_step, bool back);
  void (*semiring_sums)(const Trellis&, const double* packed, const Band&, const Sums&, double* counts,
                        double* scratch);
  void (*semiring_counts)(Index states, const double* packed, const double* const* sums, Index count, Index from,
                          Index to, double* out);
  Index (*semiring_logs_scratch)(Index states, Index steps, bool back);
  void (*semiring_logs)(const Trellis&, Index row, const Sums&, double* counts, double* scratch);
  Index (*semiring_best_scratch)(Index states, Index steps, bool per_step);
  void (*semiring_best)(const Trellis&, const double* packed, const Band&, Index* states, double* log_prob,
                        double* scratch);
  Index (*semiring_k_best_scratch)(Index states, Index steps, Index k);
  void (*semiring_k_best)(const Trellis&, Index row, Index k, Index* paths, double* log_prob, double* scratch);
  Index (*semiring_draw_scratch)(Index states, bool per_step);
  void (*semiring_draw)(const Trellis&, const double* packed, Index row, const double* probs, Index samples,
                        const double* uniforms, Index* paths, std::uint8_t* lost, double* scratch);

  // Kalman filter and smoother of some rows. `scratch` doubles are theirs.
  Index (*kalman_scratch)(const StateSpace&);
  void (*kalman)(const StateSpace&, const Beliefs&, Index from, Index to, double* scratch);

  // Masks of some rows, whose bits `columns` and their words decide, and the products with them.
  void (*draw_masks)(const Masks&, const std::uint32_t* columns, Index from, Index to, float scale, const float* x,
                     float* y);
  void (*masked)(Index size, const std::uint8_t* kept, float scale, const float* x, float* y);

  // Attention of at most Read::most queries that read the same steps. Back, dkeys, dvalues and `ddirection` are added
  // to, and `scratch` holds a number for each pair.
  void (*attend)(const Attention&, const Read&);
  void (*attend_backward)(const Attention&, const Read&, float* ddirection, float* scratch);

  // The largest numbers of one row.
  void (*best)(Index size, Index k, const float* scores, Index* ids, double* log_probs);

  // The loss of a softmax, and its gradient in place of the scores.
  void (*softmax_gradient)(Index size, float smoothing, Index target, float* scores, float* loss, float* log_prob);

  // Steps of one row.
  void (*min_gru)(Index units, const float* gates, float* h);
  void (*layer_norm)(Index size, float epsilon, const float* weight, const float* bias, const float* x, float* y);
};

bool supported(const char* isa);  // whether this processor runs it: `avx512bf16`, `avx512`, `avx2` or `baseline`

const Kernels& kernels();  // what ELMAN_ISA names, else the widest that this processor has

}  // namespace elman
