// One source, several instruction sets: the loader picks the widest that the machine has.
#pragma once

// GCC on x86-64 Linux with glibc, which resolves the choice at load time (not under a sanitizer, which is not up yet by then).
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define ELMAN_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ELMAN_CLONES
#endif

// A pointer through which alone its array is reached: loops over such arrays vectorise.
#if defined(_MSC_VER)
#define ELMAN_RESTRICT __restrict
#else
#define ELMAN_RESTRICT __restrict__
#endif
