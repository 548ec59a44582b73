// A trained model that runs one step at a time: a list of operations on arrays of B rows. Weights are packed once, and
// arrays keep their addresses.
//
// The caller requests arrays, adds the operations between them in the order of execution, and then runs them
// repeatedly, on the calling thread and without allocations. Arrays are [B, columns], row-major.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "engine/layer.hpp"
#include "engine/memory.hpp"

namespace elman {

class Stepper {
 public:
  using Storage = std::vector<Memory>;

  explicit Stepper(Index rows, bool half = false);  // `half`: pack weights in bfloat16

  Index rows() const { return rows_; }
  const std::shared_ptr<Storage>& storage() const { return storage_; }  // owns the arrays

  // New arrays, filled with zeros, which live as long as the storage.
  float* floats(Index columns) {
    return static_cast<float*>(take(sizeof(float) * static_cast<std::size_t>(rows_ * columns)));
  }
  double* doubles(Index columns) {
    return static_cast<double*>(take(sizeof(double) * static_cast<std::size_t>(rows_ * columns)));
  }
  Index* integers() { return static_cast<Index*>(take(sizeof(Index) * static_cast<std::size_t>(rows_))); }

  // Add operations. Weights are copied; x may be an output of an earlier operation.
  void finite(const float* x, Index columns);  // throws unless x is finite
  // Throws if an id is out of range.
  void embedding(const Index* ids, const float* weight, Index vocabulary, Index columns, float* y);
  // The layer has x, y, weights and sizes; h and c are updated in place; c is null except for an LSTM.
  void recurrence(Layer layer, float* h, float* c);
  void min_gru(const float* x, const float* weight, const float* bias, Index inputs, Index units, float* h, float* y);
  // Null: no bias.
  void linear(const float* x, const float* weight, const float* bias, Index inputs, Index outputs, float* y);
  void layer_norm(const float* x, const float* weight, const float* bias, float epsilon, Index size, float* y);
  void add(const float* a, const float* b, Index columns, float* y);
  void activate(Activation activation, Index columns, float* y);                          // y = f(y)
  void join(const float* a, Index a_columns, const float* b, Index b_columns, float* y);  // y = [a, b]
  // seen = [past, x]; then past = seen without its oldest columns.
  void window(const float* x, Index columns, Index past_columns, float* past, float* seen);
  void copy(const float* x, Index columns, float* y);
  void count(Index* steps);  // steps + 1
  void softmax(const float* x, Index columns, bool logarithm, double* y);

  // Throws std::invalid_argument before the state changes.
  void run() {
    for (const auto& operation : operations_) operation();
  }

 private:
  float* block(std::size_t floats);
  void* take(std::size_t bytes);
  const float* copy_weights(const float* values, Index count);

  Index rows_;
  bool half_;
  std::shared_ptr<Storage> storage_;
  char* next_ = nullptr;  // free part of the block that small arrays share
  std::size_t left_ = 0;  // its size in bytes
  std::vector<std::function<void()>> operations_;
  std::vector<Index> offsets_;  // of a batch with one step per row
  std::vector<Entry> entries_;  // its steps
  std::vector<Index> begin_;    // first entry of each group
};

}  // namespace elman
