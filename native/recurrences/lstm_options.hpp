// LSTM with options that act unit by unit: peepholes (Gers and Schmidhuber 2000), coupled input and forget gates (Greff
// et al. 2017), a bounded cell state (Sak et al. 2014), recurrent dropout of the candidate (Semeniuta et al. 2016), and
// zoneout (Krueger et al. 2017).
//
// With c' and h' the states of the previous step:
//   i = sigmoid(. + p_i c'), f = sigmoid(. + p_f c') or 1 - i, g = tanh(.) d,
//   m = clip(f c' + i g), c = z_c c' + (1 - z_c) m, o = sigmoid(. + p_o c), h = z_h h' + (1 - z_h) o tanh(m).
// Slots: those of the plain LSTM.
#pragma once

#include "recurrences/lstm.hpp"

namespace elman::ELMAN_ISA {

template <bool FORGET>
struct LSTMOptions : LSTM<FORGET> {
  using Plain = LSTM<FORGET>;
  static constexpr bool direct = true;

  // Options of the units from `u` on, at one step of one row.
  struct At {
    const Options& options;
    Index units, u, n;  // n: units that are left
    Index step;         // in [N, ...]

    V peephole(int which) const { return options.peephole ? load(options.peephole + which * units + u, n) : V{}; }
    V zoneout(const UnitMask& mask) const {
      return mask.kept ? mask_values(mask.kept + step * units + u, n) : splat(mask.rate);
    }
    V candidate() const {
      const UnitMask& mask = options.candidate;
      return mask.kept ? mask_values(mask.kept + step * units + u, n) * splat(mask.rate) : splat(1.0f);
    }
    V clip(V c) const { return options.clip > 0 ? clamp(c, -options.clip, options.clip) : c; }
    V within(V c) const {  // derivative of `clip`
      const float most = options.clip;
      return most > 0 ? ((c > -most) & (c < most) ? splat(1.0f) : V{}) : splat(1.0f);
    }
  };

  static constexpr int output_peephole = FORGET ? 2 : 1;

  static At unit_of(const Layer& l, const Rows& rows, Index m, Index u) {
    return {l.options, l.units, u, l.units - u, rows.step[m]};
  }

  static void forward(const Layer& l, const Weights& w, const Rows& rows) {
    const auto step = each_vector([&](Index m, Index u) {
      const At at = unit_of(l, rows, m, u);
      const V output = cell(at, rows.saved[m] + u, rows.c[m] + u, padded(l.units));
      zoneout_h(output, at, rows.h[m] + u, rows.y[m] + u);
    });
    recurrent_product(l, w, rows, step);
  }

  // The forget gate.
  ELMAN_INLINE V forget_of(const At& at, const float* s, V input, Index width) {
    if constexpr (FORGET) return load(s + Plain::f * width);
    else return at.options.coupled ? splat(1.0f) - input : splat(1.0f);
  }

  // Returns o tanh(m), and stores the gates and c.
  ELMAN_INLINE V cell(const At& at, float* s, const float* c_before, Index width) {
    const V memory = cell_state(at, s, c_before, width);
    return load(s + Plain::o * width) * tanh(memory);
  }

  // Returns m, and stores the gates and c.
  ELMAN_INLINE V cell_state(const At& at, float* s, const float* c_before, Index width) {
    const V before = load(c_before, at.n);
    const V input = sigmoid(fma(at.peephole(0), before, load(s))), candidate = tanh(load(s + Plain::g * width));
    if constexpr (FORGET) store(s + Plain::f * width, sigmoid(fma(at.peephole(1), before, load(s + Plain::f * width))));
    store(s, input);
    store(s + Plain::g * width, candidate);
    const V memory = at.clip(fma(input, candidate * at.candidate(), forget_of(at, s, input, width) * before));
    const V zoneout = at.zoneout(at.options.zoneout_c), c = fma(zoneout, before - memory, memory);
    const V output = sigmoid(fma(at.peephole(output_peephole), c, load(s + Plain::o * width)));
    store(s + Plain::o * width, output);
    store(s + Plain::cell_slot * width, c);
    return memory;
  }

  // Stores h, from o tanh(m) and h'.
  ELMAN_INLINE void zoneout_h(V output, const At& at, const float* h_before, float* h) {
    const V zoneout = at.zoneout(at.options.zoneout_h);
    store(h, fma(zoneout, load(h_before, at.n), (splat(1.0f) - zoneout) * output), at.n);
  }

