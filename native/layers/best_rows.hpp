// The k largest scores of one row. The first pass finds the maximum and a lower bound for the k-th largest score; the
// second sums the exponentials and collects the few scores that reach the bound.
#pragma once

#include "engine/simd.hpp"

namespace elman::ELMAN_ISA {

constexpr int side = 4;               // vectors per iteration
constexpr int chains = 2 * side * W;  // interleaved maxima in the first pass
constexpr float least = -__builtin_inff();

ELMAN_INLINE V larger(V a, V b) { return a > b ? a : b; }

ELMAN_INLINE bool any(Integers v) {
#if defined(__AVX512F__) && ELMAN_WIDTH == 16
  return _mm512_test_epi32_mask(reinterpret_cast<__m512i>(v), reinterpret_cast<__m512i>(v)) != 0;
#elif defined(__AVX__) && ELMAN_WIDTH == 8
  return !_mm256_testz_si256(reinterpret_cast<__m256i>(v), reinterpret_cast<__m256i>(v));
#else
  std::uint64_t halves[sizeof v / 8], all = 0;
  std::memcpy(halves, &v, sizeof v);
  for (std::uint64_t half : halves) all |= half;
  return all != 0;
#endif
}

// The k best scores so far, the largest first.
struct Best {
  const float* scores;
  Index* ids;
  Index k, count = 0;

  bool full() const { return count == k; }
  float last() const { return scores[ids[k - 1]]; }
  void take(Index id) {
    if (full() && !(scores[id] > last())) return;
    Index to = full() ? k - 1 : count++;
    for (; to > 0 && scores[id] > scores[ids[to - 1]]; --to) ids[to] = ids[to - 1];
    ids[to] = id;
  }
};

// Returns a bound that at least k scores reach, and sets `largest` to the maximum. NaN is ignored.
static inline float bound(Index size, Index k, const float* scores, float& largest) {
  float most[chains], sorted[chains];
  V tops[2 * side];
  for (V& top : tops) top = splat(least);
  Index i = 0;
  for (; i + chains <= size; i += chains)
#pragma GCC unroll 8
    for (int v = 0; v < 2 * side; ++v) tops[v] = larger(load(scores + i + v * W), tops[v]);
  for (int v = 0; v < 2 * side; ++v) store(most + v * W, tops[v]);
  for (int chain = 0; i < size; ++i, ++chain) most[chain] = scores[i] > most[chain] ? scores[i] : most[chain];
  largest = least;
  for (float x : most) largest = x > largest ? x : largest;
  if (k > chains) return least;  // too few maxima for a bound
  Index count = 0;
  for (float x : most) {
    if (count == k && !(x > sorted[k - 1])) continue;
    Index to = count < k ? count++ : k - 1;
    for (; to > 0 && x > sorted[to - 1]; --to) sorted[to] = sorted[to - 1];
    sorted[to] = x;
  }
  return sorted[k - 1];
}

static void best(Index size, Index k, const float* scores, Index* ids, double* log_probs) {
  if (k == 0) return;
  float largest;
  V limit = splat(bound(size, k, scores, largest));  // smaller scores are not among the k
  const V shift = splat(largest > least ? largest : 0.0f);
  Best found{scores, ids, k};
  V parts[side]{};
  Index i = 0;
  for (; i + side * W <= size; i += side * W) {
    V top = splat(least);
#pragma GCC unroll 4
    for (int v = 0; v < side; ++v) {
      const V x = load(scores + i + v * W);
      parts[v] += exp(x - shift);
      top = larger(x, top);
    }
    if (!any(top >= limit)) continue;
    for (Index at = i; at < i + side * W; at += W)
      if (any(load(scores + at) >= limit))
        for (Index id = at; id < at + W; ++id)
          if (scores[id] >= limit[0]) found.take(id);
    if (found.full()) limit = splat(found.last());
  }
  double all = sum((parts[0] + parts[1]) + (parts[2] + parts[3]));
  for (; i < size; ++i) {
    all += static_cast<double>(exp(splat(scores[i]) - shift)[0]);
    if (scores[i] >= limit[0]) found.take(i);
  }
  for (Index id = 0; !found.full(); ++id)  // NaN comes last
    if (scores[id] != scores[id]) ids[found.count++] = id;
  const double total = static_cast<double>(shift[0]) + __builtin_log(all);
  for (Index j = 0; j < k; ++j) {
    const double score = static_cast<double>(scores[ids[j]]);
    log_probs[j] = score == static_cast<double>(least) && all == all ? score : score - total;
  }
}

}  // namespace elman::ELMAN_ISA
