"""Specs: plain data that describes a network; a wrong one is refused before anything is built."""

import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman import GRU, LSTM, RNN, Dropout, Embedding, Linear, MinGRU, OutputFeedback, Residual, Stack, WindowNet
from elman.layers import Bidirectional, LayerNorm, Reversed
from elman.network import LAYER_TYPES, make_layer
from elman.sequences import Sequences

DEEP = Stack(LSTM(7, 5), Dropout(5, 0.2), Residual(GRU(5, 5)), OutputFeedback(RNN(8, 3)), Linear(3, 5))


def tensors(cell):
    return {name: tensor.detach().numpy() for name, tensor in cell.state_dict().items()}


def test_a_spec_is_plain_data_without_code():
    spec = DEEP.spec()
    assert json.loads(json.dumps(spec)) == spec
    assert spec["cells"][2] == {
        "kind": "residual",
        "settings": {"input_size": 5, "output_size": 5},
        "tensors": {},
        "cells": [
            {
                "kind": "gru",
                "settings": {"input_size": 5, "output_size": 5, "reset": "after"},
                "tensors": {name: f"cells.2.cell.{name}" for name in ("weight_ih", "weight_hh", "bias", "bias_hn")},
                "cells": [],
            }
        ],
    }


def test_a_tied_weight_has_its_first_name():
    cell = Stack(Embedding(11, 7), GRU(7, 7), Linear(7, 11))
    cell.cells[2].weight = cell.cells[0].weight
    assert cell.spec()["cells"][2]["tensors"] == {"weight": "cells.0.weight", "bias": "cells.2.bias"}
    assert make_layer(cell.spec(), tensors(cell)).num_parameters == sum(weight.numel() for weight in cell.parameters())


def wrong_specs():
    """Yield specs of `Stack(Linear(3, 4), LSTM(4, 5))` with an error, and its message."""
    spec = Stack(Linear(3, 4), LSTM(4, 5)).spec()
    linear, lstm = spec["cells"]

    def replaced(old, new):
        return json.loads(json.dumps(spec).replace(old, new))

    def with_settings(cell, **settings):
        return {**cell, "settings": {**cell["settings"], **settings}}

    types = r"spec: expected a layer type of this version \(rnn, lstm, .*\), got"
    yield replaced("lstm", "lsmt"), types + r" 'lsmt'; did you mean lstm\?"
    yield replaced('"lstm"', "3"), "kind: expected a text, got 3"
    yield replaced("cells.1.bias", "cells.7.bias"), r"lstm: expected cells\.7\.bias float32 \[20\], got nothing"
    yield replaced('"cells.1.bias"', "null"), r"bias: expected a text, got None"
    other = r"lstm: expected cells\.1\.weight_ih float32 \[24, 4\], got float32 \[20, 4\]"
    yield replaced('"output_size": 5', '"output_size": 6'), other
    wide = with_settings(linear, output_size=8)
    yield {**spec, "cells": [wide]}, r"linear: expected cells\.0\.weight float32 \[8, 3\], got float32 \[4, 3\]"
    yield {**spec, "cells": [lstm]}, "stack: expected lstm with an input_size of 3, got 4"
    table = {"kind": "dropout", "settings": {"input_size": 4, "output_size": 4}}
    reads_ids = {**Embedding(4, 5).spec(), "tensors": {"weight": "cells.1.table"}}
    yield {**spec, "cells": [linear, reads_ids]}, r"stack: expected steps of shape \[\] as the input of embedding, got"
    yield {**spec, "cells": []}, "stack: expected at least 1 cell, got 0"
    for kind in ("residual", "output_feedback", "reversed"):
        yield {**spec, "kind": kind, "cells": []}, f"{kind}: expected 1 cell, got 0"
    yield {**spec, "kind": "bidirectional"}, r"bidirectional: expected cells with an input_size of 3, got \[3, 4\]"
    yield with_settings(spec, output_size=7), "stack: expected an output_size of 5, got 7"
    ids = {**Embedding(9, 5).spec(), "tensors": {"weight": "cells.1.ids"}}
    fed = {"kind": "output_feedback", "settings": {"input_size": 4, "output_size": 5}, "tensors": {}, "cells": [ids]}
    yield fed, r"output_feedback: expected a embedding from steps of shape \[9\] to \[5\], got \[\] to \[5\]"
    maps = {"kind": "deviations", "settings": {"input_size": 4, "output_size": 4, "shape": [1, 2, 2]}}
    pair = {"kind": "bidirectional", "settings": {"input_size": 4, "output_size": 8}, "cells": [maps, maps]}
    yield pair, r"bidirectional: expected a deviations from steps of shape \[1, 2, 2\] to \[4\], got .* to \[1, 2, 2\]"
    around = with_settings({**spec, "kind": "residual", "cells": [linear]}, output_size=3)
    yield around, r"residual: expected sizes of 3, got \[3, 4, 3\]"
    yield with_settings(table, input_size=2**40), r"dropout: expected input_size from 1 to 16777215, got 1099511627776"
    yield with_settings(table, input_size=True), "input_size: expected a whole number, got True"
    yield with_settings(lstm, zoneout_c=1.0), r"lstm: expected zoneout from 0 to below 1, got \[0.0, 1.0\]"
    yield with_settings(lstm, cell_clip=-1.0), "lstm: expected cell_clip above 0, got -1.0"
    yield with_settings(lstm, coupled=True), "lstm: expected coupled gates without a forget gate, got one"
    turned = {**spec, "kind": "reversed", "cells": [linear]}
    yield turned, "reversed: expected a cell from 3 to 5, got 3 to 4"
    norm = {**LayerNorm(4).spec(), "tensors": {"weight": "cells.1.four", "bias": "cells.1.four"}}
    yield with_settings(norm, epsilon=-1.0), "layer_norm: expected epsilon of at least 0, got -1.0"
    deep = linear
    for _ in range(60):
        deep = {**spec, "cells": [deep]}
    yield deep, "spec: expected at most 50 layers inside one another, got more"


