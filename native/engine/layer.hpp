// Arguments of a recurrence over a ragged batch, for every instruction set. The caller owns all arrays.
#pragma once

#include <cstdint>

#include "engine/ragged.hpp"

namespace elman {

using Index = std::int64_t;

enum class Kind : int { rnn, lstm, lstm_without_forget, gru_after, gru_before };
enum class Activation : int { tanh, sigmoid, relu, identity };

// Types of the operands of products: all float32, weights in bfloat16, or all bfloat16. Sums are float32.
enum class Products : int { float32, bfloat16_weights, bfloat16 };

// A mask over units: bytes that are 0 or 1, or one rate for all units where there is no mask.
struct UnitMask {
  const std::uint8_t* kept = nullptr;  // [N, H], or [B, H] where all steps of a row share the mask
  float rate = 0.0f;
};

// Options of an LSTM: see recurrences/lstm_options.hpp.
struct Options {
  bool any = false;
  bool coupled = false;             // no forget gate: f = 1 - i
  float clip = 0.0f;                // bound on the absolute value of the cell state; 0: none
  const float* peephole = nullptr;  // [3 H] of the gates i f o; [2 H] without a forget gate: i o
  float* dpeephole = nullptr;
  UnitMask candidate;             // recurrent dropout: kept candidates are multiplied by `rate`; null: no dropout
  UnitMask zoneout_h, zoneout_c;  // units that keep their previous state; null: the share `rate` of it
  UnitMask hidden;                // [B, H] mask over h where the gates read it, times `rate`; null: no mask
};

// N steps, B rows, D inputs, H units, G gates. Rows of x, y, dy and dx may be further apart than they are long.
struct Layer {
  Kind kind = Kind::lstm;
  Activation activation = Activation::tanh;  // of an RNN
  Options options;                           // LSTM only
  Products products = Products::float32;
  Index inputs = 0;                  // D
  Index units = 0;                   // H
  Index outputs = 0;                 // P, the size of h and y: H, or less with a projection
  bool reverse = false;              // process each row from its last step to its first
  const float* weight_ih = nullptr;  // [G H, D]
  const float* weight_hh = nullptr;  // [G H, P]
  const float* bias = nullptr;       // [G H]
  const float* bias_hn = nullptr;    // [H], GRU with the reset gate after the product
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
  float* h_last = nullptr;  // [B, P] final state; h0 where a row is empty
  float* c_last = nullptr;  // [B, H], LSTM
  float* saved = nullptr;  // [N, saved_stride]: gates and cell states; the backward pass overwrites them with gradients

  const float* dy = nullptr;  // [N, P]
  Index dy_stride = 0;
  const float* dh_last = nullptr;  // [B, P]; null: zeros
  const float* dc_last = nullptr;  // [B, H], LSTM; null: zeros
  float* dx = nullptr;             // [N, D]; null: not needed
  Index dx_stride = 0;
  float* dh0 = nullptr;  // [B, P]; null: not needed
  float* dc0 = nullptr;  // [B, H], LSTM; null: not needed
  float* dweight_ih = nullptr;
  float* dweight_hh = nullptr;  // null: no gradients of the weights
  float* dbias = nullptr;
  float* dbias_hn = nullptr;
  float* dweight_hr = nullptr;
  float* sums = nullptr;  // [B, sums] accumulated over the steps of each row, initially zero
  float* dgain_ih = nullptr;
  float* dgain_hh = nullptr;
  float* dgain_c = nullptr;
  float* dbias_c = nullptr;
};

// One step of one row. Time counts in the direction of processing.
struct Entry {
  Index row;
  Index time;
};

// Steps that are computed together: at time t the entries begin[t] to begin[t + 1], where the j-th belongs to lane j. A
// lane is a list of rows, processed one after another. Lanes are sorted by length, the longest first.
struct Lanes {
  static constexpr Index widest = 24;

  const Entry* entries = nullptr;
  const Index* begin = nullptr;
};

}  // namespace elman
