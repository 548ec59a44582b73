// Divides the rows among the threads. A row is one chain of sums, which depends on neither other rows nor threads.
#include "inference/state_space.hpp"

#include <algorithm>

#include "engine/flush.hpp"
#include "engine/kernels.hpp"
#include "engine/memory.hpp"
#include "engine/threads.hpp"

namespace elman {

void state_space(const StateSpace& s, const StateEstimates& out) {
  constexpr Index least = 4096;  // steps times states per job
  const Index rows = s.batch.rows, first = rows ? s.batch.begin(0) : 0,
              steps = rows ? s.batch.end(rows - 1) - first : 0;
  const Index jobs = std::clamp(steps * s.states / least, Index{1}, std::min(std::max(rows, Index{1}), Index{64}));
  // Job j has the rows that begin in the j-th part of the steps.
  const auto begin = [&](Index job) {
    if (job == 0) return Index{0};
    if (job == jobs) return rows;
    return static_cast<Index>(std::lower_bound(s.batch.offsets, s.batch.offsets + rows, first + steps * job / jobs) -
                              s.batch.offsets);
  };
  parallel(jobs, [&](Index job) {
    const Index from = begin(job), to = begin(job + 1);
    if (from == to) return;
    [[maybe_unused]] const Flush flush;
    const Memory scratch(2 * static_cast<std::size_t>(kernels().kalman.scratch(s)));
    kernels().kalman.run(s, out, from, to, reinterpret_cast<double*>(scratch.data()));
  });
}

}  // namespace elman
