// LSTM: i, f, o = sigmoid(.), g = tanh(.), c = f c + i g, h = o tanh(c). Slots: i f g o c, or i g o c without a forget
// gate.
#pragma once

#include "engine/recurrence.hpp"

namespace elman::ELMAN_ISA {

template <bool FORGET>
struct LSTM : Defaults {
  static constexpr int x_gates = FORGET ? 4 : 3, h_gates = x_gates, h_slot = 0, cell_slot = x_gates,
                       slots = x_gates + 1;
  static constexpr int x_order[] = {0, 1, 2, 3};
  static constexpr const int* h_order = x_order;
  static constexpr bool fusable = true;
  static constexpr int f = 1, g = FORGET ? 2 : 1, o = g + 1;

  static void forward(const Layer& l, const Weights& w, const Rows& rows) {
    const auto step = each_vector(
        [&](Index m, Index u) { cell(rows.saved[m] + u, rows.c[m] + u, rows.y[m] + u, padded(l.units), l.units - u); });
    recurrent_product(l, w, rows, step);
  }

  ELMAN_INLINE void cell(float* s, const float* c_before, float* h, Index width, Index n) {
    const V input = sigmoid(load(s)), candidate = tanh(load(s + g * width)), output = sigmoid(load(s + o * width));
    V c = load(c_before, n);
    if constexpr (FORGET) {
      const V forget = sigmoid(load(s + f * width));
      store(s + f * width, forget);
      c = forget * c;
    }
    c = fma(input, candidate, c);
    store(s, input);
    store(s + g * width, candidate);
    store(s + o * width, output);
    store(s + cell_slot * width, c);
    store(h, output * tanh(c), n);
  }

  static void backward(const Layer& l, const Weights& w, const Rows& rows) {
    const auto step = each_vector([&](Index m, Index u) {
      cell_backward(rows.saved[m] + u, rows.c[m] + u, rows.dy[m] + u, rows.dh[m] + u, rows.dc[m] + u, padded(l.units),
                    l.units - u);
    });
    recurrent_product_backward(l, w, rows, direct, step);
  }

  ELMAN_INLINE void cell_backward(float* s, const float* c_before, const float* dy, const float* dh, float* dc,
                                  Index width, Index n) {
    const V one = splat(1.0f), input = load(s), candidate = load(s + g * width), output = load(s + o * width);
    const V tanh_c = tanh(load(s + cell_slot * width)), d = load(dh) + load(dy, n);
    const V e = fma(d * output, one - tanh_c * tanh_c, load(dc));  // dL/dc[t]
    if constexpr (FORGET) {
      const V forget = load(s + f * width);
      store(s + f * width, e * load(c_before, n) * forget * (one - forget));
      store(dc, e * forget);
    } else {
      store(dc, e);
    }
    store(s, e * candidate * input * (one - input));
    store(s + g * width, e * input * (one - candidate * candidate));
    store(s + o * width, d * tanh_c * output * (one - output));
  }

  static constexpr WeightGradient gradients[] = {{0, x_gates, x_order, true, Source::h}};
};

}  // namespace elman::ELMAN_ISA
