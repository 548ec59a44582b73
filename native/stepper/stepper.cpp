#include "stepper/stepper.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "engine/engine.hpp"
#include "engine/kernels.hpp"

namespace elman {
namespace {

// Whether a value is infinite or NaN: its exponent is all ones.
bool any_not_finite(const float* x, Index size) {
  constexpr std::uint32_t ones = 0x7F800000u;
  std::uint32_t found = 0;
  for (Index i = 0; i < size; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, x + i, sizeof bits);
    found |= (bits & ones) == ones;
  }
  return found != 0;
}

[[noreturn, gnu::cold]] void refuse(const float* x, Index rows, Index columns) {
  const Index at = std::find_if(x, x + rows * columns, [](float value) { return !std::isfinite(value); }) - x;
  const char* value = std::isnan(x[at]) ? "nan" : x[at] > 0 ? "inf" : "-inf";
  throw std::invalid_argument("Stepper: expected finite input, got " + std::string(value) + " at row " +
                              std::to_string(at / columns) + ", feature " + std::to_string(at % columns) +
                              "; the state is unchanged. Skip this step or replace the value.");
}

[[noreturn, gnu::cold]] void refuse(Index id, Index row, Index vocabulary) {
  throw std::invalid_argument("Stepper: expected ids from 0 to " + std::to_string(vocabulary - 1) + ", got " +
                              std::to_string(id) + " at row " + std::to_string(row) + "; the state is unchanged.");
}

void softmax_of(const float* x, Index size, bool logarithm, double* y) {
  const double largest = *std::max_element(x, x + size);
  double sum = 0;
  for (Index i = 0; i < size; ++i) sum += y[i] = std::exp(x[i] - largest);
  if (logarithm) {
    const double log_sum = std::log(sum);
    for (Index i = 0; i < size; ++i) y[i] = x[i] - largest - log_sum;
  } else {
    for (Index i = 0; i < size; ++i) y[i] /= sum;
  }
}

}  // namespace

Stepper::Stepper(Index rows, bool half) : rows_(rows), half_(half), storage_(std::make_shared<Storage>()) {
  for (Index row = 0; row <= rows; ++row) offsets_.push_back(row);
  for (Index row = 0; row < rows; ++row) entries_.push_back({row, 0});
  const Index groups = (rows + Lanes::widest - 1) / Lanes::widest;
  for (Index group = 0; group <= groups; ++group) begin_.push_back(rows * group / std::max<Index>(groups, 1));
}

float* Stepper::block(std::size_t floats) {
  storage_->emplace_back(floats);
  return storage_->back().data();
}

// Small arrays share a block, so that a small model uses few pages.
void* Stepper::take(std::size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  if (bytes > left_) {
    left_ = std::max<std::size_t>(bytes, 1 << 16);
    next_ = reinterpret_cast<char*>(block(left_ / sizeof(float)));
    std::memset(next_, 0, left_);
  }
  left_ -= bytes;
  return std::exchange(next_, next_ + bytes);
}

const float* Stepper::copy_weights(const float* values, Index count) {
  if (!values) return nullptr;
  const std::size_t bytes = sizeof(float) * static_cast<std::size_t>(count);
  return static_cast<float*>(std::memcpy(take(bytes), values, bytes));
}

void Stepper::finite(const float* x, Index columns) {
  operations_.push_back([=, this] {
    if (any_not_finite(x, rows_ * columns)) refuse(x, rows_, columns);
  });
}

void Stepper::embedding(const Index* ids, const float* weight, Index vocabulary, Index columns, float* y) {
  const float* table = copy_weights(weight, vocabulary * columns);
  operations_.push_back([=, this] {
    for (Index row = 0; row < rows_; ++row)
      if (ids[row] < 0 || ids[row] >= vocabulary) refuse(ids[row], row, vocabulary);
    for (Index row = 0; row < rows_; ++row) std::copy_n(table + ids[row] * columns, columns, y + row * columns);
  });
}

