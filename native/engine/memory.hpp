// Memory that is kept between calls: touching fresh pages costs ten times as much as writing to them again.
#pragma once

#include <cstddef>

namespace elman {

// A piece of memory, aligned to cache lines (large ones to huge pages), that goes back to a pool of limited size when
// it dies.
class Memory {
 public:
  explicit Memory(std::size_t floats);
  ~Memory();
  Memory(Memory&& other) noexcept;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  float* data() const { return data_; }
  std::size_t size() const { return size_; }  // floats that were asked for

 private:
  float* data_;
  std::size_t size_;
  std::size_t bytes_;
};

// Bytes that the pool keeps for later calls.
std::size_t pooled_bytes();

}  // namespace elman
