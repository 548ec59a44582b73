// An LSTM with options that act unit by unit: peepholes (Gers and Schmidhuber 2000), coupled input and forget gates
// (Greff et al. 2017), a memory within bounds (Sak et al. 2014), a candidate that is dropped (Semeniuta et al. 2016),
// and units that keep their state (zoneout, Krueger et al. 2017).
//
// i = sigmoid(. + p_i c'), f = sigmoid(. + p_f c') or 1 - i, g = tanh(.) d, where c' is the memory before;
// m = clip(f c' + i g);  c = z_c c' + (1 - z_c) m;  o = sigmoid(. + p_o c);  h = z_h h' + (1 - z_h) o tanh(m).
// Slots: as those of the plain one.
#pragma once

#include "lstm.hpp"

namespace elman::ELMAN_ISA {

template <bool FORGET>
struct LSTMOptions : LSTM<FORGET> {
  using Plain = LSTM<FORGET>;
  static constexpr bool direct = true;

  // The units from `u` on, at one step of one row.
  struct At {
    const Options& options;
    Index units, u, n;  // n: numbers of `units` that are left
    Index place;        // of the step in masks

    V peephole(int which) const { return options.peephole ? load(options.peephole + which * units + u, n) : V{}; }
    V zone(const Zone& zone) const { return zone.kept ? numbers(zone.kept + place * units + u, n) : splat(zone.rate); }
    V candidate() const {
      const Zone& drop = options.candidate;
      return drop.kept ? numbers(drop.kept + place * units + u, n) * splat(drop.rate) : splat(1.0f);
    }
    V clip(V c) const { return options.clip > 0 ? clamp(c, -options.clip, options.clip) : c; }
    V within(V c) const {  // one where the memory is free to move
      const float most = options.clip;
      return most > 0 ? ((c > -most) & (c < most) ? splat(1.0f) : V{}) : splat(1.0f);
    }
  };

  static constexpr int read = FORGET ? 2 : 1;  // its place among the peepholes

  static At unit_of(const Layer& l, const Rows& rows, Index m, Index u) {
    return {l.options, l.units, u, l.units - u, rows.place[m]};
  }

  static void forward(const Layer& l, const Weights& w, const Rows& rows) {
    const auto step = [&](Index row, Index count, Index unit, Index units) {
      for (Index m = row; m < row + count; ++m)
        for (Index u = unit; u < unit + units; u += W) {
          const At at = unit_of(l, rows, m, u);
          const V shown = remember(at, rows.saved[m] + u, rows.c[m] + u, padded(l.units));
          show(shown, at, rows.h[m] + u, rows.y[m] + u);
        }
    };
    advance<Plain::h_gates>(l, w, rows, step);
  }

  // What is kept of the memory before.
  ELMAN_INLINE V keep_of(const At& at, const float* s, V input, Index width) {
    if constexpr (FORGET) return load(s + Plain::f * width);
    else return at.options.coupled ? splat(1.0f) - input : splat(1.0f);
  }

  // A step of the gates and of the memory: what is shown of it.
  ELMAN_INLINE V remember(const At& at, float* s, const float* c_before, Index width) {
    const V memory = move(at, s, c_before, width);
    return load(s + Plain::o * width) * tanh(memory);
  }

  // f c' + i g, within its bounds; the gates and c are stored.
  ELMAN_INLINE V move(const At& at, float* s, const float* c_before, Index width) {
    const V before = load(c_before, at.n);
    const V input = sigmoid(fma(at.peephole(0), before, load(s))), candidate = tanh(load(s + Plain::g * width));
    if constexpr (FORGET) store(s + Plain::f * width, sigmoid(fma(at.peephole(1), before, load(s + Plain::f * width))));
    store(s, input);
    store(s + Plain::g * width, candidate);
    const V memory = at.clip(fma(input, candidate * at.candidate(), keep_of(at, s, input, width) * before));
    const V held = at.zone(at.options.zone_c), c = fma(held, before - memory, memory);
    const V output = sigmoid(fma(at.peephole(read), c, load(s + Plain::o * width)));
    store(s + Plain::o * width, output);
    store(s + Plain::cell_slot * width, c);
    return memory;
  }

