#include <nanobind/nanobind.h>

#include <chrono>
#include <future>
#include <vector>

#include "engine/kernels.hpp"

namespace elman {

namespace nb = nanobind;
using namespace nanobind::literals;

// Floating-point operations per second of one thread, measured over `seconds`.
static double fma_rate(double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  std::vector<float> values(14 * kernels().width, 0.5f);
  double flops = 0;
  do flops += static_cast<double>(kernels().rows.multiply_add(10'000, values.data()));
  while (elapsed() < seconds);
  return flops / elapsed();
}

// Uses its own threads: in the pool, the caller would take over the work of a late worker.
static double fma_peak(int threads, double seconds) {
  std::vector<std::future<double>> rates;
  for (int i = 0; i < threads; ++i) rates.push_back(std::async(std::launch::async, fma_rate, seconds));
  double sum = 0;
  for (auto& rate : rates) sum += rate.get();
  return sum;
}

void bind_peak(nb::module_& m) {
  m.def("fma_peak", &fma_peak, "threads"_a, "seconds"_a, nb::call_guard<nb::gil_scoped_release>(),
        "Peak float32 operations per second of `threads` threads; a fused multiply-add counts as two.");
}

}  // namespace elman
