// Filtering and smoothing: sum-product scans with one scale per step instead of logarithms.
//
// Underflow: a value below 1e-308 of its neighbours becomes zero. Where all states are connected, with no transition
// below `least_transition` of the largest, this changes no digit of any sum. Elsewhere a row carries a second vector, a
// bound on the loss, and is marked `lost` when the bound becomes significant.
#pragma once

#include "inference/semiring_matrix.hpp"

namespace elman::ELMAN_ISA {

constexpr double least_transition = 1e-120;
constexpr double least_scale = 1e-140;
constexpr double significant = 1e-13;  // loss relative to the probability of a row

// Forward pass over one band of rows, and backward pass if transitions are needed. Steps are processed in chunks, so
// that work that does not depend on the previous step is done for a whole chunk. V: vectors of states; 0: known at run
// time.
template <int V>
class BandSums {
 public:
  static constexpr Index chunk = 32;  // steps per chunk

  static Index scratch(Index states, Index count, Index steps, bool per_step, bool back) {
    return BandSums(states, count, per_step).allocate(nullptr, steps, back);
  }

  BandSums(const Trellis& t, const double* packed, const Band& band, const Sums& out, double* scratch)
      : BandSums(t.states, band.count, t.per_step) {
    t_ = &t, out_ = out;
    Index steps = 0;
    for (Index r = 0; r < count_; ++r) {
      row_[r] = band.rows[r];
      offset_[r] = steps;
      steps += t.length(row_[r]);
    }
    allocate(scratch, steps, out.transitions);
    if (!per_step_) m_ = Transitions::in(packed, states_);
    guarded_ = per_step_ || !(m_.least >= least_transition);
    for (Index i = 0; i < width(); ++i) ones_[i] = i < states_ ? 1.0 : 0.0;
  }

  // Adds expected transitions, not yet multiplied with the matrix, to `counts` [K, padded K].
  void run(double* counts) {
    for (;;) {
      forward();
      if (!out_.transitions) return;
      drop_lost();
      if (!count_) return;
      if (back()) break;
      drop_lost();  // and start again without these rows
    }
    if (!per_step_)
      for (Index i = 0; i < states_ * width(); i += W64) store(counts + i, load(counts + i) + load(counts_ + i));
  }

 private:
  BandSums(Index states, Index count, bool per_step)
      : states_(states), vectors_(vectors_of_states(states)), count_(count), per_step_(per_step) {}

  // Assigns the arrays in the scratch, and returns its size in doubles.
  Index allocate(double* scratch, Index steps, bool back) {
    Index used = 0;
    const auto take = [&](double*& part, Index doubles) {
      part = scratch ? scratch + used : nullptr;
      used += (doubles + 7) / 8 * 8;
    };
    for (double** part : {&now_, &next_, &bound_, &next_bound_}) take(*part, count_ * width());
    take(ones_, width()), take(last_, 2 * width());
    for (double** part : {&scale_, &base_}) take(*part, count_ * chunk);
    if (per_step_) take(packed_, Transitions::size(states_));
    take(weights_, back ? steps * width() : count_ * chunk * width());
    if (!back) return used;
    take(inverse_, steps);
    take(after_, count_ * chunk * width());
    take(counts_, states_ * width());
    return used;
  }

  Index vectors() const { return V ? V : vectors_; }
  Index width() const { return vectors() * W64; }
  Index length(Index r) const { return t_->length(row_[r]); }
  Index step(Index r, Index time) const { return t_->batch.begin(row_[r]) + time; }
  Index begin(Index time) const { return time / chunk * chunk; }
  Index end(Index r, Index from) const { return length(r) < from + chunk ? length(r) : from + chunk; }
  double* weights(Index r, Index time) const {
    return weights_ + (inverse_ ? offset_[r] + time : r * chunk + time % chunk) * width();
  }
  double* filtered(Index r, Index time) const { return out_.probs + step(r, time) * states_; }

  void pack(Index step, bool both) {
    Transitions::pack(states_, t_->matrix(step), false, both, packed_);
    m_ = Transitions::in(packed_, states_);
  }

