// Kalman filter and smoother, row by row. Definition: src/elman/kernels/kalman_reference.py.
//
// Where the matrices are constant, no value is missing and the covariance has converged, the gain is constant, and only
// means are computed.
#include "engine/kernels.hpp"
#include "inference/kalman_matrices.hpp"

namespace elman::ELMAN_ISA {

constexpr double steady_share = 1e-15;  // relative change below which a covariance counts as converged
constexpr Index steady_steps = 4;       // between the covariances that are compared
constexpr double log_two_pi = 1.8378770664093454836;

template <class Z>
class Kalman {
 public:
  Kalman(const StateSpace& space, const StateEstimates& estimates, double* memory)
      : z_(space.states), s_(space), out_(estimates), estimate_(z_), a_(z_, space), pieces_{memory} {
    const Index n = z_.n, m = s_.outputs;
    a_.lay(pieces_);
    estimate_.lay(pieces_);
    for (double** vector : {&mean_, &next_}) *vector = pieces_.take(z_.s);
    for (double** matrix : {&saved_, &kept_, &gain_, &gain_transposed_, &left_, &cov_, &before_})
      *matrix = pieces_.take(z_.s * z_.s);
    kept_lag_ = pieces_.take(n * n), packed_ = pieces_.take(n * n);
    gains_ = pieces_.take(m * z_.s), z_x_ = pieces_.take(m);
    for (double** vector : {&inverse_, &variances_, &compared_}) *vector = pieces_.take(m);
  }
  Index size() const { return pieces_.used; }

  void rows(Index from, Index to) {
    clear();
    for (Index row = from; row < to; ++row) {
      Failure failure = run(row, s_.square_root);
      const bool redo = failure == Failure::lost && !s_.square_root;
      if (redo) {
        prepare_second_run(row);
        failure = run(row, true);
      }
      out_.failed[2 * row] = static_cast<Index>(failure == Failure::lost ? Failure::overflow : failure);
      out_.failed[2 * row + 1] = at_ - s_.batch.begin(row);
      if (redo || failure != Failure::none) clear();
    }
  }

 private:
  // Fills all memory with zeros: the padding of all matrices must stay zero.
  void clear() {
    for (Index i = 0; i < pieces_.used; ++i) pieces_.memory[i] = 0;
    a_.entry = a_.back_entry = a_.roots_entry = -1;
  }
  void prepare_second_run(Index row) {
    clear();
    const Index n = z_.n;
    if (out_.diffuse && is_diffuse(row))
      for (Index i = s_.batch.begin(row) * n * n; i < s_.batch.end(row) * n * n; ++i) out_.diffuse[i] = 0;
  }
  bool is_diffuse(Index row) const {
    const Index size = z_.n * z_.n;
    for (Index i = 0; i < size; ++i)
      if (s_.diffuse[row * size + i] != 0) return true;
    return false;
  }

  Failure run(Index row, bool square) {
    const Failure failure = filter(row, square);
    if (failure != Failure::none || !out_.lag || s_.batch.begin(row) == s_.batch.end(row)) return failure;
    return smooth(row, square);
  }

  Failure filter(Index row, bool square) {
    const Index n = z_.n, m = s_.outputs, begin = s_.batch.begin(row), end = s_.batch.end(row);
    double total = 0;
    at_ = begin;
    widen(z_, 1, s_.mean + row * n, mean_);
    if (begin < end) {
      if (!estimate_.start(square, s_.cov + row * n * n)) return Failure::start;
      if (!estimate_.start_diffuse(is_diffuse(row) ? s_.diffuse + row * n * n : nullptr)) return Failure::diffuse_start;
    }
    steady_ = false, same_ = 0;
    for (Index step = begin; step < end; ++step) {
      at_ = step;
      const double* const x = s_.x + step * m;
      if (const Failure failure = a_.prepare(s_.per_step ? step : s_.model[row]); failure != Failure::none)
        return failure;
      bool all = true;
      for (Index i = 0; i < m; ++i) all = all && x[i] == x[i];
      if (steady_ && !all) steady_ = false, same_ = 0;
      double log_prob = 0;
      if (steady_) {
        whiten(step, x);
        log_prob = constant_;
        for (Index i = 0; i < m; ++i) {
          const double error = z_x_[i] - dot(z_, a_.h, i, mean_);
          add(z_, error, gains_ + i * z_.s, mean_);
          log_prob -= 0.5 * error * error * inverse_[i];
        }
        write_again(step);
      } else if (const Failure failure = full(step, x, all, log_prob); failure != Failure::none) {
        return failure;
      }
      if (out_.log_prob) out_.log_prob[step] = log_prob;
      total += log_prob;
      after(step);
      double sound = 0;
      for (Index i = 0; i < n; ++i) sound += mean_[i] * 0;
      if (!steady_)
        for (Index i = 0; i < n; ++i) sound += estimate_.cov[i * z_.s + i] * 0;
      if (!steady_ && estimate_.columns)
        for (Index i = 0; i < estimate_.columns * z_.s; ++i) sound += estimate_.diffuse[i] * 0;
      if (!(sound == 0)) return Failure::overflow;
    }
    if (out_.total) out_.total[row] = total;
    finish(row, begin == end);
    return Failure::none;
  }

