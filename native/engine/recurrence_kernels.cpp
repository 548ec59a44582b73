// The time loop of all recurrences over a ragged batch: forward pass, backward pass through time, and the gradients of
// the weights. The arithmetic of one step is in recurrences/.
#include "engine/kernels.hpp"
#include "engine/outer.hpp"
#include "engine/pack.hpp"
#include "engine/recurrence.hpp"

namespace elman::ELMAN_ISA {

static const Cell& cell_of_layer(const Layer& layer) {
  switch (layer.kind) {
    case Kind::lstm:
    case Kind::lstm_without_forget: return lstm_cell(layer);
    case Kind::gru_after:
    case Kind::gru_before: return gru_cell(layer);
    default: return rnn_cell(layer);
  }
}

// --- Packed weights

constexpr Index few_inputs = 8;  // up to this number, the input product is fused with the recurrent one

// Allocates parts of one block of memory; without a block, only counts.
struct Arena {
  float* memory = nullptr;
  Index used = 0;

  float* take(Index size) {
    float* part = memory ? memory + used : nullptr;
    used += (size + 15) / 16 * 16;
    return part;
  }
};

// Returns the addresses of the packed weights.
static Weights layout(const Cell& cell, const Layer& l, Arena& arena, bool back) {
  const Index width = padded(l.units);
  Weights w;
  if (back) {
    w.ih_back = {.k = cell.x_gates * width, .units = l.inputs};
    w.hh_back = {.k = cell.h_gates * width, .units = l.outputs};
    if (cell.projection) w.hr_back = {.k = padded(l.outputs), .units = l.units};
    if (cell.separate_candidate) w.hh_n_back = {.k = width, .units = l.units};
  } else {
    w.ih = {.k = l.inputs, .units = l.units, .gates = cell.x_gates, .gate_stride = width, .first = cell.x_slot * width};
    w.fused = cell.fusable && l.inputs <= few_inputs;
    w.hh = {
        .k = l.outputs, .units = l.units, .gates = cell.h_gates, .gate_stride = width, .first = cell.h_slot * width};
    if (cell.separate_candidate) w.hh_n = {.k = l.units, .units = l.units};
    if (cell.projection) w.hr = {.k = l.units, .units = l.outputs};
    if (w.fused) w.hh.k += l.inputs;
    w.bias = arena.take(w.ih.vectors() * W);
    w.bias_hn = arena.take(width);
  }
  for (Panels* b : {&w.hh, &w.ih, &w.hh_n, &w.hr, &w.ih_back, &w.hh_back, &w.hh_n_back, &w.hr_back})
    if (b->products = l.products; b != &w.ih || !w.fused) b->data = arena.take(b->size());
  if (w.fused) w.ih.split = w.hh.split = l.inputs;
  if (w.fused) w.ih.data = w.hh.data, w.ih.depth = w.hh.rows();
  w.zeros = arena.take(width);
  return w;
}

// Packs one of `parts` parts of the weights, so that threads can share the work.
static void pack(const Layer& l, float* memory, bool back, Index part, Index parts) {
  const Cell& cell = cell_of_layer(l);
  Arena arena{memory};
  const Weights w = layout(cell, l, arena, back);
  const float* candidate = l.weight_hh + 2 * l.units * l.units;
  const auto share = [&](const Panels& b, Index p) { return b.vectors() * p / parts; };
  const auto transposed = [&](const Panels& b, const float* from, const int* order) {
    pack_transposed(b, from, order, share(b, part), share(b, part + 1));
  };
  const auto plain = [&](const Panels& b, const float* from, const int* order, Index units) {
    pack_plain(b.data, b, from, order, units, share(b, part), share(b, part + 1));
  };
  constexpr int only[] = {0};
  if (back) {
    plain(w.ih_back, l.weight_ih, cell.x_order, l.units);
    plain(w.hh_back, l.weight_hh, cell.h_order, l.units);
    if (cell.separate_candidate) plain(w.hh_n_back, candidate, only, l.units);
    if (cell.projection) plain(w.hr_back, l.weight_hr, only, l.outputs);
  } else {
    Panels ih = w.ih, hh = w.hh;
    if (w.fused) ih.depth = w.hh.k;
    transposed(ih, l.weight_ih, cell.x_order);
    if (w.fused)
      hh = {.data = w.hh.data,
            .k = l.outputs,
            .units = l.units,
            .gates = cell.h_gates,
            .depth = w.hh.k,
            .from = l.inputs};
    transposed(hh, l.weight_hh, cell.h_order);
    if (cell.separate_candidate) transposed(w.hh_n, candidate, only);
    if (cell.projection) transposed(w.hr, l.weight_hr, only);
    if (part == 0) {
      pack_bias(w.bias, w.ih, l.bias, cell.x_order);
      for (Index u = 0; u < l.units; u += W) store(w.bias_hn + u, l.bias_hn ? load(l.bias_hn + u, l.units - u) : V{});
    }
  }
  if (l.products != Products::float32)
    for (const Panels* b : {&w.hh, &w.ih, &w.hh_n, &w.hr, &w.ih_back, &w.hh_back, &w.hh_n_back, &w.hr_back})
      if (b != &w.ih || !w.fused) halve(*b, share(*b, part), share(*b, part + 1));
  if (part == 0) std::memset(w.zeros, 0, sizeof(float) * static_cast<std::size_t>(padded(l.units)));
}

// Closes the gaps that packing in parts leaves in bfloat16.
static void close_up_packed(const Layer& l, float* memory, bool back) {
  Arena arena{memory};
  const Weights w = layout(cell_of_layer(l), l, arena, back);
  for (const Panels* b : {&w.hh, &w.ih, &w.hh_n, &w.hr, &w.ih_back, &w.hh_back, &w.hh_n_back, &w.hr_back})
    if (b != &w.ih || !w.fused) close_up(*b);
}

// Hash of the weights, to detect whether packed weights are stale. It runs at the speed of reading them.
static std::uint64_t fingerprint(const float* data, Index size, std::uint64_t seed) {
  typedef std::uint32_t Words __attribute__((vector_size(4 * W)));
  constexpr int chains = 8;
  Words mixed[chains];
  for (int i = 0; i < chains; ++i) mixed[i] = Words{} + static_cast<std::uint32_t>(i + 1) * 0x9E3779B1u;
  Index at = 0;
  const auto mix = [&](int i, V v) {
    mixed[i] = (mixed[i] ^ reinterpret_cast<Words>(v)) * 0x85EBCA6Bu;
    mixed[i] ^= mixed[i] >> 15;  // products carry upwards only: without the shift, two changes of sign would cancel
  };
  for (; at + chains * W <= size; at += chains * W)
#pragma GCC unroll 8
    for (int i = 0; i < chains; ++i) mix(i, load(data + at + i * W));
  for (; at < size; at += W) mix(0, load(data + at, size - at));
  for (int i = 0; i < chains; ++i)
    for (int lane = 0; lane < W; ++lane) {
      seed = (seed ^ mixed[i][lane]) * 0x9E3779B97F4A7C15u;
      seed ^= seed >> 29;
    }
  return seed;
}

static std::uint64_t fingerprint_of(const Layer& l) {
  const Index gates = cell_of_layer(l).x_gates * l.units;
  std::uint64_t print = fingerprint(l.weight_hh, gates * l.outputs, 0);
  print = fingerprint(l.weight_ih, gates * l.inputs, print);
  if (l.weight_hr) print = fingerprint(l.weight_hr, l.outputs * l.units, print);
  print = fingerprint(l.bias, gates, print);
  return l.bias_hn ? fingerprint(l.bias_hn, l.units, print) : print;
}

// --- Products of a step

void recurrent_product(const Layer& l, const Weights& w, const Rows& rows, After after) {
  const Index first = rows.carried, count = rows.count - first;  // rows at their first step, without a state
  if (w.fused) {
    product({.rows = first,
             .a = rows.x,
             .a_tail = rows.h_in,
             .tail_k = l.outputs,
             .b = w.hh,
             .c = rows.saved,
             .start = Start::bias,
             .bias = w.bias,
             .after = after});
    const auto after_first = [&](Index row, Index rows, Index unit, Index units) {
      after(first + row, rows, unit, units);
    };
    product({.rows = count,
             .a = rows.x + first,
             .b = w.ih,
             .c = rows.saved + first,
             .start = Start::bias,
             .bias = w.bias,
             .after = after_first});
  } else {
    product({.rows = first, .a = rows.h_in, .b = w.hh, .c = rows.saved, .start = Start::add, .after = after});
    after(first, count, 0, padded(l.units));
  }
}

void recurrent_product_backward(const Layer& l, const Weights& w, const Rows& rows, bool direct, After after) {
  if (l.options.hidden.kept) {
    const auto add_masked = each_vector([&](Index m, Index u) {
      float* dh = rows.dh[m] + u;
      store(dh, fma(hidden_mask(l, rows.row[m], u), load(rows.masked[m] + u), direct ? load(dh) : V{}));
    });
    const auto finished = [&](Index row, Index count, Index unit, Index units) {
      add_masked(row, count, unit, units);
      after(row, count, unit, units);
    };
    product({.rows = rows.carried, .a = rows.dnext, .b = w.hh_back, .c = rows.masked, .after = finished});
  } else {
    product({.rows = rows.carried,
             .a = rows.dnext,
             .b = w.hh_back,
             .c = rows.dh,
             .start = direct ? Start::add : Start::zero,
             .after = after});
  }
  after(rows.carried, rows.count - rows.carried, 0, padded(l.outputs));
}

// --- The time loop

// Floats from step to step of `saved`: an odd number of cache lines, so that a column spreads over all cache sets.
static Index stride_of(const Cell& cell, const Layer& l) {
  const Index slots = cell.slots + (l.options.hidden.kept ? 1 : 0);  // one more for h under a mask
  const Index lines = (slots * padded(l.units) + 15) / 16;
  return (lines | 1) * 16;
}

static void copy(Index count, const float* from, float* to) {
  std::memcpy(to, from, sizeof(float) * static_cast<std::size_t>(count));
}

// The passes of one layer over some lanes of a batch.
class TimeLoop {
 public:
  TimeLoop(const Layer& layer, float* packed, bool back, Ragged batch, Lanes lanes)
      : cell_(cell_of_layer(layer)),
        l_(layer),
        batch_(batch),
        lanes_(lanes),
        stride_(stride_of(cell_, layer)),
        width_(padded(layer.units)) {
    Arena arena{packed};
    w_ = layout(cell_, layer, arena, back);
  }

