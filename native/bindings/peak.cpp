#include <nanobind/nanobind.h>

#include <chrono>
#include <future>
#include <vector>

#include "engine/kernels.hpp"

namespace elman {

namespace nb = nanobind;
using namespace nanobind::literals;

// Flops a second of one thread, measured for so many seconds.
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

// Threads of their own, not the pool's: the caller would do the work of a worker that comes late.
static double fma_peak(int threads, double seconds) {
  std::vector<std::future<double>> rates;
  for (int i = 0; i < threads; ++i) rates.push_back(std::async(std::launch::async, fma_rate, seconds));
  double sum = 0;
  for (auto& rate : rates) sum += rate.get();
  return sum;
}

void bind_peak(nb::module_& m) {
  m.def("fma_peak", &fma_peak, "threads"_a, "seconds"_a, nb::call_guard<nb::gil_scoped_release>(),
        "The fused products of float32, two flops each, that so many threads do in a second.");
}

}  // namespace elman
