#include "bindings/arrays.hpp"
#include "engine/kernels.hpp"

namespace elman {

void bind_linear_scan(nb::module_& m) {
  m.def(
      "linear_scan",
      [](In a, In x, Offsets offsets, In h0, Out h, Out last) {
        nb::gil_scoped_release unlock;
        kernels().rows.linear_scan(ragged(offsets), a.shape(1), a.data(), x.data(), h0.data(), h.data(), last.data());
      },
      "a"_a.noconvert(), "x"_a.noconvert(), "offsets"_a.noconvert(), "h0"_a.noconvert(), "h"_a.noconvert(),
      "last"_a.noconvert());
  m.def(
      "linear_scan_backward",
      [](In a, In h, Offsets offsets, In h0, In dh, In dlast, Out da, Out dx, Out dh0) {
        nb::gil_scoped_release unlock;
        kernels().rows.linear_scan_backward(ragged(offsets), a.shape(1), a.data(), h.data(), h0.data(), dh.data(),
                                            dlast.data(), da.data(), dx.data(), dh0.data());
      },
      "a"_a.noconvert(), "h"_a.noconvert(), "offsets"_a.noconvert(), "h0"_a.noconvert(), "dh"_a.noconvert(),
      "dlast"_a.noconvert(), "da"_a.noconvert(), "dx"_a.noconvert(), "dh0"_a.noconvert());
}

}  // namespace elman