  void forward(Index from, Index to) const {
    if (!w_.fused) project_inputs(entries(from), entries(to));
    for (Index t = from; t < to; ++t) {
      const Entry *begin = entries(t), *end = entries(t + 1);
      Rows rows;
      for (const bool carried : {true, false}) {
        for (const Entry* e = begin; e != end; ++e)
          if ((e->time > 0 || l_.h0) == carried) add(rows, *e);
        if (carried) rows.carried = rows.count;
      }
      if (l_.options.hidden.kept) mask_states(rows);
      cell_.forward(l_, w_, rows);
      for (const Entry* e = begin; e != end; ++e)
        if (is_last(*e)) copy_final_state(*e);
    }
  }

  // `carry` [lanes, 2, padded(H)] holds dh and dc from one call to the next.
  void backward(float* carry, Index from, Index to) const {
    for (Index t = to; t-- > from;) {
      const Entry *begin = entries(t), *end = entries(t + 1);
      Rows rows;
      for (const bool carried : {true, false}) {
        for (const Entry* e = begin; e != end; ++e) {
          if (is_last(*e) == carried) continue;
          const Index i = rows.count, n = step_of(*e);
          add(rows, *e);
          rows.dy[i] = l_.dy + n * l_.dy_stride;
          rows.dh[i] = carry + 2 * width_ * (e - begin);
          rows.dc[i] = rows.dh[i] + width_;
          rows.sums[i] = l_.sums + e->row * cell_.sums * width_;
          if (carried) {
            rows.dnext[i] = slot(l_.reverse ? n - 1 : n + 1, cell_.h_slot);
          } else {
            load_final_gradient(rows.dh[i], l_.dh_last, e->row, l_.outputs);
            load_final_gradient(rows.dc[i], l_.dc_last, e->row, l_.units);
          }
        }
        if (carried) rows.carried = rows.count;
      }
      cell_.backward(l_, w_, rows);
      if (l_.dh0)
        for (const Entry* e = begin; e != end; ++e)
          if (e->time == 0) store_initial_gradient(*e, carry + 2 * width_ * (e - begin));
    }
    if (l_.dx) input_gradients(entries(from), entries(to));
  }

