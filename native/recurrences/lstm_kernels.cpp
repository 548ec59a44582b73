// All variants of the LSTM.
#include "recurrences/lstm.hpp"
#include "recurrences/lstm_normed.hpp"
#include "recurrences/lstm_options.hpp"
#include "recurrences/lstm_projected.hpp"

namespace elman::ELMAN_ISA {

template <bool FORGET>
static const Cell& variant(const Layer& layer) {
  if (layer.gain_hh) return cell_of<LSTMNormed<FORGET>>;
  if (layer.outputs != layer.units) return cell_of<LSTMProjected<FORGET>>;
  return layer.options.any ? cell_of<LSTMOptions<FORGET>> : cell_of<LSTM<FORGET>>;
}

const Cell& lstm_cell(const Layer& layer) {
  return layer.kind == Kind::lstm ? variant<true>(layer) : variant<false>(layer);
}

}  // namespace elman::ELMAN_ISA
