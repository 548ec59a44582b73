#include "stepper/stepper.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "bindings/arrays.hpp"
#include "engine/engine.hpp"
#include "stepper/streams.hpp"

namespace elman {
namespace {

using Vector = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Integers = nb::ndarray<std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Doubles = nb::ndarray<double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Any = nb::ndarray<nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Slots = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using AnyRead = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

Index columns(const In& array) { return static_cast<Index>(array.shape(1)); }

// Returns a NumPy array of the stepper's memory. It keeps the storage alive, but not the stepper, which may itself
// refer to the array.
template <class T, class... Extents>
nb::ndarray<nb::numpy, T, nb::c_contig> view(const Stepper& stepper, T* data, Extents... extents) {
  auto* storage = new std::shared_ptr<Storage>(stepper.storage());
  nb::capsule owner(storage, [](void* p) noexcept { delete static_cast<std::shared_ptr<Storage>*>(p); });
  return nb::ndarray<nb::numpy, T, nb::c_contig>(data, {static_cast<std::size_t>(extents)...}, owner);
}

// A stepper with a flag: while a long call runs without the interpreter lock, other threads must not enter.
struct BoundStepper : Stepper {
  using Stepper::Stepper;
  bool running = false;
};

struct Running {
  explicit Running(BoundStepper& stepper) : stepper(stepper) { stepper.running = true; }
  ~Running() { stepper.running = false; }

  BoundStepper& stepper;
};

// Runs one call of a stepper. An error is about `where` and about the place of a row.
template <class Call, class Place>
void run(BoundStepper& stepper, Index rows, const char* where, const Place& place, const Call& call) {
  if (stepper.running)
    throw std::invalid_argument(
        "Stepper: expected one call at a time, got two threads; make a stepper for each: they share the weights.");
  std::optional<WrongRow> wrong;
  {
    const Running running(stepper);
    const UnlockedIfLong unlocked(static_cast<double>(rows) * stepper.work());
    try {
      call();
    } catch (const WrongRow& error) {
      wrong = error;
    }
  }
  if (wrong)
    throw std::invalid_argument(std::string(where) + ": " + wrong->what() + " at " + place(wrong->row) + wrong->after);
}

std::string row_number(Index row) { return "row " + std::to_string(row); }

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
  BoundStepper& stepper = *nb::inst_ptr<BoundStepper>(self);
  try {
    run(stepper, stepper.rows(), "Stepper", row_number, [&] { stepper.run(stepper.rows()); });
  } catch (const std::invalid_argument& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void*>(call)}, {0, nullptr}};

Leaf leaf(const Any& array, Index rows) {
  return {static_cast<char*>(array.data()), static_cast<Index>(array.nbytes()) / rows};
}

bool finite(const AnyRead& array) {
  return array.dtype() != nb::dtype<float>() ||
         all_finite(static_cast<const float*>(array.data()), static_cast<Index>(array.size()));
}

}  // namespace

