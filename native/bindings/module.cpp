#include <nanobind/nanobind.h>

#include "engine/kernels.hpp"

namespace elman {
void bind_attention(nanobind::module_& m);
void bind_best(nanobind::module_& m);
void bind_kalman(nanobind::module_& m);
void bind_linear(nanobind::module_& m);
void bind_linear_scan(nanobind::module_& m);
void bind_masks(nanobind::module_& m);
void bind_peak(nanobind::module_& m);
void bind_recurrence(nanobind::module_& m);
void bind_semiring_scan(nanobind::module_& m);
void bind_softmax(nanobind::module_& m);
void bind_stepper(nanobind::module_& m);
void bind_threads(nanobind::module_& m);
}  // namespace elman

using namespace nanobind::literals;

NB_MODULE(_native, m) {
  m.doc() = "elman's kernels: C++ fills arrays that Python has allocated. Python checks all shapes before a call.";
  nanobind::set_leak_warnings(false);  // PyTorch graphs may keep objects alive until the process ends
  m.attr("isa") = elman::kernels().isa;
  m.attr("multiplies_bfloat16") = elman::kernels().multiplies_bfloat16;
  m.def("supported", &elman::supported, "isa"_a, "Whether this processor runs that instruction set.");
  elman::bind_attention(m);
  elman::bind_best(m);
  elman::bind_kalman(m);
  elman::bind_linear(m);
  elman::bind_linear_scan(m);
  elman::bind_masks(m);
  elman::bind_peak(m);
  elman::bind_recurrence(m);
  elman::bind_semiring_scan(m);
  elman::bind_softmax(m);
  elman::bind_stepper(m);
  elman::bind_threads(m);
}
