// The best path of a row (Viterbi), the k best paths, and sampled paths.
#pragma once

#include "inference/semiring_matrix.hpp"

namespace elman::ELMAN_ISA {

// Returns the first state where a + b is largest, or -1 where it is -inf everywhere. `b` is row i of a matrix; null:
// zeros.
struct Place {
  Index state;
  double value;
};
static inline Place largest_sum(Index states, const double* a, const SquareMatrix* b, Index i) {
  D best = splat(-infinity), where = splat(-1.0);
  const D first = __builtin_convertvector(lanes(), D);
  for (Index v = 0; v * W64 < states; ++v) {
    const D x = load(a + v * W64) + (b ? load(b->at(i, v)) : D{});
    const auto better = x > best;
    best = better ? x : best;
    where = better ? first + splat(static_cast<double>(v * W64)) : where;
  }
  const double value = largest(best);
  if (value == -infinity) return {-1, value};
  const double place = -largest(-(best == splat(value) ? where : splat(infinity)));
  return {static_cast<Index>(place), value};
}

// One band of rows. No back-pointers are kept: the backward pass searches one column of the matrix again per step.
class BandBest {
 public:
  static Index scratch(Index states, Index steps, bool per_step) {
    return (steps + 1) * padded_states(states) + (per_step ? Transitions::size(states) + 8 : 0) + 8;
  }

  BandBest(const Trellis& t, const double* packed, const Band& band, double* scratch)
      : t_(t), band_(band), states_(t.states), width_(padded_states(t.states)) {
    if (t.per_step) packed_ = scratch, scratch += (Transitions::size(states_) + 7) / 8 * 8;
    else m_ = Transitions::in(packed, states_);
    values_ = scratch;
    Index steps = 0;
    for (Index r = 0; r < band.count; ++r) {
      offset_[r] = steps;
      steps += length(r);
    }
  }

  void run(Index* states, double* log_prob) {
    Index alive = band_.count;
    for (Index time = 0;; ++time) {
      while (alive && length(alive - 1) <= time) --alive;
      if (!alive) break;
      advance(alive, time);
    }
    for (Index time = length(0); time-- > 0;) {
      const Index going = alive;
      while (alive < band_.count && length(alive) > time) ++alive;
      if (t_.per_step && going) pack(time);
      for (Index r = 0; r < alive; ++r) trace_back(r, time, r >= going, states, log_prob);
    }
  }

 private:
  Index length(Index r) const { return t_.length(band_.rows[r]); }
  Index step(Index r, Index time) const { return t_.batch.begin(band_.rows[r]) + time; }
  double* values(Index r, Index time) const { return values_ + (offset_[r] + time) * width_; }

  void pack(Index time) {
    Transitions::pack(states_, t_.matrix(step(0, time)), true, true, packed_);
    m_ = Transitions::in(packed_, states_);
  }

  // Computes the log-weight of the best path to each state, relative to the best of all.
  void advance(Index alive, Index time) {
    const double* from[Band::tallest];
    double* to[Band::tallest];
    for (Index r = 0; r < alive; ++r) {
      to[r] = values(r, time);
      if (time) from[r] = to[r] - width_;
    }
    if (time) {
      if (t_.per_step) pack(time - 1);
      product<MaxPlus>(m_.forward, alive, from, to);
    }
    const Index states = states_;
    for (Index r = 0; r < alive; ++r) {
      const double* scores = t_.scores + step(r, time) * states;
      const double* start = t_.log_start + band_.rows[r] * states;
      double* v = to[r];
      D high = splat(-infinity);
      for (Index k = 0; k < states; k += W64) {
        const D before = time ? load(v + k) : load(start + k, states - k, -infinity);
        const D x = before + load(scores + k, states - k, -infinity);
        store(v + k, x);
        high = larger(x, high);
      }
      const double top = largest(high);
      if (top == -infinity) continue;
      for (Index k = 0; k < states; k += W64) store(v + k, load(v + k) - splat(top));
    }
  }

  void trace_back(Index r, Index time, bool last, Index* states, double* log_prob) {
    const Index row = band_.rows[r], n = step(r, time), after = after_[r];
    if (!last && after < 0) {
      states[n] = -1;
      return;
    }
    const Index state = last ? largest_sum(states_, values(r, time), nullptr, 0).state
                             : largest_sum(states_, values(r, time), &m_.back, after).state;
    states[n] = after_[r] = state;
    if (last) log_prob[row] = state < 0 ? -infinity : 0;
    if (state < 0) return;
    log_prob[row] += t_.scores[n * states_ + state] + (last ? 0.0 : m_.back.entry(after, state));
    if (!time) log_prob[row] += t_.log_start[row * states_ + state];
  }

