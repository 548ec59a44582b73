#include <nanobind/nanobind.h>

#include "bindings/arrays.hpp"
#include "engine/engine.hpp"

namespace elman {

// Arrays are passed as addresses, as in recurrence.cpp; 0: none.
void bind_linear(nb::module_& m) {
  using Address = std::uintptr_t;
  const auto in = [](Address address) { return reinterpret_cast<const float*>(address); };
  const auto out = [](Address address) { return reinterpret_cast<float*>(address); };
  m.def(
      "linear",
      [=](Index rows, Index inputs, Index outputs, Address x, Address weight, Address bias, Address y) {
        linear(rows, inputs, outputs, in(x), in(weight), in(bias), out(y));
      },
      "rows"_a, "inputs"_a, "outputs"_a, "x"_a, "weight"_a, "bias"_a, "y"_a, nb::call_guard<nb::gil_scoped_release>());
  m.def(
      "pack_linear",
      [=](Index inputs, Index outputs, Address weight, Address bias, bool half) {
        return packed(inputs, outputs, in(weight), in(bias), half);
      },
      "inputs"_a, "outputs"_a, "weight"_a, "bias"_a, "half"_a, nb::call_guard<nb::gil_scoped_release>());
  m.def(
      "packed_linear",
      [](const Memory& weights, In x, Out y) {
        const auto rows = static_cast<Index>(x.shape(0)), inputs = static_cast<Index>(x.shape(1)),
                   outputs = static_cast<Index>(y.shape(1));
        const UnlockedIfLong unlocked(2.0 * static_cast<double>(rows * inputs * outputs));
        linear(rows, inputs, outputs, x.data(), weights.data(), y.data());
      },
      "weights"_a, "x"_a.noconvert(), "y"_a.noconvert(), "y = x W' + b from the result of pack_linear.");
  m.def(
      "linear_backward",
      [=](Index rows, Index inputs, Index outputs, Address x, Address weight, Address dy, Address dx, Address dweight,
          Address dbias) {
        linear_backward(rows, inputs, outputs, in(x), in(weight), in(dy), out(dx), out(dweight), out(dbias));
      },
      "rows"_a, "inputs"_a, "outputs"_a, "x"_a, "weight"_a, "dy"_a, "dx"_a, "dweight"_a, "dbias"_a,
      nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace elman
