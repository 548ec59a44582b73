// i, f, o = sigmoid(.);  g = tanh(.);  c = f c + i g;  h = o tanh(c). Slots: i f g o c, or i g o c where there is no
// forget gate.
#pragma once

#include "recurrence.hpp"

namespace elman::ELMAN_ISA {

template <bool FORGET>
struct LSTM : Defaults {
  static constexpr int x_gates = FORGET ? 4 : 3, h_gates = x_gates, h_slot = 0, cell_slot = x_gates,
                       slots = x_gates + 1;
  static constexpr int x_order[] = {0, 1, 2, 3};
  static constexpr const int* h_order = x_order;
  static constexpr bool one_product = true;  // x and h meet the same gates, which add up
  static constexpr bool direct = false;      // whether h reaches the h after it on another way than through the product
  static constexpr int f = 1, g = FORGET ? 2 : 1, o = g + 1;

  static void prepare(const Layer&, const Weights&, Index, float* const*, Index, Index) {}

  static void forward(const Layer& l, const Weights& w, const Rows& rows) {
    const auto step = [&](Index row, Index count, Index unit, Index units) {
      for (Index m = row; m < row + count; ++m)
        for (Index u = unit; u < unit + units; u += W)
          cell(rows.saved[m] + u, rows.c[m] + u, rows.y[m] + u, padded(l.units), l.units - u);
    };
    advance<h_gates>(l, w, rows, step);
  }

  ELMAN_INLINE void cell(float* s, const float* c_before, float* h, Index width, Index n) {
    const V input = sigmoid(load(s)), candidate = tanh(load(s + g * width)), output = sigmoid(load(s + o * width));
    V c = load(c_before, n);
    if constexpr (FORGET) {
      const V keep = sigmoid(load(s + f * width));
      store(s + f * width, keep);
      c = keep * c;
    }
    c = fma(input, candidate, c);
    store(s, input);
    store(s + g * width, candidate);
    store(s + o * width, output);
    store(s + cell_slot * width, c);
    store(h, output * tanh(c), n);
  }

  static void backward(const Layer& l, const Weights& w, const Rows& rows) {
    const auto step = [&](Index row, Index count, Index unit, Index units) {
      for (Index m = row; m < row + count; ++m)
        for (Index u = unit; u < unit + units; u += W)
          cell_back(rows.saved[m] + u, rows.c[m] + u, rows.dy[m] + u, rows.dh[m] + u, rows.dc[m] + u, padded(l.units),
                    l.units - u);
    };
    retreat<direct>(l, w, rows, step);
  }

  ELMAN_INLINE void cell_back(float* s, const float* c_before, const float* dy, const float* dh, float* dc, Index width,
                              Index n) {
    const V one = splat(1.0f), input = load(s), candidate = load(s + g * width), output = load(s + o * width);
    const V shown = tanh(load(s + cell_slot * width)), d = load(dh) + load(dy, n);
    const V e = fma(d * output, one - shown * shown, load(dc));
    if constexpr (FORGET) {
      const V keep = load(s + f * width);
      store(s + f * width, e * load(c_before, n) * keep * (one - keep));
      store(dc, e * keep);
    } else {
      store(dc, e);
    }
    store(s, e * candidate * input * (one - input));
    store(s + g * width, e * input * (one - candidate * candidate));
    store(s + o * width, d * shown * output * (one - output));
  }

  template <class Use>
  static void outer_products(const Use& use) {
    use(0, x_gates, x_order, true, Source::h);
  }
};

}  // namespace elman::ELMAN_ISA
