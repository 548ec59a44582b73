// Scope in which subnormal numbers are flushed to zero, in the current thread: they are slow, and their inverses
// overflow.
#pragma once

namespace elman {

class Flush {
#if defined(__SSE2__)
 public:
  Flush() : kept_(__builtin_ia32_stmxcsr()) { __builtin_ia32_ldmxcsr(kept_ | 0x8040); }
  ~Flush() { __builtin_ia32_ldmxcsr(kept_); }
  Flush(const Flush&) = delete;
  Flush& operator=(const Flush&) = delete;

 private:
  unsigned kept_;
#endif
};

}  // namespace elman
