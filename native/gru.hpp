// r, z = sigmoid(.);  n = tanh(.);  h = n + z (h - n), with the reset gate r after or before the product with h.
//
// Slots: n r z and, after: h W_hn' + b_hn; before: r h, and its gradient. So the gates that read x lie together (n r
// z), and so do those that read h (r z hn).
#pragma once

#include "recurrence.hpp"

namespace elman::ELMAN_ISA {

struct GRU : Defaults {
  static constexpr int x_gates = 3, h_slot = 1, cell_slot = 0;
  static constexpr int x_order[] = {2, 0, 1}, h_order[] = {0, 1, 2};
  static constexpr bool one_product = false;
  static constexpr bool direct = true;

  // What all of the step but the reset has in common: the gradients of n and z from that of the new h.
  ELMAN_INLINE void blend_back(float* s, V h, const float* dy, float* dh, Index width, Index n) {
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
    const auto step = [&](Index row, Index count, Index unit, Index units) {
      for (Index m = row; m < row + count; ++m)
        for (Index u = unit; u < unit + units; u += W) {
          float* s = rows.saved[m] + u;
          const Index n = l.units - u;
          const V reset = sigmoid(load(s + width)), update = sigmoid(load(s + 2 * width));
          const V candidate = tanh(fma(reset, load(s + 3 * width), load(s)));
          store(s, candidate);
          store(s + width, reset);
          store(s + 2 * width, update);
          store(rows.y[m] + u, fma(update, load(rows.h[m] + u, n) - candidate, candidate), n);
        }
    };
    advance<3>(l, w, rows, step);
  }

  static void backward(const Layer& l, const Weights& w, const Rows& rows) {
    const Index width = padded(l.units);
    const auto step = [&](Index row, Index count, Index unit, Index units) {
      for (Index m = row; m < row + count; ++m)
        for (Index u = unit; u < unit + units; u += W) {
          float* s = rows.saved[m] + u;
          const Index n = l.units - u;
          blend_back(s, load(rows.h[m] + u, n), rows.dy[m] + u, rows.dh[m] + u, width, n);
          const V d = load(s), reset = load(s + width);
          store(s + width, d * load(s + 3 * width) * reset * (splat(1.0f) - reset));
          store(s + 3 * width, d * reset);
        }
    };
    retreat<direct>(l, w, rows, step);
  }

  template <class Use>
  static void outer_products(const Use& use) {
    use(0, 3, x_order, true, Source::none);
    use(1, 3, h_order, false, Source::h_and_one);
  }
};

struct GRUBefore : GRU {
  static constexpr int h_gates = 2, slots = 5;
  static constexpr bool candidate = true;

  static void prepare(const Layer&, const Weights&, Index, float* const*, Index, Index) {}

  static void forward(const Layer& l, const Weights& w, const Rows& rows) {
    const Index width = padded(l.units);
    const auto gates = [&](Index row, Index count, Index unit, Index units) {
      for (Index m = row; m < row + count; ++m)
        for (Index u = unit; u < unit + units; u += W) {
          float* s = rows.saved[m] + u;
          const V reset = sigmoid(load(s + width));
          store(s + width, reset);
          store(s + 2 * width, sigmoid(load(s + 2 * width)));
          store(s + 3 * width, reset * load(rows.h[m] + u, l.units - u));
        }
    };
    const auto blend = [&](Index row, Index count, Index unit, Index units) {
      for (Index m = row; m < row + count; ++m)
        for (Index u = unit; u < unit + units; u += W) {
          float* s = rows.saved[m] + u;
          const Index n = l.units - u;
          const V candidate = tanh(load(s)), update = load(s + 2 * width);
          store(s, candidate);
          store(rows.y[m] + u, fma(update, load(rows.h[m] + u, n) - candidate, candidate), n);
        }
    };
    advance<2>(l, w, rows, gates);
    const float* read[Lanes::widest];  // r h
    for (Index m = 0; m < rows.carried; ++m) read[m] = rows.saved[m] + 3 * width;
    product<1>(rows.carried, read, 1, w.hh_n, rows.saved, Start::add, nullptr, blend);
    blend(rows.carried, rows.count - rows.carried, 0, width);
  }

  static void backward(const Layer& l, const Weights& w, const Rows& rows) {
    const Index width = padded(l.units);
    const auto blend = [&](Index row, Index count, Index unit, Index units) {
      for (Index m = row; m < row + count; ++m)
        for (Index u = unit; u < unit + units; u += W) {
          const Index n = l.units - u;
          blend_back(rows.saved[m] + u, load(rows.h[m] + u, n), rows.dy[m] + u, rows.dh[m] + u, width, n);
        }
    };
    const auto reset_back = [&](Index row, Index count, Index unit, Index units) {
      for (Index m = row; m < row + count; ++m)
        for (Index u = unit; u < unit + units; u += W) {
          float *s = rows.saved[m] + u, *dh = rows.dh[m] + u;
          const V reset = load(s + width), d = load(s + 4 * width);
          store(s + width, d * load(rows.h[m] + u, l.units - u) * reset * (splat(1.0f) - reset));
          store(dh, fma(d, reset, load(dh)));
        }
    };
    retreat<direct>(l, w, rows, blend);
    const float* d[Lanes::widest];
    float* read[Lanes::widest];  // the gradient of r h
    for (Index m = 0; m < rows.count; ++m) d[m] = rows.saved[m], read[m] = rows.saved[m] + 4 * width;
    product<1>(rows.count, d, 1, w.hh_n_back, read, Start::zero, nullptr, reset_back);
  }

  template <class Use>
  static void outer_products(const Use& use) {
    use(0, 3, x_order, true, Source::none);
    use(1, 2, h_order, false, Source::h);
    use(0, 1, x_order, false, Source::reset_h);  // x_order begins with the candidate
  }
};

}  // namespace elman::ELMAN_ISA
