#include "layers/softmax.hpp"

#include <algorithm>

#include "engine/kernels.hpp"
#include "engine/threads.hpp"

namespace elman {

void softmax_gradient(Index rows, Index size, float smoothing, const Index* targets, float* scores, float* losses,
                      float* log_probs) {
  constexpr Index share = 1 << 15;  // values per job
  const Index height = std::max(share / std::max(size, Index{1}), Index{1});
  parallel((rows + height - 1) / height, [&](Index job) {
    for (Index row = job * height; row < std::min((job + 1) * height, rows); ++row)
      kernels().rows.softmax_gradient(size, smoothing, targets[row], scores + row * size, losses + row,
                                      log_probs + row);
  });
}

}  // namespace elman
