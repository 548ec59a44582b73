// Attention of some queries to the same steps.
//
// A score is one sum over the features, and a value of the context one chain over the steps, independent of the other
// queries per tile. So the results of a query are bitwise equal in any batch.
#include "engine/gemm.hpp"
#include "engine/kernels.hpp"
#include "layers/attention.hpp"

namespace elman::ELMAN_ISA {

// --- Scores

// Lane i of the result is the sum of the lanes of v[i], always in the same order.
ELMAN_INLINE V sums(V (&v)[W]) {
#pragma GCC unroll 4
  for (int half = W / 2; half > 0; half /= 2)
#pragma GCC unroll 8
    for (int i = 0; i < half; ++i) {
      V low, high;
      interleave(v[i], v[i + half], low, high, Count<W>::Type{});
      v[i] = low + high;
    }
  return v[0];
}

// Contribution of one feature to a score.
struct Dot {
  static constexpr int tall = W == 16 ? 4 : 2;  // queries per tile
  ELMAN_INLINE V add(V query, V key, V, V sum) { return fma(query, key, sum); }
};
struct Additive {
  static constexpr int tall = 1;
  ELMAN_INLINE V add(V query, V key, V direction, V sum) { return fma(direction, tanh(query + key), sum); }
};

// Scores of M queries with W / M steps, query by query.
template <class Score, int M>
[[gnu::noinline]] static void score_tile(Index features, const float* const (&queries)[M],
                                         const float* const (&keys)[W / M], const float* direction, float* scores) {
  constexpr int N = W / M;
  V acc[W]{};
  const auto add = [&](const auto& part) __attribute__((always_inline)) {
    V ks[N];
#pragma GCC unroll 16
    for (int n = 0; n < N; ++n) ks[n] = part(keys[n]);
    const V d = direction ? part(direction) : V{};
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
      const V q = part(queries[m]);
#pragma GCC unroll 16
      for (int n = 0; n < N; ++n) acc[m * N + n] = Score::add(q, ks[n], d, acc[m * N + n]);
    }
  };
  Index i = 0;
  for (; i + W <= features; i += W) add([=](const float* p) __attribute__((always_inline)) { return load(p + i); });
  if (i < features) add([=](const float* p) __attribute__((always_inline)) { return load(p + i, features - i); });
  store(scores, sums(acc));
}

template <class Score, int M>
static inline void score_some(Index features, Index count, const float* queries, Index size, const float* keys,
                              const float* direction, float* scores) {
  constexpr int N = W / M;
  const float *q[M], *k[N];
  float tile[W];
  for (Index s = 0; s < size; s += N) {
    const Index real = smaller(size - s, N);
    for (Index n = 0; n < N; ++n) k[n] = keys + (s + smaller(n, real - 1)) * features;
    for (Index m = 0; m < count; m += M) {
      for (Index j = 0; j < M; ++j) q[j] = queries + (m + j) * features;
      score_tile<Score, M>(features, q, k, direction, tile);
      for (Index j = 0; j < M; ++j)
        std::memcpy(scores + (m + j) * size + s, tile + j * N, sizeof(float) * static_cast<std::size_t>(real));
    }
  }
}

// scores[m, s] for all queries and steps, [count, size].
template <class Score>
static inline void score(Index features, Index count, const float* queries, Index size, const float* keys,
                         const float* direction, float* scores) {
  const Index whole = count / Score::tall * Score::tall;
  score_some<Score, Score::tall>(features, whole, queries, size, keys, direction, scores);
  if (whole < count)
    score_some<Score, 1>(features, count - whole, queries + whole * features, size, keys, direction,
                         scores + whole * size);
}

// Softmax in place; size > 0.
static inline void softmax(Index size, float* x) {
  V most = splat(x[0]);
  Index i = 0;
  for (; i + W <= size; i += W) {
    const V v = load(x + i);
    most = v > most ? v : most;
  }
  float largest = most[0];
  for (int lane = 1; lane < W; ++lane) largest = most[lane] > largest ? most[lane] : largest;
  for (; i < size; ++i) largest = x[i] > largest ? x[i] : largest;
  V all{};
  for (i = 0; i < size; i += W) {
    store(x + i, exp(load(x + i, size - i) - splat(largest)), size - i);
    all += load(x + i, size - i);
  }
  const V scale = splat(1.0f / sum(all));
  for (i = 0; i < size; i += W) store(x + i, load(x + i, size - i) * scale, size - i);
}

// --- Weighted sums of rows: c[m, n] (+)= sum over k of a(m, k) b[k, n], in the order of k

struct Weighted {
  const float* a;
  Index a_row, a_step;  // from a(m, k) to a(m + 1, k), to a(m, k + 1)
  Index k;
  const float* b;
  float* c;
  Index columns;  // of b and c
  bool add;       // to the old value of c
};

// M rows of c and NV vectors of its columns, or part of one vector.
template <int M, int NV>
[[gnu::noinline]] static void weighted_tile(const Weighted& arguments, Index row, Index column) {
  const Weighted t = arguments;  // a local copy: the compiler knows that no store changes it
  const Index rest = t.columns - column;
  const float *a = t.a + row * t.a_row, *b = t.b + column;
  float* const c = t.c + row * t.columns + column;
  V acc[M][NV];
  const auto run = [&](const auto& read, const auto& write) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v) acc[m][v] = t.add ? read(c + m * t.columns + v * W) : V{};
    for (Index k = 0; k < t.k; ++k, a += t.a_step, b += t.columns) {
      V bs[NV];
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v) bs[v] = read(b + v * W);
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        const V x = splat(a[m * t.a_row]);
#pragma GCC unroll 16
        for (int v = 0; v < NV; ++v) acc[m][v] = fma(x, bs[v], acc[m][v]);
      }
    }
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v) write(c + m * t.columns + v * W, acc[m][v]);
  };
  if (rest >= NV * W)
    run([](const float* p) __attribute__((always_inline)) { return load(p); },
        [](float* p, V v) __attribute__((always_inline)) { store(p, v); });
  else if constexpr (NV == 1)
    run([=](const float* p) __attribute__((always_inline)) { return load(p, rest); },
        [=](float* p, V v) __attribute__((always_inline)) { store(p, v, rest); });
}