 private:
  static constexpr Index most = 48;  // steps whose input products are computed at once

  const Entry* entries(Index t) const { return lanes_.entries + lanes_.begin[t]; }
  float* slot(Index n, Index number) const { return l_.saved + n * stride_ + number * width_; }

  // Index of a step in [N, ...].
  Index step_of(const Entry& e) const {
    return l_.reverse ? batch_.end(e.row) - 1 - e.time : batch_.begin(e.row) + e.time;
  }
  bool is_last(const Entry& e) const { return e.time + 1 == batch_.end(e.row) - batch_.begin(e.row); }

  void add(Rows& rows, const Entry& e) const {
    const Index n = step_of(e), before = l_.reverse ? n + 1 : n - 1, i = rows.count++;
    rows.row[i] = e.row;
    rows.step[i] = n;
    rows.saved[i] = slot(n, 0);
    rows.x[i] = l_.x + n * l_.x_stride;
    rows.y[i] = l_.y + n * l_.y_stride;
    rows.h[i] = e.time > 0 ? l_.y + before * l_.y_stride : l_.h0 ? l_.h0 + e.row * l_.outputs : w_.zeros;
    rows.h_in[i] = rows.h[i];
    rows.masked[i] = slot(n, cell_.slots);
    if (cell_.cell_slot > 0)
      rows.c[i] = e.time > 0 ? slot(before, cell_.cell_slot) : l_.c0 ? l_.c0 + e.row * l_.units : w_.zeros;
  }

