// An LSTM with layer norms (Ba et al. 2016): the products with x and with h are normed, each over all gates of a step,
// and so is the memory before it is shown.
//
// z = gain_ih norm(W_ih x) + bias + gain_hh norm(W_hh h);  h = o tanh(gain_c norm(m) + bias_c). The options are those
// of lstm_options.hpp. Slots: those of the plain one; norm(W_ih x) and norm(W_hh h), on the way back the gradients of
// the products; the memory, then its norm; the scales of the norms. Sums over the steps of a row: the gradients of
// gain_ih, bias and gain_hh, of gain_c and bias_c; and room for the gradient of the normed memory.
#pragma once

#include "lstm_options.hpp"

namespace elman::ELMAN_ISA {

constexpr float norm_epsilon = 1e-5f;

ELMAN_INLINE float sum_of(V v) {
  float sum = 0.0f;
  for (int i = 0; i < W; ++i) sum += v[i];
  return sum;
}

ELMAN_INLINE V first(V v, Index n) {  // zeros behind the first n
  if (n >= W) return v;
  float numbers[W];
  store(numbers, v);
  return load(numbers, n);
}

// Numbers, [parts, padded(units)] with zeros behind the units of each part, that are normed together.
struct Norm {
  float mean, scale;

  Norm(const float* x, Index parts, Index units) {
    V sums{}, squares{};
    const Index width = padded(units);
    for (Index i = 0; i < parts * width; i += W) sums += load(x + i);
    const float size = static_cast<float>(parts * units);
    mean = sum_of(sums) / size;
    for (Index part = 0; part < parts; ++part)
      for (Index u = 0; u < units; u += W) {
        const V apart = first(load(x + part * width + u) - splat(mean), units - u);
        squares = fma(apart, apart, squares);
      }
    scale = 1.0f / __builtin_sqrtf(sum_of(squares) / size + norm_epsilon);
  }
  V operator()(V x) const { return (x - splat(mean)) * splat(scale); }
};

// The way back through a norm: from the gradients of what was normed, weighed by the gain, and what was normed.
struct NormBack {
  V weighed{}, products{};  // sums

  void add(V d, V normed) {
    weighed += d;
    products = fma(d, normed, products);
  }
  auto through(float scale, Index size) const {
    const float count = static_cast<float>(size);
    return [=, mean = splat(sum_of(weighed) / count), slope = splat(sum_of(products) / count)](V d, V normed) {
      return splat(scale) * (d - mean - normed * slope);
    };
  }
};

template <bool FORGET>
struct LSTMNormed : LSTMOptions<FORGET> {
  using Options = LSTMOptions<FORGET>;
  using At = typename Options::At;
  static constexpr bool normed = true;
  static constexpr int gates = Options::x_gates, x_slot = Options::cell_slot + 1, h_slot = x_slot + gates,
                       memory = h_slot + gates, stats = memory + 1, slots = stats + 1;
  static constexpr int dgain_ih = 0, dbias = gates, dgain_hh = 2 * gates, dgain_c = 3 * gates, dbias_c = dgain_c + 1,
                       aside = dbias_c + 1, sums = aside + 1;

  // Calls `use` with each vector of all gates: its place in slots, its place in [G H], and what is left of the gate.
  template <class Use>
  ELMAN_INLINE void each(const Layer& l, const Use& use) {
    for (int gate = 0; gate < gates; ++gate)
      for (Index u = 0; u < l.units; u += W) use(gate * padded(l.units) + u, gate * l.units + u, l.units - u);
  }

  static void forward(const Layer& l, const Weights& w, const Rows& rows) {
    const Index width = padded(l.units);
    product<gates>(rows.carried, rows.read, 1, w.hh, rows.saved, Start::zero);
    for (Index m = 0; m < rows.count; ++m) {
      float *const s = rows.saved[m], *const x = s + x_slot * width, *const h = s + h_slot * width;
      if (m >= rows.carried) std::memset(h, 0, sizeof(float) * static_cast<std::size_t>(gates * width));
      const Norm norm_x(x, gates, l.units), norm_h(h, gates, l.units);
      each(l, [&](Index at, Index place, Index n) {
        const V from_x = first(norm_x(load(x + at)), n), from_h = first(norm_h(load(h + at)), n);
        const V given = fma(load(l.gain_ih + place, n), from_x, load(l.bias + place, n));
        store(x + at, from_x);
        store(h + at, from_h);
        store(s + at, fma(load(l.gain_hh + place, n), from_h, given));
      });
      float *const memory_of = s + memory * width, *const numbers = s + stats * width;
      for (Index u = 0; u < l.units; u += W) {
        const At at = Options::unit_of(l, rows, m, u);
        store(memory_of + u, first(Options::move(at, s + u, rows.c[m] + u, width), at.n));
      }
      const Norm norm_c(memory_of, 1, l.units);
      for (Index u = 0; u < l.units; u += W) {
        const At at = Options::unit_of(l, rows, m, u);
        const V found = norm_c(load(memory_of + u));
        store(memory_of + u, found);
        Options::show(load(s + Options::o * width + u) * tanh(weighed(l, u, found)), at, rows.h[m] + u, rows.y[m] + u);
      }
      numbers[0] = norm_x.scale, numbers[1] = norm_h.scale, numbers[2] = norm_c.scale;
    }
  }

