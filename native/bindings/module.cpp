#include <nanobind/nanobind.h>

namespace elman {
void bind_linear_scan(nanobind::module_& m);
}

NB_MODULE(_native, m) {
  m.doc() = "elman's kernels: C++ fills the arrays that Python allocates. Extents are compared in Python before the call.";
  elman::bind_linear_scan(m);
}
