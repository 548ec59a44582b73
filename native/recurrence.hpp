// The one time loop: a recurrence along the rows of a ragged batch, forward, back through time, and the gradients of
// its weights.
//
// What a step does is the recurrence's own (rnn.hpp, lstm.hpp, gru.hpp). Its gates lie in `saved`, one slot of
// padded(H) floats beside another; forward they are filled with the product of the inputs, a chunk of steps at once,
// and then step by step.
#pragma once

#include "gemm.hpp"
#include "layer.hpp"
#include "outer.hpp"
#include "pack.hpp"

namespace elman::ELMAN_ISA {

// The rows that take one step together.
struct Rows {
  Index count = 0;
  Index carried = 0;  // the first of them have a state from before; the others begin with zeros
  Index row[Lanes::widest];
  Index place[Lanes::widest];  // of the step in [N, ...]
  const float* x[Lanes::widest];
  const float* h[Lanes::widest];     // the state before,
  const float* read[Lanes::widest];  // and as the gates read it
  const float* c[Lanes::widest];     // the cell before, LSTM
  float* saved[Lanes::widest];       // the slots of this step,
  float* aside[Lanes::widest];       // and one more, where a mask is over h
  float* y[Lanes::widest];           // what it shows, and its h
  const float* dy[Lanes::widest];    // backward: the gradient of y from above,
  float* dh[Lanes::widest];          // of h from the step after; leaves as what reaches h before without a product
  float* dc[Lanes::widest];          // of c from the step after; leaves as that of c before
  float* sums[Lanes::widest];        // [sums, padded(H)] over the steps of the row
  const float*
      after[Lanes::widest];  // of the `carried` rows: the gradients in the slots of the step after that h reached
};

// Floats from step to step of `saved`: an odd number of cache lines, so that a column of it spreads over the cache.
ELMAN_INLINE Index saved_stride(Index slots, Index units) {
  const Index lines = (slots * padded(units) + 15) / 16;
  return (lines | 1) * 16;
}

// A mask of bytes that are 0 or 1, as numbers; nothing is read behind n.
ELMAN_INLINE V numbers(const std::uint8_t* kept, Index n) {
  typedef std::uint8_t Bytes __attribute__((vector_size(W)));
  Bytes bytes{};
  std::memcpy(&bytes, kept, static_cast<std::size_t>(n < W ? n : W));
  return __builtin_convertvector(__builtin_convertvector(bytes, Integers), V);
}

// The mask that lies over what the gates of a row read of h, at the units from u on.
ELMAN_INLINE V hidden(const Layer& l, Index row, Index u) {
  return numbers(l.options.hidden.kept + row * l.outputs + u, l.outputs - u) * splat(l.options.hidden.rate);
}

// What the weights of the state are multiplied with: the state before the step, with a one behind it where there is a
// bias of its own, or reset by r.
enum class Source { none, h, h_and_one, reset_h };

// What weights are multiplied with at each step, as vectors of W: [x, 1] where `x`, then the source of the state.
template <class R>
struct Features {
  const Layer& l;
  Ragged batch;
  bool x;
  Source h;
  Index stride;  // of `saved`

  Index x_vectors() const { return x ? padded(l.inputs + 1) / W : 0; }
  Index vectors() const {
    return x_vectors() + (h == Source::none ? 0 : padded(l.outputs + (h == Source::h_and_one ? 1 : 0)) / W);
  }

  // Vector `v` of the steps n to n + steps.
  void pack(Index n, Index steps, Index v, float* out, Index width) const {
    if (v < x_vectors()) {
      for (Index i = 0; i < steps; ++i) one_behind(l.x + (n + i) * l.x_stride, v * W, l.inputs, true, out + i * width);
      return;
    }
    const Index at = (v - x_vectors()) * W;
    Index row = row_of(n);
    for (Index i = n; i < n + steps; ++i) {
      while (i == batch.end(row)) ++row;
      const bool first = l.reverse ? i + 1 == batch.end(row) : i == batch.begin(row);
      const float* before =
          first ? (l.h0 ? l.h0 + row * l.outputs : nullptr) : l.y + (l.reverse ? i + 1 : i - 1) * l.y_stride;
      float* to = out + (i - n) * width;
      if (h == Source::reset_h) store(to, load(l.saved + i * stride + 3 * padded(l.units) + at));
      else one_behind(before, at, l.outputs, h == Source::h_and_one, to);
      if (l.options.hidden.kept) store(to, load(to) * hidden(l, row, at));
    }
  }

