#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <vector>

#include "bindings/arrays.hpp"
#include "engine/memory.hpp"
#include "inference/semiring.hpp"

namespace elman {
namespace {

template <class T>
using Dense = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
using Numbers = Dense<const double>;

template <class T>
T* address(const std::optional<Dense<T>>& array) {
  return array ? array->data() : nullptr;
}

// Arguments that all functions share; Python has checked them.
Trellis trellis(const Numbers& log_start, const Numbers& log_transition, const Numbers& scores, const Offsets& offsets,
                const Offsets& model, bool per_step) {
  return {.batch = ragged(offsets),
          .states = static_cast<Index>(scores.shape(1)),
          .models = per_step ? 0 : static_cast<Index>(log_transition.shape(0)),
          .per_step = per_step,
          .log_start = log_start.data(),
          .log_transition = log_transition.data(),
          .scores = scores.data(),
          .model = model.data()};
}

}  // namespace

void bind_semiring_scan(nb::module_& m) {
  m.def(
      "doubles",
      [](std::vector<std::size_t> shape) {
        std::size_t size = 1;
        for (const std::size_t axis : shape) size *= axis;
        auto* memory = new Memory(2 * size);
        nb::capsule owner(memory, [](void* p) noexcept { delete static_cast<Memory*>(p); });
        return nb::ndarray<nb::numpy, double>(memory->data(), shape.size(), shape.data(), owner);
      },
      "shape"_a, "A NumPy float64 array in memory from the pool.");
  m.def(
      "semiring_sums",
      [](Numbers log_start, Numbers log_transition, Numbers scores, Offsets offsets, Offsets model, bool per_step,
         std::optional<Dense<double>> probs, std::optional<Dense<double>> log_prob, std::optional<Dense<double>> last,
         std::optional<Dense<double>> total, std::optional<Dense<double>> transitions, Dense<std::uint8_t> lost) {
        nb::gil_scoped_release unlock;
        semiring_sums(trellis(log_start, log_transition, scores, offsets, model, per_step),
                      {.probs = address(probs),
                       .log_prob = address(log_prob),
                       .last = address(last),
                       .total = address(total),
                       .transitions = address(transitions),
                       .lost = lost.data()});
      },
      "log_start"_a.noconvert(), "log_transition"_a.noconvert(), "scores"_a.noconvert(), "offsets"_a.noconvert(),
      "model"_a.noconvert(), "per_step"_a, "probs"_a.noconvert().none(), "log_prob"_a.noconvert().none(),
      "last"_a.noconvert().none(), "total"_a.noconvert().none(), "transitions"_a.noconvert().none(),
      "lost"_a.noconvert());
  m.def(
      "semiring_best",
      [](Numbers log_start, Numbers log_transition, Numbers scores, Offsets offsets, Offsets model, bool per_step,
         Dense<std::int64_t> states, Dense<double> log_prob) {
        nb::gil_scoped_release unlock;
        semiring_best(trellis(log_start, log_transition, scores, offsets, model, per_step),
                      static_cast<Index>(states.shape(0)), states.data(), log_prob.data());
      },
      "log_start"_a.noconvert(), "log_transition"_a.noconvert(), "scores"_a.noconvert(), "offsets"_a.noconvert(),
      "model"_a.noconvert(), "per_step"_a, "states"_a.noconvert(), "log_prob"_a.noconvert());
  m.def(
      "semiring_draw",
      [](Numbers log_start, Numbers log_transition, Numbers scores, Offsets offsets, Offsets model, bool per_step,
         Numbers probs, Numbers uniforms, Dense<std::int64_t> paths, Dense<std::uint8_t> lost) {
        nb::gil_scoped_release unlock;
        semiring_draw(trellis(log_start, log_transition, scores, offsets, model, per_step), probs.data(),
                      static_cast<Index>(uniforms.shape(0)), uniforms.data(), paths.data(), lost.data());
      },
      "log_start"_a.noconvert(), "log_transition"_a.noconvert(), "scores"_a.noconvert(), "offsets"_a.noconvert(),
      "model"_a.noconvert(), "per_step"_a, "probs"_a.noconvert(), "uniforms"_a.noconvert(), "paths"_a.noconvert(),
      "lost"_a.noconvert());
}

}  // namespace elman
