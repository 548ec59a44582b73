#include "layers/best.hpp"

#include "bindings/arrays.hpp"

namespace elman {

void bind_best(nb::module_& m) {
  using Ids = nb::ndarray<std::int64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
  using LogProbs = nb::ndarray<double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
  m.def(
      "best",
      [](In scores, Ids ids, LogProbs log_probs) {
        nb::gil_scoped_release unlock;
        best(static_cast<Index>(scores.shape(0)), static_cast<Index>(scores.shape(1)), static_cast<Index>(ids.shape(1)),
             scores.data(), ids.data(), log_probs.data());
      },
      "scores"_a.noconvert(), "ids"_a.noconvert(), "log_probs"_a.noconvert());
}

}  // namespace elman
