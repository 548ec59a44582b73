// The matrices of a system as the Kalman kernels need them: decorrelated observations, square roots, transposes.
#pragma once

#include "inference/kalman_estimate.hpp"
#include "inference/state_space.hpp"

namespace elman::ELMAN_ISA {

// The matrices of one model, or of one step; each is computed when it is first needed.
template <class Z>
struct Matrices {
  Z z;
  const StateSpace& s;
  Index entry = -1, back_entry = -1, roots_entry = -1;
  Sparse f, h, back;                   // h: decorrelated; back: f, decorrelated by q
  double *f_transposed, *q, *q_roots;  // [n, s]
  double *noise, *whiten;              // [m], [m, m]: r = U diag(noise) U', whiten = U^-1
  double *back_noise, *back_whiten;    // [n], [n, s]: q likewise
  bool diagonal = true;                // r is diagonal: whiten is the identity and not stored
  Index there = 0;                     // observed outputs: the rows of h
  Index *places, *seen, *order;        // [m] the outputs in elimination order, in input order, and the permutation
  double *work, *scale;                // [m, m], [m]

  Matrices(Z size, const StateSpace& space) : z(size), s(space) {}
  void lay(Pieces& pieces) {
    const Index m = s.outputs, n = z.n;
    f.lay(z, z.s, pieces), h.lay(z, m, pieces), back.lay(z, z.s, pieces);
    for (double** matrix : {&f_transposed, &q, &q_roots, &back_whiten}) *matrix = pieces.take(z.s * z.s);
    noise = pieces.take(m), whiten = pieces.take(m * m), work = pieces.take(m * m), back_noise = pieces.take(n);
    for (Index** list : {&places, &seen, &order}) *list = reinterpret_cast<Index*>(pieces.take(m));
    scale = pieces.take(m);
  }

  Failure prepare(Index number) {
    if (number == entry) return Failure::none;
    const Index m = s.outputs, n = z.n;
    entry = back_entry = roots_entry = -1;
    widen(z, n, s.f + number * n * n, f.a);
    f.find(z, n);
    transpose(z, f.a, f_transposed);
    widen(z, n, s.q + number * n * n, q);
    diagonal = is_diagonal(m, s.r + number * m * m);
    entry = number;
    for (Index i = 0; i < m; ++i) places[i] = i;
    return decorrelate(m);
  }
  // Computes h, noise and whiten of the first `count` places.
  Failure decorrelate(Index count) {
    const Index m = s.outputs, n = z.n;
    const double *const all = s.h + entry * m * n, *const r = s.r + entry * m * m;
    there = count;
    if (diagonal) {
      for (Index i = 0; i < count; ++i) {
        widen(z, 1, all + places[i] * n, h.a + i * z.s);
        noise[i] = r[places[i] * (m + 1)];
        if (!(noise[i] >= 0)) return Failure::output_noise;
      }
    } else {
      for (Index i = 0; i < count; ++i)
        for (Index j = 0; j < count; ++j) work[i * count + j] = r[places[i] * m + places[j]];
      if (!factor(count, count, work, whiten, noise, order, scale)) return Failure::output_noise;
      invert(count, count, whiten);
      for (Index i = 0; i < count; ++i) seen[i] = places[i];
      for (Index i = 0; i < count; ++i) {
        places[i] = seen[order[i]];
        widen(z, 1, all + places[i] * n, h.a + i * z.s);
      }
      for (Index i = count; i-- > 0;)
        for (Index j = 0; j < i; ++j) add(z, whiten[i * count + j], h.a + j * z.s, h.a + i * z.s);
    }
    h.find(z, count);
    return Failure::none;
  }
  // Selects the observed coordinates of x; `all`: none is missing. Diagonal noise needs no other h.
  Failure choose(const double* x, bool all) {
    if (diagonal || (all && there == s.outputs)) return Failure::none;
    Index count = 0;
    bool same = true;
    for (Index i = 0; i < s.outputs; ++i) {
      if (x[i] != x[i]) continue;
      same = same && count < there && seen[count] == i;
      places[count++] = i;
    }
    if (same && count == there) {
      for (Index i = 0; i < count; ++i) places[i] = seen[order[i]];
      return Failure::none;
    }
    return decorrelate(count);
  }

  Failure prepare_roots(Estimate<Z>& estimate) {
    if (roots_entry == entry) return Failure::none;
    copy(z, z.n, q, estimate.wide);
    if (estimate.roots(q_roots) < 0) return Failure::state_noise;
    roots_entry = entry;
    return Failure::none;
  }
  Failure prepare_back(Estimate<Z>& estimate) {
    if (back_entry == entry) return Failure::none;
    const Index n = z.n;
    double* const u = estimate.work;
    copy(z, n, q, estimate.wide);
    if (!factor(n, z.s, estimate.wide, u, back_noise, estimate.order, estimate.norms)) return Failure::state_noise;
    invert(n, z.s, u);
    fill(z, n, 0, back_whiten);
    fill(z, n, 0, back.a);
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j <= i; ++j) {
        if (u[i * z.s + j] == 0) continue;
        back_whiten[i * z.s + estimate.order[j]] = u[i * z.s + j];
        add(z, u[i * z.s + j], f.a + estimate.order[j] * z.s, back.a + i * z.s);
      }
    back.find(z, n);
    back_entry = entry;
    return Failure::none;
  }
};

}  // namespace elman::ELMAN_ISA