  const Trellis& t_;
  const Band& band_;
  Transitions m_{};
  Index states_, width_;
  Index offset_[Band::tallest], after_[Band::tallest];
  double *packed_ = nullptr, *values_;
};

static void semiring_best(const Trellis& t, const double* packed, const Band& band, Index* states, double* log_prob,
                          double* scratch) {
  BandBest(t, packed, band, scratch).run(states, log_prob);
}

// Inserts into a list of the k largest values, sorted from the largest; among equal values, earlier ones come first.
ELMAN_INLINE void insert(Index k, double* values, std::int32_t* places, double value, std::int32_t place) {
  Index at = k - 1;
  for (; at > 0 && values[at - 1] < value; --at) values[at] = values[at - 1], places[at] = places[at - 1];
  values[at] = value, places[at] = place;
}

// Finds the k best paths of one row, each with N states. A place is state * k + rank.
static Index semiring_k_best_scratch(Index states, Index steps, Index k) {
  return (2 * states + 2) * k + (steps * states + 2) * k;
}
static void semiring_k_best(const Trellis& t, Index row, Index k, Index* paths, double* log_prob, double* scratch) {
  const Index states = t.states, first = t.batch.begin(row), length = t.length(row), places = states * k;
  const Index steps = t.batch.end(t.batch.rows - 1) - t.batch.begin(0);
  double *now = scratch, *next = now + places, *best = next + places;
  auto* const back = reinterpret_cast<std::int32_t*>(best + k);
  std::int32_t* const last = back + length * places;
  for (Index time = 0; time < length; ++time) {
    const double* scores = t.scores + (first + time) * states;
    for (Index i = 0; i < places; ++i) next[i] = -infinity;
    std::int32_t* const from = back + time * places;
    if (!time)
      for (Index i = 0; i < states; ++i) next[i * k] = t.log_start[row * states + i];
    else {
      const double* m = t.matrix(t.per_step ? first + time - 1 : t.model[row]);
      for (Index i = 0; i < states; ++i)
        for (Index j = 0; j < states; ++j)
          for (Index rank = 0; rank < k; ++rank) {
            const double value = now[i * k + rank] + m[i * states + j];
            if (!(value > next[j * k + k - 1])) break;  // neither are those of higher rank
            insert(k, next + j * k, from + j * k, value, static_cast<std::int32_t>(i * k + rank));
          }
    }
    double top = -infinity;
    for (Index i = 0; i < places; ++i) {
      next[i] += scores[i / k];
      if (next[i] > top) top = next[i];
    }
    if (top > -infinity)
      for (Index i = 0; i < places; ++i) next[i] -= top;
    double* const swapped = now;
    now = next, next = swapped;
  }
  for (Index rank = 0; rank < k; ++rank) best[rank] = -infinity, last[rank] = -1;
  for (Index i = 0; i < places; ++i)
    if (now[i] > best[k - 1]) insert(k, best, last, now[i], static_cast<std::int32_t>(i));
  for (Index rank = 0; rank < k; ++rank) {
    Index place = last[rank], after = -1;
    double sum = place < 0 ? -infinity : 0;
    for (Index n = first + length; n-- > first;) {
      const Index state = place < 0 ? -1 : place / k;
      paths[rank * steps + n] = state;
      if (state < 0) continue;
      sum += t.scores[n * states + state];
      if (after >= 0) sum += t.matrix(t.per_step ? n : t.model[row])[state * states + after];
      if (n == first) sum += t.log_start[row * states + state];
      else place = back[(n - first) * places + place];
      after = state;
    }
    log_prob[rank * t.batch.rows + row] = sum;
  }
}

// Samples paths of one row backward: the weight of a state is its filtered probability times the transition to the next
// state. The row is lost if all weights of a step underflow.
static Index semiring_draw_scratch(Index states, bool per_step) {
  return padded_states(states) + (per_step ? Transitions::size(states) + 8 : 0) + 8;
}
static void semiring_draw(const Trellis& t, const double* packed, Index row, const double* probs, Index samples,
                          const double* uniforms, Index* paths, std::uint8_t* lost, double* scratch) {
  const Index states = t.states, steps = t.batch.end(t.batch.rows - 1) - t.batch.begin(0);
  double* const own = scratch + padded_states(states);
  for (Index n = t.batch.end(row); n-- > t.batch.begin(row);) {
    const double* p = probs + n * states;
    const bool last = n + 1 == t.batch.end(row);
    if (t.per_step && !last) Transitions::pack(states, t.matrix(n), false, true, own);
    const Transitions m = Transitions::in(t.per_step ? own : packed, states);
    for (Index s = 0; s < samples; ++s) {
      Index* path = paths + s * steps;
      double sum = 0;
      for (Index v = 0; v * W64 < states; ++v) {
        D weights = load(p + v * W64, states - v * W64);
        if (!last) weights = weights * load(m.back.at(path[n + 1], v));
        for (Index i = 0; i < W64; ++i) scratch[v * W64 + i] = sum += weights[i];
      }
      if (!(sum > unseen)) {
        lost[row] = 1;
        return;
      }
      const double wanted = uniforms[s * steps + n] * sum;
      Index state = 0;
      while (state < states && !(scratch[state] > wanted)) ++state;
      path[n] = state;
    }
  }
}

}  // namespace elman::ELMAN_ISA
