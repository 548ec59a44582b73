"""A cell and its options as one value: immutable, compared by content, checked when the cell is made."""

import copy
import pickle

import pytest

import elman
from elman import GRU, CellSettings
from elman.cells.settings import option_types

ZONEOUT = CellSettings("lstm", zoneout_c=0.1)


def test_it_is_a_value():
    assert CellSettings("lstm", zoneout_h=0.2, zoneout_c=0.1) == CellSettings("lstm", zoneout_c=0.1, zoneout_h=0.2)
    assert len({ZONEOUT, CellSettings("lstm", zoneout_c=0.1), CellSettings("lstm"), CellSettings("gru")}) == 3
    assert CellSettings("lstm") != "lstm"
    assert repr(ZONEOUT) == "CellSettings('lstm', zoneout_c=0.1)"
    assert eval(repr(ZONEOUT)) == ZONEOUT
    for other in (copy.copy(ZONEOUT), copy.deepcopy(ZONEOUT), pickle.loads(pickle.dumps(ZONEOUT))):
        assert other == ZONEOUT
        assert hash(other) == hash(ZONEOUT)


def test_it_cannot_be_changed():
    with pytest.raises(AttributeError, match=r"cannot set kind, the value is immutable; use replace\(kind=\.\.\.\)"):
        ZONEOUT.kind = "gru"
    with pytest.raises(AttributeError, match="cannot delete kind"):
        del ZONEOUT.kind
    ZONEOUT.options["zoneout_c"] = 0.9
    assert ZONEOUT.replace(zoneout_h=0.3).options == {"zoneout_c": 0.1, "zoneout_h": 0.3}
    assert ZONEOUT.replace(kind="gru") == CellSettings("gru", zoneout_c=0.1)
    assert ZONEOUT.options == {"zoneout_c": 0.1}


def test_shorthands():
    assert CellSettings.of("gru") == CellSettings("gru")
    assert CellSettings.of(ZONEOUT) is ZONEOUT
    with pytest.raises(TypeError, match="cell: expected the name of a cell or CellSettings, got int; add"):
        CellSettings.of(3)


def test_it_makes_the_cell():
    cell = CellSettings("gru", reset="before").make()(3, 4)
    assert isinstance(cell, GRU)
    assert (cell.input_size, cell.output_size, cell.reset) == (3, 4, "before")
    assert CellSettings("lstm", zoneout_c=0.1, chrono=9).option_types() == {"zoneout_c": float, "chrono": int | None}


@pytest.mark.parametrize(
    ("cell", "error"),
    [
        (
            CellSettings("lstn"),
            r"^cell: expected one of rnn, lstm, .*, got 'lstn'; did you mean lstm\? A cell of your own ",
        ),
        (CellSettings("lstm", zoneut_c=0.1), r"^cell\.zoneut_c: unknown option of cell=lstm; did you mean zoneout_c"),
        (CellSettings("gru", peephole=True), r"^cell\.peephole: cell=gru has no such option \(available for lstm\)"),
        (CellSettings("lstm", projection_size=3), r"^cell\.projection_size: unknown option of cell=lstm"),
        (CellSettings("min_gru", xyz=3), r"^cell\.xyz: unknown option of cell=min_gru; it has no options\.$"),
    ],
)
def test_a_wrong_cell_or_option(cell, error):
    with pytest.raises(ValueError, match=error):
        cell.make()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"zoneout_c": "0.1"}, r"^cell\.zoneout_c: expected a number, got '0\.1'\.$"),
        ({"zoneout_c": None}, r"^cell\.zoneout_c: expected a number, got None\.$"),
        ({"layer_norm": "yes"}, r"^cell\.layer_norm: expected True or False, got 'yes'\.$"),
        ({"peephole": 3}, r"^cell\.peephole: expected True or False, got 3\.$"),
        ({"cell_clip": "a"}, r"^cell\.cell_clip: expected a number or None, got 'a'\.$"),
        ({"chrono": 2.5}, r"^cell\.chrono: expected a whole number or None, got 2\.5\.$"),
    ],
    ids=str,
)
def test_an_option_of_a_wrong_type(options, error):
    with pytest.raises(TypeError, match=error):
        CellSettings("lstm", **options).make()


@pytest.mark.parametrize("kind", [None, 3, ["lstm"], GRU], ids=str)
def test_a_kind_that_is_not_a_name(kind):
    with pytest.raises(ValueError, match=r"^cell: expected one of rnn, lstm"):
        CellSettings(kind).make()


def test_a_custom_cell_has_options_too(monkeypatch):
    class Own(GRU):
        def __init__(self, input_size, hidden_size, gain=1.0):
            super().__init__(input_size, hidden_size)
            self.gain = gain

    monkeypatch.setitem(elman.cells.CELLS, "own", Own)
    assert set(option_types("own")) == {"gain"}
    assert CellSettings("own", gain=3.0).make()(2, 2).gain == 3.0