  // Decorrelates the observed coordinates of x - d.
  void whiten(Index step, const double* x) {
    const Index m = s_.outputs;
    const double* const d = s_.d ? s_.d + step * m : nullptr;
    if (a_.diagonal) {
      for (Index i = 0; i < m; ++i) z_x_[i] = d ? x[i] - d[i] : x[i];
      return;
    }
    for (Index i = 0; i < a_.there; ++i) {
      const Index place = a_.places[i];
      z_x_[i] = d ? x[place] - d[place] : x[place];
    }
    for (Index i = a_.there; i-- > 0;)
      for (Index j = 0; j < i; ++j) z_x_[i] = fused(a_.whiten[i * a_.there + j], z_x_[j], z_x_[i]);
  }

  // Runs a step for which the covariance is computed.
  Failure full(Index step, const double* x, bool all, double& log_prob) {
    if (const Failure failure = a_.choose(x, all); failure != Failure::none) return failure;
    whiten(step, x);
    bool settling = same_ < 0;
    double constant = 0;
    for (Index i = 0; i < a_.there; ++i) {
      if (z_x_[i] != z_x_[i]) continue;
      const double error = z_x_[i] - dot(z_, a_.h, i, mean_);
      const Update update = estimate_.observe(a_.h, i, a_.noise[i]);
      if (update == Update::lost) return Failure::lost;
      if (update == Update::nothing) {
        double terms = absolute(z_x_[i]);
        for (Index j = 0; j < z_.n; ++j) terms += absolute(a_.h.a[i * z_.s + j] * mean_[j]);
        if (absolute(error) > impossible_share * terms) log_prob = -infinity;
      } else {
        const double log_variance = __builtin_log(estimate_.variance);
        add(z_, error, estimate_.gain, mean_);
        if (update == Update::diffuse) {
          log_prob -= 0.5 * log_variance;
        } else {
          log_prob -= 0.5 * (log_two_pi + log_variance + error * error / estimate_.variance);
          constant -= 0.5 * (log_two_pi + log_variance);
        }
      }
      variances_[i] = update == Update::nothing ? 0 : estimate_.variance;
      if (settling) {
        copy(z_, 1, estimate_.gain, gains_ + i * z_.s);
        inverse_[i] = 1 / estimate_.variance;
        settling = update != Update::nothing;
      }
    }
    if (!estimate_.definite()) return Failure::lost;
    if (out_.mean) narrow(z_, 1, mean_, out_.mean + step * z_.n);
    if (out_.cov) {
      double* const cov = out_.cov + step * z_.n * z_.n;
      if (estimate_.square && !out_.lag) estimate_.covariance(cov_);
      narrow(z_, z_.n, estimate_.square && !out_.lag ? cov_ : estimate_.cov, cov);
      if (settling) copy(z_.n * z_.n, cov, packed_);
    }
    if (out_.diffuse && estimate_.columns) {
      if (out_.lag) narrow(z_, estimate_.columns, estimate_.diffuse, out_.diffuse + step * z_.n * z_.n);
      else {
        estimate_.diffuse_covariance(cov_);
        narrow(z_, z_.n, cov_, out_.diffuse + step * z_.n * z_.n);
      }
    }
    if (estimate_.square)
      if (const Failure failure = a_.prepare_roots(estimate_); failure != Failure::none) return failure;
    estimate_.predict(a_.f, a_.f_transposed, a_.q, a_.q_roots);
    settle(all, settling, constant);
    return Failure::none;
  }
  void write_again(Index step) {
    const Index n = z_.n;
    if (out_.mean) narrow(z_, 1, mean_, out_.mean + step * n);
    if (out_.cov) copy(n * n, packed_, out_.cov + step * n * n);
  }
  // Predicts the mean of the next state.
  void after(Index step) {
    const double* const b = s_.b ? s_.b + step * z_.n : nullptr;
    combine(z_, mean_, nullptr, z_.n, a_.f_transposed, nullptr, next_);
    for (Index i = 0; i < z_.n; ++i) mean_[i] = b ? next_[i] + b[i] : next_[i];
  }

