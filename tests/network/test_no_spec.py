"""Models that only PyTorch runs: every message names the part and the reason."""

import re

import pytest

import elman
from elman import GRU, Linear, Residual, Stack, network
from elman.cells import CellModule
from elman.network import NoSpec


class Own(CellModule):
    """Cell of a user."""

    input_size, output_size = 4, 4

    def initial_state(self, batch_size):
        return ()

    def advance(self, x, state):
        return x, state


class OwnWhole(Own):
    """Cell of a user that reads whole sequences."""

    streams = False


CASES = {
    "alone": (Own, "Own has no layer type in elman.network", "use step"),
    "in a stack": (
        lambda: Stack(Linear(3, 4), Residual(Stack(GRU(4, 4), Own()))),
        "cells.1.cell.cells.1 (Own) has no layer type in elman.network",
        "use step",
    ),
    "the first of several": (
        lambda: Stack(OwnWhole(), Own()),
        "cells.0 (OwnWhole) has no layer type in elman.network",
        "use scan, or layers that read forward only",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_part_without_a_spec_is_named_everywhere(case, tmp_path):
    make, reason, way_out = CASES[case]
    cell = make()
    with pytest.raises(NoSpec, match=f"^{re.escape(reason)}$"):
        cell.spec()
    assert not cell.runs_without_torch()
    assert not cell.streams_natively()
    with pytest.raises(ValueError, match=rf"^{type(cell).__name__}\.stepper: {re.escape(reason)}; {way_out}\.$"):
        cell.stepper()
    assert elman.describe(cell).endswith(f"(elman.runtime): no, {reason}.")
    cell.save(tmp_path / network.MODEL)
    file = network.read_model(tmp_path)
    assert not file.runs
    with pytest.raises(ValueError, match=rf"model\.safetensors: {re.escape(reason)}; run the model in PyTorch: "):
        file.network()


def test_a_model_that_is_not_a_cell():
    with pytest.raises(NoSpec, match=r"^cells\.0 \(list\) is not a cell or a layer of elman$"):
        raise NoSpec.of([]).inside("0").inside("cells")
