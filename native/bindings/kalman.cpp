#include <nanobind/stl/optional.h>

#include <optional>

#include "bindings/arrays.hpp"
#include "inference/state_space.hpp"

namespace elman {
namespace {

template <class T>
using Dense = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
using Numbers = Dense<const double>;
using Filled = std::optional<Dense<double>>;

template <class T>
T* address(const std::optional<Dense<T>>& array) {
  return array ? array->data() : nullptr;
}

}  // namespace

void bind_kalman(nb::module_& m) {
  m.def(
      "kalman",
      [](Numbers f, Numbers h, Numbers q, Numbers r, bool per_step, Offsets model, Numbers x, Offsets offsets,
         Numbers mean, Numbers cov, Numbers diffuse, std::optional<Numbers> b, std::optional<Numbers> d,
         bool square_root, Dense<std::int64_t> failed, Filled out_mean, Filled out_cov, Filled out_diffuse,
         Filled log_prob, Filled last_mean, Filled last_cov, Filled last_diffuse, Filled total, Filled lag) {
        nb::gil_scoped_release unlock;
        state_space({.batch = ragged(offsets),
                     .states = static_cast<Index>(mean.shape(1)),
                     .outputs = static_cast<Index>(x.shape(1)),
                     .per_step = per_step,
                     .square_root = square_root,
                     .f = f.data(),
                     .h = h.data(),
                     .q = q.data(),
                     .r = r.data(),
                     .model = model.data(),
                     .x = x.data(),
                     .b = b ? b->data() : nullptr,
                     .d = d ? d->data() : nullptr,
                     .mean = mean.data(),
                     .cov = cov.data(),
                     .diffuse = diffuse.data()},
                    {.mean = address(out_mean),
                     .cov = address(out_cov),
                     .diffuse = address(out_diffuse),
                     .log_prob = address(log_prob),
                     .last_mean = address(last_mean),
                     .last_cov = address(last_cov),
                     .last_diffuse = address(last_diffuse),
                     .total = address(total),
                     .lag = address(lag),
                     .failed = failed.data()});
      },
      "f"_a.noconvert(), "h"_a.noconvert(), "q"_a.noconvert(), "r"_a.noconvert(), "per_step"_a, "model"_a.noconvert(),
      "x"_a.noconvert(), "offsets"_a.noconvert(), "mean"_a.noconvert(), "cov"_a.noconvert(), "diffuse"_a.noconvert(),
      "b"_a.noconvert().none(), "d"_a.noconvert().none(), "square_root"_a, "failed"_a.noconvert(),
      "out_mean"_a.noconvert() = nb::none(), "out_cov"_a.noconvert() = nb::none(),
      "out_diffuse"_a.noconvert() = nb::none(), "log_prob"_a.noconvert() = nb::none(),
      "last_mean"_a.noconvert() = nb::none(), "last_cov"_a.noconvert() = nb::none(),
      "last_diffuse"_a.noconvert() = nb::none(), "total"_a.noconvert() = nb::none(), "lag"_a.noconvert() = nb::none());
}

}  // namespace elman
