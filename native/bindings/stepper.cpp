#include "stepper/stepper.hpp"

#include <nanobind/stl/optional.h>

#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>

#include "bindings/arrays.hpp"

namespace elman {
namespace {

using Vector = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Integers = nb::ndarray<std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Doubles = nb::ndarray<double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

Index columns(const In& array) { return static_cast<Index>(array.shape(1)); }

// Returns a NumPy array of the stepper's memory. It keeps the storage alive, but not the stepper, which may itself
// refer to the array.
template <class T, class... Extents>
nb::ndarray<nb::numpy, T, nb::c_contig> view(const Stepper& stepper, T* data, Extents... extents) {
  auto* storage = new std::shared_ptr<Stepper::Storage>(stepper.storage());
  nb::capsule owner(storage, [](void* p) noexcept { delete static_cast<std::shared_ptr<Stepper::Storage>*>(p); });
  return nb::ndarray<nb::numpy, T, nb::c_contig>(data, {static_cast<std::size_t>(extents)...}, owner);
}

// Implements stepper() as a type slot: the dispatch of a bound method takes longer than a step of a small model.
PyObject* call(PyObject* self, PyObject* args, PyObject* keywords) {
  if (PyTuple_Size(args) != 0 || (keywords && PyDict_Size(keywords) != 0)) {
    PyErr_SetString(PyExc_TypeError, "Stepper: a call takes no arguments; write them into stepper.input before.");
    return nullptr;
  }
  if (!nb::inst_ready(self)) {
    PyErr_SetString(PyExc_TypeError, "Stepper: __init__ has not been called.");
    return nullptr;
  }
  try {
    nb::inst_ptr<Stepper>(self)->run();
  } catch (const std::invalid_argument& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void*>(call)}, {0, nullptr}};

}  // namespace

// Extents have been compared in Python.
void bind_stepper(nb::module_& m) {
  const auto data = [](const auto& array) { return array ? array->data() : nullptr; };
  nb::class_<Stepper>(m, "Stepper", nb::type_slots(slots))
      .def(nb::init<Index, bool>(), "rows"_a, "half"_a = false)
      .def(
          "floats", [](Stepper& s, Index columns) { return view(s, s.floats(columns), s.rows(), columns); },
          "columns"_a)
      .def(
          "doubles", [](Stepper& s, Index columns) { return view(s, s.doubles(columns), s.rows(), columns); },
          "columns"_a)
      .def("integers", [](Stepper& s) { return view(s, s.integers(), s.rows()); })
      .def(
          "add_finite", [](Stepper& s, In x) { s.finite(x.data(), columns(x)); }, "x"_a.noconvert())
      .def(
          "add_embedding",
          [](Stepper& s, Integers ids, In weight, Out y) {
            s.embedding(ids.data(), weight.data(), static_cast<Index>(weight.shape(0)), columns(weight), y.data());
          },
          "ids"_a.noconvert(), "weight"_a.noconvert(), "y"_a.noconvert())
      .def(
          "add_recurrence",
          [=](Stepper& s, int kind, int activation, In x, Out y, Out h, std::optional<Out> c, In weight_ih,
              In weight_hh, Vector bias, std::optional<Vector> bias_hn, std::optional<In> weight_hr,
              std::optional<Vector> gain_ih, std::optional<Vector> gain_hh, std::optional<Vector> gain_c,
              std::optional<Vector> bias_c, std::optional<Vector> peephole, bool coupled, float clip, float zone_h,
              float zone_c) {
            Layer layer;
            layer.kind = static_cast<Kind>(kind);
            layer.activation = static_cast<Activation>(activation);
            layer.inputs = columns(x);
            layer.outputs = static_cast<Index>(y.shape(1));
            layer.units = c ? static_cast<Index>(c->shape(1)) : layer.outputs;
            layer.weight_ih = weight_ih.data();
            layer.weight_hh = weight_hh.data();
            layer.bias = bias.data();
            layer.bias_hn = data(bias_hn);
            layer.weight_hr = data(weight_hr);
            layer.gain_ih = data(gain_ih);
            layer.gain_hh = data(gain_hh);
            layer.gain_c = data(gain_c);
            layer.bias_c = data(bias_c);
            layer.options = {.any = peephole || coupled || clip > 0 || zone_h > 0 || zone_c > 0,
                             .coupled = coupled,
                             .clip = clip,
                             .peephole = data(peephole),
                             .candidate = {},
                             .zoneout_h = {.rate = zone_h},
                             .zoneout_c = {.rate = zone_c},
                             .hidden = {}};
            layer.x = x.data();
            layer.y = y.data();
            s.recurrence(layer, h.data(), data(c));
          },
          "kind"_a, "activation"_a, "x"_a.noconvert(), "y"_a.noconvert(), "h"_a.noconvert(), "c"_a.noconvert().none(),
          "weight_ih"_a.noconvert(), "weight_hh"_a.noconvert(), "bias"_a.noconvert(), "bias_hn"_a.noconvert().none(),
          "weight_hr"_a.noconvert().none() = nb::none(), "gain_ih"_a.noconvert().none() = nb::none(),
          "gain_hh"_a.noconvert().none() = nb::none(), "gain_c"_a.noconvert().none() = nb::none(),
          "bias_c"_a.noconvert().none() = nb::none(), "peephole"_a.noconvert().none() = nb::none(), "coupled"_a = false,
          "clip"_a = 0.0f, "zone_h"_a = 0.0f, "zone_c"_a = 0.0f)
      .def(
          "add_min_gru",
          [](Stepper& s, In x, In weight, Vector bias, Out h, Out y) {
            s.min_gru(x.data(), weight.data(), bias.data(), columns(x), static_cast<Index>(h.shape(1)), h.data(),
                      y.data());
          },
          "x"_a.noconvert(), "weight"_a.noconvert(), "bias"_a.noconvert(), "h"_a.noconvert(), "y"_a.noconvert())
      .def(
          "add_linear",
          [](Stepper& s, In x, In weight, Vector bias, Out y) {
            s.linear(x.data(), weight.data(), bias.data(), columns(x), static_cast<Index>(y.shape(1)), y.data());
          },
          "x"_a.noconvert(), "weight"_a.noconvert(), "bias"_a.noconvert(), "y"_a.noconvert())
      .def(
          "add_layer_norm",
          [](Stepper& s, In x, Vector weight, Vector bias, float epsilon, Out y) {
            s.layer_norm(x.data(), weight.data(), bias.data(), epsilon, columns(x), y.data());
          },
          "x"_a.noconvert(), "weight"_a.noconvert(), "bias"_a.noconvert(), "epsilon"_a, "y"_a.noconvert())
      .def(
          "add_sum", [](Stepper& s, In a, In b, Out y) { s.add(a.data(), b.data(), columns(a), y.data()); },
          "a"_a.noconvert(), "b"_a.noconvert(), "y"_a.noconvert())
      .def(
          "add_activation",
          [](Stepper& s, int activation, Out y) {
            s.activate(static_cast<Activation>(activation), static_cast<Index>(y.shape(1)), y.data());
          },
          "activation"_a, "y"_a.noconvert())
      .def(
          "add_window",
          [](Stepper& s, In x, Out past, Out seen) {
            s.window(x.data(), columns(x), static_cast<Index>(past.shape(1)), past.data(), seen.data());
          },
          "x"_a.noconvert(), "past"_a.noconvert(), "seen"_a.noconvert())
      .def(
          "add_join",
          [](Stepper& s, In a, In b, Out y) { s.join(a.data(), columns(a), b.data(), columns(b), y.data()); },
          "a"_a.noconvert(), "b"_a.noconvert(), "y"_a.noconvert())
      .def(
          "add_copy", [](Stepper& s, In x, Out y) { s.copy(x.data(), columns(x), y.data()); }, "x"_a.noconvert(),
          "y"_a.noconvert())
      .def(
          "add_count", [](Stepper& s, Integers steps) { s.count(steps.data()); }, "steps"_a.noconvert())
      .def(
          "add_softmax",
          [](Stepper& s, In x, bool logarithm, Doubles y) { s.softmax(x.data(), columns(x), logarithm, y.data()); },
          "x"_a.noconvert(), "logarithm"_a, "y"_a.noconvert());
}

}  // namespace elman
