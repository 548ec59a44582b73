// One recurrence over a ragged batch, as its caller describes it: the same for every instruction set. All arrays are
// the caller's.
#pragma once

#include <cstdint>

#include "ragged.hpp"

namespace elman {

using Index = std::int64_t;

enum class Kind : int { rnn, lstm, lstm_without_forget, gru_after, gru_before };
enum class Activation : int { tanh, sigmoid, relu, identity };

// What is multiplied: numbers in float32, or with weights in bfloat16, or all of them in bfloat16. Sums are float32.
enum class Products : int { float32, bfloat16_weights, bfloat16 };

// What an option does to each unit at each step: a mask of bytes, 0 or 1, or else one number for all.
struct Zone {
  const std::uint8_t* kept = nullptr;  // [N, H], or [B, H] where it is the same at all steps of a row
  float rate = 0.0f;
};

// Of an LSTM: see lstm_options.hpp.
struct Options {
  bool any = false;
  bool coupled = false;             // without a forget gate: as much is kept as is not written
  float clip = 0.0f;                // the memory stays within plus and minus this; 0: anywhere
  const float* peephole = nullptr;  // [3 H]: to the gates i f o; [2 H] without a forget gate: i o
  float* dpeephole = nullptr;
  Zone candidate;       // where it is kept, times `rate`; null: kept everywhere
  Zone zone_h, zone_c;  // the part of the state before that stays
  Zone hidden;          // of each row: where h is kept as the gates read it, times `rate`; null: kept everywhere
};

// N steps, B rows, D inputs, H units, G gates. Rows of x, y, dy and dx may lie further apart than they are long.
struct Layer {
  Kind kind = Kind::lstm;
  Activation activation = Activation::tanh;  // of an RNN
  Options options;                           // of an LSTM
  Products products = Products::float32;
  Index inputs = 0;                  // D
  Index units = 0;                   // H
  Index outputs = 0;                 // P of y and h: H, or less where there is a projection
  bool reverse = false;              // rows are read from their last step to their first
  const float* weight_ih = nullptr;  // [G H, D]
  const float* weight_hh = nullptr;  // [G H, P]
  const float* bias = nullptr;       // [G H]
  const float* bias_hn = nullptr;    // [H], GRU with the reset after the product
  const float* weight_hr = nullptr;  // [P, H], LSTM with a projection
  const float* gain_ih = nullptr;    // [G H], LSTM with norms
  const float* gain_hh = nullptr;    // [G H]
  const float* gain_c = nullptr;     // [H]
  const float* bias_c = nullptr;     // [H]

  const float* x = nullptr;  // [N, D]
  Index x_stride = 0;
  const float* h0 = nullptr;  // [B, P]; null: zeros
  const float* c0 = nullptr;  // [B, H], LSTM; null: zeros
  float* y = nullptr;         // [N, P]
  Index y_stride = 0;
  float* h_last = nullptr;  // [B, P]; h0 where a row is empty
  float* c_last = nullptr;  // [B, H], LSTM
  float* saved =
      nullptr;  // [N, Kernels::saved_per_step]: gates and cells; on the way back, their gradients take their place

  const float* dy = nullptr;  // [N, P]
  Index dy_stride = 0;
  const float* dh_last = nullptr;  // [B, P]; null: zeros
  const float* dc_last = nullptr;  // [B, H], LSTM; null: zeros
  float* dx = nullptr;             // [N, D]; null: nobody asks for it
  Index dx_stride = 0;
  float* dh0 = nullptr;  // [B, P]; null: nobody asks for it
  float* dc0 = nullptr;  // [B, H], LSTM; null: nobody asks for it
  float* dweight_ih = nullptr;
  float* dweight_hh = nullptr;  // null: nobody asks for the gradients of the weights
  float* dbias = nullptr;
  float* dbias_hn = nullptr;
  float* dweight_hr = nullptr;
  float* sums = nullptr;  // [B, Kernels::sums] over the steps of each row, from zeros
  float* dgain_ih = nullptr;
  float* dgain_hh = nullptr;
  float* dgain_c = nullptr;
  float* dbias_c = nullptr;
};

// One step of one row, in the direction in which rows are read.
struct Entry {
  Index row;
  Index time;
};

// Steps that are taken together: at time t the entries begin[t] to begin[t + 1], of which the j-th belongs to lane j. A
// lane is a chain of rows one after another; lanes end in the order of their numbers, the last one first.
struct Lanes {
  static constexpr Index widest = 24;

  const Entry* entries = nullptr;
  const Index* begin = nullptr;
};

}  // namespace elman
