// Sums over paths in logarithms, for rows that under- or overflow: one exponential per product.
#pragma once

#include "inference/semiring_matrix.hpp"

namespace elman::ELMAN_ISA {

// m + log(s), where s is a sum of e^(x - m): -inf where all x are, and NaN where one is.
ELMAN_INLINE D log_of(D m, D s) {
  const D logs = m + log(s);
  return s > D{} ? logs : s == D{} ? splat(-infinity) : s;
}
ELMAN_INLINE D finite(D m) { return m == splat(-infinity) ? D{} : m; }

// log(e^from e^m), for a row of K logarithms and a matrix m of logarithms.
static inline void log_product(const SquareMatrix& m, const double* from, double* to) {
  for (Index v = 0; v < vectors_of_states(m.states); ++v) {
    D high = splat(-infinity), sums{};
    for (Index i = 0; i < m.states; ++i) high = larger(splat(from[i]) + load(m.at(i, v)), high);
    high = finite(high);
    for (Index i = 0; i < m.states; ++i) sums += exp(splat(from[i]) + load(m.at(i, v)) - high);
    store(to + v * W64, log_of(high, sums));
  }
}

class RowInLogs {
 public:
  static Index scratch(Index states, Index steps, bool back) {
    return Transitions::size(states) + 8 + (steps + 3) * padded_states(states) + (back ? steps : 0);
  }

  RowInLogs(const Trellis& t, Index row, const Sums& out, double* scratch)
      : t_(t),
        out_(out),
        row_(row),
        states_(t.states),
        width_(padded_states(t.states)),
        begin_(t.batch.begin(row)),
        end_(t.batch.end(row)),
        packed_(scratch) {
    filtered_ = scratch + Transitions::size(states_) + 8;
    next_ = filtered_ + (end_ - begin_) * width_;
    weights_ = next_ + width_;
    after_ = weights_ + width_;
    log_prob_ = after_ + width_;
    if (!t.per_step) pack(t.model[row]);
  }

  // Adds expected transitions to `counts` [K, K].
  void run(double* counts) {
    forward();
    if (out_.transitions) back(counts);
  }

 private:
  double* filtered(Index n) const { return filtered_ + (n - begin_) * width_; }

  void pack(Index number) {
    Transitions::pack(states_, t_.matrix(number), true, true, packed_);
    m_ = Transitions::in(packed_, states_);
  }

  void forward() {
    double total = 0;
    for (Index n = begin_; n < end_; ++n) {
      double* const here = filtered(n);
      if (n > begin_) {
        if (t_.per_step) pack(n - 1);
        log_product(m_.forward, here - width_, here);
      }
      const double* const before = n > begin_ ? here : t_.log_start + row_ * states_;
      const double* const scores = t_.scores + n * states_;
      D high = splat(-infinity), sums{};
      for (Index k = 0; k < states_; k += W64) {
        const D x = load(before + k, states_ - k, -infinity) + load(scores + k, states_ - k, -infinity);
        store(here + k, x);
        high = larger(x, high);
      }
      const double top = largest(finite(splat(largest(high))));
      for (Index k = 0; k < states_; k += W64) sums += exp(load(here + k) - splat(top));
      const double log_prob = log_of(splat(top), splat(sum(sums)))[0];
      const D scale = finite(splat(log_prob));
      for (Index k = 0; k < states_; k += W64) {
        store(here + k, load(here + k) - scale);
        if (out_.probs) store(out_.probs + n * states_ + k, exp(load(here + k)), states_ - k);
      }
      if (out_.log_prob) out_.log_prob[n] = log_prob;
      if (out_.transitions) log_prob_[n - begin_] = log_prob;
      total += log_prob;
    }
    if (out_.total) out_.total[row_] = total;
    if (!out_.last) return;
    if (t_.per_step) pack(end_ - 1);
    log_product(m_.forward, filtered(end_ - 1), next_);
    for (Index k = 0; k < states_; ++k) out_.last[row_ * states_ + k] = __builtin_exp(next_[k]);
  }

  void back(double* counts) {
    const bool possible = out_.total[row_] != -infinity;
    for (Index k = 0; k < width_; ++k) after_[k] = k < states_ ? 0 : -infinity;
    for (Index n = end_; n-- > begin_;) {
      if (t_.per_step) {
        counts = out_.transitions + n * states_ * states_;
        for (Index i = 0; i < states_ * states_; ++i) counts[i] = 0;
      }
      if (n + 1 < end_ && possible) {
        if (t_.per_step) pack(n);
        for (Index k = 0; k < states_; k += W64)
          store(weights_ + k, load(t_.scores + (n + 1) * states_ + k, states_ - k, -infinity) + load(after_ + k) -
                                  splat(log_prob_[n + 1 - begin_]));
        log_product(m_.back, weights_, after_);
        for (Index i = 0; i < states_; ++i)
          for (Index v = 0; v < vectors_of_states(states_); ++v) {
            double* const to = counts + i * states_ + v * W64;
            const D logs = splat(filtered(n)[i]) + load(m_.forward.at(i, v)) + load(weights_ + v * W64);
            store(to, load(to, states_ - v * W64) + exp(logs), states_ - v * W64);
          }
      }
      D all{};
      for (Index k = 0; k < states_; k += W64) {
        const D p = possible ? exp(load(filtered(n) + k) + load(after_ + k)) : D{};
        store(next_ + k, p);
        all += p;
      }
      const D scale =
          splat(possible ? 1 / sum(all) : 0);  // renormalised, so that rounding errors do not accumulate over long rows
      for (Index k = 0; k < states_; k += W64)
        store(out_.probs + n * states_ + k, load(next_ + k) * scale, states_ - k);
    }
  }

  const Trellis& t_;
  const Sums& out_;
  Transitions m_{};
  Index row_, states_, width_, begin_, end_;
  double *packed_, *filtered_, *next_, *weights_, *after_, *log_prob_;
};

static void semiring_logs(const Trellis& t, Index row, const Sums& out, double* counts, double* scratch) {
  RowInLogs(t, row, out, scratch).run(counts);
}

}  // namespace elman::ELMAN_ISA