  // h, of what is shown and of the h before.
  ELMAN_INLINE void show(V shown, const At& at, const float* h_before, float* h) {
    const V still = at.zone(at.options.zone_h);
    store(h, fma(still, load(h_before, at.n), (splat(1.0f) - still) * shown), at.n);
  }

  static void backward(const Layer& l, const Weights& w, const Rows& rows) {
    const auto step = [&](Index row, Index count, Index unit, Index units) {
      for (Index m = row; m < row + count; ++m)
        for (Index u = unit; u < unit + units; u += W) {
          const At at = unit_of(l, rows, m, u);
          const V shown = show_back(at, rows.dy[m] + u, rows.dh[m] + u);
          remember_back(at, rows.saved[m] + u, rows.c[m] + u, shown, rows.dc[m] + u, padded(l.units));
        }
    };
    retreat<direct>(l, w, rows, step);
  }

  // The gradient of what is shown; `dh` leaves as what reaches h before on no other way.
  ELMAN_INLINE V show_back(const At& at, const float* dy, float* dh) {
    const V still = at.zone(at.options.zone_h), d = load(dh) + load(dy, at.n);
    store(dh, still * d);
    return (splat(1.0f) - still) * d;
  }

  ELMAN_INLINE void remember_back(const At& at, float* s, const float* c_before, V shown, float* dc, Index width) {
    const V one = splat(1.0f), output = load(s + Plain::o * width);
    const V seen = tanh(memory_of(at, s, c_before, width));
    move_back(at, s, c_before, shown * seen * output * (one - output), shown * output * (one - seen * seen), dc, width);
  }

  // What `move` returned.
  ELMAN_INLINE V memory_of(const At& at, const float* s, const float* c_before, Index width) {
    return at.clip(unbounded(at, s, c_before, width));
  }
  ELMAN_INLINE V unbounded(const At& at, const float* s, const float* c_before, Index width) {
    const V input = load(s), candidate = load(s + Plain::g * width);
    return fma(input, candidate * at.candidate(), keep_of(at, s, input, width) * load(c_before, at.n));
  }

  // From the gradients of the read gate before its sigmoid and of the memory.
  ELMAN_INLINE void move_back(const At& at, float* s, const float* c_before, V doutput, V dmemory, float* dc,
                              Index width) {
    const V one = splat(1.0f), before = load(c_before, at.n), input = load(s), candidate = load(s + Plain::g * width);
    const V drop = at.candidate(), keep = keep_of(at, s, input, width), held = at.zone(at.options.zone_c);
    const V dcell = fma(at.peephole(read), doutput, load(dc));
    const V e = fma(one - held, dcell, dmemory) * at.within(unbounded(at, s, c_before, width));
    V dinput = e * candidate * drop, before_too = fma(held, dcell, e * keep);
    if constexpr (FORGET) {
      const V dkeep = e * before * keep * (one - keep);
      store(s + Plain::f * width, dkeep);
      before_too = fma(at.peephole(1), dkeep, before_too);
    } else if (at.options.coupled) {
      dinput = dinput - e * before;
    }
    dinput = dinput * input * (one - input);
    store(dc, fma(at.peephole(0), dinput, before_too));
    store(s, dinput);
    store(s + Plain::g * width, e * input * drop * (one - candidate * candidate));
    store(s + Plain::o * width, doutput);
  }

  // The gradients of the peepholes, of one of `parts` shares of the units: sums over all steps, in their order.
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
          sums[read] = fma(load(s + Plain::o * width), load(c), sums[read]);
        }
      for (int which = 0; which <= read; ++which) store(l.options.dpeephole + which * l.units + u, sums[which], n);
    }
  }
};

}  // namespace elman::ELMAN_ISA
