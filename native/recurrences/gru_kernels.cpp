// Gated recurrent unit: r, z = sigmoid(.), n = tanh(.), h = n + z (h - n), with the reset gate r after or before the
// recurrent product of the candidate n.
//
// Slots: n r z, then h W_hn' + b_hn (reset after), or r h and its gradient (reset before). The gates that read x are
// consecutive (n r z), and so are those that read h (r z hn).
#include "engine/recurrence.hpp"

namespace elman::ELMAN_ISA {

struct GRU : Defaults {
  static constexpr int x_gates = 3, h_slot = 1, cell_slot = 0;
  static constexpr int x_order[] = {2, 0, 1}, h_order[] = {0, 1, 2};
  static constexpr bool direct = true;

  // Gradients of n and z from that of h[t], and the direct part of dL/dh[t-1].
  ELMAN_INLINE void blend_backward(float* s, V h, const float* dy, float* dh, Index width, Index n) {
    const V one = splat(1.0f), candidate = load(s), update = load(s + 2 * width), e = load(dh) + load(dy, n);
    store(dh, e * update);
    store(s + 2 * width, e * (h - candidate) * update * (one - update));
    store(s, e * (one - update) * (one - candidate * candidate));
  }
};

struct GRUAfter : GRU {
  static constexpr int h_gates = 3, slots = 4;

  static void prepare(const Layer& l, const Weights& w, Index count, float* const* saved, Index unit, Index units) {
    for (Index m = 0; m < count; ++m)
      for (Index u = unit; u < unit + units; u += W) store(saved[m] + 3 * padded(l.units) + u, load(w.bias_hn + u));
  }

  static void forward(const Layer& l, const Weights& w, const Rows& rows) {
    const Index width = padded(l.units);
    const auto step = each_vector([&](Index m, Index u) {
      float* s = rows.saved[m] + u;
      const Index n = l.units - u;
      const V reset = sigmoid(load(s + width)), update = sigmoid(load(s + 2 * width));
      const V candidate = tanh(fma(reset, load(s + 3 * width), load(s)));
      store(s, candidate);
      store(s + width, reset);
      store(s + 2 * width, update);
      store(rows.y[m] + u, fma(update, load(rows.h[m] + u, n) - candidate, candidate), n);
    });
    recurrent_product(l, w, rows, step);
  }

  static void backward(const Layer& l, const Weights& w, const Rows& rows) {
    const Index width = padded(l.units);
    const auto step = each_vector([&](Index m, Index u) {
      float* s = rows.saved[m] + u;
      const Index n = l.units - u;
      blend_backward(s, load(rows.h[m] + u, n), rows.dy[m] + u, rows.dh[m] + u, width, n);
      const V d = load(s), reset = load(s + width);
      store(s + width, d * load(s + 3 * width) * reset * (splat(1.0f) - reset));
      store(s + 3 * width, d * reset);
    });
    recurrent_product_backward(l, w, rows, direct, step);
  }

  static constexpr WeightGradient gradients[] = {{0, 3, x_order, true, Source::none},
                                                 {1, 3, h_order, false, Source::h_and_one}};
};

struct GRUBefore : GRU {
  static constexpr int h_gates = 2, slots = 5;
  static constexpr bool separate_candidate = true;

  static void forward(const Layer& l, const Weights& w, const Rows& rows) {
    const Index width = padded(l.units);
    const auto gates = each_vector([&](Index m, Index u) {
      float* s = rows.saved[m] + u;
      const V reset = sigmoid(load(s + width));
      store(s + width, reset);
      store(s + 2 * width, sigmoid(load(s + 2 * width)));
      store(s + 3 * width, reset * load(rows.h[m] + u, l.units - u));
    });
    const auto blend = each_vector([&](Index m, Index u) {
      float* s = rows.saved[m] + u;
      const Index n = l.units - u;
      const V candidate = tanh(load(s)), update = load(s + 2 * width);
      store(s, candidate);
      store(rows.y[m] + u, fma(update, load(rows.h[m] + u, n) - candidate, candidate), n);
    });
    recurrent_product(l, w, rows, gates);
    const float* reset_h[Lanes::widest];
    for (Index m = 0; m < rows.carried; ++m) reset_h[m] = rows.saved[m] + 3 * width;
    product({.rows = rows.carried, .a = reset_h, .b = w.hh_n, .c = rows.saved, .start = Start::add, .after = blend});
    blend(rows.carried, rows.count - rows.carried, 0, width);
  }

  static void backward(const Layer& l, const Weights& w, const Rows& rows) {
    const Index width = padded(l.units);
    const auto blend = each_vector([&](Index m, Index u) {
      const Index n = l.units - u;
      blend_backward(rows.saved[m] + u, load(rows.h[m] + u, n), rows.dy[m] + u, rows.dh[m] + u, width, n);
    });
    const auto reset_backward = each_vector([&](Index m, Index u) {
      float *s = rows.saved[m] + u, *dh = rows.dh[m] + u;
      const V reset = load(s + width), d = load(s + 4 * width);
      store(s + width, d * load(rows.h[m] + u, l.units - u) * reset * (splat(1.0f) - reset));
      store(dh, fma(d, reset, load(dh)));
    });
    recurrent_product_backward(l, w, rows, direct, blend);
    const float* dcandidate[Lanes::widest];
    float* dreset_h[Lanes::widest];
    for (Index m = 0; m < rows.count; ++m) dcandidate[m] = rows.saved[m], dreset_h[m] = rows.saved[m] + 4 * width;
    product({.rows = rows.count, .a = dcandidate, .b = w.hh_n_back, .c = dreset_h, .after = reset_backward});
  }

  static constexpr WeightGradient gradients[] = {{0, 3, x_order, true, Source::none},
                                                 {1, 2, h_order, false, Source::h},
                                                 {0, 1, x_order, false, Source::reset_h}};  // the candidate
};

const Cell& gru_cell(const Layer& layer) {
  return layer.kind == Kind::gru_after ? cell_of<GRUAfter> : cell_of<GRUBefore>;
}

}  // namespace elman::ELMAN_ISA
