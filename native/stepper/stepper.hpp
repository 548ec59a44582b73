// A trained model that runs one step at a time: a list of operations on arrays of B rows, which keep their addresses.
//
// The caller requests arrays, adds the operations between them in the order of execution, and then runs them
// repeatedly, on the calling thread and without allocations. Arrays are [B, columns], row-major; a run may compute
// the first rows only.
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "stepper/functions.hpp"
#include "stepper/storage.hpp"

namespace elman {

// A row that a step cannot read. The message is in two parts, around the place that the caller names.
struct WrongRow : std::invalid_argument {
  WrongRow(const std::string& before, Index row, std::string after)
      : std::invalid_argument(before), row(row), after(std::move(after)) {}

  Index row;
  std::string after;
};

// An array of B rows: the input, the output, or a leaf of the state.
struct Leaf {
  char* data = nullptr;
  Index bytes = 0;  // per row
};

bool all_finite(const float* x, Index size);

class Stepper {
 public:
  Stepper(Index rows, bool half);  // half: the packed weights are bfloat16

  Index rows() const { return rows_; }
  double work() const { return work_; }  // floating-point operations per row, approximately
  const std::shared_ptr<Storage>& storage() const { return storage_; }  // owns the arrays

  // New arrays, filled with zeros, which live as long as the storage.
  float* floats(Index columns) { return static_cast<float*>(storage_->take(4 * rows_ * columns)); }
  double* doubles(Index columns) { return static_cast<double*>(storage_->take(8 * rows_ * columns)); }
  Index* integers() { return static_cast<Index*>(storage_->take(8 * rows_)); }

  // Add operations. Weights must live as long as the stepper, and those of products are packed: see engine.hpp. x may
  // be an output of an earlier operation. Null: no such weights.
  void finite(const float* x, Index columns);  // throws unless x is finite
  // Throws if an id is out of range.
  void embedding(const Index* ids, const float* weight, Index vocabulary, Index columns, float* y);
  // h and c are updated in place; c is null except for an LSTM.
  void recurrence(StackLayer, const float* x, float* h, float* c, float* y);
  void min_gru(const float* x, float* weights, Index inputs, Index units, float* h, float* y);
  void linear(const float* x, float* weights, Index inputs, Index outputs, float* y);
  void layer_norm(const float* x, const float* weight, const float* bias, float epsilon, Index size, float* y);
  void rms_norm(const float* x, const float* weight, float epsilon, Index size, float* y);
  void add(const float* a, const float* b, Index columns, float* y);
  void pointwise(Pointwise function, float a, float b, Index columns, float* y);          // y = f(y)
  void join(const float* a, Index a_columns, const float* b, Index b_columns, float* y);  // y = [a, b]
  // seen = [past, x]; then past = seen without its oldest columns.
  void window(const float* x, Index columns, Index past_columns, float* past, float* seen);
  void copy(const float* x, Index columns, float* y);
  void count(Index* steps);  // steps + 1
  // Mean of the steps so far, or the deviation of x from it: sum += x; steps += 1.
  void mean(const float* x, Index columns, bool deviation, float* sum, Index* steps, float* y);
  void max(const float* x, Index columns, float* largest, float* y);  // maximum of the steps so far
  // y = [x, (x - previous) / scale], the second part 0 at the first step; previous = x; steps += 1.
  void differences(const float* x, const float* scale, Index columns, float* previous, Index* steps, float* y);
  // Mean of the steps so far with the softmax of the scores as weights, relative to the largest score.
  void attention(const float* x, const float* score, Index columns, float* largest, float* weight, float* sum,
                 float* y);
  void softmax(const float* x, Index columns, bool logarithm, double* y);

  // The arrays that a step reads and writes.
  Leaf input, output;
  std::vector<Leaf> state;

  // Computes the first rows. Throws WrongRow before the state changes.
  void run(Index rows);

  // Computes `rows` rows of other arrays. before(row, leaf) and after(row, leaf) are the addresses of their states,
  // which may be the same. Throws WrongRow before it writes to y or to a state.
  template <class Before, class After>
  void step(Index rows, const void* x, void* y, const Before& before, const After& after) {
    std::memcpy(input.data, x, static_cast<std::size_t>(rows * input.bytes));
    for (Index row = 0; row < rows; ++row)
      for (std::size_t i = 0; i < state.size(); ++i)
        std::memcpy(state[i].data + row * state[i].bytes, before(row, i), static_cast<std::size_t>(state[i].bytes));
    run(rows);
    for (Index row = 0; row < rows; ++row)
      for (std::size_t i = 0; i < state.size(); ++i)
        std::memcpy(after(row, i), state[i].data + row * state[i].bytes, static_cast<std::size_t>(state[i].bytes));
    std::memcpy(y, output.data, static_cast<std::size_t>(rows * output.bytes));
  }

 private:
  using Operation = std::function<void(Index rows)>;

  void append(double work_per_row, Operation operation);

  Index rows_;
  double work_ = 0;
  bool half_;
  std::shared_ptr<Storage> storage_;
  std::vector<Operation> operations_;
  std::vector<Index> offsets_;  // of a batch with one step per row
  std::vector<Entry> entries_;  // its steps
  std::vector<Index> begin_;    // first entry of each group of the rows that run
  Index groups_ = 0;
};

}  // namespace elman
