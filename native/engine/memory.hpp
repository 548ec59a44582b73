// A pool of memory that is reused between calls: the first touch of a page costs ten times as much as later writes.
#pragma once

#include <cstddef>

namespace elman {

// A block of memory, aligned to cache lines (large blocks to huge pages). Its destructor returns it to a pool of
// limited size.
class Memory {
 public:
  explicit Memory(std::size_t floats);
  ~Memory();
  Memory(Memory&& other) noexcept;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  float* data() const { return data_; }
  std::size_t size() const { return size_; }  // requested floats

 private:
  float* data_;
  std::size_t size_;
  std::size_t bytes_;
};

// Bytes in the pool.
std::size_t pooled_bytes();

}  // namespace elman
