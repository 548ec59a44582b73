#include <nanobind/stl/vector.h>

#include <cstring>
#include <utility>

#include "bindings/arrays.hpp"
#include "engine/engine.hpp"
#include "engine/kernels.hpp"
#include "engine/memory.hpp"
#include "engine/threads.hpp"

namespace elman {

// Arrays are passed as addresses: converting ten array objects takes longer than a step of one row. Python has checked
// all shapes and types, and keeps the arrays alive.
template <class T>
static void address(nb::class_<StackLayer>& layer, const char* name, T* Layer::* field) {
  layer.def_prop_rw(
      name, [field](const StackLayer& placed) { return reinterpret_cast<std::uintptr_t>(placed.layer.*field); },
      [field](StackLayer& placed, std::uintptr_t value) { placed.layer.*field = reinterpret_cast<T*>(value); });
}

void bind_recurrence(nb::module_& m) {
  nb::class_<Memory>(m, "Memory", "A block of floats from the pool.")
      .def_prop_ro("address", [](const Memory& memory) { return reinterpret_cast<std::uintptr_t>(memory.data()); })
      .def("copy", [](const Memory& memory) {
        nb::gil_scoped_release unlock;
        Memory copy(memory.size());
        std::memcpy(copy.data(), memory.data(), sizeof(float) * memory.size());
        return copy;
      });
  m.def("memory", [](std::size_t floats) { return Memory(floats); }, "floats"_a);
  m.def(
      "array",
      [](std::size_t rows, std::size_t columns) {
        auto* memory = new Memory(rows * columns);
        nb::capsule owner(memory, [](void* p) noexcept { delete static_cast<Memory*>(p); });
        return nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>(memory->data(), {rows, columns}, owner);
      },
      "rows"_a, "columns"_a, "An array [rows, columns] in memory from the pool.");
  m.def("pooled_bytes", &pooled_bytes);
  m.def(
      "address",
      [](const nb::ndarray<nb::ro, nb::device::cpu>& array) { return reinterpret_cast<std::uintptr_t>(array.data()); },
      "array"_a.noconvert(), "Address of the numbers of an array: a tenth of the time of __array_interface__.");

  nb::class_<Plan>(m, "Plan").def(
      "__init__",
      [](Plan* plan, Offsets offsets) {
        new (plan) Plan(std::vector<Index>(offsets.data(), offsets.data() + offsets.shape(0)), num_threads());
      },
      "offsets"_a.noconvert());

  nb::class_<StackLayer> layer(m, "Layer");
  layer.def(
      "__init__",
      [](StackLayer* placed, int kind, int activation, Index inputs, Index units, Index outputs, bool reverse,
         int below) {
        new (placed) StackLayer{};
        placed->layer.kind = static_cast<Kind>(kind);
        placed->layer.activation = static_cast<Activation>(activation);
        placed->layer.inputs = inputs;
        placed->layer.units = units;
        placed->layer.outputs = outputs;
        placed->layer.reverse = reverse;
        placed->below = below;
      },
      "kind"_a, "activation"_a, "inputs"_a, "units"_a, "outputs"_a, "reverse"_a, "below"_a);
  layer.def_prop_ro("saved_stride", [](const StackLayer& placed) { return saved_stride(placed.layer); });
  address(layer, "weight_ih", &Layer::weight_ih);
  address(layer, "weight_hh", &Layer::weight_hh);
  address(layer, "bias", &Layer::bias);
  address(layer, "bias_hn", &Layer::bias_hn);
  address(layer, "weight_hr", &Layer::weight_hr);
  address(layer, "gain_ih", &Layer::gain_ih);
  address(layer, "gain_hh", &Layer::gain_hh);
  address(layer, "gain_c", &Layer::gain_c);
  address(layer, "bias_c", &Layer::bias_c);
  address(layer, "x", &Layer::x);
  address(layer, "h0", &Layer::h0);
  address(layer, "c0", &Layer::c0);
  address(layer, "y", &Layer::y);
  address(layer, "h_last", &Layer::h_last);
  address(layer, "c_last", &Layer::c_last);
  address(layer, "saved", &Layer::saved);
  address(layer, "dy", &Layer::dy);
  address(layer, "dh_last", &Layer::dh_last);
  address(layer, "dc_last", &Layer::dc_last);
  address(layer, "dx", &Layer::dx);
  address(layer, "dh0", &Layer::dh0);
  address(layer, "dc0", &Layer::dc0);
  address(layer, "dweight_ih", &Layer::dweight_ih);
  address(layer, "dweight_hh", &Layer::dweight_hh);
  address(layer, "dbias", &Layer::dbias);
  address(layer, "dbias_hn", &Layer::dbias_hn);
  address(layer, "dweight_hr", &Layer::dweight_hr);
  address(layer, "dgain_ih", &Layer::dgain_ih);
  address(layer, "dgain_hh", &Layer::dgain_hh);
  address(layer, "dgain_c", &Layer::dgain_c);
  address(layer, "dbias_c", &Layer::dbias_c);
  for (const auto& [name, field] : {std::pair{"x_stride", &Layer::x_stride},
                                    {"y_stride", &Layer::y_stride},
                                    {"dy_stride", &Layer::dy_stride},
                                    {"dx_stride", &Layer::dx_stride}})
    layer.def_prop_rw(
        name, [field = field](const StackLayer& placed) { return placed.layer.*field; },
        [field = field](StackLayer& placed, Index value) { placed.layer.*field = value; });

  for (const auto& [name, field] : {std::pair{"any_option", &Options::any}, {"coupled", &Options::coupled}})
    layer.def_prop_rw(
        name, [field = field](const StackLayer& placed) { return placed.layer.options.*field; },
        [field = field](StackLayer& placed, bool value) { placed.layer.options.*field = value; });
  layer.def_prop_rw(
      "bfloat16", [](const StackLayer& placed) { return placed.layer.products == Products::bfloat16; },
      [](StackLayer& placed, bool value) { placed.layer.products = value ? Products::bfloat16 : Products::float32; });
  layer.def("halve_weights", [](StackLayer& placed) { placed.layer.products = Products::bfloat16_weights; });
  layer.def_prop_rw(
      "clip", [](const StackLayer& placed) { return placed.layer.options.clip; },
      [](StackLayer& placed, float value) { placed.layer.options.clip = value; });
  layer.def_prop_rw(
      "peephole",
      [](const StackLayer& placed) { return reinterpret_cast<std::uintptr_t>(placed.layer.options.peephole); },
      [](StackLayer& placed, std::uintptr_t value) {
        placed.layer.options.peephole = reinterpret_cast<const float*>(value);
      });
  layer.def_prop_rw(
      "dpeephole",
      [](const StackLayer& placed) { return reinterpret_cast<std::uintptr_t>(placed.layer.options.dpeephole); },
      [](StackLayer& placed, std::uintptr_t value) {
        placed.layer.options.dpeephole = reinterpret_cast<float*>(value);
      });
  for (const auto& [name, mask] : {std::pair{"set_candidate", &Options::candidate},
                                   {"set_zone_h", &Options::zoneout_h},
                                   {"set_zone_c", &Options::zoneout_c},
                                   {"set_hidden", &Options::hidden}})
    layer.def(
        name,
        [mask = mask](StackLayer& placed, std::uintptr_t kept, float rate) {
          placed.layer.options.*mask = {reinterpret_cast<const std::uint8_t*>(kept), rate};
        },
        "kept"_a, "rate"_a);

  layer.def_prop_rw(
      "packed", [](const StackLayer& placed) { return reinterpret_cast<std::uintptr_t>(placed.packed); },
      [](StackLayer& placed, std::uintptr_t value) { placed.packed = reinterpret_cast<float*>(value); });
  layer.def("fingerprint", [](const StackLayer& placed) { return kernels().recurrence.fingerprint(placed.layer); });
  layer.def(
      "pack", [](const StackLayer& placed, bool back) { return packed(placed.layer, back); }, "back"_a,
      nb::call_guard<nb::gil_scoped_release>());

  m.def("scan", &scan, "plan"_a, "layers"_a, nb::call_guard<nb::gil_scoped_release>());
  m.def("scan_backward", &scan_backward, "plan"_a, "layers"_a, nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace elman