// Extents have been compared in Python.
void bind_stepper(nb::module_& m) {
  const auto data = [](const auto& array) { return array ? array->data() : nullptr; };
  nb::class_<BoundStepper>(m, "Stepper", nb::type_slots(slots))
      .def(nb::init<Index, bool>(), "rows"_a, "half"_a = false)
      .def(
          "bind",
          [](BoundStepper& s, Any input, Any output, const std::vector<Any>& state) {
            s.input = leaf(input, s.rows());
            s.output = leaf(output, s.rows());
            for (const Any& array : state) s.state.push_back(leaf(array, s.rows()));
          },
          "input"_a.noconvert(), "output"_a.noconvert(), "state"_a,
          "The arrays of a step, [rows, ...]: those of the state in its order.")
      .def(
          "finite",
          [](const BoundStepper&, const std::vector<AnyRead>& state) { return std::ranges::all_of(state, finite); },
          "state"_a, "Whether the leaves of a state are finite.")
      .def(
          "assign",
          [](BoundStepper& s, const std::vector<AnyRead>& state) {
            for (std::size_t i = 0; i < state.size(); ++i)
              std::memcpy(s.state[i].data, state[i].data(), state[i].nbytes());
          },
          "state"_a, "Copies the leaves of a state.")
      .def(
          "advance",
          [](BoundStepper& s, AnyRead x, const std::vector<AnyRead>& before, Any y, const std::vector<Any>& after,
             Index first) {
            const auto rows = static_cast<Index>(x.shape(0));
            const auto read = [&](Index row, std::size_t i) {
              return static_cast<const char*>(before[i].data()) + row * s.state[i].bytes;
            };
            const auto write = [&](Index row, std::size_t i) {
              return static_cast<char*>(after[i].data()) + row * s.state[i].bytes;
            };
            const auto place = [&](Index row) { return row_number(first + row); };
            run(s, rows, "Stepper", place, [&] { s.step(rows, x.data(), y.data(), read, write); });
          },
          "x"_a.noconvert(), "before"_a, "y"_a.noconvert(), "after"_a, "first"_a,
          "One step of some rows of other arrays, from number `first` on: y and the state after it, from x and the "
          "state "
          "before.")
      .def(
          "floats", [](BoundStepper& s, Index columns) { return view(s, s.floats(columns), s.rows(), columns); },
          "columns"_a)
      .def(
          "doubles", [](BoundStepper& s, Index columns) { return view(s, s.doubles(columns), s.rows(), columns); },
          "columns"_a)
      .def("integers", [](BoundStepper& s) { return view(s, s.integers(), s.rows()); })
      .def(
          "add_finite", [](BoundStepper& s, In x) { s.finite(x.data(), columns(x)); }, "x"_a.noconvert())
      .def(
          "add_embedding",
          [](BoundStepper& s, Integers ids, In weight, Out y) {
            s.embedding(ids.data(), weight.data(), static_cast<Index>(weight.shape(0)), columns(weight), y.data());
          },
          "ids"_a.noconvert(), "weight"_a.noconvert(), "y"_a.noconvert())
      .def(
          "add_recurrence",
          [=](BoundStepper& s, const StackLayer& layer, In x, Out h, std::optional<Out> c, Out y) {
            s.recurrence(layer, x.data(), h.data(), data(c), y.data());
          },
          "layer"_a, "x"_a.noconvert(), "h"_a.noconvert(), "c"_a.noconvert().none(), "y"_a.noconvert())
      .def(
          "add_min_gru",
          [](BoundStepper& s, In x, const Memory& weights, Out h, Out y) {
            s.min_gru(x.data(), weights.data(), columns(x), static_cast<Index>(h.shape(1)), h.data(), y.data());
          },
          "x"_a.noconvert(), "weights"_a, "h"_a.noconvert(), "y"_a.noconvert())
      .def(
          "add_linear",
          [](BoundStepper& s, In x, const Memory& weights, Out y) {
            s.linear(x.data(), weights.data(), columns(x), static_cast<Index>(y.shape(1)), y.data());
          },
          "x"_a.noconvert(), "weights"_a, "y"_a.noconvert())
      .def(
          "add_layer_norm",
          [](BoundStepper& s, In x, Vector weight, Vector bias, float epsilon, Out y) {
            s.layer_norm(x.data(), weight.data(), bias.data(), epsilon, columns(x), y.data());
          },
          "x"_a.noconvert(), "weight"_a.noconvert(), "bias"_a.noconvert(), "epsilon"_a, "y"_a.noconvert())
      .def(
          "add_rms_norm",
          [=](BoundStepper& s, In x, std::optional<Vector> weight, float epsilon, Out y) {
            s.rms_norm(x.data(), data(weight), epsilon, columns(x), y.data());
          },
          "x"_a.noconvert(), "weight"_a.noconvert().none(), "epsilon"_a, "y"_a.noconvert())
      .def(
          "add_sum", [](BoundStepper& s, In a, In b, Out y) { s.add(a.data(), b.data(), columns(a), y.data()); },
          "a"_a.noconvert(), "b"_a.noconvert(), "y"_a.noconvert())
      .def(
          "add_pointwise",
          [](BoundStepper& s, std::string_view name, Out y, float a, float b) {
            const Pointwise function = functions::find(name);
            if (!function) throw std::invalid_argument("Stepper: unknown function " + std::string(name) + ".");
            s.pointwise(function, a, b, static_cast<Index>(y.shape(1)), y.data());
          },
          "name"_a, "y"_a.noconvert(), "a"_a = 0.0f, "b"_a = 0.0f)
      .def(
          "add_window",
          [](BoundStepper& s, In x, Out past, Out seen) {
            s.window(x.data(), columns(x), static_cast<Index>(past.shape(1)), past.data(), seen.data());
          },
          "x"_a.noconvert(), "past"_a.noconvert(), "seen"_a.noconvert())
      .def(
          "add_join",
          [](BoundStepper& s, In a, In b, Out y) { s.join(a.data(), columns(a), b.data(), columns(b), y.data()); },
          "a"_a.noconvert(), "b"_a.noconvert(), "y"_a.noconvert())
      .def(
          "add_copy", [](BoundStepper& s, In x, Out y) { s.copy(x.data(), columns(x), y.data()); }, "x"_a.noconvert(),
          "y"_a.noconvert())
      .def(
          "add_count", [](BoundStepper& s, Integers steps) { s.count(steps.data()); }, "steps"_a.noconvert())
      .def(
          "add_mean_pooling",
          [](BoundStepper& s, In x, Out sum, Integers steps, Out y) {
            s.mean(x.data(), columns(x), false, sum.data(), steps.data(), y.data());
          },
          "x"_a.noconvert(), "sum"_a.noconvert(), "steps"_a.noconvert(), "y"_a.noconvert())
      .def(
          "add_deviations",
          [](BoundStepper& s, In x, Out sum, Integers steps, Out y) {
            s.mean(x.data(), columns(x), true, sum.data(), steps.data(), y.data());
          },
          "x"_a.noconvert(), "sum"_a.noconvert(), "steps"_a.noconvert(), "y"_a.noconvert())
      .def(
          "add_max_pooling",
          [](BoundStepper& s, In x, Out largest, Out y) { s.max(x.data(), columns(x), largest.data(), y.data()); },
          "x"_a.noconvert(), "largest"_a.noconvert(), "y"_a.noconvert())
      .def(
          "add_differences",
          [](BoundStepper& s, In x, Out previous, Integers steps, Vector scale, Out y) {
            s.differences(x.data(), scale.data(), columns(x), previous.data(), steps.data(), y.data());
          },
          "x"_a.noconvert(), "previous"_a.noconvert(), "steps"_a.noconvert(), "scale"_a.noconvert(), "y"_a.noconvert())
      .def(
          "add_attention_pooling",
          [](BoundStepper& s, In x, In score, Out largest, Out weight, Out sum, Out y) {
            s.attention(x.data(), score.data(), columns(x), largest.data(), weight.data(), sum.data(), y.data());
          },
          "x"_a.noconvert(), "score"_a.noconvert(), "largest"_a.noconvert(), "weight"_a.noconvert(),
          "sum"_a.noconvert(), "y"_a.noconvert())
      .def(
          "add_softmax",
          [](BoundStepper& s, In x, bool logarithm, Doubles y) {
            s.softmax(x.data(), columns(x), logarithm, y.data());
          },
          "x"_a.noconvert(), "logarithm"_a, "y"_a.noconvert());

  nb::class_<Streams>(m, "Streams")
      .def(nb::init<const BoundStepper&, Index>(), "stepper"_a, "capacity"_a)
      .def_prop_ro("count", &Streams::count)
      .def_prop_ro("record_bytes", &Streams::record_bytes)
      .def_prop_ro("offsets", &Streams::offsets)
      .def("open", &Streams::open)
      .def("close", &Streams::close, "slot"_a)
      .def(
          "read",
          [](const Streams& streams, Index slot, Bytes record) {
            std::memcpy(record.data(), streams.record(slot, "state"), record.nbytes());
          },
          "slot"_a, "record"_a.noconvert())
      .def(
          "write",
          [](const Streams& streams, Index slot, Bytes record) {
            std::memcpy(streams.record(slot, "set_state"), record.data(), record.nbytes());
          },
          "slot"_a, "record"_a.noconvert())
      .def(
          "step",
          [](Streams& streams, BoundStepper& stepper, Slots slots, AnyRead x, Any y) {
            const auto rows = static_cast<Index>(slots.shape(0));
            Streams::Round round(streams, slots.data(), rows);
            const auto place = [&](Index row) { return "slot " + std::to_string(round.slot(row)); };
            run(stepper, rows, "Streams.step", place, [&] { round.run(stepper, x.data(), y.data()); });
          },
          "stepper"_a, "slots"_a.noconvert(), "x"_a.noconvert(), "y"_a.noconvert(),
          "One step of some streams, in the arrays of a stepper: y from x, a row per slot.");
}

}  // namespace elman