  // same_ counts consecutive regular steps; it is negative where the next step gives the constant gain.
  void settle(bool all, bool settling, double constant) {
    if (settling && all) {
      steady_ = true;
      constant_ = constant;
      return;
    }
    if (s_.per_step || !all || estimate_.columns) {
      same_ = 0;
      return;
    }
    if (same_ % steady_steps == 0) {
      estimate_.covariance(cov_);
      const bool repeats = same_ > 0 && close(cov_, saved_) && variances_repeat();
      copy(z_, z_.n, cov_, saved_);
      if (repeats) {
        same_ = -1;
        return;
      }
    }
    ++same_;
  }
  // With square roots, variances are compared as well: they may be small relative to the covariance.
  bool variances_repeat() {
    bool repeat = true;
    for (Index i = 0; i < s_.outputs; ++i) {
      repeat = repeat && absolute(variances_[i] - compared_[i]) <= 1e-13 * variances_[i];
      compared_[i] = variances_[i];
    }
    return repeat || !estimate_.square;
  }
  bool close(const double* x, const double* y) const {
    for (Index i = 0; i < z_.n; ++i)
      if (!(absolute(x[i * z_.s + i] - y[i * z_.s + i]) <= steady_share * x[i * z_.s + i])) return false;
    for (Index i = 0; i < z_.n; ++i)
      for (Index j = 0; j < i; ++j) {
        const double apart = x[i * z_.s + j] - y[i * z_.s + j];
        if (!(apart * apart <= steady_share * steady_share * x[i * z_.s + i] * x[j * z_.s + j])) return false;
      }
    return true;
  }

  void finish(Index row, bool empty) {
    const Index n = z_.n;
    if (!out_.last_mean) return;
    if (empty) {
      for (Index i = 0; i < n; ++i) out_.last_mean[row * n + i] = s_.mean[row * n + i];
      for (Index i = 0; i < n * n; ++i) {
        out_.last_cov[row * n * n + i] = s_.cov[row * n * n + i];
        out_.last_diffuse[row * n * n + i] = s_.diffuse[row * n * n + i];
      }
      return;
    }
    narrow(z_, 1, mean_, out_.last_mean + row * n);
    estimate_.covariance(cov_);
    narrow(z_, n, cov_, out_.last_cov + row * n * n);
    estimate_.diffuse_covariance(cov_);
    narrow(z_, n, cov_, out_.last_diffuse + row * n * n);
  }

