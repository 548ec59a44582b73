#include "layers/softmax.hpp"

#include "bindings/arrays.hpp"

namespace elman {

void bind_softmax(nb::module_& m) {
  using Targets = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
  using Scores = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
  using Row = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
  m.def(
      "softmax_gradient",
      [](Scores scores, Targets targets, float smoothing, Row losses, Row log_probs) {
        nb::gil_scoped_release unlock;
        softmax_gradient(static_cast<Index>(scores.shape(0)), static_cast<Index>(scores.shape(1)), smoothing,
                         targets.data(), scores.data(), losses.data(), log_probs.data());
      },
      "scores"_a.noconvert(), "targets"_a.noconvert(), "smoothing"_a, "losses"_a.noconvert(),
      "log_probs"_a.noconvert());
}

}  // namespace elman
