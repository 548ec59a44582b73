// Types of the arrays that Python passes: dense, row-major, on the CPU, without implicit conversion.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <optional>

#include "engine/ragged.hpp"

namespace elman {

namespace nb = nanobind;
using namespace nanobind::literals;

using In = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Out = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Offsets = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

inline Ragged ragged(const Offsets& offsets) {
  return {offsets.data(), static_cast<std::int64_t>(offsets.shape(0)) - 1};
}

// Releases the interpreter lock during a long call only: taking it back costs up to a switch interval (5 ms) where
// another thread computes in Python, and the others can wait for a short one.
class UnlockedIfLong {
 public:
  explicit UnlockedIfLong(double operations) {  // floating-point operations
    constexpr double long_call = 4e6;           // about 50 microseconds
    if (operations > long_call) released_.emplace();
  }

 private:
  std::optional<nb::gil_scoped_release> released_;
};

}  // namespace elman
