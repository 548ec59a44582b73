// The weights of a recurrence in the order in which tiles read them, forward and back.
#pragma once

#include "gemm.hpp"

namespace elman::ELMAN_ISA {

constexpr Index few_inputs = 8;

struct Weights {
  bool fused = false;   // few inputs: `hh` holds the k of `ih`, then its own, and the step reads both
  Panels ih, hh, hh_n;  // forward: [D] and [H] -> gates; hh_n is the candidate of a GRU with the reset before
  Panels ih_back, hh_back, hh_n_back;  // backward: gates -> [D], [P]
  Panels hr, hr_back;                  // a projection: [H] -> [P], and back
  float* bias = nullptr;               // of `ih`, in its order
  float* bias_hn = nullptr;            // [padded(H)]
  float* zeros = nullptr;              // [padded(H)]
};

// Hands out parts of one piece of memory; without one, only counts.
struct Arena {
  float* memory = nullptr;
  Index used = 0;

  float* take(Index size) {
    float* part = memory ? memory + used : nullptr;
    used += (size + 15) / 16 * 16;
    return part;
  }
};

// B(k, gate and unit) = w[(source[gate] * units + unit), k]: a product with the transposed weights.
// `w` is [gates * units, k]; only the vectors from `from` to `to` are written, and of a slice its k.
static inline void pack_transposed(const Panels& b, const float* w, const int* source, Index from, Index to) {
  const int nv = vectors_of(b.gates);
  const Index depth = b.depth ? b.depth : b.k;
  for (Index v = from; v < to; ++v) {
    const Index block = v / nv, width = (b.vectors() - block * nv < nv ? b.vectors() - block * nv : nv) * W;
    float* out = b.data + block * nv * W * depth + b.from * width + v % nv * W;
    const Index gate = source[v % b.gates], unit = v / b.gates * W, real = b.units - unit < W ? b.units - unit : W;
    const float* rows[W];
    for (Index u = 0; u < W; ++u) rows[u] = w + (gate * b.units + unit + (u < real ? u : 0)) * b.k;
    Index k = 0;
    if (real == W)
      for (; k + W <= b.k; k += W) {
        V square[W];
        for (int u = 0; u < W; ++u) square[u] = load(rows[u] + k);
        transpose(square);
        for (int u = 0; u < W; ++u) store(out + (k + u) * width, square[u]);
      }
    for (; k < b.k; ++k)
      for (Index u = 0; u < W; ++u) out[k * width + u] = u < real ? rows[u][k] : 0.0f;
  }
}

// B(slot and unit, n) = w[(source[slot] * units + unit), n]: a product with the weights as they are. `w` is [gates *
// units, columns]. Rows of padding are zero.
static inline void pack_plain(float* data, const Panels& b, const float* w, const int* source, Index units, Index from,
                              Index to) {
  const int nv = vectors_of(1);
  for (Index v = from; v < to; ++v) {
    const Index block = v / nv, width = (b.vectors() - block * nv < nv ? b.vectors() - block * nv : nv) * W;
    float* out = data + block * nv * W * b.k + v % nv * W;
    for (Index k = 0; k < b.k; ++k) {
      const Index slot = k / padded(units), unit = k % padded(units);
      store(out + k * width,
            unit < units ? load(w + (source[slot] * units + unit) * b.units + v * W, b.units - v * W) : V{});
    }
  }
}

static inline void pack_bias(float* data, const Panels& b, const float* bias, const int* source) {
  for (Index v = 0; v < b.vectors(); ++v) {
    const Index gate = source[v % b.gates], unit = v / b.gates * W;
    store(data + v * W, load(bias + gate * b.units + unit, b.units - unit));
  }
}

// Where the packed weights of a recurrence R lie.
template <class R>
static Weights layout(const Layer& l, Arena& arena, bool back) {
  const Index width = padded(l.units);
  Weights w;
  if (back) {
    w.ih_back = {.k = R::x_gates * width, .units = l.inputs};
    w.hh_back = {.k = R::h_gates * width, .units = l.outputs};
    if (R::projection) w.hr_back = {.k = padded(l.outputs), .units = l.units};
    if (R::candidate) w.hh_n_back = {.k = width, .units = l.units};
  } else {
    w.ih = {.k = l.inputs, .units = l.units, .gates = R::x_gates, .gate_stride = width, .first = R::x_slot * width};
    w.fused = R::one_product && !R::normed && l.inputs <= few_inputs;
    w.hh = {.k = l.outputs, .units = l.units, .gates = R::h_gates, .gate_stride = width, .first = R::h_slot * width};
    if (R::candidate) w.hh_n = {.k = l.units, .units = l.units};
    if (R::projection) w.hr = {.k = l.units, .units = l.outputs};
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

// Packs one of `parts` shares of the weights, so that threads can share the work.
template <class R>
static void pack(const Layer& l, float* memory, bool back, Index part, Index parts) {
  Arena arena{memory};
  const Weights w = layout<R>(l, arena, back);
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
    plain(w.ih_back, l.weight_ih, R::x_order, l.units);
    plain(w.hh_back, l.weight_hh, R::h_order, l.units);
    if (R::candidate) plain(w.hh_n_back, candidate, only, l.units);
    if (R::projection) plain(w.hr_back, l.weight_hr, only, l.outputs);
  } else {
    Panels ih = w.ih, hh = w.hh;
    if (w.fused) ih.depth = w.hh.k;
    transposed(ih, l.weight_ih, R::x_order);
    if (w.fused)
      hh = {
          .data = w.hh.data, .k = l.outputs, .units = l.units, .gates = R::h_gates, .depth = w.hh.k, .from = l.inputs};
    transposed(hh, l.weight_hh, R::h_order);
    if (R::candidate) transposed(w.hh_n, candidate, only);
    if (R::projection) transposed(w.hr, l.weight_hr, only);
    if (part == 0) {
      pack_bias(w.bias, w.ih, l.bias, R::x_order);
      for (Index u = 0; u < l.units; u += W) store(w.bias_hn + u, l.bias_hn ? load(l.bias_hn + u, l.units - u) : V{});
    }
  }
  if (l.products != Products::float32)
    for (const Panels* b : {&w.hh, &w.ih, &w.hh_n, &w.hr, &w.ih_back, &w.hh_back, &w.hh_n_back, &w.hr_back})
      if (b != &w.ih || !w.fused) halve(*b, share(*b, part), share(*b, part + 1));
  if (part == 0) std::memset(w.zeros, 0, sizeof(float) * static_cast<std::size_t>(padded(l.units)));
}

// What was packed in bfloat16, without the gaps that its shares have left.
template <class R>
static void close_up(const Layer& l, float* memory, bool back) {
  Arena arena{memory};
  const Weights w = layout<R>(l, arena, back);
  for (const Panels* b : {&w.hh, &w.ih, &w.hh_n, &w.hr, &w.ih_back, &w.hh_back, &w.hh_n_back, &w.hr_back})
    if (b != &w.ih || !w.fused) close_up(*b);
}

// A number that tells weights from any others: whether what was packed is still what they are. Reading is all it costs.
static inline std::uint64_t fingerprint(const float* data, Index size, std::uint64_t seed) {
  typedef std::uint32_t Words __attribute__((vector_size(4 * W)));
  constexpr int chains = 8;
  Words mixed[chains];
  for (int i = 0; i < chains; ++i) mixed[i] = Words{} + static_cast<std::uint32_t>(i + 1) * 0x9E3779B1u;
  Index at = 0;
  const auto mix = [&](int i, V v) {
    mixed[i] = (mixed[i] ^ reinterpret_cast<Words>(v)) * 0x85EBCA6Bu;
    mixed[i] ^= mixed[i] >> 15;  // a product carries upwards only: two changes of sign would undo each other
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

}  // namespace elman::ELMAN_ISA
