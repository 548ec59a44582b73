// Divides the queries among the threads. The division does not depend on the number of threads, and no two jobs write
// the same step of the memory.
#include "layers/attention.hpp"

#include <algorithm>
#include <vector>

#include "engine/flush.hpp"
#include "engine/kernels.hpp"
#include "engine/memory.hpp"
#include "engine/threads.hpp"

namespace elman {
namespace {

constexpr Index enough = 1 << 17;  // products per job

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Returns one Read per row; consecutive rows that attend to the same steps are merged.
std::vector<Read> reads(const Attention& a) {
  std::vector<Read> found;
  Index query = 0, pair = 0;
  for (Index row = 0; row < a.rows; ++row) {
    const Index steps = a.steps[row], start = a.starts[row], size = a.sizes[row];
    if (!found.empty() && found.back().start == start && found.back().size == size) found.back().queries += steps;
    else found.push_back({query, steps, start, size, pair});
    query += steps;
    pair += steps * size;
  }
  return found;
}

// Calls f for parts of at most Read::most queries.
template <class F>
void in_parts(const Read& r, const F& f) {
  const Index parts = (r.queries + Read::most - 1) / Read::most;
  for (Index i = 0; i < parts; ++i) {
    const Index from = r.queries * i / parts, to = r.queries * (i + 1) / parts;
    f(Read{r.query + from, to - from, r.start, r.size, r.pair + from * r.size});
  }
}

// Range of the sorted reads that forms one job of the backward pass: reads that share steps are in the same group.
// `clear`: the first step that belongs to no earlier group.
struct Group {
  Index from, to;
  Index clear;
};

std::vector<Group> groups(const Attention& a, const std::vector<Read>& sorted) {
  std::vector<Group> found{{0, 0, 0}};
  Index end = 0, work = 0;
  for (Index i = 0; i < static_cast<Index>(sorted.size()); ++i) {
    const Read& r = sorted[at(i)];
    if (r.start >= end && work >= enough) found.push_back({i, i, end}), work = 0;
    found.back().to = i + 1;
    end = std::max(end, r.start + r.size);
    work += r.queries * r.size * (a.features + a.outputs);
  }
  return found;
}

}  // namespace

void attend(const Attention& a) {
  std::vector<Read> parts;
  std::vector<Index> jobs;  // first part of each job
  Index work = enough;
  for (const Read& read : reads(a))
    in_parts(read, [&](const Read& part) {
      if (work >= enough) jobs.push_back(static_cast<Index>(parts.size())), work = 0;
      parts.push_back(part);
      work += part.queries * (part.size + 1) * (a.features + a.outputs);
    });
  jobs.push_back(static_cast<Index>(parts.size()));
  parallel(static_cast<Index>(jobs.size()) - 1, [&](Index job) {
    const Flush flush;
    for (Index i = jobs[at(job)]; i < jobs[at(job + 1)]; ++i) kernels().attention.attend(a, parts[at(i)]);
  });
}

void attend_backward(const Attention& a) {
  std::vector<Read> sorted;
  for (const Read& r : reads(a)) {
    if (r.size) sorted.push_back(r);
    else if (a.dqueries) std::fill_n(a.dqueries + r.query * a.features, r.queries * a.features, 0.0f);
  }
  std::stable_sort(sorted.begin(), sorted.end(), [](const Read& x, const Read& y) { return x.start < y.start; });
  const std::vector<Group> all = groups(a, sorted);
  const Index count = static_cast<Index>(all.size()), stride = (a.features + 15) / 16 * 16;
  const Memory directions(at(a.ddirection ? count * stride : 1));
  parallel(count, [&](Index job) {
    const Flush flush;
    const Group& group = all[at(job)];
    const Index clear = job + 1 < count ? all[at(job + 1)].clear : a.memory;
    const auto zeros = [&](float* d, Index width) {
      if (d) std::fill(d + group.clear * width, d + clear * width, 0.0f);
    };
    zeros(a.dkeys, a.features);
    zeros(a.dvalues, a.outputs);
    float* const direction = a.ddirection ? directions.data() + job * stride : nullptr;
    if (direction) std::fill_n(direction, a.features, 0.0f);
    Index longest = 0;
    for (Index i = group.from; i < group.to; ++i) longest = std::max(longest, sorted[at(i)].size);
    const Memory scratch(at(longest * Read::most));
    for (Index i = group.from; i < group.to; ++i)
      in_parts(sorted[at(i)],
               [&](const Read& part) { kernels().attention.attend_backward(a, part, direction, scratch.data()); });
  });
  if (!a.ddirection) return;
  std::fill_n(a.ddirection, a.features, 0.0f);
  for (Index job = 0; job < count; ++job)
    for (Index i = 0; i < a.features; ++i) a.ddirection[i] += directions.data()[job * stride + i];
}

}  // namespace elman
