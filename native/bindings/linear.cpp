#include <nanobind/nanobind.h>

#include "engine/engine.hpp"

namespace elman {

namespace nb = nanobind;
using namespace nanobind::literals;

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
      "linear_backward",
      [=](Index rows, Index inputs, Index outputs, Address x, Address weight, Address dy, Address dx, Address dweight,
          Address dbias) {
        linear_backward(rows, inputs, outputs, in(x), in(weight), in(dy), out(dx), out(dweight), out(dbias));
      },
      "rows"_a, "inputs"_a, "outputs"_a, "x"_a, "weight"_a, "dy"_a, "dx"_a, "dweight"_a, "dbias"_a,
      nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace elman