@pytest.mark.parametrize(("spec", "message"), list(wrong_specs()))
def test_a_spec_that_does_not_fit_raises(spec, message):
    known = tensors(Stack(Linear(3, 4), LSTM(4, 5)))
    known |= {
        "cells.1.table": torch.zeros(4, 5).numpy(),
        "cells.1.ids": torch.zeros(9, 5).numpy(),
        "cells.1.four": torch.zeros(4).numpy(),
    }
    with pytest.raises(ValueError, match=f"^{message}"):
        make_layer(spec, known)


MANY = (
    Stack(LSTM(3, 4, projection_size=2), Residual(GRU(2, 2)), OutputFeedback(RNN(5, 3)), Reversed(LSTM(3, 3))),
    Bidirectional(Stack(MinGRU(3, 2), Dropout(2, 0.1)), WindowNet(3, 3, 2)),
    Stack(Embedding(5, 3), Bidirectional(LSTM(3, 2), GRU(3, 1)), LayerNorm(3), Linear(3, 2)),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(MANY), st.data())
def test_other_numbers_and_parts_fit_or_raise(cell, data):
    """Native kernels read memory at the sizes that a spec declares, so no spec may declare sizes that do not fit."""

    def nodes(spec):
        return [spec, *(inner for part in spec["cells"] for inner in nodes(part))]

    spec = json.loads(json.dumps(cell.spec()))
    node = data.draw(st.sampled_from(nodes(spec)))
    if data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(node["settings"])))
        node["settings"][name] = data.draw(st.sampled_from([0, 1, 2, 3, 4, 5, 6, -1, True, None, "tanh", 0.5]))
    elif node["cells"] and data.draw(st.booleans()):
        node["cells"] = data.draw(st.permutations(node["cells"]))[: data.draw(st.integers(0, 3))]
    else:
        node["kind"] = data.draw(st.sampled_from(sorted(LAYER_TYPES)))
    try:
        layer = make_layer(spec, tensors(cell))
    except ValueError:
        return
    x = np.zeros(5, np.int64) if layer.reads_ids else np.ones((5, *layer.step_shape), np.float32)
    y, state = layer.scan(Sequences(x, [3, 0, 2]))
    assert y.values.shape == (5, *layer.output_shape)
    layer.scan(Sequences(x, [3, 0, 2]), state)
    if layer.streams:
        layer.stepper(2)()


def test_the_dtype_is_float32():
    cell = Linear(3, 4).double()
    message = r"^linear: expected weight float32 \[4, 3\], got float64 \[4, 3\]; .*model\.float\(\)"
    with pytest.raises(ValueError, match=message):
        cell.stepper()
    assert not cell.runs_without_torch()


@pytest.mark.parametrize(
    ("cell", "part"),
    [
        (Bidirectional(GRU(3, 2), GRU(3, 2)), "Bidirectional"),
        (Stack(LayerNorm(3), Residual(Bidirectional(GRU(3, 2), GRU(3, 1)))), "cells.1.cells.0 (Bidirectional)"),
    ],
)
def test_a_layer_that_reads_whole_sequences_does_not_step(cell, part):
    layer = make_layer(cell.spec(), tensors(cell))
    assert not layer.streams
    name = type(layer).__name__
    reason = f"{part} reads whole sequences, so it cannot stream; use scan, or train with bidirectional=False."
    for verb, call in (("stepper", cell.stepper), ("stepper", layer.stepper), ("step", lambda: layer.step(None, ()))):
        with pytest.raises(ValueError, match=re.escape(f"{name}.{verb}: {reason}")):
            call()
