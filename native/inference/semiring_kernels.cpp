// Sums, maxima and samples over paths of states.
#include "engine/kernels.hpp"
#include "inference/semiring_logs.hpp"
#include "inference/semiring_paths.hpp"
#include "inference/semiring_scan.hpp"

namespace elman::ELMAN_ISA {

extern const SemiringKernels semiring_kernels;
constinit const SemiringKernels semiring_kernels = {
    .padded = padded_states,
    .packed = Transitions::size,
    .pack = semiring_pack,
    .scratch = semiring_scratch,
    .sums = semiring_sums,
    .counts = semiring_counts,
    .logs_scratch = RowInLogs::scratch,
    .logs = semiring_logs,
    .best_scratch = BandBest::scratch,
    .best = semiring_best,
    .k_best_scratch = semiring_k_best_scratch,
    .k_best = semiring_k_best,
    .draw_scratch = semiring_draw_scratch,
    .draw = semiring_draw,
};

}  // namespace elman::ELMAN_ISA
