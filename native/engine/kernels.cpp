// The table of one instruction set: compiled once per set, with ELMAN_ISA, ELMAN_WIDTH and the set's flags.
//
// Code that is compiled per instruction set must not instantiate templates of the standard library: the linker would
// keep one copy of them, possibly one that this processor cannot run.
#include "engine/kernels.hpp"

#include "engine/gemm.hpp"

// The set whose families are used where they need no bfloat16 products; by default this one.
#ifndef ELMAN_SHARED
#define ELMAN_SHARED ELMAN_ISA
#endif

namespace elman {

namespace ELMAN_SHARED {
extern const LinearKernels linear_kernels;
extern const SemiringKernels semiring_kernels;
extern const KalmanKernels kalman_kernels;
extern const AttentionKernels attention_kernels;
extern const RowKernels row_kernels;
}  // namespace ELMAN_SHARED

namespace ELMAN_ISA {

extern const RecurrenceKernels recurrence_kernels;

#define ELMAN_TEXT(word) #word
#define ELMAN_NAME(word) ELMAN_TEXT(word)

extern const Kernels table;
constinit const Kernels table = {
    .isa = ELMAN_NAME(ELMAN_ISA),
    .width = W,
    .multiplies_bfloat16 = multiplies_bfloat16,
    .padded = [](Index units) { return padded(units); },
    .recurrence = recurrence_kernels,
    .linear = ELMAN_SHARED::linear_kernels,
    .semiring = ELMAN_SHARED::semiring_kernels,
    .kalman = ELMAN_SHARED::kalman_kernels,
    .attention = ELMAN_SHARED::attention_kernels,
    .rows = ELMAN_SHARED::row_kernels,
};

}  // namespace ELMAN_ISA
}  // namespace elman
