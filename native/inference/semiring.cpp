// Divides the rows into bands and jobs for the threads. The division does not depend on the number of threads, and so
// neither do the sums.
#include "inference/semiring.hpp"

#include <algorithm>
#include <vector>

#include "engine/flush.hpp"
#include "engine/kernels.hpp"
#include "engine/memory.hpp"
#include "engine/threads.hpp"

namespace elman {
namespace {

Memory doubles(Index count) { return Memory(2 * static_cast<std::size_t>(count)); }
double* data(const Memory& memory) { return reinterpret_cast<double*>(memory.data()); }

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

struct Job {
  Index model;
  Index from, to;  // bands
};

// Bands of rows of similar length; each job has several bands.
class Bands {
 public:
  explicit Bands(const Trellis& t) : trellis_(t) {
    for (Index row = 0; row < t.batch.rows; ++row)
      if (t.length(row)) rows_.push_back(row);
    const auto model = [&](Index row) { return t.per_step ? 0 : t.model[row]; };
    std::stable_sort(rows_.begin(), rows_.end(), [&](Index a, Index b) {
      return model(a) != model(b) ? model(a) < model(b) : t.length(a) > t.length(b);
    });
    const Index count = static_cast<Index>(rows_.size());
    Index all = 0;
    for (const Index row : rows_) all += t.length(row);
    for (Index from = 0, to; from < count; from = to) {
      to = from;
      while (to < count && model(rows_[at(to)]) == model(rows_[at(from)])) ++to;
      cut(model(rows_[at(from)]), from, to, all / most_jobs);
    }
  }

  const std::vector<Job>& jobs() const { return jobs_; }
  const std::vector<Index>& rows() const { return rows_; }
  Band operator[](Index i) const { return {rows_.data() + bands_[at(i)].from, bands_[at(i)].count}; }
  Index steps(Index i) const {
    Index steps = 0;
    for (Index r = 0; r < bands_[at(i)].count; ++r) steps += trellis_.length((*this)[i].rows[r]);
    return steps;
  }

 private:
  static constexpr Index most_jobs = 32;  // per model: each has its own sums

  struct Piece {
    Index from, count;
  };

  // Divides the rows of one model. Bands may be lower than the maximum, to leave rows for other threads.
  void cut(Index model, Index from, Index to, Index enough) {
    const Index height = trellis_.per_step ? 1 : std::clamp((to - from + 3) / 4, Index{1}, Band::tallest);
    const Index count = (to - from + height - 1) / height;
    Index taken = enough;
    for (Index i = 0; i < count; ++i) {
      const Index begin = from + (to - from) * i / count, end = from + (to - from) * (i + 1) / count;
      bands_.push_back({begin, end - begin});
      const Index band = static_cast<Index>(bands_.size()) - 1;
      if (i == 0 || taken >= enough) jobs_.push_back({model, band, band}), taken = 0;
      jobs_.back().to = band + 1;
      taken += steps(band);
    }
  }

  const Trellis& trellis_;
  std::vector<Index> rows_;
  std::vector<Piece> bands_;
  std::vector<Job> jobs_;
};

// The packed matrices of all models.
class Matrices {
 public:
  Matrices(const Trellis& t, bool logs)
      : size_((kernels().semiring.packed(t.states) + 7) / 8 * 8), memory_(doubles(t.per_step ? 8 : size_ * t.models)) {
    if (t.per_step) return;
    parallel(t.models, [&](Index model) {
      const Flush flush;
      kernels().semiring.pack(t.states, t.matrix(model), logs, data(memory_) + model * size_);
    });
  }

  const double* operator[](Index model) const { return data(memory_) + model * size_; }

