// The choice among the compiled instruction sets.
#include <cstdlib>
#include <cstring>

#include "engine/kernels.hpp"

namespace elman {

#ifdef ELMAN_HAS_avx512bf16
namespace avx512bf16 {
extern const Kernels table;
}
#endif
#ifdef ELMAN_HAS_avx512
namespace avx512 {
extern const Kernels table;
}
#endif
#ifdef ELMAN_HAS_avx2
namespace avx2 {
extern const Kernels table;
}
#endif
namespace baseline {
extern const Kernels table;
}

// Compiled sets, the best first, with a test whether this processor supports them.
struct Compiled {
  const Kernels& table;
  bool (*here)();
};

#if defined(__x86_64__)
[[maybe_unused]] static bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
}
#endif

static const Compiled compiled[] = {
#ifdef ELMAN_HAS_avx512bf16
    {avx512bf16::table, [] { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }},
#endif
#ifdef ELMAN_HAS_avx512
    {avx512::table, has_avx512},
#endif
#ifdef ELMAN_HAS_avx2
    {avx2::table, [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }},
#endif
    {baseline::table, [] { return true; }},
};

bool supported(const char* isa) {
  for (const auto& [table, here] : compiled)
    if (std::strcmp(isa, table.isa) == 0) return here();
  return false;
}

static const Kernels& chosen() {
  const char* forced = std::getenv("ELMAN_ISA");  // Python has checked it
  for (const auto& [table, here] : compiled)
    if (here() && (!forced || std::strcmp(forced, table.isa) == 0)) return table;
  return baseline::table;
}

const Kernels& kernels() {
  static const Kernels& table = chosen();
  return table;
}

}  // namespace elman
