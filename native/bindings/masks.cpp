#include "layers/masks.hpp"

#include <nanobind/stl/vector.h>

#include <vector>

#include "bindings/arrays.hpp"

namespace elman {

// The arrays of units are passed as addresses, as in recurrence.cpp; 0: none. `probability`: of keeping a unit.
void bind_masks(nb::module_& m) {
  using Address = std::uintptr_t;
  const auto scale = [](double probability) { return 1.0f / static_cast<float>(probability); };
  m.def(
      "draw_masks",
      [=](double probability, std::uint32_t threshold, const std::vector<Index>& key, const std::vector<Offsets>& steps,
          Index units, Address kept, Address x, Address y) {
        std::vector<const Index*> words;
        for (const Offsets& part : steps) words.push_back(part.data());
        std::uint32_t word = 0;
        for (const Index number : key) word = mix(word, number);
        nb::gil_scoped_release unlock;
        draw_masks({.rows = static_cast<Index>(steps.at(0).shape(0)),
                    .units = units,
                    .key = word,
                    .steps = words.data(),
                    .words = static_cast<Index>(words.size()),
                    .threshold = threshold,
                    .kept = reinterpret_cast<std::uint8_t*>(kept)},
                   scale(probability), reinterpret_cast<const float*>(x), reinterpret_cast<float*>(y));
      },
      "probability"_a, "threshold"_a, "key"_a, "steps"_a.noconvert(), "units"_a, "kept"_a, "x"_a = 0, "y"_a = 0);
  m.def(
      "masked",
      [=](double probability, Index size, Address kept, Address x, Address y) {
        masked(size, reinterpret_cast<const std::uint8_t*>(kept), scale(probability), reinterpret_cast<const float*>(x),
               reinterpret_cast<float*>(y));
      },
      "probability"_a, "size"_a, "kept"_a, "x"_a, "y"_a, nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace elman
