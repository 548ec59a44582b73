#include "engine/engine.hpp"

#include <algorithm>
#include <cstring>

#include "engine/kernels.hpp"
#include "engine/threads.hpp"

namespace elman {
namespace {

// Copies the state of rows without steps from one end to the other; null: zeros.
void copy_empty(const Plan& plan, const float* from, float* to, Index units) {
  if (!to) return;
  for (Index row = 0; row < plan.batch().rows; ++row) {
    if (plan.batch().begin(row) != plan.batch().end(row)) continue;
    if (from) std::copy_n(from + row * units, units, to + row * units);
    else std::fill_n(to + row * units, units, 0.0f);
  }
}

}  // namespace

Memory packed(const Layer& layer, bool back) {
  Memory memory(static_cast<std::size_t>(kernels().recurrence.packed_size(layer, back)));
  const Index parts = num_threads();
  parallel(parts, [&](Index part) { kernels().recurrence.pack(layer, memory.data(), back, part, parts); });
  if (layer.products != Products::float32) kernels().recurrence.close_up(layer, memory.data(), back);
  return memory;
}

Index saved_stride(const Layer& layer) { return kernels().recurrence.saved_stride(layer); }

void scan(const Plan& plan, const std::vector<StackLayer>& layers) {
  for (const auto& [layer, below, packed] : layers) {
    copy_empty(plan, layer.h0, layer.h_last, layer.outputs);
    copy_empty(plan, layer.c0, layer.c_last, layer.units);
  }
  if (plan.groups().empty()) return;
  const auto groups = static_cast<int>(plan.groups().size());
  std::vector<Strand> strands;
  for (const StackLayer& layer : layers)
    for (int g = 0; g < groups; ++g)
      strands.push_back(
          {plan.groups()[static_cast<std::size_t>(g)].jobs(), layer.below < 0 ? -1 : layer.below * groups + g});
  run_strands(strands.data(), static_cast<int>(strands.size()), [&](int strand, Index job) {
    const auto layer = static_cast<std::size_t>(strand / groups);
    const Group& group = plan.groups()[static_cast<std::size_t>(strand % groups)];
    const Index from = job * group.chunk, to = std::min(from + group.chunk, group.times());
    kernels().recurrence.forward(layers[layer].layer, layers[layer].packed, plan.batch(), group.lanes(), from, to);
  });
}

void scan_backward(const Plan& plan, std::vector<StackLayer> layers) {
  const int groups = static_cast<int>(plan.groups().size()), count = static_cast<int>(layers.size());
  std::vector<Memory> sums;
  for (auto& [layer, below, packed] : layers) {
    copy_empty(plan, layer.dh_last, layer.dh0, layer.outputs);
    copy_empty(plan, layer.dc_last, layer.dc0, layer.units);
    const auto size = static_cast<std::size_t>(plan.batch().rows * kernels().recurrence.sums(layer));
    std::fill_n(layer.sums = sums.emplace_back(size).data(), size, 0.0f);
  }
  if (groups > 0) {
    std::vector<int> above(layers.size(), -1);
    for (int i = 0; i < count; ++i)
      if (const int below = layers[static_cast<std::size_t>(i)].below; below >= 0)
        above[static_cast<std::size_t>(below)] = i;
    std::vector<Strand> strands;
    std::vector<Memory> carries;
    for (int i = count; i-- > 0;)
      for (int g = 0; g < groups; ++g) {
        const auto layer = static_cast<std::size_t>(i);
        const Group& group = plan.groups()[static_cast<std::size_t>(g)];
        strands.push_back({group.jobs(), above[layer] < 0 ? -1 : (count - 1 - above[layer]) * groups + g});
        carries.emplace_back(static_cast<std::size_t>(group.width() * 2 * kernels().padded(layers[layer].layer.units)));
      }
    run_strands(strands.data(), static_cast<int>(strands.size()), [&](int strand, Index job) {
      const auto layer = static_cast<std::size_t>(count - 1 - strand / groups);
      const Group& group = plan.groups()[static_cast<std::size_t>(strand % groups)];
      const Index from = (group.jobs() - 1 - job) * group.chunk, to = std::min(from + group.chunk, group.times());
      kernels().recurrence.backward(layers[layer].layer, layers[layer].packed, plan.batch(), group.lanes(),
                                    carries[static_cast<std::size_t>(strand)].data(), from, to);
    });
  }
  // The parts are disjoint columns of the gradients, so that no sum depends on the number of threads.
  const Index parts = num_threads();
  parallel(count * parts, [&](Index i) {
    const Layer& layer = layers[static_cast<std::size_t>(i / parts)].layer;
    if (!layer.dweight_hh) return;
    const Memory scratch(static_cast<std::size_t>(kernels().recurrence.gradient_scratch(layer)));
    kernels().recurrence.weight_gradients(layer, plan.batch(), scratch.data(), i % parts, parts);
  });
}

namespace {

Memory packed(const float* weight, const float* bias, Index inputs, Index outputs, bool back) {
  Memory memory(static_cast<std::size_t>(kernels().linear.size(inputs, outputs, back)));
  const Index parts = 4 * num_threads();
  parallel(parts,
           [&](Index part) { kernels().linear.pack(weight, bias, inputs, outputs, back, memory.data(), part, parts); });
  return memory;
}

// Divides the product into tasks of some rows and some blocks of columns.
void multiply(float* weights, Index inputs, Index outputs, bool back, Index rows, const float* x, Index x_stride,
              float* y, Index y_stride) {
  constexpr Index height = 96, least = 12, width = 64;  // rows, minimum rows and blocks per task
  const Index blocks = kernels().linear.blocks(back ? inputs : outputs), columns = (blocks + width - 1) / width;
  const Index enough = (4 * num_threads() + columns - 1) / columns;  // bands that keep all threads busy
  const Index bands = std::max((rows + height - 1) / height, std::min(enough, (rows + least - 1) / least));
  parallel(bands * columns, [&](Index task) {
    const Index from = rows * (task / columns) / bands, to = rows * (task / columns + 1) / bands,
                column = task % columns;
    const Memory scratch(static_cast<std::size_t>(kernels().linear.scratch()));
    kernels().linear.multiply(weights, inputs, outputs, back, false, to - from, x + from * x_stride, x_stride,
                              y + from * y_stride, y_stride, blocks * column / columns, blocks * (column + 1) / columns,
                              scratch.data());
  });
}

}  // namespace

Memory packed(Index inputs, Index outputs, const float* weight, const float* bias, bool half) {
  Memory memory = packed(weight, bias, inputs, outputs, false);
  if (half) kernels().linear.halve(inputs, outputs, memory.data());
  return memory;
}

void linear(Index rows, Index inputs, Index outputs, const float* x, float* weights, float* y) {
  multiply(weights, inputs, outputs, false, rows, x, inputs, y, outputs);
}

void linear(Index rows, Index inputs, Index outputs, const float* x, const float* weight, const float* bias, float* y) {
  const Memory weights = packed(inputs, outputs, weight, bias, false);
  linear(rows, inputs, outputs, x, weights.data(), y);
}

void linear_backward(Index rows, Index inputs, Index outputs, const float* x, const float* weight, const float* dy,
                     float* dx, float* dweight, float* dbias) {
  if (dx) {
    const Memory weights = packed(weight, nullptr, inputs, outputs, true);
    multiply(weights.data(), inputs, outputs, true, rows, dy, outputs, dx, inputs);
  }
  if (!dweight) return;
  const Index parts = 8 * num_threads();
  parallel(parts, [&](Index part) {
    const Memory scratch(static_cast<std::size_t>(kernels().linear.scratch()));
    kernels().linear.weight_gradients(rows, inputs, outputs, x, inputs, dy, outputs, dweight, dbias, scratch.data(),
                                      part, parts);
  });
}

}  // namespace elman
