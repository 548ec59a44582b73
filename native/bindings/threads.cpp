#include "engine/threads.hpp"

#include <nanobind/nanobind.h>

namespace elman {

namespace nb = nanobind;
using namespace nanobind::literals;

void bind_threads(nb::module_& m) {
  m.def("num_threads", &num_threads);
  m.def("set_num_threads", &set_num_threads, "threads"_a);
}

}  // namespace elman
