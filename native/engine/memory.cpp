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
constexpr bool exact = true;  // pieces are as long as asked for, full of NaN, and not kept: what goes wrong is seen
#else
constexpr bool exact = false;
#endif
constexpr std::size_t most_kept = exact ? 0 : std::size_t{1} << 29;  // bytes in the pool: the oldest pieces go first

struct Piece {
  void* data;
  std::size_t bytes;
};

struct Pool {
  std::mutex mutex;
  std::vector<Piece> pieces;  // the oldest first
  std::size_t kept = 0;
};

Pool& pool() {
  static Pool* const kept = new Pool;  // never destroyed: pieces may outlive it
  return *kept;
}

// A fork waits until the pool is whole: in its child nobody would ever unlock it.
[[maybe_unused]] const int watches_forks =
    pthread_atfork([] { pool().mutex.lock(); }, [] { pool().mutex.unlock(); }, [] { pool().mutex.unlock(); });

// Sizes come in eighths of a power of two, so that batches of about one size share their pieces.
std::size_t rounded(std::size_t bytes) {
  if (exact) return bytes;
  std::size_t step = 4096;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

void* fresh(std::size_t bytes) {
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
    auto best = pool.pieces.end();
    for (auto piece = pool.pieces.begin(); piece != pool.pieces.end(); ++piece)
      if (piece->bytes >= bytes_ && piece->bytes <= 2 * bytes_ &&
          (best == pool.pieces.end() || piece->bytes <= best->bytes))
        best = piece;
    if (best != pool.pieces.end()) {
      data_ = static_cast<float*>(best->data);
      bytes_ = best->bytes;
      pool.kept -= bytes_;
      pool.pieces.erase(best);
      return;
    }
  }
  data_ = static_cast<float*>(fresh(bytes_));
}

Memory::Memory(Memory&& other) noexcept : data_(other.data_), size_(other.size_), bytes_(other.bytes_) {
  other.data_ = nullptr;
}

Memory::~Memory() {
  if (!data_) return;
  Pool& pool = elman::pool();
  const std::lock_guard lock(pool.mutex);
  pool.pieces.push_back({data_, bytes_});
  pool.kept += bytes_;
  while (pool.kept > most_kept) {
    pool.kept -= pool.pieces.front().bytes;
    std::free(pool.pieces.front().data);
    pool.pieces.erase(pool.pieces.begin());
  }
}

std::size_t pooled_bytes() {
  Pool& pool = elman::pool();
  const std::lock_guard lock(pool.mutex);
  return pool.kept;
}

}  // namespace elman
