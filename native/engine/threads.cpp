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
using ChainJob = void (*)(void* context, int chain, std::int64_t index);

void run_alone(std::int64_t count, Job job, void* context) {
  for (std::int64_t index = 0; index < count; ++index) job(context, index);
}

// Chain by chain: `after` always names an earlier one.
void run_alone(const Chain* chains, int count, ChainJob job, void* context) {
  for (int chain = 0; chain < count; ++chain) {
    for (std::int64_t index = 0; index < chains[chain].length; ++index) job(context, chain, index);
  }
}

}  // namespace

#if defined(_WIN32)

// One thread: here the references in Python answer for the kernels that would gain by more.
int num_threads() { return 1; }
void set_num_threads(int) {}
void parallel(std::int64_t count, Job job, void* context) { run_alone(count, job, context); }
void run_chains(const Chain* chains, int count, ChainJob job, void* context) { run_alone(chains, count, job, context); }

#else

namespace {

using std::int64_t;
using std::uint32_t;
using std::uint64_t;
using Clock = std::chrono::steady_clock;

// A thread that finds nothing to do looks again and again, then offers its core to others as it looks, then sleeps:
// another thread may need that core, and a sleeper takes 10 us or more to wake.
constexpr auto yield_after = std::chrono::microseconds(5);
constexpr auto sleep_after = std::chrono::microseconds(40);

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

// How this thread treats denormal numbers and rounds: workers take it over from the caller, or a result would depend on
// who computed it.
uint64_t float_mode() {
#if defined(__x86_64__)
  return _mm_getcsr() & ~uint32_t{0x3f};  // but not the exceptions seen so far
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

// The jobs of a wave, in one word that a thread changes as a whole: the number of the wave, how many jobs are left, and
// whether one runs now. A thread that comes late, with the word of an earlier wave in its hands, so changes nothing;
// and while it has begun a job and not reported it, the wave cannot end, and all that belongs to it stays.
using Word = uint64_t;
constexpr int64_t most_jobs = (int64_t{1} << 31) - 1;

Word word(uint32_t wave, uint32_t left, bool runs) { return Word{wave} << 32 | Word{left} << 1 | Word{runs}; }
uint32_t wave_of(Word word) { return static_cast<uint32_t>(word >> 32); }
uint32_t left_in(Word word) { return static_cast<uint32_t>(word) >> 1; }
bool runs(Word word) { return (word & 1) != 0; }

// A chain of the present wave. Late threads may look at it while the next wave is being laid out.
struct Link {
  std::atomic<Word> jobs{0};
  std::atomic<uint32_t> length{0};
  std::atomic<int> after{-1};
};

// Where a thread sleeps, and the chain that it ran last.
struct alignas(64) Seat {
  std::atomic<uint32_t> asleep{0};
  int chain = -1;
};

// A fixed number of threads, of which the caller takes the first seat. One call at a time.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  explicit Pool(int threads) : seats_(threads) {}

  int threads() const { return static_cast<int>(seats_.size()); }

  // The workers keep the pool alive, and are never joined: a process ends without asking them.
  void start() {
    // Signals are for the threads of the application, but for those that tell of an error in the thread itself.
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (int error : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) sigdelset(&blocked, error);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    try {
      for (int seat = 1; seat < threads(); ++seat) {
        std::thread([pool = shared_from_this(), seat] { pool->serve(pool->seats_[seat]); }).detach();
      }
    } catch (const std::system_error&) {
      // No more threads to be had: those that started do the work, or the caller alone.
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

  void run_chains(const Chain* chains, int count, ChainJob job, void* context) {
    if (count > capacity_) enlarge(count);
    Link* links = links_;
    const int64_t unfinished = std::count_if(chains, chains + count, [](Chain chain) { return chain.length > 0; });
    chain_job_ = job;
    begin(context, unfinished);
    for (int chain = 0; chain < count; ++chain) {
      links[chain].length = static_cast<uint32_t>(chains[chain].length);
      links[chain].after = chains[chain].after;
    }
    for (int chain = 0; chain < count; ++chain) {
      links[chain].jobs = word(wave_, static_cast<uint32_t>(chains[chain].length), false);
    }
    chains_ = word(wave_, static_cast<uint32_t>(count), false);
    take_part();
    chains_ = word(wave_, 0, false);
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
    const Word chains = chains_;
    if (left_in(chains) == 0) return;
    Link* links = links_;
    for (int chain; (chain = claim(seat, links, chains)) >= 0;) run(seat, links, chains, chain);
  }

  void report(int64_t finished) {
    if (finished != 0 && unfinished_.fetch_sub(finished) == finished) rouse(seats_[0]);
  }

  // --- Jobs that wait for no other

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

  // --- Chains

  // Whether a chain has a job that a thread could begin now.
  bool waits(const Link* links, int chain, Word jobs, uint32_t wave) const {
    return wave_of(jobs) == wave && !runs(jobs) && left_in(jobs) != 0 && unlocked(links, chain, wave, left_in(jobs));
  }

  // Whether the next job of a chain, of which `left` are left, waits for no other chain.
  bool unlocked(const Link* links, int chain, uint32_t wave, uint32_t left) const {
    const int after = links[chain].after;
    if (after < 0) return true;
    const Word other = links[after].jobs;
    if (wave_of(other) != wave) return false;
    const uint32_t index = links[chain].length - left, done = links[after].length - left_in(other);
    return left_in(other) == 0 || done > index;
  }

  // Takes the chain that this thread ran last if it can go on, else the longest that can; -1: none.
  int claim(Seat& seat, Link* links, Word chains) {
    const int count = static_cast<int>(left_in(chains));
    for (;;) {
      int best = -1;
      Word seen = 0;
      const auto look = [&](int chain) {
        const Word jobs = links[chain].jobs;
        if (left_in(jobs) > left_in(seen) && waits(links, chain, jobs, wave_of(chains))) best = chain, seen = jobs;
      };
      if (seat.chain >= 0 && seat.chain < count) look(seat.chain);
      const bool stays = best >= 0;
      for (int chain = 0; !stays && chain < count; ++chain) look(chain);
      if (best < 0) return -1;
      if (links[best].jobs.compare_exchange_strong(seen, seen | 1)) return seat.chain = best;
    }
  }

  // Runs a chain that this thread has claimed, until it ends, or has to wait, or another is more urgent.
  void run(Seat& seat, Link* links, Word chains, int chain) {
    const uint32_t wave = wave_of(chains), length = links[chain].length;
    uint32_t left = left_in(links[chain].jobs);
    int64_t patience = 0;
    set_float_mode(mode_);
    for (bool stays = true; stays;) {
      call_others();
      chain_job_(context_, chain, length - left);
      --left;
      stays = left != 0 && unlocked(links, chain, wave, left);
      if (stays && --patience < 0 && outweighed(links, chains, left + length / 8, patience)) {
        seat.chain = -1;
        stays = false;
      }
      links[chain].jobs = word(wave, left, stays);
    }
    if (left == 0) report(1);
  }

  // Whether a chain waits that has more jobs left than this one and, unless it is begun now, would keep one thread busy
  // when there is nothing more to do for the others. `patience`: for how many jobs of this chain the answer holds.
  bool outweighed(const Link* links, Word chains, uint32_t left, int64_t& patience) const {
    int64_t all = 0;
    uint32_t longest = 0;
    for (int chain = 0; chain < static_cast<int>(left_in(chains)); ++chain) {
      const Word jobs = links[chain].jobs;
      all += left_in(jobs);
      // A chain that follows another is left to an idle thread: it would be blocked again after a job or two.
      if (!runs(jobs) && links[chain].after < 0) longest = std::max(longest, left_in(jobs));
    }
    const int64_t spare = all / threads() - longest;
    patience = spare / 2;
    return spare <= 0 && longest > left;
  }

  // The next wave has more chains than any before it. Late threads may still look at the old array: it is kept.
  void enlarge(int count) {
    capacity_ = std::max(count, 2 * capacity_);
    arrays_.push_back(std::make_unique<Link[]>(capacity_));
    links_ = arrays_.back().get();
  }

  // --- Sleep

  // How many jobs a thread could begin now; counts no further than `enough`.
  int ready(int enough) const {
    const int loose = static_cast<int>(std::min<int64_t>(enough, left_in(loose_)));
    if (loose != 0) return loose;
    const Word chains = chains_;
    const Link* links = links_;
    int found = 0;
    for (int chain = 0; found < enough && chain < static_cast<int>(left_in(chains)); ++chain) {
      found += waits(links, chain, links[chain].jobs, wave_of(chains));
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

  // Returns when there is something to do. Who makes work looks for sleepers afterwards, and a thread looks for work
  // after it has said that it sleeps: one of the two sees the other.
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

  // The present wave; what is not atomic is read by none but threads that have begun a job of it.
  uint32_t wave_ = 0;
  Job job_ = nullptr;
  ChainJob chain_job_ = nullptr;
  void* context_ = nullptr;
  int64_t count_ = 0;
  uint64_t mode_ = 0;

  alignas(64) std::atomic<Word> loose_{0};  // jobs that nobody has begun
  std::atomic<Word> chains_{0};             // how many chains there are
  std::atomic<Link*> links_{nullptr};
  alignas(64) std::atomic<int64_t> unfinished_{0};  // jobs, or chains, that have not returned
  alignas(64) std::atomic<int> asleep_{0};          // threads that sleep, or are about to
};

std::atomic<int> threads_wanted{0};  // 0: nobody has asked yet

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

// Who sets `busy` has the pool to itself. The pool is never destroyed: its workers may outlive static objects.
std::atomic<bool> busy{false};
std::shared_ptr<Pool>* pool = nullptr;

// In the child of a fork there are no workers, and perhaps no thread to end the call that was going on.
[[maybe_unused]] const int watches_forks = pthread_atfork(nullptr, nullptr, [] {
  pool = nullptr;
  busy = false;
});

// The pool if it is free, for as long as this object lives.
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

void run_chains(const Chain* chains, int count, ChainJob job, void* context) {
  const int threads = count > 1 ? num_threads() : 1;
  const bool too_long = std::any_of(chains, chains + count, [](Chain chain) { return chain.length > most_jobs; });
  if (threads == 1 || too_long) return run_alone(chains, count, job, context);
  Lease lease;
  if (!lease) return run_alone(chains, count, job, context);
  lease.of(threads).run_chains(chains, count, job, context);
}

#endif

}  // namespace elman
