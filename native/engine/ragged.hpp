// A ragged batch: row b is the steps offsets[b] .. offsets[b + 1] - 1 of arrays [N, ...].
#pragma once

#include <cstdint>

namespace elman {

struct Ragged {
  const std::int64_t* offsets;  // [B + 1]
  std::int64_t rows;            // B

  std::int64_t begin(std::int64_t row) const { return offsets[row]; }
  std::int64_t end(std::int64_t row) const { return offsets[row + 1]; }
};

}  // namespace elman
