// elman's own threads: a call shares its jobs with a few workers that sleep between calls.
//
// The caller begins at once, could do everything alone, and waits for nothing but jobs that another thread has begun. A
// call from inside a job, and a call that finds the workers busy with another thread's call, runs alone. Jobs never
// throw, and never fork. Which thread runs a job is chance: bitwise the same results are the caller's matter.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace elman {

constexpr int most_threads = 1024;

// How many threads a call may use, the caller among them: what set_num_threads said last, else ELMAN_NUM_THREADS, else
// the processors that this process may run on.
int num_threads();

// From 1 to most_threads; takes effect at the next call.
void set_num_threads(int threads);

// job(context, i) once for every i in 0 .. count - 1, on any thread; returns when all have returned.
void parallel(std::int64_t count, void (*job)(void* context, std::int64_t index), void* context);

// A chain is `length` jobs that run one after another; job i also waits until job i of the chain `after`, an earlier
// one of the same call, has returned (or all of them, where there are fewer). -1: it waits for no other chain.
struct Chain {
  std::int64_t length;
  int after;
};

// All jobs of all chains; returns when all have returned. A thread stays with its chain, whose data are in its cache,
// as long as there is a job ready, and unless the chains that wait would be left for one thread alone in the end.
void run_chains(const Chain* chains, int count, void (*job)(void* context, int chain, std::int64_t index),
                void* context);

// The same with f(index) and f(chain, index).
template <class F>
void parallel(std::int64_t count, F&& f) {
  using Function = std::remove_reference_t<F>;
  parallel(
      count, [](void* context, std::int64_t index) { (*static_cast<Function*>(context))(index); },
      const_cast<void*>(static_cast<const void*>(std::addressof(f))));
}

template <class F>
void run_chains(const Chain* chains, int count, F&& f) {
  using Function = std::remove_reference_t<F>;
  run_chains(
      chains, count,
      [](void* context, int chain, std::int64_t index) { (*static_cast<Function*>(context))(chain, index); },
      const_cast<void*>(static_cast<const void*>(std::addressof(f))));
}

}  // namespace elman
