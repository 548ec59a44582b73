// Memory of a stepper: arrays that keep their addresses, aligned to cache lines.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "engine/layer.hpp"
#include "engine/memory.hpp"

namespace elman {

class Storage {
 public:
  Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  // Memory of this size, filled with zeros. Small arrays share a block, so that a small model uses few pages.
  void* take(Index bytes) {
    const std::size_t size = (static_cast<std::size_t>(bytes) + 63) / 64 * 64;
    if (size > left_) {
      left_ = size < shared ? shared : size;
      next_ = reinterpret_cast<char*>(blocks_.emplace_back(left_ / sizeof(float)).data());
      std::memset(next_, 0, left_);
    }
    left_ -= size;
    return std::exchange(next_, next_ + size);
  }

 private:
  static constexpr std::size_t shared = 1 << 16;

  std::vector<Memory> blocks_;
  char* next_ = nullptr;  // free part of the last shared block
  std::size_t left_ = 0;  // its size in bytes
};

}  // namespace elman
