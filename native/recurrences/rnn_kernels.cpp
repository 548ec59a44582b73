// Elman's network: h = f(x W_ih' + h W_hh' + b). One slot: the gate, in the backward pass its gradient.
#include "engine/recurrence.hpp"

namespace elman::ELMAN_ISA {

template <Activation F>
struct RNN : Defaults {
  static constexpr int x_gates = 1, h_gates = 1, h_slot = 0, cell_slot = 0, slots = 1;
  static constexpr int x_order[] = {0};
  static constexpr const int* h_order = x_order;
  static constexpr bool fusable = true;

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

  static void forward(const Layer& l, const Weights& w, const Rows& rows) {
    const auto step =
        each_vector([&](Index m, Index u) { store(rows.y[m] + u, activation(load(rows.saved[m] + u)), l.units - u); });
    recurrent_product(l, w, rows, step);
  }

  static void backward(const Layer& l, const Weights& w, const Rows& rows) {
    const auto step = each_vector([&](Index m, Index u) {
      const Index n = l.units - u;
      store(rows.saved[m] + u, (load(rows.dh[m] + u) + load(rows.dy[m] + u, n)) * slope(load(rows.y[m] + u, n)));
    });
    recurrent_product_backward(l, w, rows, direct, step);
  }

  static constexpr WeightGradient gradients[] = {{0, 1, x_order, true, Source::h}};
};

const Cell& rnn_cell(const Layer& layer) {
  switch (layer.activation) {
    case Activation::sigmoid: return cell_of<RNN<Activation::sigmoid>>;
    case Activation::relu: return cell_of<RNN<Activation::relu>>;
    case Activation::identity: return cell_of<RNN<Activation::identity>>;
    default: return cell_of<RNN<Activation::tanh>>;
  }
}

}  // namespace elman::ELMAN_ISA
