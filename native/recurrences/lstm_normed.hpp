// LSTM with layer norms (Ba et al. 2016): over all gates of the input product, over all gates of the recurrent product,
// and over the cell state before its tanh.
//
// z = gain_ih norm(W_ih x) + bias + gain_hh norm(W_hh h), h = o tanh(gain_c norm(m) + bias_c). The options are those of
// lstm_options.hpp. Slots: those of the plain LSTM; norm(W_ih x) and norm(W_hh h), in the backward pass the gradients
// of the products; m, then norm(m); the scales of the norms. Sums over the steps of a row: the gradients of gain_ih,
// bias, gain_hh, gain_c and bias_c, and scratch for the gradient of norm(m).
#pragma once

#include "recurrences/lstm_options.hpp"

namespace elman::ELMAN_ISA {

constexpr float norm_epsilon = 1e-5f;

ELMAN_INLINE V first(V v, Index n) {  // the first n values, then zeros
  if (n >= W) return v;
  float numbers[W];
  store(numbers, v);
  return load(numbers, n);
}

// Layer norm over x [parts, padded(units)], which has zeros behind the units of each part.
struct Norm {
  float mean, scale;

  Norm(const float* x, Index parts, Index units) {
    V sums{}, squares{};
    const Index width = padded(units);
    for (Index i = 0; i < parts * width; i += W) sums += load(x + i);
    const float size = static_cast<float>(parts * units);
    mean = sum(sums) / size;
    for (Index part = 0; part < parts; ++part)
      for (Index u = 0; u < units; u += W) {
        const V deviation = first(load(x + part * width + u) - splat(mean), units - u);
        squares = fma(deviation, deviation, squares);
      }
    scale = 1.0f / __builtin_sqrtf(sum(squares) / size + norm_epsilon);
  }
  V operator()(V x) const { return (x - splat(mean)) * splat(scale); }
};

// Backward pass of a layer norm, from the gradients of its output, times the gain, and its output.
struct NormBackward {
  V gradients{}, products{};  // sums

  void add(V d, V normed) {
    gradients += d;
    products = fma(d, normed, products);
  }
  auto input_gradient(float scale, Index size) const {
    const float count = static_cast<float>(size);
    return [=, mean = splat(sum(gradients) / count), slope = splat(sum(products) / count)](V d, V normed) {
      return splat(scale) * (d - mean - normed * slope);
    };
  }
};

template <bool FORGET>
struct LSTMNormed : LSTMOptions<FORGET> {
  using Options = LSTMOptions<FORGET>;
  using At = typename Options::At;
  static constexpr bool normed = true, fusable = false;
  static constexpr int gates = Options::x_gates, x_slot = Options::cell_slot + 1, h_slot = x_slot + gates,
                       memory = h_slot + gates, stats = memory + 1, slots = stats + 1;
  static constexpr int dgain_ih = 0, dbias = gates, dgain_hh = 2 * gates, dgain_c = 3 * gates, dbias_c = dgain_c + 1,
                       dmemory_sum = dbias_c + 1, sums = dmemory_sum + 1;

  // Calls `use` for each vector of all gates with its offset in the slots, its offset in [G H] and the units that are
  // left of the gate.
  template <class Use>
  ELMAN_INLINE void each(const Layer& l, const Use& use) {
    for (int gate = 0; gate < gates; ++gate)
      for (Index u = 0; u < l.units; u += W) use(gate * padded(l.units) + u, gate * l.units + u, l.units - u);
  }

  static void forward(const Layer& l, const Weights& w, const Rows& rows) {
    const Index width = padded(l.units);
    product({.rows = rows.carried, .a = rows.h_in, .b = w.hh, .c = rows.saved});
    for (Index m = 0; m < rows.count; ++m) {
      float *const s = rows.saved[m], *const x = s + x_slot * width, *const h = s + h_slot * width;
      if (m >= rows.carried) std::memset(h, 0, sizeof(float) * static_cast<std::size_t>(gates * width));
      const Norm norm_x(x, gates, l.units), norm_h(h, gates, l.units);
      each(l, [&](Index at, Index place, Index n) {
        const V from_x = first(norm_x(load(x + at)), n), from_h = first(norm_h(load(h + at)), n);
        const V from_inputs = fma(load(l.gain_ih + place, n), from_x, load(l.bias + place, n));
        store(x + at, from_x);
        store(h + at, from_h);
        store(s + at, fma(load(l.gain_hh + place, n), from_h, from_inputs));
      });
      float *const memory_of = s + memory * width, *const numbers = s + stats * width;
      for (Index u = 0; u < l.units; u += W) {
        const At at = Options::unit_of(l, rows, m, u);
        store(memory_of + u, first(Options::cell_state(at, s + u, rows.c[m] + u, width), at.n));
      }
      const Norm norm_c(memory_of, 1, l.units);
      for (Index u = 0; u < l.units; u += W) {
        const At at = Options::unit_of(l, rows, m, u);
        const V normed_c = norm_c(load(memory_of + u));
        store(memory_of + u, normed_c);
        const V output = load(s + Options::o * width + u) * tanh(scaled(l, u, normed_c));
        Options::zoneout_h(output, at, rows.h[m] + u, rows.y[m] + u);
      }
      numbers[0] = norm_x.scale, numbers[1] = norm_h.scale, numbers[2] = norm_c.scale;
    }
  }