  Index row_of(Index n) const {
    Index low = 0, high = batch.rows;
    while (high - low > 1) (batch.begin((low + high) / 2) <= n ? low : high) = (low + high) / 2;
    return low;
  }

  // The sums of `count` vectors from `v` and `units` units from `unit`, [slots * units, count * W], to where they
  // belong.
  void unpack(const float* sums, int slots, const int* order, Index v, Index count, Index unit, Index units) const {
    for (int slot = 0; slot < slots; ++slot)
      for (Index u = unit; u < unit + units; ++u) {
        const float* from = sums + (slot * units + u - unit) * count * W;
        const Index row = order[slot] * l.units + u;
        for (Index f = v * W; f < (v + count) * W; ++f, ++from) {
          const Index state = f - x_vectors() * W;
          if (state < 0) {
            if (f < l.inputs) l.dweight_ih[row * l.inputs + f] = *from;
            else if (f == l.inputs && !R::normed) l.dbias[row] = *from;
          } else if (state < l.outputs) {
            l.dweight_hh[row * l.outputs + state] = *from;
          } else if (state == l.outputs && h == Source::h_and_one && order[slot] == 2) {
            l.dbias_hn[u] = *from;
          }
        }
      }
  }
};

// What most recurrences are, or have.
struct Defaults {
  static constexpr bool candidate = false;   // whether the candidate of a GRU has a product of its own
  static constexpr bool projection = false;  // whether h is one, with less features than there are units
  static constexpr bool normed = false;      // whether products are normed, before there is a bias
  static constexpr int x_slot = 0;           // where the product with x goes, and its gradient lies
  static constexpr int sums = 0;             // [padded(H)] over the steps of each row, on the way back
};

// The product with the state, and with the inputs where they are few; `after` follows for all rows.
template <int GATES, class After>
static inline void advance(const Layer& l, const Weights& w, const Rows& rows, const After& after) {
  const Index fresh = rows.count - rows.carried;
  if (w.fused) {
    product<GATES>(rows.carried, rows.x, 1, rows.read, l.outputs, w.hh, rows.saved, Start::bias, w.bias, after);
    product<GATES>(
        fresh, rows.x + rows.carried, 1, w.ih, rows.saved + rows.carried, Start::bias, w.bias,
        [&](Index row, Index count, Index unit, Index units) { after(rows.carried + row, count, unit, units); });
  } else {
    product<GATES>(rows.carried, rows.read, 1, w.hh, rows.saved, Start::add, nullptr, after);
    after(rows.carried, fresh, 0, padded(l.units));
  }
}

// What the gates of the step after send back to h, by the product and whatever mask was over it; `after` follows for
// all rows. `DIRECT`: it is added to what is in dh.
template <bool DIRECT, class After>
static inline void retreat(const Layer& l, const Weights& w, const Rows& rows, const After& after) {
  if (l.options.hidden.kept) {
    product<1>(rows.carried, rows.after, 1, w.hh_back, rows.aside, Start::zero, nullptr,
               [&](Index row, Index count, Index unit, Index units) {
                 for (Index m = row; m < row + count; ++m)
                   for (Index u = unit; u < unit + units; u += W) {
                     float* dh = rows.dh[m] + u;
                     store(dh, fma(hidden(l, rows.row[m], u), load(rows.aside[m] + u), DIRECT ? load(dh) : V{}));
                   }
                 after(row, count, unit, units);
               });
  } else {
    product<1>(rows.carried, rows.after, 1, w.hh_back, rows.dh, DIRECT ? Start::add : Start::zero, nullptr, after);
  }
  after(rows.carried, rows.count - rows.carried, 0, padded(l.outputs));
}

template <class R>
struct Recurrence {
  static Index stride(const Layer& l) {  // with a slot for what a mask is over
    return saved_stride(R::slots + (l.options.hidden.kept ? 1 : 0), l.units);
  }

  // Where step `time` of a row lies in [N, ...], and how far the step after it.
  static Index place(const Layer& l, Ragged batch, const Entry& e) {
    return l.reverse ? batch.end(e.row) - 1 - e.time : batch.begin(e.row) + e.time;
  }
  static bool is_last(Ragged batch, const Entry& e) { return e.time + 1 == batch.end(e.row) - batch.begin(e.row); }

