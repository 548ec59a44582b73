// LSTM whose hidden state is a projection, h = W_hr (o tanh(c)), with fewer features than units (Sak et al. 2014). The
// options are those of lstm_options.hpp.
//
// Slots: those of the plain LSTM, o tanh(c), the gradient of h, the gradient of o tanh(c).
#pragma once

#include "engine/outer.hpp"
#include "recurrences/lstm_options.hpp"

namespace elman::ELMAN_ISA {

template <bool FORGET>
struct LSTMProjected : LSTMOptions<FORGET> {
  using Options = LSTMOptions<FORGET>;
  using At = typename Options::At;
  static constexpr bool projection = true;
  static constexpr int output_slot = Options::cell_slot + 1, dh_slot = output_slot + 1, doutput_slot = output_slot + 2,
                       slots = output_slot + 3;

  // Options of the features of h from `u` on.
  static At feature_of(const Layer& l, const Rows& rows, Index m, Index u) {
    return {l.options, l.outputs, u, l.outputs - u, rows.step[m]};
  }

  static void forward(const Layer& l, const Weights& w, const Rows& rows) {
    const Index width = padded(l.units);
    const auto cell = each_vector([&](Index m, Index u) {
      const V output = Options::cell(Options::unit_of(l, rows, m, u), rows.saved[m] + u, rows.c[m] + u, width);
      store(rows.saved[m] + output_slot * width + u, output);
    });
    const auto zoneout_h = each_vector([&](Index m, Index u) {
      const V projected = load(rows.y[m] + u, l.outputs - u);
      Options::zoneout_h(projected, feature_of(l, rows, m, u), rows.h[m] + u, rows.y[m] + u);
    });
    recurrent_product(l, w, rows, cell);
    const float* outputs[Lanes::widest];
    for (Index m = 0; m < rows.count; ++m) outputs[m] = rows.saved[m] + output_slot * width;
    product({.rows = rows.count, .a = outputs, .b = w.hr, .c = rows.y, .bounded = true, .after = zoneout_h});
  }

  static void backward(const Layer& l, const Weights& w, const Rows& rows) {
    const Index width = padded(l.units);
    const auto zoneout_h = each_vector([&](Index m, Index u) {
      store(rows.saved[m] + dh_slot * width + u,
            Options::zoneout_h_backward(feature_of(l, rows, m, u), rows.dy[m] + u, rows.dh[m] + u));
    });
    const auto cell = each_vector([&](Index m, Index u) {
      Options::cell_backward(Options::unit_of(l, rows, m, u), rows.saved[m] + u, rows.c[m] + u,
                             load(rows.saved[m] + doutput_slot * width + u), rows.dc[m] + u, width);
    });
    recurrent_product_backward(l, w, rows, Options::direct, zoneout_h);
    const float* dh[Lanes::widest];
    float* doutputs[Lanes::widest];
    for (Index m = 0; m < rows.count; ++m)
      dh[m] = rows.saved[m] + dh_slot * width, doutputs[m] = rows.saved[m] + doutput_slot * width;
    product({.rows = rows.count, .a = dh, .b = w.hr_back, .c = doutputs, .after = cell});
  }

  // The gradients of the peepholes, and that of the projection: [P, H] in bands of P.
  static void other_gradients(const Layer& l, Ragged batch, Index stride, float* memory, Index part, Index parts) {
    Options::other_gradients(l, batch, stride, memory, part, parts);
    const Index width = padded(l.units), vectors = width / W;
    const Index from = l.outputs * part / parts, count = l.outputs * (part + 1) / parts - from;
    for (Index v = 0; count && v < vectors; v += widest_outer) {
      const Index some = smaller(vectors - v, widest_outer);
      const auto pack = [&](Index n, Index steps, Index vector, float* out, Index apart) {
        const float* outputs = l.saved + n * stride + output_slot * width + (v + vector) * W;
        for (Index i = 0; i < steps; ++i) store(out + i * apart, load(outputs + i * stride));
      };
      const Gates dh{l.saved + dh_slot * width + from, stride, 1, count, width};
      const float* sums = outer(batch.end(batch.rows - 1), dh, some, memory, pack, l.products);
      for (Index u = 0; u < count; ++u)
        for (Index f = v * W, end = smaller(l.units, (v + some) * W); f < end; ++f)
          l.dweight_hr[(from + u) * l.units + f] = sums[u * some * W + f - v * W];
    }
  }
};

}  // namespace elman::ELMAN_ISA