void Stepper::recurrence(Layer layer, float* h, float* c) {
  if (half_) layer.products = Products::bfloat16_weights;
  storage_->push_back(packed(layer, false));
  float* const weights = storage_->back().data();
  layer.x_stride = layer.inputs;
  layer.y_stride = layer.outputs;
  layer.saved = floats(saved_stride(layer));
  const Index gates = (layer.kind == Kind::lstm ? 4 : 3) * layer.units;
  layer.bias = layer.gain_ih ? copy_weights(layer.bias, gates) : nullptr;
  layer.gain_ih = copy_weights(layer.gain_ih, gates);
  layer.gain_hh = copy_weights(layer.gain_hh, gates);
  layer.gain_c = copy_weights(layer.gain_c, layer.units);
  layer.bias_c = copy_weights(layer.bias_c, layer.units);
  layer.options.peephole = copy_weights(layer.options.peephole, (layer.kind == Kind::lstm ? 3 : 2) * layer.units);
  layer.h0 = layer.h_last = h;
  layer.c0 = layer.c_last = c;
  layer.weight_ih = layer.weight_hh = layer.bias_hn = layer.weight_hr = nullptr;  // packed: the originals may be freed
  operations_.push_back([=, this] {
    const Ragged batch{offsets_.data(), rows_};
    for (std::size_t group = 0; group + 1 < begin_.size(); ++group)
      kernels().recurrence.forward(layer, weights, batch, {entries_.data(), begin_.data() + group}, 0, 1);
  });
}

void Stepper::min_gru(const float* x, const float* weight, const float* bias, Index inputs, Index units, float* h,
                      float* y) {
  float* const gates = floats(2 * units);
  linear(x, weight, bias, inputs, 2 * units, gates);
  operations_.push_back([=, this] {
    for (Index row = 0; row < rows_; ++row) kernels().rows.min_gru(units, gates + row * 2 * units, h + row * units);
    std::copy_n(h, rows_ * units, y);
  });
}

void Stepper::linear(const float* x, const float* weight, const float* bias, Index inputs, Index outputs, float* y) {
  float* const weights = block(static_cast<std::size_t>(kernels().linear.size(inputs, outputs, false)));
  kernels().linear.pack(weight, bias, inputs, outputs, false, weights, 0, 1);
  if (half_) kernels().linear.halve(inputs, outputs, weights);
  const Index blocks = kernels().linear.blocks(outputs);
  operations_.push_back([=, this] {
    kernels().linear.multiply(weights, inputs, outputs, false, half_, rows_, x, inputs, y, outputs, 0, blocks, nullptr);
  });
}

void Stepper::layer_norm(const float* x, const float* weight, const float* bias, float epsilon, Index size, float* y) {
  weight = copy_weights(weight, size);
  bias = copy_weights(bias, size);
  operations_.push_back([=, this] {
    for (Index row = 0; row < rows_; ++row)
      kernels().rows.layer_norm(size, epsilon, weight, bias, x + row * size, y + row * size);
  });
}

void Stepper::add(const float* a, const float* b, Index columns, float* y) {
  operations_.push_back([=, this] {
    for (Index i = 0; i < rows_ * columns; ++i) y[i] = a[i] + b[i];
  });
}

void Stepper::activate(Activation activation, Index columns, float* y) {
  operations_.push_back([=, this] {
    const auto apply = [=, this](auto f) { std::transform(y, y + rows_ * columns, y, f); };
    switch (activation) {
      case Activation::tanh: return apply([](float v) { return std::tanh(v); });
      case Activation::sigmoid: return apply([](float v) { return 1.0f / (1.0f + std::exp(-v)); });
      case Activation::relu: return apply([](float v) { return v < 0.0f ? 0.0f : v; });
      case Activation::identity: return;
    }
  });
}

void Stepper::window(const float* x, Index columns, Index past_columns, float* past, float* seen) {
  join(past, past_columns, x, columns, seen);
  operations_.push_back([=, this] {
    for (Index row = 0; row < rows_; ++row)
      std::copy_n(seen + row * (past_columns + columns) + columns, past_columns, past + row * past_columns);
  });
}

void Stepper::join(const float* a, Index a_columns, const float* b, Index b_columns, float* y) {
  operations_.push_back([=, this] {
    for (Index row = 0; row < rows_; ++row) {
      std::copy_n(a + row * a_columns, a_columns, y + row * (a_columns + b_columns));
      std::copy_n(b + row * b_columns, b_columns, y + row * (a_columns + b_columns) + a_columns);
    }
  });
}

void Stepper::copy(const float* x, Index columns, float* y) {
  operations_.push_back([=, this] { std::copy_n(x, rows_ * columns, y); });
}

void Stepper::count(Index* steps) {
  operations_.push_back([=, this] {
    for (Index row = 0; row < rows_; ++row) ++steps[row];
  });
}

void Stepper::softmax(const float* x, Index columns, bool logarithm, double* y) {
  operations_.push_back([=, this] {
    for (Index row = 0; row < rows_; ++row) softmax_of(x + row * columns, columns, logarithm, y + row * columns);
  });
}

}  // namespace elman
