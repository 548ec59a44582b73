// An LSTM whose h is a projection of what it shows, h = W_hr (o tanh(c)), with less features than it has units (Sak et
// al. 2014). The options are those of lstm_options.hpp.
//
// Slots: those of the plain one, what is shown, the gradient of h, that of what is shown.
#pragma once

#include "lstm_options.hpp"

namespace elman::ELMAN_ISA {

template <bool FORGET>
struct LSTMProjected : LSTMOptions<FORGET> {
  using Options = LSTMOptions<FORGET>;
  using At = typename Options::At;
  static constexpr bool projection = true;
  static constexpr int shown = Options::cell_slot + 1, dh_slot = shown + 1, dshown = shown + 2, slots = shown + 3;

  static At output_of(const Layer& l, const Rows& rows, Index m, Index u) {
    return {l.options, l.outputs, u, l.outputs - u, rows.place[m]};
  }

  static void forward(const Layer& l, const Weights& w, const Rows& rows) {
    const Index width = padded(l.units);
    const auto remember = [&](Index row, Index count, Index unit, Index units) {
      for (Index m = row; m < row + count; ++m)
        for (Index u = unit; u < unit + units; u += W)
          store(rows.saved[m] + shown * width + u,
                Options::remember(Options::unit_of(l, rows, m, u), rows.saved[m] + u, rows.c[m] + u, width));
    };
    const auto show = [&](Index row, Index count, Index unit, Index units) {
      for (Index m = row; m < row + count; ++m)
        for (Index u = unit; u < unit + units; u += W)
          Options::show(load(rows.y[m] + u, l.outputs - u), output_of(l, rows, m, u), rows.h[m] + u, rows.y[m] + u);
    };
    advance<Options::h_gates>(l, w, rows, remember);
    const float* read[Lanes::widest];
    for (Index m = 0; m < rows.count; ++m) read[m] = rows.saved[m] + shown * width;
    product<1, true>(rows.count, read, 1, w.hr, rows.y, Start::zero, nullptr, show);
  }

  static void backward(const Layer& l, const Weights& w, const Rows& rows) {
    const Index width = padded(l.units);
    const auto show = [&](Index row, Index count, Index unit, Index units) {
      for (Index m = row; m < row + count; ++m)
        for (Index u = unit; u < unit + units; u += W)
          store(rows.saved[m] + dh_slot * width + u,
                Options::show_back(output_of(l, rows, m, u), rows.dy[m] + u, rows.dh[m] + u));
    };
    const auto remember = [&](Index row, Index count, Index unit, Index units) {
      for (Index m = row; m < row + count; ++m)
        for (Index u = unit; u < unit + units; u += W)
          Options::remember_back(Options::unit_of(l, rows, m, u), rows.saved[m] + u, rows.c[m] + u,
                                 load(rows.saved[m] + dshown * width + u), rows.dc[m] + u, width);
    };
    retreat<Options::direct>(l, w, rows, show);
    const float* read[Lanes::widest];
    float* written[Lanes::widest];
    for (Index m = 0; m < rows.count; ++m)
      read[m] = rows.saved[m] + dh_slot * width, written[m] = rows.saved[m] + dshown * width;
    product<1>(rows.count, read, 1, w.hr_back, written, Start::zero, nullptr, remember);
  }

  // Beside those of the peepholes, that of the projection: [P, H] in bands of P.
  static void other_gradients(const Layer& l, Ragged batch, Index stride, float* memory, Index part, Index parts) {
    Options::other_gradients(l, batch, stride, memory, part, parts);
    const Index width = padded(l.units), vectors = width / W;
    const Index from = l.outputs * part / parts, count = l.outputs * (part + 1) / parts - from;
    for (Index v = 0; count && v < vectors; v += widest_outer) {
      const Index some = smaller(vectors - v, widest_outer);
      const float* sums = outer(
          batch.end(batch.rows - 1), l.saved + dh_slot * width + from, stride, 1, count, width, some, memory,
          [&](Index n, Index steps, Index vector, float* out, Index apart) {
            const float* read = l.saved + n * stride + shown * width + (v + vector) * W;
            for (Index i = 0; i < steps; ++i) store(out + i * apart, load(read + i * stride));
          },
          l.products);
      for (Index u = 0; u < count; ++u)
        for (Index f = v * W, end = smaller(l.units, (v + some) * W); f < end; ++f)
          l.dweight_hr[(from + u) * l.units + f] = sums[u * some * W + f - v * W];
    }
  }
};

}  // namespace elman::ELMAN_ISA
