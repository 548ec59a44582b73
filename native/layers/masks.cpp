#include "layers/masks.hpp"

#include <algorithm>

#include "engine/kernels.hpp"
#include "engine/memory.hpp"
#include "engine/threads.hpp"

namespace elman {
namespace {

constexpr Index share = 1 << 15;  // values per job

}  // namespace

void draw_masks(const Masks& m, float scale, const float* x, float* y) {
  if (m.units == 0) return;
  const Index padded = kernels().padded(m.units), height = std::max(share / m.units, Index{1});
  const Memory memory(static_cast<std::size_t>(padded));
  auto* const columns = reinterpret_cast<std::uint32_t*>(memory.data());
  for (Index u = 0; u < padded; ++u) columns[u] = mix(0, u);
  parallel((m.rows + height - 1) / height, [&](Index job) {
    kernels().rows.draw_masks(m, columns, job * height, std::min((job + 1) * height, m.rows), scale, x, y);
  });
}

void masked(Index size, const std::uint8_t* kept, float scale, const float* x, float* y) {
  parallel((size + share - 1) / share, [&](Index job) {
    const Index from = job * share;
    kernels().rows.masked(std::min(share, size - from), kept + from, scale, x + from, y + from);
  });
}

}  // namespace elman
