// An LSTM with layer norms (Ba et al. 2016): the product with h is normed over all gates of a step and added to what is
// given, which is the normed product with x, with the biases; and so is the memory before it is shown.
//
// z = x + gain_hh norm(W_hh h);  h = o tanh(gain_c norm(m) + bias_c). The options are those of lstm_options.hpp.
// Slots: those of the plain one; norm(W_hh h), on the way back the gradient of W_hh h; then, on the way back, what
// gain_hh, gain_c and bias_c get of the step; and the means and scales of the norms.
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

template <bool FORGET>
struct LSTMNormed : LSTMOptions<FORGET> {
  using Options = LSTMOptions<FORGET>;
  using At = typename Options::At;
  static constexpr bool given = true;
  static constexpr int gates = Options::x_gates, h_slot = Options::cell_slot + 1, dgain_slot = h_slot + gates,
                       dgain_c_slot = dgain_slot + gates, dbias_c_slot = dgain_c_slot + 1, stats = dbias_c_slot + 1,
                       slots = stats + 1;

  // Calls `use` with each vector of all gates: its place in the slots, its place in [G H], and what is left of the
  // gate.
  template <class Use>
  ELMAN_INLINE void each(const Layer& l, const Use& use) {
    for (int gate = 0; gate < gates; ++gate)
      for (Index u = 0; u < l.units; u += W) use(gate * padded(l.units) + u, gate * l.units + u, l.units - u);
  }

  static void forward(const Layer& l, const Weights& w, const Rows& rows) {
    const Index width = padded(l.units);
    product<gates>(rows.carried, rows.read, 1, w.hh, rows.saved, Start::zero);
    for (Index m = 0; m < rows.count; ++m) {
      float *const s = rows.saved[m], *const normed = s + h_slot * width, *const numbers = s + stats * width;
      if (m < rows.carried) {
        V sums{}, squares{};
        each(l, [&](Index at, Index, Index) { sums += load(normed + at); });  // zeros behind the units
        const float size = static_cast<float>(gates * l.units), mean = sum_of(sums) / size;
        each(l, [&](Index at, Index, Index n) {
          const V apart = first(load(normed + at) - splat(mean), n);
          squares = fma(apart, apart, squares);
        });
        numbers[0] = scale_of(sum_of(squares) / size);
        each(l, [&](Index at, Index place, Index n) {
          const V found = first(load(normed + at) - splat(mean), n) * splat(numbers[0]);
          store(normed + at, found);
          store(s + at, fma(load(l.gain_hh + place, n), found, load(s + at)));
        });
      } else {
        numbers[0] = scale_of(0.0f);
        each(l, [&](Index at, Index, Index) { store(normed + at, V{}); });
      }
      float* const memory = s + dbias_c_slot * width;
      V sums{}, squares{};
      for (Index u = 0; u < l.units; u += W) {
        const V found = first(Options::move(Options::unit_of(l, rows, m, u), s + u, rows.c[m] + u, width), l.units - u);
        store(memory + u, found);
        sums += found;
      }
      const float size = static_cast<float>(l.units), mean = sum_of(sums) / size;
      for (Index u = 0; u < l.units; u += W) {
        const V apart = first(load(memory + u) - splat(mean), l.units - u);
        squares = fma(apart, apart, squares);
      }
      numbers[1] = mean;
      numbers[2] = scale_of(sum_of(squares) / size);
      for (Index u = 0; u < l.units; u += W) {
        const V shown = load(s + Options::o * width + u) * tanh(normed_memory(l, u, load(memory + u), numbers));
        Options::show(shown, Options::unit_of(l, rows, m, u), rows.h[m] + u, rows.y[m] + u);
      }
    }
  }

  ELMAN_INLINE V normed_memory(const Layer& l, Index u, V memory, const float* numbers) {
    const Index n = l.units - u;
    return fma(load(l.gain_c + u, n), (memory - splat(numbers[1])) * splat(numbers[2]), load(l.bias_c + u, n));
  }

