#include "layers/attention.hpp"

#include "bindings/arrays.hpp"

namespace elman {

// Arrays of numbers are passed as addresses, as in recurrence.cpp; 0: none.
void bind_attention(nb::module_& m) {
  using Address = std::uintptr_t;
  const auto in = [](Address address) { return reinterpret_cast<const float*>(address); };
  const auto out = [](Address address) { return reinterpret_cast<float*>(address); };
  const auto attention = [=](const Offsets& steps, const Offsets& starts, const Offsets& sizes, Index memory,
                             Index features, Index outputs, Address queries, Address keys, Address values,
                             Address direction, Address weights) {
    return Attention{.rows = static_cast<Index>(steps.shape(0)),
                     .memory = memory,
                     .features = features,
                     .outputs = outputs,
                     .steps = steps.data(),
                     .starts = starts.data(),
                     .sizes = sizes.data(),
                     .queries = in(queries),
                     .keys = in(keys),
                     .values = in(values),
                     .direction = in(direction),
                     .weights = out(weights)};
  };
  m.def(
      "attend",
      [=](Offsets steps, Offsets starts, Offsets sizes, Index memory, Index features, Index outputs, Address queries,
          Address keys, Address values, Address direction, Address weights, Address context) {
        Attention a =
            attention(steps, starts, sizes, memory, features, outputs, queries, keys, values, direction, weights);
        a.context = out(context);
        nb::gil_scoped_release unlock;
        attend(a);
      },
      "steps"_a.noconvert(), "starts"_a.noconvert(), "sizes"_a.noconvert(), "memory"_a, "features"_a, "outputs"_a,
      "queries"_a, "keys"_a, "values"_a, "direction"_a, "weights"_a, "context"_a);
  m.def(
      "attend_backward",
      [=](Offsets steps, Offsets starts, Offsets sizes, Index memory, Index features, Index outputs, Address queries,
          Address keys, Address values, Address direction, Address weights, Address dcontext, Address dweights,
          Address dqueries, Address dkeys, Address dvalues, Address ddirection) {
        Attention a =
            attention(steps, starts, sizes, memory, features, outputs, queries, keys, values, direction, weights);
        a.dcontext = in(dcontext);
        a.dweights = in(dweights);
        a.dqueries = out(dqueries);
        a.dkeys = out(dkeys);
        a.dvalues = out(dvalues);
        a.ddirection = out(ddirection);
        nb::gil_scoped_release unlock;
        attend_backward(a);
      },
      "steps"_a.noconvert(), "starts"_a.noconvert(), "sizes"_a.noconvert(), "memory"_a, "features"_a, "outputs"_a,
      "queries"_a, "keys"_a, "values"_a, "direction"_a, "weights"_a, "dcontext"_a, "dweights"_a, "dqueries"_a,
      "dkeys"_a, "dvalues"_a, "ddirection"_a);
}

}  // namespace elman
