"""The cases of `gallery/verdicts.py` fail as intended, and verdicts are counted right."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from elman import state as states
from elman.cells import GRU, LSTM, RNN, MinGRU
from elman.doctor.capture import capture
from elman.doctor.rules import RULES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def echoed(program):
    """Return a function that makes a net with an output at every step, and the traces of its recurrences."""

    def echoed(layer, *changes):
        torch.manual_seed(0)
        for weight in layer.parameters():
            nn.init.uniform_(weight, -0.3, 0.3)
        x, y = program("cases.data").echo(np.random.default_rng(0), 4, 12, 2)
        made = program("cases.case").plain(program("cases.nets").Reader(layer), x, y, *changes)
        return made, capture(made.net, made.loss).traces

    return echoed


def test_ten_cases_for_each_rule_and_twenty_healthy_ones(program):
    verdicts = program("verdicts")
    names = {rule.__name__.replace("_", " ").replace("non finite", "non-finite") for rule in RULES}
    assert set(verdicts.RULES) == names
    for rule in names:
        own = [case.name for case in verdicts.CASES if case.failing == rule]
        assert len(set(own)) == 10
    assert sum(case.failing is None for case in verdicts.CASES) >= 20
    assert all(case.also <= names for case in verdicts.CASES)


def test_targets_of_each_step(program):
    data = program("cases.data")
    x, y = data.echo(np.random.default_rng(0), 3, 9, 2)
    assert (y[:, :2] == data.NONE).all()
    assert (y[:, 2:] == x[:, :-2].argmax(-1)).all()
    assert all(word[5] == word[0] for word in data.brackets(np.random.default_rng(0), 9, 4).split())


@pytest.mark.parametrize(
    "layer", [nn.LSTM(4, 6, 2), nn.GRU(4, 6, batch_first=True), LSTM(4, 6), GRU(4, 6), MinGRU(4, 6)]
)
def test_a_gate_is_held(program, echoed, layer):
    gate = "update" if isinstance(layer, nn.GRU | GRU) else "forget"
    _, traces = echoed(layer, lambda net: program("cases.nets").hold(net, gate, -5.0, share=0.5))
    for trace in traces:
        activations = trace.gate_activations(np.arange(trace.x.num_steps))[gate]
        assert (activations[:, :3] < 0.02).all()
        assert (activations[:, 3:] > 0.02).all()


@pytest.mark.parametrize("layer", [nn.RNN(4, 6, 2), RNN(4, 6), nn.LSTM(4, 6)])
def test_a_recurrent_matrix_has_the_requested_norm(program, echoed, layer):
    _, traces = echoed(layer, lambda net: program("cases.nets").stretch(net, 0.4))
    for trace in traces:
        for block in trace.cell.weight_hh.split(6):
            np.testing.assert_allclose(torch.linalg.svdvals(block), 0.4, rtol=1e-5)


@pytest.mark.parametrize("layer", [nn.RNN(4, 6), nn.LSTM(4, 6, batch_first=True), GRU(4, 6), MinGRU(4, 6)])
def test_a_unit_that_counts_steps_misleads(program, echoed, layer):
    made, [trace] = echoed(layer, program("cases.nets").mislead)
    counts = next(iter(states.leaves(trace.after)))[:12, 0]
    assert (counts.diff() > 0).all()
    before, _ = echoed(layer, lambda net: program("cases.nets").mislead(net, push=0.0))
    assert float(made.loss().detach()) > float(before.loss().detach()) + 0.1


def test_hits_misses_and_false_alarms(program):
    verdicts = program("verdicts")

    def one(failing, reported, also=(), good=None):
        return {"failing": failing, "reported": reported, "also": [*also], "good": good}

    found = [
        one("drift", ["drift", "exploding"], also=["exploding"]),
        one("drift", ["exploding"]),
        one("exploding", ["drift"]),
        one(None, ["drift"], good=0.95),
        one(None, ["exploding"], good=0.5),  # not trained well enough to count as healthy
    ]
    table = verdicts.counted(found)
    assert table["drift"] == {"hits": 1, "misses": 1, "false_alarms_on_healthy": 1, "healthy": 1,
                              "false_alarms_on_others": 1, "others": 1}  # fmt: skip
    assert table["exploding"] == {"hits": 0, "misses": 1, "false_alarms_on_healthy": 0, "healthy": 1,
                                  "false_alarms_on_others": 1, "others": 1}  # fmt: skip


def test_models_are_examined_and_write_a_receipt(program, receipt, capsys):
    verdicts = program("verdicts")
    names = "nn.RNN, norm 0.5, first of 30", "relu nn.RNN, bias -20", "Tagger, RNN, word before"
    places = [number for number, case in enumerate(verdicts.CASES) if case.name in names]
    found = [verdicts.diagnose(place) for place in places]
    verdicts.write(found)
    facts = receipt("verdicts")
    assert [model["name"] for model in facts["models"]] == [*names]
    assert facts["rules"]["vanishing"]["hits"] + facts["rules"]["vanishing"]["misses"] == 1
    assert facts["models"][2]["good"] >= 0.9
    assert "false alarms on healthy" in capsys.readouterr().out


def test_the_docs_table_equals_the_receipt():
    rules = json.loads((ROOT / "gallery" / "receipts" / "verdicts.json").read_text())["rules"]
    page = (ROOT / "docs" / "doctor.md").read_text()
    for rule, row in rules.items():
        alarms = f"{row['false_alarms_on_healthy']} of {row['healthy']}"
        others = f"{row['false_alarms_on_others']} of {row['others']}"
        assert f"| {rule} | {row['hits']} | {row['misses']} | {alarms} | {others} |" in page