  void project_inputs(const Entry* begin, const Entry* end) const {
    const float* a[most];
    float* c[most];
    while (begin != end) {
      Index count = 0;
      for (; begin != end && count < most; ++begin, ++count) {
        const Index n = step_of(*begin);
        a[count] = l_.x + n * l_.x_stride;
        c[count] = slot(n, 0);
      }
      const auto prepare = [&](Index row, Index rows, Index unit, Index units) {
        cell_.prepare(l_, w_, rows, c + row, unit, units);
      };
      product({.rows = count,
               .a = a,
               .b = w_.ih,
               .c = c,
               .start = cell_.normed ? Start::zero : Start::bias,
               .bias = w_.bias,
               .after = cell_.prepare ? After(prepare) : After()});
    }
  }

  void mask_states(Rows& rows) const {
    for (Index m = 0; m < rows.carried; ++m) {
      for (Index u = 0; u < l_.outputs; u += W)
        store(rows.masked[m] + u, load(rows.h[m] + u, l_.outputs - u) * hidden_mask(l_, rows.row[m], u));
      rows.h_in[m] = rows.masked[m];
    }
  }

  void copy_final_state(const Entry& e) const {
    const Index n = step_of(e);
    if (l_.h_last) copy(l_.outputs, l_.y + n * l_.y_stride, l_.h_last + e.row * l_.outputs);
    if (l_.c_last && cell_.cell_slot > 0) copy(l_.units, slot(n, cell_.cell_slot), l_.c_last + e.row * l_.units);
  }

  void load_final_gradient(float* carry, const float* last, Index row, Index count) const {
    std::memset(carry, 0, sizeof(float) * static_cast<std::size_t>(width_));
    if (last) copy(count, last + row * count, carry);
  }

  void store_initial_gradient(const Entry& e, float* carry) const {
    const Index n = step_of(e);
    Rows rows;
    rows.count = rows.carried = 1;
    rows.row[0] = e.row;
    rows.dnext[0] = slot(n, cell_.h_slot);
    rows.masked[0] = slot(n, cell_.slots);
    rows.dh[0] = carry;
    recurrent_product_backward(l_, w_, rows, cell_.direct, {});
    copy(l_.outputs, carry, l_.dh0 + e.row * l_.outputs);
    if (l_.dc0) copy(l_.units, carry + width_, l_.dc0 + e.row * l_.units);
  }

  void input_gradients(const Entry* begin, const Entry* end) const {
    const float* a[most];
    float* c[most];
    while (begin != end) {
      Index count = 0;
      for (; begin != end && count < most; ++begin, ++count) {
        const Index n = step_of(*begin);
        a[count] = slot(n, cell_.x_slot);
        c[count] = l_.dx + n * l_.dx_stride;
      }
      product({.rows = count, .a = a, .b = w_.ih_back, .c = c, .bounded = true});
    }
  }

  const Cell& cell_;
  const Layer& l_;
  Ragged batch_;
  Lanes lanes_;
  Index stride_;  // floats from step to step of `saved`
  Index width_;   // floats per slot
  Weights w_;
};

// --- Gradients of the weights

// Operands of the weights at each step, as vectors of W: [x, 1] where `x`, then the source of the state.
struct Features {
  const Layer& l;
  Ragged batch;
  const WeightGradient& g;
  bool normed;
  Index stride;  // of `saved`

  Index x_vectors() const { return g.x ? padded(l.inputs + 1) / W : 0; }
  Index vectors() const {
    return x_vectors() + (g.h == Source::none ? 0 : padded(l.outputs + (g.h == Source::h_and_one ? 1 : 0)) / W);
  }

