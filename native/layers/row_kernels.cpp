// Small kernels that work on one row, or on each row of a batch, without a product.
#include "engine/kernels.hpp"
#include "engine/peak.hpp"
#include "layers/best_rows.hpp"
#include "layers/linear_scan.hpp"
#include "layers/mask_rows.hpp"
#include "layers/pointwise.hpp"
#include "layers/softmax_rows.hpp"

namespace elman::ELMAN_ISA {

extern const RowKernels row_kernels;
constinit const RowKernels row_kernels = {
    .best = best,
    .softmax_gradient = softmax_gradient,
    .draw_masks = draw_masks,
    .masked = masked,
    .linear_scan = linear_scan,
    .linear_scan_backward = linear_scan_backward,
    .min_gru = min_gru,
    .layer_norm = layer_norm,
    .multiply_add = multiply_add,
};

}  // namespace elman::ELMAN_ISA
