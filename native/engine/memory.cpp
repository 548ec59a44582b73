#include "engine/memory.hpp"

#include <pthread.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace elman {
namespace {

constexpr std::size_t huge_page = std::size_t{1} << 21;
#if defined(ELMAN_SANITIZE)
constexpr bool exact = true;  // exact sizes, filled with NaN, never reused: errors become visible
#else
constexpr bool exact = false;
#endif
constexpr std::size_t most_kept =
    exact ? 0 : std::size_t{1} << 29;  // bytes in the pool; the oldest blocks are freed first

struct Block {
  void* data;
  std::size_t bytes;
};

struct Pool {
  std::mutex mutex;
  std::vector<Block> blocks;  // the oldest first
  std::size_t kept = 0;
};

Pool& pool() {
  static Pool* const instance = new Pool;  // never destroyed: blocks may outlive static objects
  return *instance;
}

// A fork waits for the lock: in the child, the thread that holds it would not exist.
[[maybe_unused]] const int watches_forks =
    pthread_atfork([] { pool().mutex.lock(); }, [] { pool().mutex.unlock(); }, [] { pool().mutex.unlock(); });

// Rounds up to an eighth of a power of two, so that batches of similar size share blocks.
std::size_t rounded(std::size_t bytes) {
  if (exact) return bytes;
  std::size_t step = 4096;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

void* allocate(std::size_t bytes) {
  if (exact) {
    void* data = nullptr;
    if (posix_memalign(&data, 64, bytes) != 0) throw std::bad_alloc();
    return std::memset(data, 0xFF, bytes);
  }
  const std::size_t alignment = bytes >= huge_page ? huge_page : 64;
  void* data = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (!data) throw std::bad_alloc();
#if defined(__linux__)
  if (bytes >= huge_page) madvise(data, bytes, MADV_HUGEPAGE);
#endif
  return data;
}

}  // namespace

Memory::Memory(std::size_t floats)
    : data_(nullptr), size_(floats), bytes_(rounded(std::max<std::size_t>(floats, 1) * sizeof(float))) {
  Pool& pool = elman::pool();
  {
    const std::lock_guard lock(pool.mutex);
    auto best = pool.blocks.end();
    for (auto block = pool.blocks.begin(); block != pool.blocks.end(); ++block)
      if (block->bytes >= bytes_ && block->bytes <= 2 * bytes_ &&
          (best == pool.blocks.end() || block->bytes <= best->bytes))
        best = block;
    if (best != pool.blocks.end()) {
      data_ = static_cast<float*>(best->data);
      bytes_ = best->bytes;
      pool.kept -= bytes_;
      pool.blocks.erase(best);
      return;
    }
  }
  data_ = static_cast<float*>(allocate(bytes_));
}

Memory::Memory(Memory&& other) noexcept : data_(other.data_), size_(other.size_), bytes_(other.bytes_) {
  other.data_ = nullptr;
}

Memory::~Memory() {
  if (!data_) return;
  Pool& pool = elman::pool();
  const std::lock_guard lock(pool.mutex);
  pool.blocks.push_back({data_, bytes_});
  pool.kept += bytes_;
  while (pool.kept > most_kept) {
    pool.kept -= pool.blocks.front().bytes;
    std::free(pool.blocks.front().data);
    pool.blocks.erase(pool.blocks.begin());
  }
}

std::size_t pooled_bytes() {
  Pool& pool = elman::pool();
  const std::lock_guard lock(pool.mutex);
  return pool.kept;
}

}  // namespace elman
