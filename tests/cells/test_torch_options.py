"""Options of `torch.nn` raise an error with the line to write, which works."""

import pytest

import elman
from elman.cells.module import CellModule


@pytest.mark.parametrize(
    ("kind", "options", "output_size"),
    [
        (elman.LSTM, {"num_layers": 2}, 4),
        (elman.LSTM, {"num_layers": 3, "bidirectional": True, "dropout": 0.2, "batch_first": True}, 8),
        (elman.GRU, {"bidirectional": True}, 8),
        (elman.MinGRU, {"num_layers": 1}, 4),
        (elman.LSTM, {"num_layers": 2, "zoneout_c": 0.1, "projection_size": 2}, 2),
        (elman.LSTM, {"num_layers": 2, "bidirectional": True, "proj_size": 3}, 6),
        (elman.RNN, {"num_layers": 2, "nonlinearity": "relu"}, 4),
    ],
)
def test_the_error_names_the_line_to_write(kind, options, output_size):
    with pytest.raises(TypeError, match=rf"^{kind.__name__}: expected options of a cell, got (num|bi)") as error:
        kind(3, hidden_size=4, **options)
    line = str(error.value).partition("write ")[2].rstrip(".")
    made = eval(line, {"elman": elman})
    assert made.output_size == output_size
    cells = [part for part in made.modules() if type(part) is kind]
    assert len(cells) == options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    assert {cell.zoneout_c for cell in cells if kind is elman.LSTM} <= {options.get("zoneout_c", 0.0)}
    assert {cell.activation for cell in cells if kind is elman.RNN} <= {"relu"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bias": False}, "got bias; bias: leave it out, cells have a bias"),
        ({"proj_size": 2, "device": "cpu"}, "proj_size: use projection_size; device: use .to"),
        ({"batch_first": True}, r"leave it out, tensors are \[B, T, D\]"),
        ({"num_layer": 2}, "unexpected keyword argument 'num_layer'"),
    ],
)
def test_other_options_name_the_way_out(options, message):
    with pytest.raises(TypeError, match=message):
        elman.LSTM(3, 4, **options)


def test_a_cell_may_have_such_an_option():
    class Own(CellModule):
        def __init__(self, num_layers):
            super().__init__()

    class Any(CellModule):
        def __init__(self, **options):
            super().__init__()

    Own(num_layers=2), Any(dropout=0.1)