  // Packs vector `v` of the steps n to n + steps.
  void pack(Index n, Index steps, Index v, float* out, Index width) const {
    if (v < x_vectors()) {
      for (Index i = 0; i < steps; ++i) append_one(l.x + (n + i) * l.x_stride, v * W, l.inputs, true, out + i * width);
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
      if (g.h == Source::reset_h) store(to, load(l.saved + i * stride + 3 * padded(l.units) + at));
      else append_one(before, at, l.outputs, g.h == Source::h_and_one, to);
      if (l.options.hidden.kept) store(to, load(to) * hidden_mask(l, row, at));
    }
  }

  Index row_of(Index n) const {
    Index low = 0, high = batch.rows;
    while (high - low > 1) (batch.begin((low + high) / 2) <= n ? low : high) = (low + high) / 2;
    return low;
  }

  // Copies the sums [slots * units, count * W], of `count` vectors from `v` and `units` units from `unit`, to the
  // gradients of the weights.
  void unpack(const float* sums, Index v, Index count, Index unit, Index units) const {
    for (int slot = 0; slot < g.slots; ++slot)
      for (Index u = unit; u < unit + units; ++u) {
        const float* from = sums + (slot * units + u - unit) * count * W;
        const Index row = g.order[slot] * l.units + u;
        for (Index f = v * W; f < (v + count) * W; ++f, ++from) {
          const Index state = f - x_vectors() * W;
          if (state < 0) {
            if (f < l.inputs) l.dweight_ih[row * l.inputs + f] = *from;
            else if (f == l.inputs && !normed) l.dbias[row] = *from;
          } else if (state < l.outputs) {
            l.dweight_hh[row * l.outputs + state] = *from;
          } else if (state == l.outputs && g.h == Source::h_and_one && g.order[slot] == 2) {
            l.dbias_hn[u] = *from;
          }
        }
      }
  }
};

// Computes one of `parts` parts of the gradients of the weights. A part is some units of all gates and some features.
// Few features are not divided, so that each gradient of a gate is read once.
static void weight_gradients(const Layer& l, Ragged batch, float* scratch, Index part, Index parts) {
  const Cell& cell = cell_of_layer(l);
  const Index stride = stride_of(cell, l), width = padded(l.units);
  for (const WeightGradient* g = cell.gradients; g != cell.gradients + cell.gradient_count; ++g) {
    const Features features{l, batch, *g, cell.normed, stride};
    const Index vectors = features.vectors(), columns = (vectors + widest_outer - 1) / widest_outer;
    const Index bands = (parts + columns - 1) / columns, shares = columns * bands;
    for (Index share = shares * part / parts; share < shares * (part + 1) / parts; ++share) {
      const Index v = vectors * (share % columns) / columns, count = vectors * (share % columns + 1) / columns - v;
      const Index unit = l.units * (share / columns) / bands, units = l.units * (share / columns + 1) / bands - unit;
      const auto pack = [&](Index n, Index steps, Index vector, float* out, Index apart) {
        features.pack(n, steps, v + vector, out, apart);
      };
      const Gates gates{l.saved + g->slot * width + unit, stride, g->slots, units, width};
      const float* sums = outer(batch.end(batch.rows - 1), gates, count, scratch, pack, l.products);
      features.unpack(sums, v, count, unit, units);
    }
  }
  if (cell.other_gradients) cell.other_gradients(l, batch, stride, scratch, part, parts);
}

// --- The table

extern const RecurrenceKernels recurrence_kernels;
constinit const RecurrenceKernels recurrence_kernels = {
    .saved_stride = [](const Layer& l) { return stride_of(cell_of_layer(l), l); },
    .packed_size =
        [](const Layer& l, bool back) {
          Arena arena;
          layout(cell_of_layer(l), l, arena, back);
          return arena.used;
        },
    .pack = pack,
    .close_up = close_up_packed,
    .fingerprint = fingerprint_of,
    .forward = [](const Layer& l, float* packed, Ragged batch, Lanes lanes, Index from,
                  Index to) { TimeLoop(l, packed, false, batch, lanes).forward(from, to); },
    .backward = [](const Layer& l, float* packed, Ragged batch, Lanes lanes, float* carry, Index from,
                   Index to) { TimeLoop(l, packed, true, batch, lanes).backward(carry, from, to); },
    .sums = [](const Layer& l) { return cell_of_layer(l).sums * padded(l.units); },
    .gradient_scratch = [](const Layer& l) { return outer_scratch(cell_of_layer(l).x_gates * l.units); },
    .weight_gradients = weight_gradients,
};

}  // namespace elman::ELMAN_ISA
