// The choice among the instruction sets that were compiled.
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "kernels.hpp"

namespace elman {

#if defined(__x86_64__)
namespace avx512bf16 {
extern const Kernels table;
}
namespace avx512 {
extern const Kernels table;
}
namespace avx2 {
extern const Kernels table;
}
#endif
namespace baseline {
extern const Kernels table;
}

bool supported(const char* isa) {
#if defined(__x86_64__)
  if (std::strcmp(isa, "avx512bf16") == 0) return supported("avx512") && __builtin_cpu_supports("avx512bf16");
  if (std::strcmp(isa, "avx512") == 0)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
  if (std::strcmp(isa, "avx2") == 0) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return std::strcmp(isa, "baseline") == 0;
}

static const Kernels& chosen() {
  const char* forced = std::getenv("ELMAN_ISA");  // Python has refused what is unknown or not supported
#if defined(__x86_64__)
  for (const Kernels* table : {&avx512bf16::table, &avx512::table, &avx2::table})
    if (supported(table->isa) && (!forced || std::strcmp(forced, table->isa) == 0)) return *table;
#endif
  (void)forced;
  return baseline::table;
}

const Kernels& kernels() {
  static const Kernels& table = chosen();
  return table;
}

}  // namespace elman
