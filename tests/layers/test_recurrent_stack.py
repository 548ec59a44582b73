import pytest

from elman.cells import GRU, LSTM
from elman.layers import Bidirectional, Dropout, LayerNorm, Residual, VariationalDropout
from elman.layers.recurrent_stack import recurrent_stack
from elman.testing import check_cell


@pytest.mark.parametrize(
    "settings", [{}, {"dropout": 0.5}, {"dropout": 0.5, "variational": True}, {"layer_norm": True, "residual": True}]
)
def test_laws_hold(settings):
    check_cell(recurrent_stack(GRU, 3, 4, 3, **settings))


@pytest.mark.parametrize("settings", [{}, {"dropout": 0.5, "layer_norm": True, "residual": True}])
def test_a_bidirectional_layer_has_twice_the_width(settings):
    net = recurrent_stack(GRU, 3, 4, 3, bidirectional=True, **settings)
    assert (net.input_size, net.output_size, net.streams) == (3, 8, False)
    both = [layer for layer in net.modules() if isinstance(layer, Bidirectional)]
    assert [(layer.input_size, layer.forward_cell.output_size) for layer in both] == [(3, 4), (8, 4), (8, 4)]
    check_cell(net)


def test_order_of_the_layers():
    plain = [type(layer) for layer in recurrent_stack(LSTM, 3, 4, 2, dropout=0.2)]
    assert plain == [LSTM, Dropout, LSTM, Dropout]
    first, dropout, second = recurrent_stack(
        LSTM, 3, 4, 2, dropout=0.2, variational=True, layer_norm=True, residual=True
    )
    assert (type(first), type(dropout), type(second)) == (LSTM, VariationalDropout, Residual)
    assert [type(layer) for layer in second.cell] == [LayerNorm, LSTM, VariationalDropout]


@pytest.mark.parametrize(
    "bad", [{"num_layers": 0}, {"variational": True}, {"residual": True}, {"layer_norm": True}, {"dropout": 1.0}]
)
def test_settings_without_effect_raise(bad):
    with pytest.raises(ValueError, match=next(iter(bad)) if "dropout" not in bad else "0 < p < 1"):
        recurrent_stack(GRU, 3, 4, **bad)