  static void forward(const Layer& l, const Weights& w, Ragged batch, Lanes lanes, Index from, Index to) {
    if (!w.fused) project(l, w, batch, lanes.entries + lanes.begin[from], lanes.entries + lanes.begin[to]);
    for (Index t = from; t < to; ++t) {
      const Entry *begin = lanes.entries + lanes.begin[t], *end = lanes.entries + lanes.begin[t + 1];
      Rows rows;
      for (const bool carried : {true, false}) {
        for (const Entry* e = begin; e != end; ++e)
          if ((e->time > 0 || l.h0) == carried) add(rows, l, w, batch, *e);
        if (carried) rows.carried = rows.count;
      }
      if (l.options.hidden.kept) hide(l, rows);
      R::forward(l, w, rows);
      for (const Entry* e = begin; e != end; ++e)
        if (is_last(batch, *e)) finish(l, batch, *e);
    }
  }

  // The gates' share of the inputs, for all steps of a chunk at once.
  static void project(const Layer& l, const Weights& w, Ragged batch, const Entry* begin, const Entry* end) {
    constexpr Index most = 48;
    const float* a[most];
    float* c[most];
    while (begin != end) {
      Index count = 0;
      for (; begin != end && count < most; ++begin, ++count) {
        const Index n = place(l, batch, *begin);
        a[count] = l.x + n * l.x_stride;
        c[count] = l.saved + n * stride(l);
      }
      product<R::x_gates>(
          count, a, 1, w.ih, c, R::normed ? Start::zero : Start::bias, w.bias,
          [&](Index row, Index rows, Index unit, Index units) { R::prepare(l, w, rows, c + row, unit, units); });
    }
  }

  static void add(Rows& rows, const Layer& l, const Weights& w, Ragged batch, const Entry& e) {
    const Index n = place(l, batch, e), before = l.reverse ? n + 1 : n - 1, i = rows.count++;
    rows.row[i] = e.row;
    rows.place[i] = n;
    rows.saved[i] = l.saved + n * stride(l);
    rows.x[i] = l.x + n * l.x_stride;
    rows.y[i] = l.y + n * l.y_stride;
    rows.h[i] = e.time > 0 ? l.y + before * l.y_stride : l.h0 ? l.h0 + e.row * l.outputs : w.zeros;
    rows.read[i] = rows.h[i];
    rows.aside[i] = rows.saved[i] + R::slots * padded(l.units);
    if constexpr (R::cell_slot > 0)
      rows.c[i] = e.time > 0 ? l.saved + before * stride(l) + R::cell_slot * padded(l.units)
                  : l.c0     ? l.c0 + e.row * l.units
                             : w.zeros;
  }

  static void hide(const Layer& l, Rows& rows) {
    for (Index m = 0; m < rows.carried; ++m) {
      for (Index u = 0; u < l.outputs; u += W)
        store(rows.aside[m] + u, load(rows.h[m] + u, l.outputs - u) * hidden(l, rows.row[m], u));
      rows.read[m] = rows.aside[m];
    }
  }

  static void copy(Index count, const float* from, float* to) {
    std::memcpy(to, from, sizeof(float) * static_cast<std::size_t>(count));
  }

  static void finish(const Layer& l, Ragged batch, const Entry& e) {
    const Index n = place(l, batch, e);
    if (l.h_last) copy(l.outputs, l.y + n * l.y_stride, l.h_last + e.row * l.outputs);
    if constexpr (R::cell_slot > 0)
      if (l.c_last) copy(l.units, l.saved + n * stride(l) + R::cell_slot * padded(l.units), l.c_last + e.row * l.units);
  }

