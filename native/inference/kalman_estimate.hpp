// Covariance of a state estimate, as a matrix or a square root, and its diffuse part; the caller keeps the mean. An
// observation is a row h and the variance of its noise; no matrix is inverted.
#pragma once

#include "inference/kalman_algebra.hpp"

namespace elman::ELMAN_ISA {

enum class Update { nothing, proper, diffuse, lost };  // effect of an observation; lost: too few digits

template <class Z>
struct Estimate {
  Z z;
  bool square = false;        // cov is T with T'T the covariance: always semidefinite
  double* cov = nullptr;      // [n, s]
  double* diffuse = nullptr;  // [columns, s] A of the diffuse part: A A' times a variance that tends to infinity
  Index columns = 0;
  double* gain = nullptr;    // [s] of the last observation
  double variance = 0;       // of the last observation; of its diffuse part, where it had one
  double *m, *seen, *norms;  // [s]
  double *wide, *work;       // [2n, s], [n, s]
  Index* order;              // [n]

  explicit Estimate(Z size) : z(size) {}
  void lay(Pieces& pieces) {
    cov = pieces.take(2 * z.s * z.s);  // the lower rows are scratch for `triangle`
    wide = pieces.take(2 * z.s * z.s);
    diffuse = pieces.take(z.s * z.s);
    work = pieces.take(z.s * z.s);
    for (double** vector : {&gain, &m, &seen, &norms}) *vector = pieces.take(z.s);
    order = reinterpret_cast<Index*>(pieces.take(z.s));
  }

  // Sets the covariance from [n, n]. Returns false if it is not semidefinite.
  bool start(bool as_square, const double* given) {
    square = as_square;
    if (!square) {
      widen(z, z.n, given, cov);
      return true;
    }
    widen(z, z.n, given, wide);
    return roots(cov) >= 0;
  }
  bool start_diffuse(const double* given) {
    columns = 0;
    if (!given) return true;
    widen(z, z.n, given, wide);
    columns = roots(diffuse);
    return columns >= 0;
  }
  // Computes rows y with y'y = `wide`, nonzero rows first. Returns their number, or -1 if `wide` is not semidefinite.
  // Overwrites `wide`.
  Index roots(double* y) {
    double* const d = m;
    if (!factor(z.n, z.s, wide, work, d, order, norms)) return -1;
    fill(z, z.n, 0, y);
    Index count = 0;
    for (Index k = 0; k < z.n; ++k) {
      for (Index i = k; i < z.n; ++i) y[k * z.s + order[i]] = work[i * z.s + k] * root(d[k]);
      count += d[k] > 0;
    }
    return count;
  }

  // Writes the covariance, rows s apart.
  void covariance(double* y) {
    if (!square) return copy(z, z.n, cov, y);
    outer(cov, z.n, y);
  }
  void diffuse_covariance(double* y) { outer(diffuse, columns, y); }
  // y = x'x
  void outer(const double* x, Index rows, double* y) {
    fill(z, z.n, 0, y);
    for (Index k = 0; k < rows; ++k)
      for (Index i = 0; i < z.n; ++i)
        if (x[k * z.s + i] != 0) add(z, x[k * z.s + i], x + k * z.s, y + i * z.s);
    mirror(z, y);
  }

  // Conditions the covariance on an observation. `gain` and `variance` then give the update of the mean.
  Update observe(const Sparse& rows, Index row, double noise) {
    if (columns)
      if (const Update update = observe_diffuse(rows.a + row * z.s, noise); update != Update::nothing) return update;
    return square ? observe_square(rows.a + row * z.s, noise) : observe_plain(rows, row, noise);
  }

  Update observe_plain(const Sparse& rows, Index row, double noise) {
    const double* const h = rows.a + row * z.s;
    combine(z, rows, row, cov, nullptr, m);
    variance = dot(z, rows, row, m) + noise;
    double most = 0;  // sum of the terms of the variance
    if constexpr (Z::fixed) {
      for (Index i = 0; i < z.n; ++i) most += h[i] * h[i] * cov[i * z.s + i];
    } else {
      for (Index c = 0; c < rows.counts[row]; ++c) {
        const Index i = rows.places[row * z.s + c];
        most += h[i] * h[i] * cov[i * z.s + i];
      }
    }
    if (noise == 0 && absolute(variance) <= certain_share * most) return Update::nothing;
    if (!(variance > lost_share * most)) return Update::lost;
    const double inverse = 1 / variance;
    for (Index i = 0; i < z.s; ++i) gain[i] = m[i] * inverse;
    if (noise >= noisy_share * variance) {
      if constexpr (Z::vectors) {
        const double scale = root(inverse);
        for (Index j = 0; j < z.s; j += W64) store(m + j, load(m + j) * splat(scale));
        for (Index i = 0; i < z.n; ++i) add(z, -m[i], m, cov + i * z.s);
      } else {
        for (Index i = 0; i < z.n; ++i)
          for (Index j = i; j < z.n; ++j) cov[j * z.s + i] = cov[i * z.s + j] = fused(-gain[i], m[j], cov[i * z.s + j]);
      }
    } else if (!joseph(h, noise)) {
      return Update::lost;
    }
    return Update::proper;
  }