  ELMAN_INLINE V weighed(const Layer& l, Index u, V memory) {
    return fma(load(l.gain_c + u, l.units - u), memory, load(l.bias_c + u, l.units - u));
  }

  static void backward(const Layer& l, const Weights& w, const Rows& rows) {
    const Index width = padded(l.units);
    const V one = splat(1.0f);
    retreat<Options::direct>(l, w, rows, Nothing{});
    for (Index m = 0; m < rows.count; ++m) {
      float *const s = rows.saved[m], *const x = s + x_slot * width, *const h = s + h_slot * width;
      const float *const numbers = s + stats * width, *const memory_of = s + memory * width;
      const auto total = [&](int sum, Index at) { return rows.sums[m] + sum * width + at; };
      const auto increase = [](float* sum, V d) { store(sum, load(sum) + d); };
      NormBack c_back, x_back, h_back;
      for (Index u = 0; u < l.units; u += W) {
        const At at = Options::unit_of(l, rows, m, u);
        const V shown = first(Options::show_back(at, rows.dy[m] + u, rows.dh[m] + u), at.n);
        const V output = load(s + Options::o * width + u), found = load(memory_of + u),
                seen = tanh(weighed(l, u, found));
        const V d = shown * output * (one - seen * seen), dmemory = d * load(l.gain_c + u, at.n);
        store(s + Options::o * width + u, shown * seen * output * (one - output));
        store(total(aside, u), dmemory);
        increase(total(dgain_c, u), d * found);
        increase(total(dbias_c, u), d);
        c_back.add(dmemory, found);
      }
      const auto through_c = c_back.through(numbers[2], l.units);
      for (Index u = 0; u < l.units; u += W) {
        const At at = Options::unit_of(l, rows, m, u);
        const V dmemory = first(through_c(load(total(aside, u)), load(memory_of + u)), at.n);
        Options::move_back(at, s + u, rows.c[m] + u, load(s + Options::o * width + u), dmemory, rows.dc[m] + u, width);
      }
      each(l, [&](Index at, Index place, Index n) {
        const V d = first(load(s + at), n), from_x = load(x + at), from_h = load(h + at);
        store(s + at, d);
        increase(total(dgain_ih, at), d * from_x);
        increase(total(dbias, at), d);
        increase(total(dgain_hh, at), d * from_h);
        x_back.add(d * load(l.gain_ih + place, n), from_x);
        h_back.add(d * load(l.gain_hh + place, n), from_h);
      });
      const auto through_x = x_back.through(numbers[0], gates * l.units),
                 through_h = h_back.through(numbers[1], gates * l.units);
      each(l, [&](Index at, Index place, Index n) {
        const V d = load(s + at);
        store(x + at, first(through_x(d * load(l.gain_ih + place, n), load(x + at)), n));
        store(h + at, first(through_h(d * load(l.gain_hh + place, n), load(h + at)), n));
      });
    }
  }

  template <class Use>
  static void outer_products(const Use& use) {
    use(x_slot, gates, Options::x_order, true, Source::none);
    use(h_slot, gates, Options::x_order, false, Source::h);
  }

  static void other_gradients(const Layer& l, Ragged batch, Index stride, float* scratch, Index part, Index parts) {
    Options::other_gradients(l, batch, stride, scratch, part, parts);
    const Index width = padded(l.units), vectors = width / W;
    for (Index v = vectors * part / parts; v < vectors * (part + 1) / parts; ++v) {
      V totals[aside] = {};
      for (Index row = 0; row < batch.rows; ++row)
        for (int sum = 0; sum < aside; ++sum) totals[sum] += load(l.sums + (row * sums + sum) * width + v * W);
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