  void drop_lost() {
    Index kept = 0;
    for (Index r = 0; r < count_; ++r)
      if (!out_.lost[row_[r]]) row_[kept] = row_[r], offset_[kept++] = offset_[r];
    count_ = kept;
  }

  void forward() {
    for (Index r = 0; r < count_; ++r) start(r);
    Index alive = count_;
    for (Index from = 0; from < length(0); from += chunk) {
      for (Index r = 0; r < alive; ++r) weigh(r, from);
      for (Index time = from; time < from + chunk; ++time) {
        while (alive && length(alive - 1) <= time) --alive;
        if (!alive) break;
        if (time) predict(alive, time);
        for (Index r = 0; r < alive; ++r) normalise(r, time);
        if (out_.last)
          for (Index r = alive; r-- > 0 && length(r) == time + 1;) predict_last(r);
        double* const swapped = now_;  // without probs, filtered values replace predicted ones
        now_ = next_, next_ = swapped;
        double* const swapped_bound = bound_;
        bound_ = next_bound_, next_bound_ = swapped_bound;
      }
      for (Index r = 0; r < count_; ++r)
        if (from < length(r)) accumulate_logs(r, from);
    }
    if (out_.total)
      for (Index r = 0; r < count_; ++r) out_.total[row_[r]] = total_[r] + __builtin_log(product_[r]);
  }

  void start(Index r) {
    const double* from = t_->log_start + row_[r] * states_;
    D high = splat(-infinity);
    for (Index k = 0; k < states_; k += W64) high = larger(load(from + k, states_ - k, -infinity), high);
    start_[r] = largest(high);
    if (start_[r] == -infinity) start_[r] = 0;
    for (Index k = 0; k < width(); k += W64) {
      store(next_ + r * width() + k, exp(load(from + k, states_ - k, -infinity) - splat(start_[r])));
      store(next_bound_ + r * width() + k, D{});
    }
    total_[r] = 0, product_[r] = 1;
  }

  // Computes e^(score - base) for a chunk; `base` is the largest score of each step.
  void weigh(Index r, Index from) {
    const Index states = states_, to = end(r, from);
    double* const base = base_ + r * chunk - from;
    for (Index time = from; time < to; ++time) {
      const double* scores = t_->scores + step(r, time) * states;
      double* const weight = weights(r, time);
      D high = splat(-infinity);
      for (Index v = 0; v < vectors(); ++v) high = larger(load(scores + v * W64, states - v * W64, -infinity), high);
      const double top = largest(high);
      base[time] = top == -infinity ? 0 : top;
      for (Index v = 0; v < vectors(); ++v)
        store(weight + v * W64, exp(load(scores + v * W64, states - v * W64, -infinity) - splat(base[time])));
    }
  }

  void predict(Index alive, Index time) {
    const double* from[2 * Band::tallest];
    double* to[2 * Band::tallest];
    for (Index r = 0; r < alive; ++r) {
      from[r] = out_.probs ? filtered(r, time - 1) : now_ + r * width();
      to[r] = next_ + r * width();
      from[alive + r] = bound_ + r * width();
      to[alive + r] = next_bound_ + r * width();
    }
    if (per_step_) {
      pack(step(0, time - 1), false);
      base_[time % chunk] += m_.top;
    }
    product<SumProduct>(m_.forward, guarded_ ? 2 * alive : alive, from, to);
  }

  // Multiplies the predicted values with the weights of the step, and normalises them to sum to one.
  void normalise(Index r, Index time) {
    const Index states = states_;
    const double* const weight = weights(r, time);
    double* const next = next_ + r * width();
    D joint[V ? V : 1], sums{};
    for (Index v = 0; v < vectors(); ++v) {
      const D x = load(next + v * W64) * load(weight + v * W64);
      if constexpr (V > 0) joint[v] = x;
      else store(next + v * W64, x);
      sums += x;
    }
    const double scale = sum(sums);
    const bool good = scale >= least_scale;
    const double inverse = good ? 1 / scale : 0;
    double* const to = out_.probs ? filtered(r, time) : next;
    const Index real = out_.probs ? states : width();
    for (Index v = 0; v < vectors(); ++v)
      store(to + v * W64, (V ? joint[V ? v : 0] : load(next + v * W64)) * splat(inverse), real - v * W64);
    scale_[r * chunk + time % chunk] = good ? scale : 1;
    if (inverse_) inverse_[offset_[r] + time] = inverse;
    if (!good) out_.lost[row_[r]] = 1;
    if (!guarded_) return;
    double* const bound = next_bound_ + r * width();
    D lost{};
    for (Index v = 0; v < vectors(); ++v) {
      const D b = fma(load(bound + v * W64), load(weight + v * W64), splat(unseen)) * splat(inverse);
      store(bound + v * W64, b);
      lost += b;
    }
    if (!(sum(lost) <= significant)) out_.lost[row_[r]] = 1;
  }