  // Joseph's form: cov - m gain' - gain m' + gain gain' (h m + noise), m = cov h, in an order that keeps it definite.
  // Returns false if too many digits are lost.
  bool joseph(const double* h, double noise) {
    for (Index i = 0; i < z.n; ++i) norms[i] = cov[i * z.s + i];
    for (Index i = 0; i < z.n; ++i) add(z, -gain[i], m, cov + i * z.s);
    for (Index i = 0; i < z.n; ++i) seen[i] = dot(z, cov + i * z.s, h);
    for (Index i = 0; i < z.n; ++i) add(z, noise * gain[i] - seen[i], gain, cov + i * z.s);
    for (Index i = 0; i < z.n; ++i)
      for (Index j = 0; j < i; ++j) cov[i * z.s + j] = cov[j * z.s + i] = 0.5 * (cov[i * z.s + j] + cov[j * z.s + i]);
    bool sound = true;
    for (Index i = 0; i < z.n; ++i) {
      if (noise == 0 && cov[i * z.s + i] <= rank_share * norms[i])
        for (Index j = 0; j < z.n; ++j) cov[i * z.s + j] = cov[j * z.s + i] = 0;  // the component is known exactly
      sound = sound && (cov[i * z.s + i] > fall_share * norms[i] || cov[i * z.s + i] == 0);
    }
    return sound;
  }

  Update observe_square(const double* h, double noise) {
    double sight = 0, size = 0;
    for (Index k = 0; k < z.n; ++k) {
      seen[k] = dot(z, cov + k * z.s, h);
      size += seen[k] * seen[k];
    }
    variance = size + noise;
    if (variance == 0) return Update::nothing;
    if (!finite(variance)) return Update::lost;
    if (noise == 0) {
      for (Index i = 0; i < z.n; ++i) {
        double norm = 0;
        for (Index k = 0; k < z.n; ++k) norm += cov[k * z.s + i] * cov[k * z.s + i];
        sight += absolute(h[i]) * root(norm);
      }
      if (root(variance) <= rank_share * sight) return Update::nothing;
    }
    combine(z, seen, nullptr, z.n, cov, nullptr, m);
    const double scale = 1 / (root(variance) * (root(variance) + root(noise)));
    for (Index k = 0; k < z.n; ++k) add(z, -seen[k] * scale, m, cov + k * z.s);
    for (Index i = 0; i < z.s; ++i) gain[i] = m[i] / variance;
    return Update::proper;
  }

  // Removes one column of the diffuse part if the observation depends on it; otherwise returns `nothing`.
  Update observe_diffuse(const double* h, double noise) {
    double* const sight = m;  // [columns], at most n
    column_norms();
    double size = 0, most = 0;
    for (Index k = 0; k < columns; ++k) {
      sight[k] = dot(z, diffuse + k * z.s, h);
      size += sight[k] * sight[k];
    }
    for (Index i = 0; i < z.n; ++i) most += absolute(h[i]) * norms[i];
    const double norm = root(size);
    if (!(norm > diffuse_share * most)) return Update::nothing;
    fill(z, 1, 0, gain);
    for (Index k = 0; k < columns; ++k) add(z, sight[k] / size, diffuse + k * z.s, gain);
    // A Householder reflection moves the observed direction into the first column, which is removed.
    const double head = sight[0] > 0 ? norm : -norm, scale = 1 / (size + head * sight[0]);
    sight[0] += head;
    fill(z, 1, 0, seen);
    for (Index k = 0; k < columns; ++k) add(z, sight[k], diffuse + k * z.s, seen);
    for (Index k = 1; k < columns; ++k) {
      copy(z, 1, diffuse + k * z.s, diffuse + (k - 1) * z.s);
      add(z, -sight[k] * scale, seen, diffuse + (k - 1) * z.s);
    }
    --columns;
    drop_rounding_errors();
    if (square) {
      for (Index k = 0; k < z.n; ++k) add(z, -dot(z, cov + k * z.s, h), gain, cov + k * z.s);
      for (Index j = 0; j < z.s; ++j) cov[z.n * z.s + j] = gain[j] * root(noise);
      triangle(z, z.n + 1, cov, work);
    } else {
      for (Index i = 0; i < z.n; ++i) m[i] = dot(z, cov + i * z.s, h);
      if (!joseph(h, noise)) return Update::lost;
    }
    variance = size;
    return Update::diffuse;
  }
  void column_norms() {
    for (Index i = 0; i < z.n; ++i) {
      double total = 0;
      for (Index k = 0; k < columns; ++k) total += diffuse[k * z.s + i] * diffuse[k * z.s + i];
      norms[i] = root(total);
    }
  }
  // Sets rows to zero that are rounding errors relative to `norms`; removes all columns if no row is left.
  void drop_rounding_errors() {
    bool any = false;
    for (Index i = 0; i < z.n; ++i) {
      double total = 0;
      for (Index k = 0; k < columns; ++k) total += diffuse[k * z.s + i] * diffuse[k * z.s + i];
      const bool rounding = root(total) <= rank_share * norms[i];
      if (rounding)
        for (Index k = 0; k < columns; ++k) diffuse[k * z.s + i] = 0;
      any = any || !rounding;
    }
    if (!any) columns = 0;
  }