 private:
  Index size_;
  Memory memory_;
};

// Adds the sums of all jobs of a model, in order, and multiplies them with its matrix.
void add_up(const Trellis& t, const Bands& bands, const Matrices& matrices, const double* counts, Index size,
            double* transitions) {
  std::vector<const double*> sums;
  std::vector<Index> first(at(t.models + 1), 0);  // first job of each model
  for (const Job& job : bands.jobs()) {
    sums.push_back(counts + static_cast<Index>(sums.size()) * size);
    first[at(job.model + 1)] = static_cast<Index>(sums.size());
  }
  for (Index model = 0; model < t.models; ++model)
    first[at(model + 1)] = std::max(first[at(model + 1)], first[at(model)]);
  constexpr Index height = 16;  // rows per task
  const Index shares = (t.states + height - 1) / height;
  parallel(t.models * shares, [&](Index number) {
    const Index model = number / shares, from = number % shares * height;
    kernels().semiring.counts(t.states, matrices[model], sums.data() + first[at(model)],
                              first[at(model + 1)] - first[at(model)], from, std::min(from + height, t.states),
                              transitions + model * t.states * t.states);
  });
}

// Recomputes lost rows in logarithms, some at a time; adds their expected transitions in order.
void recompute_lost(const Trellis& t, const Bands& bands, const Sums& out) {
  std::vector<Index> lost;
  for (const Index row : bands.rows())
    if (out.lost[row]) lost.push_back(row);
  constexpr Index some = 64;
  const bool back = out.transitions, adds = back && !t.per_step;
  const Index size = t.states * t.states, count = static_cast<Index>(lost.size());
  const Memory counts = doubles(adds ? std::min(some, count) * size : 1);
  for (Index from = 0; from < count; from += some) {
    const Index rows = std::min(some, count - from);
    parallel(rows, [&](Index i) {
      const Flush flush;
      const Index row = lost[at(from + i)];
      double* const own = data(counts) + i * size;
      if (adds) std::fill_n(own, size, 0.0);
      const Memory scratch = doubles(kernels().semiring.logs_scratch(t.states, t.length(row), back));
      kernels().semiring.logs(t, row, out, own, data(scratch));
    });
    for (Index i = 0; adds && i < rows; ++i) {
      double* const to = out.transitions + t.model[lost[at(from + i)]] * size;
      for (Index k = 0; k < size; ++k) to[k] += data(counts)[i * size + k];
    }
  }
}

}  // namespace

void semiring_sums(const Trellis& t, const Sums& out) {
  const Bands bands(t);
  const Matrices matrices(t, false);
  const Index jobs = static_cast<Index>(bands.jobs().size());
  const bool back = out.transitions, adds = back && !t.per_step;
  const Index size = t.states * kernels().semiring.padded(t.states);
  const Memory counts = doubles(adds ? jobs * size : 1);
  parallel(jobs, [&](Index number) {
    const Flush flush;
    const Job& job = bands.jobs()[at(number)];
    double* const own = data(counts) + number * size;
    if (adds) std::fill_n(own, size, 0.0);
    for (Index i = job.from; i < job.to; ++i) {
      const Band band = bands[i];
      const Memory scratch =
          doubles(kernels().semiring.scratch(t.states, band.count, bands.steps(i), t.per_step, back));
      kernels().semiring.sums(t, matrices[job.model], band, out, own, data(scratch));
    }
  });
  if (adds) add_up(t, bands, matrices, data(counts), size, out.transitions);
  recompute_lost(t, bands, out);
}

void semiring_best(const Trellis& t, Index k, Index* states, double* log_prob) {
  const Bands bands(t);
  if (k > 1) {
    parallel(static_cast<Index>(bands.rows().size()), [&](Index number) {
      const Index row = bands.rows()[at(number)];
      const Memory scratch = doubles(kernels().semiring.k_best_scratch(t.states, t.length(row), k));
      kernels().semiring.k_best(t, row, k, states, log_prob, data(scratch));
    });
    return;
  }
  const Matrices matrices(t, true);
  parallel(static_cast<Index>(bands.jobs().size()), [&](Index number) {
    const Job& job = bands.jobs()[at(number)];
    for (Index i = job.from; i < job.to; ++i) {
      const Memory scratch = doubles(kernels().semiring.best_scratch(t.states, bands.steps(i), t.per_step));
      kernels().semiring.best(t, matrices[job.model], bands[i], states, log_prob, data(scratch));
    }
  });
}

void semiring_draw(const Trellis& t, const double* probs, Index samples, const double* uniforms, Index* paths,
                   std::uint8_t* lost) {
  const Bands bands(t);
  const Matrices matrices(t, false);
  parallel(static_cast<Index>(bands.rows().size()), [&](Index number) {
    const Flush flush;
    const Index row = bands.rows()[at(number)];
    if (lost[row]) return;
    const Memory scratch = doubles(kernels().semiring.draw_scratch(t.states, t.per_step));
    kernels().semiring.draw(t, matrices[t.per_step ? 0 : t.model[row]], row, probs, samples, uniforms, paths, lost,
                            data(scratch));
  });
}

}  // namespace elman
