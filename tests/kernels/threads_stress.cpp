// Drives native/engine/threads.cpp: as a library that test_threads.py loads, and as a program for the thread sanitizer.
//
// Every job reads, without atomics, values that earlier jobs wrote, so that a job too early, late, lost or repeated changes
// the result, and the sanitizer reports a race.
#include "engine/threads.hpp"

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

using std::int64_t;
using std::uint64_t;

// About a third of a nanosecond a round.
static void work(int64_t rounds) {
  for (int64_t round = 0; round < rounds; ++round) asm volatile("");
}

static uint64_t mix(uint64_t a, uint64_t b) { return (a ^ (b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2))) * 0xbf58476d1ce4e5b9u; }

struct Wave {
  const elman::Strand* strands;
  std::vector<std::vector<uint64_t>> values;

  Wave(const elman::Strand* strands, int count) : strands(strands) {
    for (int strand = 0; strand < count; ++strand) values.emplace_back(strands[strand].length, 0);
  }
  void job(int strand, int64_t index) {
    uint64_t value = mix(strand, index) + values[strand][index];
    if (index > 0) value = mix(value, values[strand][index - 1]);
    if (const int after = strands[strand].after; after >= 0 && !values[after].empty()) {
      const int64_t last = static_cast<int64_t>(values[after].size()) - 1;
      value = mix(value, values[after][index < last ? index : last]);
    }
    values[strand][index] = value;
  }
};

extern "C" {

int num_threads() { return elman::num_threads(); }
void set_num_threads(int threads) { elman::set_num_threads(threads); }

// How many jobs did not run exactly once.
int64_t wrong_parallel(int64_t count, int64_t rounds) {
  std::vector<int> runs(count, 0);
  elman::parallel(count, [&](int64_t index) {
    work(rounds);
    ++runs[index];
  });
  int64_t wrong = 0;
  for (int run : runs) wrong += run != 1;
  return wrong;
}

// How many jobs came to another value than they do in order.
int64_t wrong_strands(int count, const int64_t* lengths, const int* after, int64_t rounds) {
  std::vector<elman::Strand> strands(count);
  for (int strand = 0; strand < count; ++strand) strands[strand] = {lengths[strand], after[strand]};
  Wave expected(strands.data(), count), got(strands.data(), count);
  for (int strand = 0; strand < count; ++strand) {
    for (int64_t index = 0; index < lengths[strand]; ++index) expected.job(strand, index);
  }
  elman::run_strands(strands.data(), count, [&](int strand, int64_t index) {
    work(rounds * (1 + mix(strand, index) % 3));
    got.job(strand, index);
  });
  int64_t wrong = 0;
  for (int strand = 0; strand < count; ++strand) {
    for (int64_t index = 0; index < lengths[strand]; ++index) {
      wrong += got.values[strand][index] != expected.values[strand][index];
    }
  }
  return wrong;
}

// A call from inside a job, of each kind in each kind.
int64_t wrong_nested(int64_t count) {
  std::atomic<int64_t> wrong{0};
  const std::vector<int64_t> lengths(3, 4);
  const std::vector<int> after{-1, 0, 0};
  const auto inner = [&] { wrong += wrong_parallel(count, 0) + wrong_strands(3, lengths.data(), after.data(), 0); };
  elman::parallel(count, [&](int64_t) { inner(); });
  const std::vector<elman::Strand> strands{{count, -1}, {count, 0}};
  elman::run_strands(strands.data(), 2, [&](int, int64_t) { inner(); });
  return wrong;
}

// How many threads had a part in it.
int64_t threads_of(int64_t count, int64_t rounds) {
  std::vector<std::thread::id> who(count);
  elman::parallel(count, [&](int64_t index) {
    work(rounds);
    who[index] = std::this_thread::get_id();
  });
  int64_t different = 0;
  for (int64_t index = 0; index < count; ++index) {
    bool first = true;
    for (int64_t before = 0; before < index; ++before) first = first && who[before] != who[index];
    different += first;
  }
  return different;
}

// Number of jobs that keep subnormal numbers although the caller flushes them.
int64_t wrong_denormals(int64_t count, int64_t rounds) {
  std::vector<float> products(count, 0);
#if defined(__x86_64__)
  const unsigned mode = _mm_getcsr();
  _mm_setcsr(mode | 0x8040);
  elman::parallel(count, [&](int64_t index) {
    work(rounds);
    volatile float tiny = 1e-30f;
    products[index] = tiny * 1e-10f;
  });
  _mm_setcsr(mode);
#endif
  int64_t wrong = 0;
  for (float product : products) wrong += product != 0;
  return wrong;
}
}

// Random waves from two threads at once, with any number of threads.
int main(int, char** arguments) {
  const int rounds = std::atoi(arguments[1]);
  std::atomic<int64_t> wrong{0};
  const auto caller = [&](int seed) {
    std::mt19937 draw(seed);
    for (int round = 0; round < rounds; ++round) {
      if (draw() % 16 == 0) elman::set_num_threads(1 + draw() % 5);
      if (draw() % 64 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      const int64_t spin = draw() % 4 == 0 ? draw() % 3000 : 0;
      if (draw() % 2 == 0) {
        wrong += wrong_parallel(draw() % 60, spin);
        continue;
      }
      const int count = draw() % 30;
      std::vector<int64_t> lengths;
      std::vector<int> after;
      for (int strand = 0; strand < count; ++strand) {
        lengths.push_back(draw() % 12);
        after.push_back(draw() % 2 == 0 ? -1 : static_cast<int>(draw() % (strand + 1)) - 1);
      }
      wrong += wrong_strands(count, lengths.data(), after.data(), spin);
      if (round % 16 == 0) wrong += wrong_nested(4);
    }
  };
  std::thread other(caller, 1);
  caller(2);
  other.join();
  std::printf("%lld wrong\n", static_cast<long long>(wrong));
  return wrong != 0;
}
