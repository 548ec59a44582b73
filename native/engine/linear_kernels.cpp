// Linear maps y = x W' + b. Each element of y is one chain over the inputs, whatever the other rows are.
#include "engine/kernels.hpp"
#include "engine/outer.hpp"
#include "engine/pack.hpp"

namespace elman::ELMAN_ISA {

constexpr Index deep = 512;  // inputs at once
constexpr Index tall = 96;   // rows at once: with these inputs, they fit the second-level cache

static inline Panels panels(Index inputs, Index outputs, float* packed) {
  return {.data = packed, .k = inputs, .units = outputs};
}

// Floats of packed W [O, D] and bias, or with `back` of W for dx = dy W, without a bias.
static Index size(Index inputs, Index outputs, bool back) {
  return back ? panels(outputs, inputs, nullptr).size() : panels(inputs, outputs, nullptr).size() + padded(outputs);
}

// A null bias is packed as zeros.
static void pack(const float* weight, const float* bias, Index inputs, Index outputs, bool back, float* packed,
                 Index part, Index parts) {
  constexpr int only[] = {0};
  const Panels b = back ? panels(outputs, inputs, packed) : panels(inputs, outputs, packed);
  const Index from = b.vectors() * part / parts, to = b.vectors() * (part + 1) / parts;
  if (back) return pack_plain(packed, b, weight, only, outputs, from, to);
  pack_transposed(b, weight, only, from, to);
  for (Index v = from; v < to; ++v) store(packed + b.size() + v * W, bias ? load(bias + v * W, outputs - v * W) : V{});
}

// Computes some blocks of columns of x B for `rows` rows; `bias` is packed, null: zeros. With `scratch` [tall, deep],
// rows are copied there, since each is read once per block; without, they are read where they are.
static void multiply_panels(const Panels& b, const float* bias, Index rows, const float* x, Index x_stride, float* y,
                            Index y_stride, Index from_block, Index to_block, float* scratch) {
  const float* a[tall];
  float* c[tall];
  Panels slice = b;
  slice.depth = b.rows();
  slice.from_block = from_block;
  slice.to_block = to_block;
  for (Index row = 0; row < rows; row += tall) {
    const Index count = smaller(rows - row, tall);
    for (Index i = 0; i < count; ++i) c[i] = y + (row + i) * y_stride;
    for (Index k = 0; k == 0 || k < b.k; k += deep) {
      slice.k = smaller(b.k - k, deep);
      slice.from = b.products == Products::float32 ? k : k / 2;
      for (Index i = 0; i < count; ++i) {
        a[i] = x + (row + i) * x_stride + k;
        if (scratch)
          a[i] = static_cast<float*>(
              std::memcpy(scratch + i * deep, a[i], sizeof(float) * static_cast<std::size_t>(slice.k)));
      }
      product({.rows = count,
               .a = a,
               .b = slice,
               .c = c,
               .start = k      ? Start::add
                        : bias ? Start::bias
                               : Start::zero,
               .bias = bias,
               .bounded = true});
    }
  }
}

static void halve_packed(Index inputs, Index outputs, float* packed) {
  Panels b = panels(inputs, outputs, packed);
  b.products = Products::bfloat16_weights;
  halve(b, 0, b.vectors());
  close_up(b);
}

static Index blocks(Index outputs) { return (padded(outputs) / W + vectors_of(1) - 1) / vectors_of(1); }

// `half`: the packed weights, but not the bias, are bfloat16.
static void multiply_rows(float* packed, Index inputs, Index outputs, bool back, bool half, Index rows, const float* x,
                          Index x_stride, float* y, Index y_stride, Index from_block, Index to_block, float* scratch) {
  Panels b = back ? panels(outputs, inputs, packed) : panels(inputs, outputs, packed);
  if (half) b.products = Products::bfloat16_weights;
  multiply_panels(b, back ? nullptr : packed + b.size(), rows, x, x_stride, y, y_stride, from_block, to_block, scratch);
}

static Index scratch_size() {
  return outer_scratch(outer_rows) > tall * deep ? outer_scratch(outer_rows) : tall * deep;
}

// Computes dW[o, i] = sum over n of dy[n, o] x[n, i], and the gradient of the bias: one of `parts` parts.
static void weight_gradients(Index rows, Index inputs, Index outputs, const float* x, Index x_stride, const float* dy,
                             Index dy_stride, float* dweight, float* dbias, float* scratch, Index part, Index parts) {
  const Index vectors = padded(inputs + 1) / W, columns = (vectors + widest_outer - 1) / widest_outer;
  const Index bands = (outputs + outer_rows - 1) / outer_rows, all = columns * bands;
  for (Index task = all * part / parts; task < all * (part + 1) / parts; ++task) {
    const Index v = vectors * (task % columns) / columns, count = vectors * (task % columns + 1) / columns - v;
    const Index o = outputs * (task / columns) / bands, height = outputs * (task / columns + 1) / bands - o;
    const auto pack_inputs = [&](Index n, Index steps, Index vector, float* out, Index width) {
      for (Index i = 0; i < steps; ++i, out += width)
        append_one(x + (n + i) * x_stride, (v + vector) * W, inputs, true, out);
    };
    const float* sums = outer(rows, {dy + o, dy_stride, 1, height, 0}, count, scratch, pack_inputs);
    for (Index m = 0; m < height; ++m) {
      const float* from = sums + m * count * W;
      const Index at = v * W, real = smaller(inputs - at, count * W);
      if (real > 0) std::memcpy(dweight + (o + m) * inputs + at, from, sizeof(float) * static_cast<std::size_t>(real));
      if (dbias && inputs >= at && inputs < at + count * W) dbias[o + m] = from[inputs - at];
    }
  }
}

extern const LinearKernels linear_kernels;
constinit const LinearKernels linear_kernels = {
    .size = size,
    .pack = pack,
    .blocks = blocks,
    .halve = halve_packed,
    .multiply = multiply_rows,
    .scratch = scratch_size,
    .weight_gradients = weight_gradients,
};

}  // namespace elman::ELMAN_ISA
