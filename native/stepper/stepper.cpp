#include "stepper/stepper.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "engine/engine.hpp"
#include "engine/kernels.hpp"

namespace elman {
namespace {

[[noreturn, gnu::cold]] void refuse(const float* x, Index rows, Index columns) {
  const Index at = std::find_if(x, x + rows * columns, [](float value) { return !std::isfinite(value); }) - x;
  const char* value = std::isnan(x[at]) ? "nan" : x[at] > 0 ? "inf" : "-inf";
  throw WrongRow(
      "expected finite input, got " + std::string(value), at / columns,
      ", feature " + std::to_string(at % columns) + "; the state is unchanged. Skip this step or replace the value.");
}

[[noreturn, gnu::cold]] void refuse(Index id, Index row, Index vocabulary) {
  throw WrongRow("expected ids from 0 to " + std::to_string(vocabulary - 1) + ", got " + std::to_string(id), row,
                 "; the state is unchanged.");
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

bool all_finite(const float* x, Index size) {
  constexpr std::uint32_t ones = 0x7F800000u;  // the exponent of infinity and NaN
  std::uint32_t found = 0;
  for (Index i = 0; i < size; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, x + i, sizeof bits);
    found |= (bits & ones) == ones;
  }
  return found == 0;
}

Stepper::Stepper(Index rows, bool half) : rows_(rows), half_(half), storage_(std::make_shared<Storage>()) {
  for (Index row = 0; row <= rows; ++row) offsets_.push_back(row);
  for (Index row = 0; row < rows; ++row) entries_.push_back({row, 0});
  begin_.resize(static_cast<std::size_t>((rows + Lanes::widest - 1) / Lanes::widest + 1));
}

void Stepper::run(Index rows) {
  groups_ = (rows + Lanes::widest - 1) / Lanes::widest;
  for (Index group = 0; group <= groups_; ++group)
    begin_[static_cast<std::size_t>(group)] = rows * group / std::max<Index>(groups_, 1);
  for (const Operation& operation : operations_) operation(rows);
}

void Stepper::append(double work_per_row, Operation operation) {
  work_ += work_per_row;
  operations_.push_back(std::move(operation));
}

void Stepper::finite(const float* x, Index columns) {
  append(static_cast<double>(columns), [=](Index rows) {
    if (!all_finite(x, rows * columns)) refuse(x, rows, columns);
  });
}

void Stepper::embedding(const Index* ids, const float* weight, Index vocabulary, Index columns, float* y) {
  append(static_cast<double>(columns), [=](Index rows) {
    for (Index row = 0; row < rows; ++row)
      if (ids[row] < 0 || ids[row] >= vocabulary) refuse(ids[row], row, vocabulary);
    for (Index row = 0; row < rows; ++row) std::copy_n(weight + ids[row] * columns, columns, y + row * columns);
  });
}

void Stepper::recurrence(StackLayer placed, const float* x, float* h, float* c, float* y) {
  Layer& layer = placed.layer;
  layer.x = x;
  layer.y = y;
  layer.x_stride = layer.inputs;
  layer.y_stride = layer.outputs;
  layer.saved = floats(saved_stride(layer));
  const Index gates = (layer.kind == Kind::lstm ? 4 : 3) * layer.units;
  layer.h0 = layer.h_last = h;
  layer.c0 = layer.c_last = c;
  const double work = 2.0 * static_cast<double>(gates * (layer.inputs + layer.outputs + 20));
  append(work, [=, this](Index rows) {
    const Ragged batch{offsets_.data(), rows};
    for (Index group = 0; group < groups_; ++group)
      kernels().recurrence.forward(placed.layer, placed.packed, batch, {entries_.data(), begin_.data() + group}, 0, 1);
  });
}

void Stepper::min_gru(const float* x, float* weights, Index inputs, Index units, float* h, float* y) {
  float* const gates = floats(2 * units);
  linear(x, weights, inputs, 2 * units, gates);
  append(20.0 * static_cast<double>(units), [=](Index rows) {
    for (Index row = 0; row < rows; ++row) kernels().rows.min_gru(units, gates + row * 2 * units, h + row * units);
    std::copy_n(h, rows * units, y);
  });
}

void Stepper::linear(const float* x, float* weights, Index inputs, Index outputs, float* y) {
  const bool half = half_;
  const Index blocks = kernels().linear.blocks(outputs);
  append(2.0 * static_cast<double>(inputs * outputs), [=](Index rows) {
    kernels().linear.multiply(weights, inputs, outputs, false, half, rows, x, inputs, y, outputs, 0, blocks, nullptr);
  });
}

void Stepper::layer_norm(const float* x, const float* weight, const float* bias, float epsilon, Index size, float* y) {
  append(5.0 * static_cast<double>(size), [=](Index rows) {
    for (Index row = 0; row < rows; ++row)
      kernels().rows.layer_norm(size, epsilon, weight, bias, x + row * size, y + row * size);
  });
}

void Stepper::rms_norm(const float* x, const float* weight, float epsilon, Index size, float* y) {
  append(5.0 * static_cast<double>(size), [=](Index rows) {
    for (Index row = 0; row < rows; ++row) {
      const float *from = x + row * size, *end = from + size;
      float squares = 0;
      for (const float* value = from; value != end; ++value) squares += *value * *value;
      const float scale = 1.0f / std::sqrt(squares / static_cast<float>(size) + epsilon);
      float* to = y + row * size;
      for (Index i = 0; i < size; ++i) to[i] = from[i] * scale * (weight ? weight[i] : 1.0f);
    }
  });
}

void Stepper::add(const float* a, const float* b, Index columns, float* y) {
  append(static_cast<double>(columns), [=](Index rows) {
    for (Index i = 0; i < rows * columns; ++i) y[i] = a[i] + b[i];
  });
}

void Stepper::pointwise(Pointwise function, float a, float b, Index columns, float* y) {
  append(50.0 * static_cast<double>(columns),
         [=](Index rows) { std::transform(y, y + rows * columns, y, [=](float x) { return function(x, a, b); }); });
}

void Stepper::window(const float* x, Index columns, Index past_columns, float* past, float* seen) {
  join(past, past_columns, x, columns, seen);
  append(static_cast<double>(past_columns), [=](Index rows) {
    for (Index row = 0; row < rows; ++row)
      std::copy_n(seen + row * (past_columns + columns) + columns, past_columns, past + row * past_columns);
  });
}

void Stepper::join(const float* a, Index a_columns, const float* b, Index b_columns, float* y) {
  append(static_cast<double>(a_columns + b_columns), [=](Index rows) {
    for (Index row = 0; row < rows; ++row) {
      std::copy_n(a + row * a_columns, a_columns, y + row * (a_columns + b_columns));
      std::copy_n(b + row * b_columns, b_columns, y + row * (a_columns + b_columns) + a_columns);
    }
  });
}

void Stepper::copy(const float* x, Index columns, float* y) {
  append(static_cast<double>(columns), [=](Index rows) { std::copy_n(x, rows * columns, y); });
}

void Stepper::count(Index* steps) {
  append(1, [=](Index rows) {
    for (Index row = 0; row < rows; ++row) ++steps[row];
  });
}

void Stepper::mean(const float* x, Index columns, bool deviation, float* sum, Index* steps, float* y) {
  append(5.0 * static_cast<double>(columns), [=](Index rows) {
    for (Index row = 0; row < rows; ++row) {
      const float number = static_cast<float>(++steps[row]);
      for (Index i = row * columns; i < (row + 1) * columns; ++i) {
        sum[i] += x[i];
        const float average = sum[i] / number;
        y[i] = deviation ? x[i] - average : average;
      }
    }
  });
}

void Stepper::max(const float* x, Index columns, float* largest, float* y) {
  append(2.0 * static_cast<double>(columns), [=](Index rows) {
    for (Index i = 0; i < rows * columns; ++i) y[i] = largest[i] = x[i] > largest[i] ? x[i] : largest[i];
  });
}

void Stepper::differences(const float* x, const float* scale, Index columns, float* previous, Index* steps, float* y) {
  append(5.0 * static_cast<double>(columns), [=](Index rows) {
    for (Index row = 0; row < rows; ++row) {
      const float* now = x + row * columns;
      float *before = previous + row * columns, *value = y + 2 * row * columns, *change = value + columns;
      const bool first = steps[row]++ == 0;
      for (Index i = 0; i < columns; ++i) {
        change[i] = first ? 0.0f : (now[i] - before[i]) / scale[i];
        value[i] = before[i] = now[i];
      }
    }
  });
}

void Stepper::attention(const float* x, const float* score, Index columns, float* largest, float* weight, float* sum,
                        float* y) {
  append(4.0 * static_cast<double>(columns) + 100, [=](Index rows) {
    for (Index row = 0; row < rows; ++row) {
      const float top = std::max(largest[row], score[row]);
      const float before = std::exp(largest[row] - top), now = std::exp(score[row] - top);
      weight[row] = before * weight[row] + now;
      largest[row] = top;
      for (Index i = row * columns; i < (row + 1) * columns; ++i) {
        sum[i] = before * sum[i] + now * x[i];
        y[i] = sum[i] / weight[row];
      }
    }
  });
}

void Stepper::softmax(const float* x, Index columns, bool logarithm, double* y) {
  append(100.0 * static_cast<double>(columns), [=](Index rows) {
    for (Index row = 0; row < rows; ++row) softmax_of(x + row * columns, columns, logarithm, y + row * columns);
  });
}

}  // namespace elman
