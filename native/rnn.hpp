// h = f(x W_ih' + h W_hh' + b). One slot: the gate forward, and its gradient on the way back.
#pragma once

#include "recurrence.hpp"

namespace elman::ELMAN_ISA {

template <Activation F>
struct RNN : Defaults {
  static constexpr int x_gates = 1, h_gates = 1, h_slot = 0, cell_slot = 0, slots = 1;
  static constexpr int x_order[] = {0};
  static constexpr const int* h_order = x_order;
  static constexpr bool one_product = true;  // x and h meet the same gates, which add up
  static constexpr bool direct = false;

  ELMAN_INLINE V activation(V a) {
    if constexpr (F == Activation::tanh) return tanh(a);
    else if constexpr (F == Activation::sigmoid) return sigmoid(a);
    else if constexpr (F == Activation::relu) return a < 0.0f ? V{} : a;  // NaN stays NaN
    else return a;
  }
  ELMAN_INLINE V slope(V y) {
    if constexpr (F == Activation::tanh) return splat(1.0f) - y * y;
    else if constexpr (F == Activation::sigmoid) return y * (splat(1.0f) - y);
    else if constexpr (F == Activation::relu) return y > 0.0f ? splat(1.0f) : V{};
    else return splat(1.0f);
  }

  static void prepare(const Layer&, const Weights&, Index, float* const*, Index, Index) {}

  static void forward(const Layer& l, const Weights& w, const Rows& rows) {
    const auto step = [&](Index row, Index count, Index unit, Index units) {
      for (Index m = row; m < row + count; ++m)
        for (Index u = unit; u < unit + units; u += W)
          store(rows.y[m] + u, activation(load(rows.saved[m] + u)), l.units - u);
    };
    advance<1>(l, w, rows, step);
  }

  static void backward(const Layer& l, const Weights& w, const Rows& rows) {
    const auto step = [&](Index row, Index count, Index unit, Index units) {
      for (Index m = row; m < row + count; ++m)
        for (Index u = unit; u < unit + units; u += W) {
          const Index n = l.units - u;
          store(rows.saved[m] + u, (load(rows.dh[m] + u) + load(rows.dy[m] + u, n)) * slope(load(rows.y[m] + u, n)));
        }
    };
    retreat<direct>(l, w, rows, step);
  }

  template <class Use>
  static void outer_products(const Use& use) {
    use(0, 1, x_order, true, Source::h);
  }
};

}  // namespace elman::ELMAN_ISA