  // Adds the logarithms of the scales: per step, or of products that do not overflow.
  void accumulate_logs(Index r, Index from) {
    const Index to = end(r, from);
    double *const scale = scale_ + r * chunk - from, *const base = base_ + r * chunk - from;
    if (!per_step_)
      for (Index time = from ? from : 1; time < to; ++time) base[time] += m_.top;
    if (!from) base[0] += start_[r];
    if (out_.log_prob)
      for (Index time = from; time < to; time += W64)
        store(out_.log_prob + step(r, time), log(load(scale + time, to - time, 1)) + load(base + time, to - time),
              to - time);
    if (!out_.total) return;
    double total = total_[r], product = product_[r];
    for (Index time = from; time < to; ++time) {
      total += base[time];
      product *= scale[time];
      if (product > 1e-100 && product < 1e100) continue;
      total += __builtin_log(product);
      product = 1;
    }
    total_[r] = total, product_[r] = product;
  }

  // Predicts the state after the last step of a row.
  void predict_last(Index r) {
    const double* from[] = {filtered(r, length(r) - 1), next_bound_ + r * width()};
    double* to[] = {last_, last_ + width()};
    if (per_step_) pack(step(r, length(r) - 1), false);
    product<SumProduct>(m_.forward, guarded_ ? 2 : 1, from, to);
    const D root = splat(__builtin_exp(m_.top / 2));  // its square may be infinite
    D all{}, lost{};
    for (Index v = 0; v < vectors(); ++v) {
      const D p = load(to[0] + v * W64);
      store(out_.last + row_[r] * states_ + v * W64, p > D{} ? p * root * root : p, states_ - v * W64);
      all += p;
      if (guarded_) lost += load(to[1] + v * W64) + splat(unseen);
    }
    if (!(sum(lost) <= significant * sum(all))) out_.lost[row_[r]] = 1;
  }

  // Backward pass, a chunk at a time: first the weights of the following steps, then the results. Returns false if a
  // row is lost.
  bool back() {
    for (Index i = 0; i < states_ * width(); i += W64) store(counts_ + i, D{});
    Index alive = 0;
    for (Index from = begin(length(0) - 1); from >= 0; from -= chunk) {
      const Index to = end(0, from);
      for (Index time = to; time-- > from;) {
        const Index going = alive;
        while (alive < count_ && length(alive) > time) ++alive;
        backward_step(going, alive, time, time == to - 1);
      }
      for (Index r = 0; r < alive; ++r)
        if (!combine(r, from)) return false;
    }
    return true;
  }

  double* after(Index r, Index time) const { return after_ + (r * chunk + time % chunk) * width(); }

  void backward_step(Index going, Index alive, Index time, bool renew) {
    const double* from[Band::tallest];
    double* to[Band::tallest];
    for (Index r = 0; r < going; ++r) from[r] = weights(r, time + 1), to[r] = after(r, time);
    if (per_step_) {
      if (going) pack(step(0, time), true);
      count_step(!going, time);
    }
    product<SumProduct>(m_.back, going, from, to);
    for (Index r = 0; r < alive; ++r) {
      double* const a = after(r, time);
      double* const w = weights(r, time);
      const D inverse = splat(inverse_[offset_[r] + time]);
      if (r >= going)
        for (Index v = 0; v < vectors(); ++v) store(a + v * W64, load(ones_ + v * W64));
      else if (renew) {  // renormalised, so that rounding errors do not accumulate over long rows
        D sums{};
        for (Index v = 0; v < vectors(); ++v)
          sums += load(filtered(r, time) + v * W64, states_ - v * W64) * load(a + v * W64);
        const D scale = splat(1 / sum(sums));
        for (Index v = 0; v < vectors(); ++v) store(a + v * W64, load(a + v * W64) * scale);
      }
      for (Index v = 0; v < vectors(); ++v) store(w + v * W64, load(w + v * W64) * load(a + v * W64) * inverse);
    }
  }