  // `carry` [lanes, 2, padded(H)] goes from job to job.
  static void backward(const Layer& l, const Weights& w, Ragged batch, Lanes lanes, float* carry, Index from,
                       Index to) {
    const Index width = padded(l.units);
    for (Index t = to; t-- > from;) {
      const Entry *begin = lanes.entries + lanes.begin[t], *end = lanes.entries + lanes.begin[t + 1];
      Rows rows;
      for (const bool carried : {true, false}) {
        for (const Entry* e = begin; e != end; ++e) {
          if (is_last(batch, *e) == carried) continue;
          const Index i = rows.count, n = place(l, batch, *e);
          add(rows, l, w, batch, *e);
          rows.dy[i] = l.dy + n * l.dy_stride;
          rows.dh[i] = carry + 2 * width * (e - begin);
          rows.dc[i] = rows.dh[i] + width;
          rows.sums[i] = l.sums + e->row * R::sums * width;
          if (carried) {
            rows.after[i] = l.saved + (l.reverse ? n - 1 : n + 1) * stride(l) + R::h_slot * width;
          } else {
            arrive(l, rows.dh[i], l.dh_last, e->row, l.outputs);
            arrive(l, rows.dc[i], l.dc_last, e->row, l.units);
          }
        }
        if (carried) rows.carried = rows.count;
      }
      R::backward(l, w, rows);
      if (l.dh0)
        for (const Entry* e = begin; e != end; ++e)
          if (e->time == 0) leave(l, w, place(l, batch, *e), e->row, carry + 2 * width * (e - begin));
    }
    if (l.dx) project_back(l, w, batch, lanes.entries + lanes.begin[from], lanes.entries + lanes.begin[to]);
  }

  static void arrive(const Layer& l, float* carry, const float* last, Index row, Index count) {
    std::memset(carry, 0, sizeof(float) * static_cast<std::size_t>(padded(l.units)));
    if (last) copy(count, last + row * count, carry);
  }

  // The gradient of the initial state.
  static void leave(const Layer& l, const Weights& w, Index n, Index row, float* carry) {
    float* const slots = l.saved + n * stride(l);
    Rows rows;
    rows.count = rows.carried = 1;
    rows.row[0] = row;
    rows.after[0] = slots + R::h_slot * padded(l.units);
    rows.aside[0] = slots + R::slots * padded(l.units);
    rows.dh[0] = carry;
    retreat<R::direct>(l, w, rows, Nothing{});
    copy(l.outputs, carry, l.dh0 + row * l.outputs);
    if (l.dc0) copy(l.units, carry + padded(l.units), l.dc0 + row * l.units);
  }

  static void project_back(const Layer& l, const Weights& w, Ragged batch, const Entry* begin, const Entry* end) {
    constexpr Index most = 48;
    const float* a[most];
    float* c[most];
    while (begin != end) {
      Index count = 0;
      for (; begin != end && count < most; ++begin, ++count) {
        const Index n = place(l, batch, *begin);
        a[count] = l.saved + n * stride(l) + R::x_slot * padded(l.units);
        c[count] = l.dx + n * l.dx_stride;
      }
      product<1, true>(count, a, 1, w.ih_back, c, Start::zero);
    }
  }

  // One of `parts` shares of the gradients of the weights; `memory` holds `scratch(l)` floats. A share is some units of
  // all gates and some features: few features are not divided, so that the gradients of the gates are read once.
  static void weight_gradients(const Layer& l, Ragged batch, float* memory, Index part, Index parts) {
    R::outer_products([&](int slot, int slots, const int* order, bool x, Source h) {
      const Features<R> features{l, batch, x, h, stride(l)};
      const Index vectors = features.vectors(), columns = (vectors + widest_outer - 1) / widest_outer;
      const Index bands = (parts + columns - 1) / columns, shares = columns * bands;
      for (Index share = shares * part / parts; share < shares * (part + 1) / parts; ++share) {
        const Index v = vectors * (share % columns) / columns, count = vectors * (share % columns + 1) / columns - v;
        const Index unit = l.units * (share / columns) / bands, units = l.units * (share / columns + 1) / bands - unit;
        const float* sums = outer(
            batch.end(batch.rows - 1), l.saved + slot * padded(l.units) + unit, stride(l), slots, units,
            padded(l.units), count, memory,
            [&](Index n, Index steps, Index vector, float* out, Index width) {
              features.pack(n, steps, v + vector, out, width);
            },
            l.products);
        features.unpack(sums, slots, order, v, count, unit, units);
      }
    });
    if constexpr (requires { R::other_gradients(l, batch, part, memory, part, parts); })
      R::other_gradients(l, batch, stride(l), memory, part, parts);
  }

  static Index scratch(const Layer& l) { return outer_scratch(R::x_gates * l.units); }
};

}  // namespace elman::ELMAN_ISA
