// Thread pool: a call shares its jobs with workers that sleep between calls.
//
// The caller starts working at once and waits only for jobs that another thread has begun. A call from inside a job
// runs on the calling thread alone, and so does a call while the workers are busy with another thread's call. Jobs must
// not throw or fork. Any thread may run any job: for bitwise reproducible results, jobs must not depend on their order.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace elman {

constexpr int most_threads = 1024;

// Number of threads that a call may use, including the caller: the last value of set_num_threads, else
// ELMAN_NUM_THREADS, else the number of processors that this process may run on.
int num_threads();

// Sets the number, from 1 to most_threads, for the following calls.
void set_num_threads(int threads);

// Runs job(context, i) for every i in 0 .. count - 1, on any thread, and returns when all have returned.
void parallel(std::int64_t count, void (*job)(void* context, std::int64_t index), void* context);

// A strand is `length` jobs that run one after another. Job i also waits for job i (or the last job) of the strand
// `after`, an earlier strand of the same call. -1: it waits for no other strand.
struct Strand {
  std::int64_t length;
  int after;
};

// Runs all jobs of all strands, and returns when all have returned. A thread stays with its strand, whose data are in
// its cache, as long as a job is ready, unless the waiting strands would leave one thread with all the work at the end.
void run_strands(const Strand* strands, int count, void (*job)(void* context, int strand, std::int64_t index),
                 void* context);

// The same with callables f(index) and f(strand, index).
template <class F>
void parallel(std::int64_t count, F&& f) {
  using Function = std::remove_reference_t<F>;
  parallel(
      count, [](void* context, std::int64_t index) { (*static_cast<Function*>(context))(index); },
      const_cast<void*>(static_cast<const void*>(std::addressof(f))));
}

template <class F>
void run_strands(const Strand* strands, int count, F&& f) {
  using Function = std::remove_reference_t<F>;
  run_strands(
      strands, count,
      [](void* context, int strand, std::int64_t index) { (*static_cast<Function*>(context))(strand, index); },
      const_cast<void*>(static_cast<const void*>(std::addressof(f))));
}

}  // namespace elman