  // Expected transitions of a step with its own matrix: to the next step, and none from the last.
  void count_step(bool last, Index time) {
    double* const to = out_.transitions + step(0, time) * states_ * states_;
    for (Index i = 0; i < states_; ++i)
      for (Index j = 0; j < states_; j += W64) {
        D counts{};
        if (!last)
          counts = splat(filtered(0, time)[i]) * load(weights(0, time + 1) + j) * load(m_.forward.at(i, j / W64));
        store(to + i * states_ + j, counts, states_ - j);
      }
  }

  bool combine(Index r, Index from) {
    const Index to = end(r, from);
    D all{};
    for (Index time = from; time < to; ++time)
      for (Index k = 0; k < states_; k += W64)
        all += load(filtered(r, time) + k, states_ - k) * load(after(r, time) + k);
    const double steps = static_cast<double>(to - from);
    if (const double apart = sum(all) - steps; !(apart <= 1e-6 * steps && -apart <= 1e-6 * steps)) {
      out_.lost[row_[r]] = 1;
      return false;
    }
    const Index second = from ? from : 1;
    if (!per_step_ && second < to)
      outer(states_, filtered(r, second - 1), weights(r, second), width(), to - second, counts_);
    for (Index time = from; time < to; ++time) {
      double* p = filtered(r, time);
      for (Index k = 0; k < states_; k += W64)
        store(p + k, load(p + k, states_ - k) * load(after(r, time) + k), states_ - k);
    }
    return true;
  }

  const Trellis* t_ = nullptr;
  Sums out_{};
  Transitions m_{};
  Index states_, vectors_, count_;
  bool per_step_, guarded_ = false;
  Index row_[Band::tallest]{}, offset_[Band::tallest]{};
  double start_[Band::tallest]{}, total_[Band::tallest]{}, product_[Band::tallest]{};
  double *now_ = nullptr, *next_ = nullptr, *bound_ = nullptr, *next_bound_ = nullptr;
  double *ones_ = nullptr, *last_ = nullptr;
  double *scale_ = nullptr, *base_ = nullptr, *packed_ = nullptr;
  double *weights_ = nullptr, *inverse_ = nullptr, *after_ = nullptr, *counts_ = nullptr;
};

static Index semiring_scratch(Index states, Index count, Index steps, bool per_step, bool back) {
  return BandSums<0>::scratch(states, count, steps, per_step, back);
}

static void semiring_sums(const Trellis& t, const double* packed, const Band& band, const Sums& out, double* counts,
                          double* scratch) {
  switch (vectors_of_states(t.states)) {
    case 1: return BandSums<1>(t, packed, band, out, scratch).run(counts);
    case 2: return BandSums<2>(t, packed, band, out, scratch).run(counts);
    case 4: return BandSums<4>(t, packed, band, out, scratch).run(counts);
    default: return BandSums<0>(t, packed, band, out, scratch).run(counts);
  }
}

// Computes rows of the expected transitions: the sums of `count` jobs, in order, times the matrix.
static void semiring_counts(Index states, const double* packed, const double* const* sums, Index count, Index from,
                            Index to, double* out) {
  const Transitions m = Transitions::in(packed, states);
  for (Index i = from; i < to; ++i)
    for (Index v = 0; v < vectors_of_states(states); ++v) {
      D all{};
      for (Index n = 0; n < count; ++n) all += load(sums[n] + i * padded_states(states) + v * W64);
      store(out + i * states + v * W64, all * load(m.forward.at(i, v)), states - v * W64);
    }
}

static void semiring_pack(Index states, const double* log_matrix, bool logs, double* packed) {
  Transitions::pack(states, log_matrix, logs, true, packed);
}

}  // namespace elman::ELMAN_ISA
