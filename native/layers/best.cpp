#include "layers/best.hpp"

#include <algorithm>

#include "engine/kernels.hpp"
#include "engine/threads.hpp"

namespace elman {

void best(Index rows, Index size, Index k, const float* scores, Index* ids, double* log_probs) {
  constexpr Index share = 1 << 15;  // values per job
  const Index height = std::max(share / std::max(size, Index{1}), Index{1});
  parallel((rows + height - 1) / height, [&](Index job) {
    for (Index row = job * height; row < std::min((job + 1) * height, rows); ++row)
      kernels().rows.best(size, k, scores + row * size, ids + row * k, log_probs + row * k);
  });
}

}  // namespace elman
