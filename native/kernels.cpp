// Everything that depends on the instruction set: compiled once for each, with ELMAN_ISA, ELMAN_WIDTH and its flags.
//
// No code of the standard library is instantiated here: the linker would keep one copy of it, perhaps that of a
// processor that this one is not.
#include "kernels.hpp"

#include "attention_rows.hpp"
#include "best_rows.hpp"
#include "gru.hpp"
#include "kalman.hpp"
#include "linear.hpp"
#include "linear_scan.hpp"
#include "lstm_normed.hpp"
#include "lstm_options.hpp"
#include "lstm_projected.hpp"
#include "mask_rows.hpp"
#include "peak.hpp"
#include "pointwise.hpp"
#include "rnn.hpp"
#include "semiring_logs.hpp"
#include "semiring_paths.hpp"
#include "semiring_scan.hpp"
#include "softmax_rows.hpp"

namespace elman::ELMAN_ISA {

template <bool FORGET, class Use>
static auto with_options(const Layer& l, const Use& use) {
  if (l.gain_hh) return use(LSTMNormed<FORGET>{});
  if (l.outputs != l.units) return use(LSTMProjected<FORGET>{});
  return l.options.any ? use(LSTMOptions<FORGET>{}) : use(LSTM<FORGET>{});
}

// Calls `use` with the recurrence that a layer names.
template <class Use>
static auto with(const Layer& l, const Use& use) {
  switch (l.kind) {
    case Kind::lstm: return with_options<true>(l, use);
    case Kind::lstm_without_forget: return with_options<false>(l, use);
    case Kind::gru_after: return use(GRUAfter{});
    case Kind::gru_before: return use(GRUBefore{});
    default: break;
  }
  switch (l.activation) {
    case Activation::sigmoid: return use(RNN<Activation::sigmoid>{});
    case Activation::relu: return use(RNN<Activation::relu>{});
    case Activation::identity: return use(RNN<Activation::identity>{});
    default: return use(RNN<Activation::tanh>{});
  }
}

static Index saved_stride_of(const Layer& l) {
  return with(l, [&]<class R>(R) { return Recurrence<R>::stride(l); });
}
static Index packed_size(const Layer& l, bool back) {
  return with(l, [&]<class R>(R) {
    Arena arena;
    layout<R>(l, arena, back);
    return arena.used;
  });
}
static void pack_part(const Layer& l, float* packed, bool back, Index part, Index parts) {
  with(l, [&]<class R>(R) { pack<R>(l, packed, back, part, parts); });
}
static void close_up_packed(const Layer& l, float* packed, bool back) {
  with(l, [&]<class R>(R) { close_up<R>(l, packed, back); });
}
static std::uint64_t fingerprint_of(const Layer& l) {
  const Index gates = with(l, []<class R>(R) { return Index{R::x_gates}; }) * l.units;
  std::uint64_t print = fingerprint(l.weight_hh, gates * l.outputs, 0);
  print = fingerprint(l.weight_ih, gates * l.inputs, print);
  if (l.weight_hr) print = fingerprint(l.weight_hr, l.outputs * l.units, print);
  print = fingerprint(l.bias, gates, print);
  return l.bias_hn ? fingerprint(l.bias_hn, l.units, print) : print;
}
static void forward(const Layer& l, float* packed, Ragged batch, Lanes lanes, Index from, Index to) {
  with(l, [&]<class R>(R) {
    Arena arena{packed};
    Recurrence<R>::forward(l, layout<R>(l, arena, false), batch, lanes, from, to);
  });
}
static void backward(const Layer& l, float* packed, Ragged batch, Lanes lanes, float* carry, Index from, Index to) {
  with(l, [&]<class R>(R) {
    Arena arena{packed};
    Recurrence<R>::backward(l, layout<R>(l, arena, true), batch, lanes, carry, from, to);
  });
}
static Index sums_of(const Layer& l) {
  return with(l, []<class R>(R) { return Index{R::sums}; }) * padded(l.units);
}
static Index gradient_scratch(const Layer& l) {
  return with(l, [&]<class R>(R) { return Recurrence<R>::scratch(l); });
}
static void weight_gradients(const Layer& l, Ragged batch, float* memory, Index part, Index parts) {
  with(l, [&]<class R>(R) { Recurrence<R>::weight_gradients(l, batch, memory, part, parts); });
}

#define ELMAN_TEXT(word) #word
#define ELMAN_NAME(word) ELMAN_TEXT(word)

extern const Kernels table;
const Kernels table = {
    .isa = ELMAN_NAME(ELMAN_ISA),
    .width = W,
    .multiplies_bfloat16 = multiplies_bfloat16,
    .padded = [](Index units) { return padded(units); },
    .saved_stride = saved_stride_of,
    .packed_size = packed_size,
    .pack = pack_part,
    .close_up = close_up_packed,
    .fingerprint = fingerprint_of,
    .forward = forward,
    .backward = backward,
    .sums = sums_of,
    .gradient_scratch = gradient_scratch,
    .weight_gradients = weight_gradients,
    .linear_size = linear_size,
    .linear_pack = linear_pack,
    .linear_blocks = linear_blocks,
    .linear_halve = linear_halve,
    .linear = linear,
    .linear_scratch = linear_scratch,
    .linear_weight_gradients = linear_weight_gradients,
    .multiply_add = multiply_add,
    .linear_scan = linear_scan,
    .linear_scan_backward = linear_scan_backward,
    .semiring_padded = semiring_padded,
    .semiring_packed = semiring_packed,
    .semiring_pack = semiring_pack,
    .semiring_scratch = semiring_scratch,
    .semiring_sums = semiring_sums,
    .semiring_counts = semiring_counts,
    .semiring_logs_scratch = semiring_logs_scratch,
    .semiring_logs = semiring_logs,
    .semiring_best_scratch = semiring_best_scratch,
    .semiring_best = semiring_best,
    .semiring_k_best_scratch = semiring_k_best_scratch,
    .semiring_k_best = semiring_k_best,
    .semiring_draw_scratch = semiring_draw_scratch,
    .semiring_draw = semiring_draw,
    .kalman_scratch = kalman_scratch,
    .kalman = kalman,
    .draw_masks = draw_masks,
    .masked = masked,
    .attend = attend,
    .attend_backward = attend_backward,
    .best = best,
    .softmax_gradient = softmax_gradient,
    .min_gru = min_gru,
    .layer_norm = layer_norm,
};

}  // namespace elman::ELMAN_ISA
