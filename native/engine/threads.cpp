#include "engine/threads.hpp"

#include <atomic>
#include <cstdlib>

#if !defined(_WIN32)
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>
#include <vector>
#endif
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace elman {

namespace {

using Job = void (*)(void* context, std::int64_t index);
using StrandJob = void (*)(void* context, int strand, std::int64_t index);

void run_alone(std::int64_t count, Job job, void* context) {
  for (std::int64_t index = 0; index < count; ++index) job(context, index);
}

// Strand by strand, which satisfies `after`: it is always an earlier one.
void run_alone(const Strand* strands, int count, StrandJob job, void* context) {
  for (int strand = 0; strand < count; ++strand) {
    for (std::int64_t index = 0; index < strands[strand].length; ++index) job(context, strand, index);
  }
}

}  // namespace

#if defined(_WIN32)

// One thread: on Windows, elman falls back to Python where more threads would matter.
int num_threads() { return 1; }
void set_num_threads(int) {}
void parallel(std::int64_t count, Job job, void* context) { run_alone(count, job, context); }
void run_strands(const Strand* strands, int count, StrandJob job, void* context) {
  run_alone(strands, count, job, context);
}

#else

namespace {

using std::int64_t;
using std::uint32_t;
using std::uint64_t;
using Clock = std::chrono::steady_clock;

// A thread without work first spins, then yields its core while it polls, then sleeps: another thread may need the
// core, but waking a sleeping thread takes 10 us or more.
constexpr auto yield_after = std::chrono::microseconds(5);
constexpr auto sleep_after = std::chrono::microseconds(40);

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

// The thread's rounding mode and treatment of subnormal numbers. Workers copy the caller's, so that results do not
// depend on the thread that computes them.
uint64_t float_mode() {
#if defined(__x86_64__)
  return _mm_getcsr() & ~uint32_t{0x3f};  // without the exception flags
#elif defined(__aarch64__)
  uint64_t mode;
  asm volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
#else
  return 0;
#endif
}

void set_float_mode([[maybe_unused]] uint64_t mode) {
  if (mode == float_mode()) return;
#if defined(__x86_64__)
  _mm_setcsr(static_cast<uint32_t>(mode));
#elif defined(__aarch64__)
  asm volatile("msr fpcr, %0" ::"r"(mode));
#endif
}

// State of the jobs of a wave (the jobs of one call) in one atomic word: the number of the wave, the number of jobs
// left, and whether one of them runs. A late thread that still holds the word of an earlier wave fails to exchange it.
// A wave cannot end while a job that has begun is not reported, so its data stay valid for that job.
using Word = uint64_t;
constexpr int64_t most_jobs = (int64_t{1} << 31) - 1;

Word word(uint32_t wave, uint32_t left, bool runs) { return Word{wave} << 32 | Word{left} << 1 | Word{runs}; }
uint32_t wave_of(Word word) { return static_cast<uint32_t>(word >> 32); }
uint32_t left_in(Word word) { return static_cast<uint32_t>(word) >> 1; }
bool runs(Word word) { return (word & 1) != 0; }

// A strand of the current wave. Late threads may read it while the next wave is set up.
struct Link {
  std::atomic<Word> jobs{0};
  std::atomic<uint32_t> length{0};
  std::atomic<int> after{-1};
};

// State of one thread: whether it sleeps, and the strand that it ran last.
struct alignas(64) Seat {
  std::atomic<uint32_t> asleep{0};
  int strand = -1;
};

// A fixed number of threads, the first of which is the caller. One call at a time.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  explicit Pool(int threads) : seats_(threads) {}

  int threads() const { return static_cast<int>(seats_.size()); }

  // The workers keep the pool alive and are never joined: the process may end while they sleep.
  void start() {
    // Workers block all signals except those for errors in the thread itself; the application's threads handle them.
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (int error : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) sigdelset(&blocked, error);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    try {
      for (int seat = 1; seat < threads(); ++seat) {
        std::thread([pool = shared_from_this(), seat] { pool->serve(pool->seats_[seat]); }).detach();
      }
    } catch (const std::system_error&) {
      // The system allows no more threads: the started ones do the work, or the caller alone.
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void stop() {
    stops_ = true;
    for (Seat& seat : seats_) rouse(seat);
  }

  void parallel(int64_t count, Job job, void* context) {
    job_ = job;
    count_ = count;
    begin(context, count);
    loose_ = word(wave_, static_cast<uint32_t>(count), false);
    take_part();
  }

  void run_strands(const Strand* strands, int count, StrandJob job, void* context) {
    if (count > capacity_) enlarge(count);
    Link* links = links_;
    const int64_t unfinished = std::count_if(strands, strands + count, [](Strand strand) { return strand.length > 0; });
    strand_job_ = job;
    begin(context, unfinished);
    for (int strand = 0; strand < count; ++strand) {
      links[strand].length = static_cast<uint32_t>(strands[strand].length);
      links[strand].after = strands[strand].after;
    }
    for (int strand = 0; strand < count; ++strand) {
      links[strand].jobs = word(wave_, static_cast<uint32_t>(strands[strand].length), false);
    }
    strands_ = word(wave_, static_cast<uint32_t>(count), false);
    take_part();
    strands_ = word(wave_, 0, false);
  }

 private:
  // --- The caller and its workers

  void begin(void* context, int64_t unfinished) {
    context_ = context;
    mode_ = float_mode();
    unfinished_ = unfinished;
    ++wave_;
  }

  void take_part() {
    Seat& seat = seats_[0];
    for (work(seat); unfinished_ != 0; work(seat)) {
      wait(seat, [this] { return unfinished_ == 0 || ready(1) != 0; });
    }
  }

  void serve(Seat& seat) {
#if defined(__APPLE__)
    pthread_setname_np("elman");
#elif defined(__linux__)
    pthread_setname_np(pthread_self(), "elman");
#endif
    while (!stops_) {
      work(seat);
      wait(seat, [this] { return stops_ || ready(1) != 0; });
    }
  }

  // Runs jobs until none is ready.
  void work(Seat& seat) {
    work_loose();
    const Word strands = strands_;
    if (left_in(strands) == 0) return;
    Link* links = links_;
    for (int strand; (strand = claim(seat, links, strands)) >= 0;) run(seat, links, strands, strand);
  }

  void report(int64_t finished) {
    if (finished != 0 && unfinished_.fetch_sub(finished) == finished) rouse(seats_[0]);
  }

  // --- Independent jobs

  void work_loose() {
    int64_t finished = 0;
    for (Word now = loose_; left_in(now) != 0;) {
      const uint32_t left = left_in(now);
      if (!loose_.compare_exchange_weak(now, word(wave_of(now), left - 1, false))) continue;
      if (finished++ == 0) set_float_mode(mode_);
      call_others();
      job_(context_, count_ - left);
      now = loose_;
    }
    report(finished);
  }

  // --- Strands

  // Whether a strand has a job that is ready to run.
  bool waits(const Link* links, int strand, Word jobs, uint32_t wave) const {
    return wave_of(jobs) == wave && !runs(jobs) && left_in(jobs) != 0 && unlocked(links, strand, wave, left_in(jobs));
  }

  // Whether the next job of a strand with `left` jobs left need not wait for another strand.
  bool unlocked(const Link* links, int strand, uint32_t wave, uint32_t left) const {
    const int after = links[strand].after;
    if (after < 0) return true;
    const Word other = links[after].jobs;
    if (wave_of(other) != wave) return false;
    const uint32_t index = links[strand].length - left, done = links[after].length - left_in(other);
    return left_in(other) == 0 || done > index;
  }

  // Claims the strand that this thread ran last if it is ready, else the longest one that is; -1: none is.
  int claim(Seat& seat, Link* links, Word strands) {
    const int count = static_cast<int>(left_in(strands));
    for (;;) {
      int best = -1;
      Word seen = 0;
      const auto look = [&](int strand) {
        const Word jobs = links[strand].jobs;
        if (left_in(jobs) > left_in(seen) && waits(links, strand, jobs, wave_of(strands))) best = strand, seen = jobs;
      };
      if (seat.strand >= 0 && seat.strand < count) look(seat.strand);
      const bool stays = best >= 0;
      for (int strand = 0; !stays && strand < count; ++strand) look(strand);
      if (best < 0) return -1;
      if (links[best].jobs.compare_exchange_strong(seen, seen | 1)) return seat.strand = best;
    }
  }

  // Runs a claimed strand until it ends, has to wait, or another strand is more urgent.
  void run(Seat& seat, Link* links, Word strands, int strand) {
    const uint32_t wave = wave_of(strands), length = links[strand].length;
    uint32_t left = left_in(links[strand].jobs);
    int64_t patience = 0;
    set_float_mode(mode_);
    for (bool stays = true; stays;) {
      call_others();
      strand_job_(context_, strand, length - left);
      --left;
      stays = left != 0 && unlocked(links, strand, wave, left);
      if (stays && --patience < 0 && outweighed(links, strands, left + length / 8, patience)) {
        seat.strand = -1;
        stays = false;
      }
      links[strand].jobs = word(wave, left, stays);
    }
    if (left == 0) report(1);
  }

  // Whether another strand is more urgent: it has more jobs left than this one, and would keep one thread busy at the
  // end unless it begins now. `patience`: the number of jobs of this strand for which the answer stays valid.
  bool outweighed(const Link* links, Word strands, uint32_t left, int64_t& patience) const {
    int64_t all = 0;
    uint32_t longest = 0;
    for (int strand = 0; strand < static_cast<int>(left_in(strands)); ++strand) {
      const Word jobs = links[strand].jobs;
      all += left_in(jobs);
      // Strands that follow another are left to idle threads: they would be blocked again after a job or two.
      if (!runs(jobs) && links[strand].after < 0) longest = std::max(longest, left_in(jobs));
    }
    const int64_t spare = all / threads() - longest;
    patience = spare / 2;
    return spare <= 0 && longest > left;
  }

  // Allocates more strands for the next wave. The old array is kept, since late threads may still read it.
  void enlarge(int count) {
    capacity_ = std::max(count, 2 * capacity_);
    arrays_.push_back(std::make_unique<Link[]>(capacity_));
    links_ = arrays_.back().get();
  }

  // --- Sleep

  // Number of jobs that are ready to run, counted up to `enough`.
  int ready(int enough) const {
    const int loose = static_cast<int>(std::min<int64_t>(enough, left_in(loose_)));
    if (loose != 0) return loose;
    const Word strands = strands_;
    const Link* links = links_;
    int found = 0;
    for (int strand = 0; found < enough && strand < static_cast<int>(left_in(strands)); ++strand) {
      found += waits(links, strand, links[strand].jobs, wave_of(strands));
    }
    return found;
  }

  // Every thread that begins a job wakes two more if there is work for them.
  void call_others() {
    if (asleep_ <= 0) return;
    int wanted = ready(2);
    for (Seat& seat : seats_) {
      if (wanted <= 0) return;
      wanted -= rouse(seat);
    }
  }

  bool rouse(Seat& seat) {
    if (seat.asleep == 0 || seat.asleep.exchange(0) == 0) return false;
    asleep_ -= 1;
    seat.asleep.notify_one();
    return true;
  }

  // Returns when there is something to do. A thread that adds work checks for sleepers afterwards, and a thread checks
  // for work after it has marked itself asleep: at least one of the two notices the other.
  template <class Ready>
  void wait(Seat& seat, Ready ready) {
    const auto start = Clock::now();
    for (auto spent = Clock::duration::zero(); spent < sleep_after; spent = Clock::now() - start) {
      if (spent > yield_after) std::this_thread::yield();
      for (int look = 0; look < 16; ++look) {
        if (ready()) return;
        pause();
      }
    }
    asleep_ += 1;
    seat.asleep = 1;
    if (!ready()) {
      seat.asleep.wait(1);
    } else if (seat.asleep.exchange(0) != 0) {
      asleep_ -= 1;
    }
  }

  std::vector<Seat> seats_;
  std::vector<std::unique_ptr<Link[]> > arrays_;
  int capacity_ = 0;
  std::atomic<bool> stops_{false};

  // The current wave. Only threads that have begun one of its jobs read the members that are not atomic.
  uint32_t wave_ = 0;
  Job job_ = nullptr;
  StrandJob strand_job_ = nullptr;
  void* context_ = nullptr;
  int64_t count_ = 0;
  uint64_t mode_ = 0;

  alignas(64) std::atomic<Word> loose_{0};  // independent jobs that have not begun
  std::atomic<Word> strands_{0};            // number of strands
  std::atomic<Link*> links_{nullptr};
  alignas(64) std::atomic<int64_t> unfinished_{0};  // jobs or strands that have not returned
  alignas(64) std::atomic<int> asleep_{0};          // threads that sleep or are about to
};

std::atomic<int> threads_wanted{0};  // 0: not chosen yet

int default_threads() {
  if (const char* text = std::getenv("ELMAN_NUM_THREADS")) {
    char* end = nullptr;
    const long threads = std::strtol(text, &end, 10);
    if (end != text && *end == '\0' && threads >= 1 && threads <= most_threads) return static_cast<int>(threads);
  }
  int processors = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) processors = CPU_COUNT(&allowed);
#endif
  return std::clamp(processors, 1, most_threads);
}

// The thread that sets `busy` owns the pool. The pool is never destroyed: its workers may outlive static objects.
std::atomic<bool> busy{false};
std::shared_ptr<Pool>* pool = nullptr;

// The child of a fork has no workers, and possibly no thread that would finish a call in progress.
[[maybe_unused]] const int watches_forks = pthread_atfork(nullptr, nullptr, [] {
  pool = nullptr;
  busy = false;
});

// Exclusive use of the pool, if it is free, during the lifetime of the object.
class Lease {
 public:
  Lease() : held_(!busy.load(std::memory_order_relaxed) && !busy.exchange(true, std::memory_order_acquire)) {}
  ~Lease() {
    if (held_) busy.store(false, std::memory_order_release);
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  explicit operator bool() const { return held_; }

  Pool& of(int threads) {
    if (pool == nullptr) pool = new std::shared_ptr<Pool>;
    if (*pool == nullptr || (*pool)->threads() != threads) {
      auto next = std::make_shared<Pool>(threads);
      next->start();
      if (*pool != nullptr) (*pool)->stop();
      *pool = std::move(next);
    }
    return **pool;
  }

 private:
  const bool held_;
};

}  // namespace

int num_threads() {
  int threads = threads_wanted.load(std::memory_order_relaxed);
  if (threads == 0) {
    const int chosen = default_threads();
    if (threads_wanted.compare_exchange_strong(threads, chosen)) threads = chosen;
  }
  return threads;
}

void set_num_threads(int threads) { threads_wanted = std::clamp(threads, 1, most_threads); }

void parallel(int64_t count, Job job, void* context) {
  const int threads = count > 1 ? num_threads() : 1;
  if (threads == 1 || count > most_jobs) return run_alone(count, job, context);
  Lease lease;
  if (!lease) return run_alone(count, job, context);
  lease.of(threads).parallel(count, job, context);
}

void run_strands(const Strand* strands, int count, StrandJob job, void* context) {
  const int threads = count > 1 ? num_threads() : 1;
  const bool too_long = std::any_of(strands, strands + count, [](Strand strand) { return strand.length > most_jobs; });
  if (threads == 1 || too_long) return run_alone(strands, count, job, context);
  Lease lease;
  if (!lease) return run_alone(strands, count, job, context);
  lease.of(threads).run_strands(strands, count, job, context);
}

#endif

}  // namespace elman