  static void backward(const Layer& l, const Weights& w, const Rows& rows) {
    const auto step = each_vector([&](Index m, Index u) {
      const At at = unit_of(l, rows, m, u);
      const V doutput = zoneout_h_backward(at, rows.dy[m] + u, rows.dh[m] + u);
      cell_backward(at, rows.saved[m] + u, rows.c[m] + u, doutput, rows.dc[m] + u, padded(l.units));
    });
    recurrent_product_backward(l, w, rows, direct, step);
  }

  // Returns the gradient of o tanh(m), and leaves in `dh` the part of dL/dh' that bypasses the product.
  ELMAN_INLINE V zoneout_h_backward(const At& at, const float* dy, float* dh) {
    const V zoneout = at.zoneout(at.options.zoneout_h), d = load(dh) + load(dy, at.n);
    store(dh, zoneout * d);
    return (splat(1.0f) - zoneout) * d;
  }

  // `d`: the gradient of o tanh(m).
  ELMAN_INLINE void cell_backward(const At& at, float* s, const float* c_before, V d, float* dc, Index width) {
    const V one = splat(1.0f), output = load(s + Plain::o * width);
    const V tanh_m = tanh(at.clip(unclipped(at, s, c_before, width)));
    cell_state_backward(at, s, c_before, d * tanh_m * output * (one - output), d * output * (one - tanh_m * tanh_m), dc,
                        width);
  }

  // f c' + i g, recomputed.
  ELMAN_INLINE V unclipped(const At& at, const float* s, const float* c_before, Index width) {
    const V input = load(s), candidate = load(s + Plain::g * width);
    return fma(input, candidate * at.candidate(), forget_of(at, s, input, width) * load(c_before, at.n));
  }

  // From the gradients of the output gate before its sigmoid, and of m.
  ELMAN_INLINE void cell_state_backward(const At& at, float* s, const float* c_before, V doutput, V dmemory, float* dc,
                                        Index width) {
    const V one = splat(1.0f), before = load(c_before, at.n), input = load(s), candidate = load(s + Plain::g * width);
    const V drop = at.candidate(), forget = forget_of(at, s, input, width), zoneout = at.zoneout(at.options.zoneout_c);
    const V dcell = fma(at.peephole(output_peephole), doutput, load(dc));
    const V e = fma(one - zoneout, dcell, dmemory) * at.within(unclipped(at, s, c_before, width));
    V dinput = e * candidate * drop, dbefore = fma(zoneout, dcell, e * forget);
    if constexpr (FORGET) {
      const V dforget = e * before * forget * (one - forget);
      store(s + Plain::f * width, dforget);
      dbefore = fma(at.peephole(1), dforget, dbefore);
    } else if (at.options.coupled) {
      dinput = dinput - e * before;
    }
    dinput = dinput * input * (one - input);
    store(dc, fma(at.peephole(0), dinput, dbefore));
    store(s, dinput);
    store(s + Plain::g * width, e * input * drop * (one - candidate * candidate));
    store(s + Plain::o * width, doutput);
  }

  // The gradients of the peepholes of one of `parts` parts of the units: sums over all steps, in order.
  static void other_gradients(const Layer& l, Ragged batch, Index stride, float*, Index part, Index parts) {
    if (!l.options.dpeephole) return;
    const Index width = padded(l.units), vectors = width / W;
    for (Index v = vectors * part / parts; v < vectors * (part + 1) / parts; ++v) {
      const Index u = v * W, n = l.units - u;
      V sums[3] = {};
      for (Index row = 0; row < batch.rows; ++row)
        for (Index i = batch.begin(row); i < batch.end(row); ++i) {
          const float* s = l.saved + i * stride + u;
          const bool first = l.reverse ? i + 1 == batch.end(row) : i == batch.begin(row);
          const float* c = s + Plain::cell_slot * width;
          const V before = !first ? load(c + (l.reverse ? stride : -stride))
                           : l.c0 ? load(l.c0 + row * l.units + u, n)
                                  : V{};
          sums[0] = fma(load(s), before, sums[0]);
          if constexpr (FORGET) sums[1] = fma(load(s + Plain::f * width), before, sums[1]);
          sums[output_peephole] = fma(load(s + Plain::o * width), load(c), sums[output_peephole]);
        }
      for (int which = 0; which <= output_peephole; ++which)
        store(l.options.dpeephole + which * l.units + u, sums[which], n);
    }
  }
};

}  // namespace elman::ELMAN_ISA