  // Backward pass: conditions the filtered state of each step on the next state, as on one more observation. On entry,
  // out_ holds the results of the filter: means, covariances (or square roots), and columns of diffuse parts.
  Failure smooth(Index row, bool square) {
    const Index n = z_.n, size = n * n, begin = s_.batch.begin(row), end = s_.batch.end(row);
    const bool diffuse_row = out_.diffuse && is_diffuse(row);
    at_ = end - 1;
    if (diffuse_row && load_diffuse(at_)) return Failure::undetermined;
    load(at_, square);
    estimate_.covariance(cov_);
    narrow(z_, n, cov_, out_.cov + at_ * size);
    for (Index i = 0; i < size; ++i) out_.lag[at_ * size + i] = 0;
    widen(z_, 1, out_.mean + at_ * n, mean_);
    bool known = false, settled = false;  // the gain equals that of the next step; covariance and lag do
    for (Index step = end - 1; step-- > begin;) {
      at_ = step;
      double* const given = out_.cov + step * size;
      if (const Failure failure = a_.prepare(s_.per_step ? step : s_.model[row]); failure != Failure::none)
        return failure;
      const bool diffuse = diffuse_row && load_diffuse(step);
      bool again = known && !s_.per_step && !diffuse;
      for (Index i = 0; again && i < size; ++i) again = given[i] == before_[i];
      if (!again) {
        copy(size, given, before_);
        if (!diffuse) estimate_.columns = 0;
        load(step, square);
        if (const Failure failure = condition(); failure != Failure::none) return failure;
        known = !diffuse;
        settled = false;
      }
      // mean + gain (smoothed mean of the next step - predicted mean)
      widen(z_, 1, out_.mean + step * n, saved_);
      const double* const b = s_.b ? s_.b + step * n : nullptr;
      combine(z_, saved_, nullptr, n, a_.f_transposed, nullptr, next_);
      for (Index i = 0; i < n; ++i) next_[i] = mean_[i] - (b ? next_[i] + b[i] : next_[i]);
      combine(z_, next_, nullptr, n, gain_transposed_, saved_, mean_);
      narrow(z_, 1, mean_, out_.mean + step * n);
      if (!settled) {
        for (Index i = 0; i < n; ++i) combine(z_, gain_ + i * z_.s, nullptr, n, cov_, nullptr, kept_ + i * z_.s);
        transpose(z_, kept_, saved_);
        narrow(z_, n, saved_, kept_lag_);
        for (Index i = 0; i < n; ++i)
          combine(z_, kept_ + i * z_.s, nullptr, n, gain_transposed_, left_ + i * z_.s, saved_ + i * z_.s, i);
        mirror(z_, saved_);
        settled = again && close(saved_, cov_);
        copy(z_, n, saved_, cov_);
      }
      copy(size, kept_lag_, out_.lag + step * size);
      narrow(z_, n, cov_, given);
      double sound = 0;
      for (Index i = 0; i < n; ++i) sound += mean_[i] * 0 + cov_[i * z_.s + i] * 0;
      if (!(sound == 0)) return Failure::overflow;
    }
    return Failure::none;
  }
  void load(Index step, bool square) {
    widen(z_, z_.n, out_.cov + step * z_.n * z_.n, estimate_.cov);
    estimate_.square = square;
  }
  bool load_diffuse(Index step) {
    const Index size = z_.n * z_.n;
    const double* const given = out_.diffuse + step * size;
    bool any = false;
    for (Index i = 0; i < size; ++i) any = any || given[i] != 0;
    estimate_.columns = any ? z_.n : 0;
    if (any) widen(z_, z_.n, given, estimate_.diffuse);
    return any;
  }
  // Computes the smoother gain, its transpose, and the covariance given the next state.
  Failure condition() {
    if (const Failure failure = a_.prepare_back(estimate_); failure != Failure::none) return failure;
    fill(z_, z_.n, 0, gain_);
    for (Index i = 0; i < z_.n; ++i) {
      const Update update = estimate_.observe(a_.back, i, a_.back_noise[i]);
      if (update == Update::lost) return Failure::lost;
      if (update == Update::nothing) continue;
      for (Index j = 0; j < z_.s; ++j) saved_[j] = 0;
      combine(z_, a_.back, i, gain_, nullptr, saved_);
      for (Index j = 0; j < z_.s; ++j) saved_[j] = a_.back_whiten[i * z_.s + j] - saved_[j];
      for (Index j = 0; j < z_.n; ++j) add(z_, estimate_.gain[j], saved_, gain_ + j * z_.s);
    }
    if (estimate_.columns) return Failure::undetermined;
    if (!estimate_.definite()) return Failure::lost;
    transpose(z_, gain_, gain_transposed_);
    estimate_.covariance(left_);
    return Failure::none;
  }

  Z z_;
  const StateSpace& s_;
  const StateEstimates& out_;
  Estimate<Z> estimate_;
  Matrices<Z> a_;
  Pieces pieces_;
  Index at_ = 0;  // the step
  bool steady_ = false;
  Index same_ = 0;
  double constant_ = 0;                   // of the log-probability of a step with constant gain
  double *mean_, *next_;                  // [s]
  double* saved_;                         // [n, s]
  double* kept_;                          // [n, s]
  double* packed_;                        // [n, n] the constant filtered covariance
  double *gains_, *inverse_;              // [m, s], [m], constant
  double *z_x_, *variances_, *compared_;  // [m]
  double *gain_, *gain_transposed_, *left_, *cov_, *before_, *kept_lag_;  // of the smoother
};

template <class Use>
static auto with_size(Index states, const Use& use) {
  switch (states) {
    case 1: return use(Size<1>(1));
    case 2: return use(Size<2>(2));
    case 3: return use(Size<3>(3));
    case 4: return use(Size<4>(4));
    default: return use(Size<0>(states));
  }
}
// Doubles of scratch for `kalman`.
static Index kalman_scratch(const StateSpace& s) {
  return with_size(s.states, [&]<class Z>(Z) { return Kalman<Z>(s, {}, nullptr).size(); });
}
static void kalman(const StateSpace& s, const StateEstimates& out, Index from, Index to, double* scratch) {
  with_size(s.states, [&]<class Z>(Z) { Kalman<Z>(s, out, scratch).rows(from, to); });
}

extern const KalmanKernels kalman_kernels;
constinit const KalmanKernels kalman_kernels = {.scratch = kalman_scratch, .run = kalman};

}  // namespace elman::ELMAN_ISA