  static float scale_of(float variance) { return 1.0f / __builtin_sqrtf(variance + norm_epsilon); }

  static void backward(const Layer& l, const Weights& w, const Rows& rows) {
    const Index width = padded(l.units);
    const V one = splat(1.0f);
    retreat<Options::direct>(l, w, rows, Nothing{});
    for (Index m = 0; m < rows.count; ++m) {
      float *const s = rows.saved[m], *const normed = s + h_slot * width, *const numbers = s + stats * width;
      float *const dgain_c = s + dgain_c_slot * width, *const dbias_c = s + dbias_c_slot * width;
      V sums{}, products{};
      for (Index u = 0; u < l.units; u += W) {
        const At at = Options::unit_of(l, rows, m, u);
        const V shown = Options::show_back(at, rows.dy[m] + u, rows.dh[m] + u);
        const V output = load(s + Options::o * width + u), memory = Options::memory_of(at, s + u, rows.c[m] + u, width);
        const V found = (memory - splat(numbers[1])) * splat(numbers[2]),
                seen = tanh(normed_memory(l, u, memory, numbers));
        const V dnormed = first(shown * output * (one - seen * seen), l.units - u);
        store(s + Options::o * width + u, shown * seen * output * (one - output));
        store(dbias_c + u, dnormed);
        store(dgain_c + u, dnormed * found);
        const V weighed = dnormed * load(l.gain_c + u, l.units - u);
        sums += weighed;
        products = fma(weighed, found, products);
      }
      float size = static_cast<float>(l.units), mean = sum_of(sums) / size, slope = sum_of(products) / size;
      for (Index u = 0; u < l.units; u += W) {
        const At at = Options::unit_of(l, rows, m, u);
        const V memory = Options::memory_of(at, s + u, rows.c[m] + u, width);
        const V found = (memory - splat(numbers[1])) * splat(numbers[2]);
        const V weighed = load(dbias_c + u) * load(l.gain_c + u, l.units - u);
        const V dmemory = first(splat(numbers[2]) * (weighed - splat(mean) - found * splat(slope)), at.n);
        Options::move_back(at, s + u, rows.c[m] + u, load(s + Options::o * width + u), dmemory, rows.dc[m] + u, width);
      }
      sums = products = V{};
      each(l, [&](Index at, Index place, Index n) {
        const V d = first(load(s + at), n), found = load(normed + at), weighed = d * load(l.gain_hh + place, n);
        store(s + at, d);
        store(s + dgain_slot * width + at, d * found);
        sums += weighed;
        products = fma(weighed, found, products);
      });
      size = static_cast<float>(gates * l.units), mean = sum_of(sums) / size, slope = sum_of(products) / size;
      each(l, [&](Index at, Index place, Index n) {
        const V weighed = load(s + at) * load(l.gain_hh + place, n);
        store(normed + at, first(splat(numbers[0]) * (weighed - splat(mean) - load(normed + at) * splat(slope)), n));
      });
    }
  }

  template <class Use>
  static void outer_products(const Use& use) {
    use(h_slot, gates, Options::x_order, false, Source::h);
  }

  static void other_gradients(const Layer& l, Ragged batch, Index stride, float* memory, Index part, Index parts) {
    Options::other_gradients(l, batch, stride, memory, part, parts);
    const Index width = padded(l.units), vectors = width / W, steps = batch.end(batch.rows - 1);
    for (Index v = vectors * part / parts; v < vectors * (part + 1) / parts; ++v) {
      const Index u = v * W, n = l.units - u;
      V sums[gates + 2] = {};
      for (Index i = 0; i < steps; ++i)
        for (int slot = 0; slot < gates + 2; ++slot)
          sums[slot] += load(l.saved + i * stride + (dgain_slot + slot) * width + u);
      for (int gate = 0; gate < gates; ++gate) store(l.dgain_hh + gate * l.units + u, sums[gate], n);
      store(l.dgain_c + u, sums[gates], n);
      store(l.dbias_c + u, sums[gates + 1], n);
    }
  }
};

}  // namespace elman::ELMAN_ISA