  // Predicts the next state: f cov f' + q. `q_roots` [n, s] is used with square roots.
  void predict(const Sparse& f, const double* f_transposed, const double* q, const double* q_roots) {
    if (columns) {
      column_norms();
      for (Index i = 0; i < z.n; ++i) {
        seen[i] = 0;
        for (Index j = 0; j < z.n; ++j) seen[i] += absolute(f.a[i * z.s + j]) * norms[j];
      }
      for (Index i = 0; i < z.n; ++i) norms[i] = seen[i];
      for (Index k = 0; k < columns; ++k)
        combine(z, diffuse + k * z.s, nullptr, z.n, f_transposed, nullptr, work + k * z.s);
      copy(z, columns, work, diffuse);
      drop_rounding_errors();
    }
    if (!square) {
      sandwich(z, f, f_transposed, cov, q, cov, wide, work);
      return;
    }
    for (Index k = 0; k < z.n; ++k) combine(z, cov + k * z.s, nullptr, z.n, f_transposed, nullptr, wide + k * z.s);
    copy(z, z.n, q_roots, wide + z.n * z.s);
    triangle(z, 2 * z.n, wide, work);
    copy(z, z.n, wide, cov);
  }

  // Returns whether the covariance is semidefinite: elimination finds no negative pivot.
  bool definite() {
    if (square) return true;
    if constexpr (Z::vectors && !Z::fixed) {
      return definite_vectors();
    } else {
      copy(z, z.n, cov, work);
      for (Index j = 0; j < z.n; ++j) {
        double* const row = work + j * z.s;
        const double pivot = row[j] + indefinite_share * cov[j * z.s + j];
        if (!(pivot >= 0)) return false;
        if (pivot == 0) continue;
        const double inverse = -1 / pivot;
        for (Index i = j + 1; i < z.n; ++i)
          for (Index k = i; k < z.n; ++k) work[i * z.s + k] = fused(row[i] * inverse, row[k], work[i * z.s + k]);
      }
      return true;
    }
  }
  // Eliminates in whole vectors, from the column of the pivot on.
  bool definite_vectors() {
    copy(z, z.n, cov, work);
    for (Index j = 0; j < z.n; ++j) {
      double* const row = work + j * z.s;
      const double pivot = row[j] + indefinite_share * cov[j * z.s + j];
      if (!(pivot >= 0)) return false;
      if (pivot == 0) continue;
      const double inverse = -1 / pivot;
      Index from = j / W64 * W64;
      for (; from + 4 * W64 < z.s; from += 4 * W64) eliminate<4>(j, from, row, inverse);
      switch ((z.s - from) / W64) {
        case 4: eliminate<4>(j, from, row, inverse); break;
        case 3: eliminate<3>(j, from, row, inverse); break;
        case 2: eliminate<2>(j, from, row, inverse); break;
        default: eliminate<1>(j, from, row, inverse); break;
      }
    }
    return true;
  }
  template <int V>
  [[gnu::always_inline]] static void subtract(const D (&pivot)[V], double factor, double* y) {
    const D times = splat(factor);
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store(y + v * W64, fma(times, pivot[v], load(y + v * W64)));
  }
  template <int V>
  void eliminate(Index j, Index from, const double* row, double inverse) {
    D pivot[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) pivot[v] = load(row + from + v * W64);
    for (Index i = j + 1; i < z.n; ++i) subtract<V>(pivot, row[i] * inverse, work + i * z.s + from);
  }
};

}  // namespace elman::ELMAN_ISA