  // gain_c norm(m) + bias_c.
  ELMAN_INLINE V scaled(const Layer& l, Index u, V normed_c) {
    return fma(load(l.gain_c + u, l.units - u), normed_c, load(l.bias_c + u, l.units - u));
  }

  static void backward(const Layer& l, const Weights& w, const Rows& rows) {
    const Index width = padded(l.units);
    const V one = splat(1.0f);
    recurrent_product_backward(l, w, rows, Options::direct, {});
    for (Index m = 0; m < rows.count; ++m) {
      float *const s = rows.saved[m], *const x = s + x_slot * width, *const h = s + h_slot * width;
      const float *const numbers = s + stats * width, *const memory_of = s + memory * width;
      const auto total = [&](int sum, Index at) { return rows.sums[m] + sum * width + at; };
      const auto increase = [](float* sum, V d) { store(sum, load(sum) + d); };
      NormBackward c_backward, x_backward, h_backward;
      for (Index u = 0; u < l.units; u += W) {
        const At at = Options::unit_of(l, rows, m, u);
        const V dh = first(Options::zoneout_h_backward(at, rows.dy[m] + u, rows.dh[m] + u), at.n);
        const V output = load(s + Options::o * width + u), normed_c = load(memory_of + u),
                tanh_c = tanh(scaled(l, u, normed_c));
        const V d = dh * output * (one - tanh_c * tanh_c), dmemory = d * load(l.gain_c + u, at.n);
        store(s + Options::o * width + u, dh * tanh_c * output * (one - output));
        store(total(dmemory_sum, u), dmemory);
        increase(total(dgain_c, u), d * normed_c);
        increase(total(dbias_c, u), d);
        c_backward.add(dmemory, normed_c);
      }
      const auto through_c = c_backward.input_gradient(numbers[2], l.units);
      for (Index u = 0; u < l.units; u += W) {
        const At at = Options::unit_of(l, rows, m, u);
        const V dmemory = first(through_c(load(total(dmemory_sum, u)), load(memory_of + u)), at.n);
        Options::cell_state_backward(at, s + u, rows.c[m] + u, load(s + Options::o * width + u), dmemory,
                                     rows.dc[m] + u, width);
      }
      each(l, [&](Index at, Index place, Index n) {
        const V d = first(load(s + at), n), from_x = load(x + at), from_h = load(h + at);
        store(s + at, d);
        increase(total(dgain_ih, at), d * from_x);
        increase(total(dbias, at), d);
        increase(total(dgain_hh, at), d * from_h);
        x_backward.add(d * load(l.gain_ih + place, n), from_x);
        h_backward.add(d * load(l.gain_hh + place, n), from_h);
      });
      const auto through_x = x_backward.input_gradient(numbers[0], gates * l.units),
                 through_h = h_backward.input_gradient(numbers[1], gates * l.units);
      each(l, [&](Index at, Index place, Index n) {
        const V d = load(s + at);
        store(x + at, first(through_x(d * load(l.gain_ih + place, n), load(x + at)), n));
        store(h + at, first(through_h(d * load(l.gain_hh + place, n), load(h + at)), n));
      });
    }
  }

  static constexpr WeightGradient gradients[] = {{x_slot, gates, Options::x_order, true, Source::none},
                                                 {h_slot, gates, Options::x_order, false, Source::h}};

  static void other_gradients(const Layer& l, Ragged batch, Index stride, float* scratch, Index part, Index parts) {
    Options::other_gradients(l, batch, stride, scratch, part, parts);
    const Index width = padded(l.units), vectors = width / W;
    for (Index v = vectors * part / parts; v < vectors * (part + 1) / parts; ++v) {
      V totals[dmemory_sum] = {};
      for (Index row = 0; row < batch.rows; ++row)
        for (int sum = 0; sum < dmemory_sum; ++sum) totals[sum] += load(l.sums + (row * sums + sum) * width + v * W);
      const Index u = v * W, n = l.units - u;
      for (int gate = 0; gate < gates; ++gate) {
        store(l.dgain_ih + gate * l.units + u, totals[dgain_ih + gate], n);
        store(l.dbias + gate * l.units + u, totals[dbias + gate], n);
        store(l.dgain_hh + gate * l.units + u, totals[dgain_hh + gate], n);
      }
      store(l.dgain_c + u, totals[dgain_c], n);
      store(l.dbias_c + u, totals[dbias_c], n);
    }
  }
};

}  // namespace elman::ELMAN_ISA
