// Types of the arrays that Python passes: dense, row-major, on the CPU, without implicit conversion.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>

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

}  // namespace elman
