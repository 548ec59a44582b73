// A trained model, one step at a time: a program over B rows whose weights are packed once and whose arrays stay where
// they are.
//
// Its caller takes arrays from it, writes down the operations between them in the order in which they run, and then
// runs them as often as it likes: on the calling thread, without an allocation. Arrays are [B, columns], row-major.
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

  explicit Stepper(Index rows, bool half = false);  // `half`: packed weights are bfloat16

  Index rows() const { return rows_; }
  const std::shared_ptr<Storage>& storage() const { return storage_; }  // keeps the arrays alive

  // Zeros that live as long as the storage.
  float* floats(Index columns) {
    return static_cast<float*>(take(sizeof(float) * static_cast<std::size_t>(rows_ * columns)));
  }
  double* doubles(Index columns) {
    return static_cast<double*>(take(sizeof(double) * static_cast<std::size_t>(rows_ * columns)));
  }
  Index* integers() { return static_cast<Index*>(take(sizeof(Index) * static_cast<std::size_t>(rows_))); }

  // Operations. Weights are copied; x may be what another one writes.
  void finite(const float* x, Index columns);  // raises unless x is
  void embedding(const Index* ids, const float* weight, Index vocabulary, Index columns,
                 float* y);  // raises where an id is none
  void recurrence(Layer layer, float* h,
                  float* c);  // x, y, weights and sizes are the layer's; h and c go on; c: LSTM, else null
  void min_gru(const float* x, const float* weight, const float* bias, Index inputs, Index units, float* h, float* y);
  void linear(const float* x, const float* weight, const float* bias, Index inputs, Index outputs,
              float* y);  // null: no bias
  void layer_norm(const float* x, const float* weight, const float* bias, float epsilon, Index size, float* y);
  void add(const float* a, const float* b, Index columns, float* y);
  void activate(Activation activation, Index columns, float* y);                          // y = f(y)
  void join(const float* a, Index a_columns, const float* b, Index b_columns, float* y);  // y = [a, b]
  void window(const float* x, Index columns, Index past_columns, float* past,
              float* seen);  // seen = [past, x]; past is seen from then on, less its oldest columns
  void copy(const float* x, Index columns, float* y);
  void count(Index* steps);  // one more
  void softmax(const float* x, Index columns, bool logarithm, double* y);

  // Raises std::invalid_argument before anything is written.
  void run() {
    for (const auto& operation : operations_) operation();
  }

 private:
  float* piece(std::size_t floats);
  void* take(std::size_t bytes);
  const float* keep(const float* values, Index count);

  Index rows_;
  bool half_;
  std::shared_ptr<Storage> storage_;
  char* next_ = nullptr;  // of the piece that small arrays share,
  std::size_t left_ = 0;  // and what is left of it
  std::vector<std::function<void()>> operations_;
  std::vector<Index> offsets_;  // of a batch whose rows are one step long,
  std::vector<Entry> entries_;  // its steps,
  std::vector<Index> begin_;    // and the groups in which they are taken
};

}  // namespace elman