static inline void weighted(Index rows, const Weighted& t) {
  using Function = void (*)(const Weighted&, Index, Index);
  constexpr int NV = vectors_of(1), M = 6;
  constexpr Function one[] = {nullptr,
                              weighted_tile<1, 1>,
                              weighted_tile<2, 1>,
                              weighted_tile<3, 1>,
                              weighted_tile<4, 1>,
                              weighted_tile<5, 1>,
                              weighted_tile<6, 1>};
  constexpr Function many[] = {nullptr,
                               weighted_tile<1, NV>,
                               weighted_tile<2, NV>,
                               weighted_tile<3, NV>,
                               weighted_tile<4, NV>,
                               weighted_tile<5, NV>,
                               weighted_tile<6, NV>};
  const Index tiles = (rows + M - 1) / M;
  for (Index column = 0; column < t.columns;) {
    const bool wide = t.columns - column >= NV * W;
    for (Index i = 0, row = 0; i < tiles; ++i) {
      const Index m = rows / tiles + (i < rows % tiles);
      (wide ? many : one)[m](t, row, column);
      row += m;
    }
    column += wide ? NV * W : W;
  }
}

// --- Forward and backward pass of some queries

static void attend(const Attention& t, const Read& r) {
  const float *queries = t.queries + r.query * t.features, *keys = t.keys + r.start * t.features;
  float *weights = t.weights + r.pair, *context = t.context + r.query * t.outputs;
  if (t.direction) score<Additive>(t.features, r.queries, queries, r.size, keys, t.direction, weights);
  else score<Dot>(t.features, r.queries, queries, r.size, keys, nullptr, weights);
  if (r.size)
    for (Index m = 0; m < r.queries; ++m) softmax(r.size, weights + m * r.size);
  weighted(r.queries, {weights, r.size, 1, r.size, t.values + r.start * t.outputs, context, t.outputs, false});
}

// Gradients of queries, keys and direction from those of additive scores [queries, size].
static void additive_backward(const Attention& t, const Read& r, const float* dscores, float* ddirection) {
  const Index features = t.features;
  const float* const keys = t.keys + r.start * features;
  float* const dkeys = t.dkeys ? t.dkeys + r.start * features : nullptr;
  for (Index m = 0; m < r.queries; ++m, dscores += r.size) {
    const float* const query = t.queries + (r.query + m) * features;
    for (Index i = 0; i < features; i += W) {
      const Index n = features - i;
      const V q = load(query + i, n), d = load(t.direction + i, n);
      V dquery{}, along = ddirection ? load(ddirection + i, n) : V{};
      for (Index s = 0; s < r.size; ++s) {
        const V dscore = splat(dscores[s]), y = tanh(q + load(keys + s * features + i, n));
        const V slope = dscore - dscore * y * y;
        dquery += slope;
        along = fma(dscore, y, along);
        if (dkeys) store(dkeys + s * features + i, fma(slope, d, load(dkeys + s * features + i, n)), n);
      }
      if (t.dqueries) store(t.dqueries + (r.query + m) * features + i, dquery * d, n);
      if (ddirection) store(ddirection + i, along, n);
    }
  }
}

// Writes dqueries, and adds to dkeys, dvalues and `ddirection`. `dscores` [queries, size] is scratch.
static void attend_backward(const Attention& t, const Read& r, float* ddirection, float* dscores) {
  const Index size = r.size;
  const float *weights = t.weights + r.pair, *dcontext = t.dcontext + r.query * t.outputs;
  if (t.dvalues)
    weighted(size, {weights, 1, size, r.queries, dcontext, t.dvalues + r.start * t.outputs, t.outputs, true});
  if (!t.dqueries && !t.dkeys && !ddirection) return;
  score<Dot>(t.outputs, r.queries, dcontext, size, t.values + r.start * t.outputs, nullptr, dscores);
  for (Index m = 0; m < r.queries; ++m) {
    float* const d = dscores + m * size;
    const float* const w = weights + m * size;
    V mean{};
    for (Index i = 0; i < size; i += W) {
      const Index n = size - i;
      if (t.dweights) store(d + i, load(d + i, n) + load(t.dweights + r.pair + m * size + i, n), n);
      mean = fma(load(w + i, n), load(d + i, n), mean);
    }
    const V all = splat(sum(mean));
    for (Index i = 0; i < size; i += W) store(d + i, load(w + i, size - i) * (load(d + i, size - i) - all), size - i);
  }
  if (t.direction) return additive_backward(t, r, dscores, ddirection);
  const Index features = t.features, query = r.query * features, start = r.start * features;
  if (t.dqueries) weighted(r.queries, {dscores, size, 1, size, t.keys + start, t.dqueries + query, features, false});
  if (t.dkeys) weighted(size, {dscores, 1, size, r.queries, t.queries + query, t.dkeys + start, features, true});
}

extern const AttentionKernels attention_kernels;
constinit const AttentionKernels attention_kernels = {.attend = attend, .attend_backward = attend_backward};

}  // namespace elman::ELMAN_ISA
