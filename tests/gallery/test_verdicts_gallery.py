"""The models of `gallery/verdicts.py` are ill of what they are said to be, and what the rules say is counted right."""

import importlib
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
def part(monkeypatch):
    """A module of the gallery by name."""
    monkeypatch.syspath_prepend(ROOT / "gallery")
    return importlib.import_module


@pytest.fixture
def echoed(part):
    """A net that answers at every step, and the traces of its recurrences."""

    def echoed(layer, *changes):
        torch.manual_seed(0)
        for weight in layer.parameters():
            nn.init.uniform_(weight, -0.3, 0.3)
        x, y = part("ailing.data").echo(np.random.default_rng(0), 4, 12, 2)
        made = part("ailing.patients").plain(part("ailing.nets").Reader(layer), x, y, *changes)
        return made, capture(made.net, made.loss).traces

    return echoed


def test_ten_models_for_each_rule_and_twenty_that_are_well(part):
    verdicts = part("verdicts")
    names = {rule.__name__.replace("_", " ").replace("non finite", "non-finite") for rule in RULES}
    assert set(verdicts.RULES) == names
    for rule in names:
        own = [patient.name for patient in verdicts.PATIENTS if patient.ill == rule]
        assert len(set(own)) == 10
    assert sum(patient.ill is None for patient in verdicts.PATIENTS) >= 20
    assert all(patient.also <= names for patient in verdicts.PATIENTS)


def test_what_each_step_is_asked_for(part):
    data = part("ailing.data")
    x, y = data.echo(np.random.default_rng(0), 3, 9, 2)
    assert (y[:, :2] == data.NONE).all()
    assert (y[:, 2:] == x[:, :-2].argmax(-1)).all()
    assert all(word[5] == word[0] for word in data.brackets(np.random.default_rng(0), 9, 4).split())


@pytest.mark.parametrize(
    "layer", [nn.LSTM(4, 6, 2), nn.GRU(4, 6, batch_first=True), LSTM(4, 6), GRU(4, 6), MinGRU(4, 6)]
)
def test_a_gate_is_held(part, echoed, layer):
    _, traces = echoed(layer, lambda net: part("ailing.nets").hold(net, "keep", -5.0, share=0.5))
    for trace in traces:
        opened = trace.cell.gate_activations(
            trace.cell.project(trace.x.values), trace.before(np.arange(trace.x.num_steps))
        )
        assert (opened[trace.cell.memory_gate][:, :3] < 0.02).all()
        assert (opened[trace.cell.memory_gate][:, 3:] > 0.02).all()


@pytest.mark.parametrize("layer", [nn.RNN(4, 6, 2), RNN(4, 6), nn.LSTM(4, 6)])
def test_a_recurrent_matrix_has_the_norm_that_was_asked_for(part, echoed, layer):
    _, traces = echoed(layer, lambda net: part("ailing.nets").stretch(net, 0.4))
    for trace in traces:
        for block in trace.cell.weight_hh.split(6):
            np.testing.assert_allclose(torch.linalg.svdvals(block), 0.4, rtol=1e-5)


@pytest.mark.parametrize("layer", [nn.RNN(4, 6), nn.LSTM(4, 6, batch_first=True), GRU(4, 6), MinGRU(4, 6)])
def test_a_unit_counts_the_steps_and_misleads(part, echoed, layer):
    made, [trace] = echoed(layer, part("ailing.nets").mislead)
    counts = next(iter(states.leaves(trace.after)))[:12, 0]
    assert (counts.diff() > 0).all()
    before, _ = echoed(layer, lambda net: part("ailing.nets").mislead(net, push=0.0))
    assert float(made.loss().detach()) > float(before.loss().detach()) + 0.1


def test_hits_misses_and_false_alarms(part):
    verdicts = part("verdicts")

    def one(ill, says, also=(), good=None):
        return {"ill": ill, "says": says, "also": [*also], "good": good}

    found = [
        one("drift", ["drift", "exploding"], also=["exploding"]),
        one("drift", ["exploding"]),
        one("exploding", ["drift"]),
        one(None, ["drift"], good=0.95),
        one(None, ["exploding"], good=0.5),  # it was not taught well enough to be called healthy
    ]
    table = verdicts.counted(found)
    assert table["drift"] == {"hits": 1, "misses": 1, "false_alarms_on_healthy": 1, "healthy": 1,
                              "false_alarms_on_others": 1, "others": 1}  # fmt: skip
    assert table["exploding"] == {"hits": 0, "misses": 1, "false_alarms_on_healthy": 0, "healthy": 1,
                                  "false_alarms_on_others": 1, "others": 1}  # fmt: skip


def test_models_are_looked_at_and_leave_a_receipt(part, tmp_path, monkeypatch, capsys):
    verdicts, receipt = part("verdicts"), part("receipt")
    monkeypatch.setattr(receipt, "RECEIPTS", tmp_path)
    names = "nn.RNN, norm 0.5, first of 30", "relu nn.RNN, bias -20", "Tagger, RNN, word before"
    places = [number for number, patient in enumerate(verdicts.PATIENTS) if patient.name in names]
    found = [verdicts.diagnose(place) for place in places]
    verdicts.write(found)
    facts = json.loads((tmp_path / "verdicts.json").read_text(), parse_constant=pytest.fail)
    assert [model["name"] for model in facts["models"]] == [*names]
    assert facts["rules"]["vanishing"]["hits"] + facts["rules"]["vanishing"]["misses"] == 1
    assert facts["models"][2]["good"] >= 0.9
    assert (tmp_path / "verdicts.png").exists()
    assert "false alarms on healthy" in capsys.readouterr().out


def test_the_page_says_what_was_counted():
    rules = json.loads((ROOT / "gallery" / "receipts" / "verdicts.json").read_text())["rules"]
    page = (ROOT / "docs" / "doctor.md").read_text()
    for rule, row in rules.items():
        alarms = f"{row['false_alarms_on_healthy']} of {row['healthy']}"
        others = f"{row['false_alarms_on_others']} of {row['others']}"
        assert f"| {rule} | {row['hits']} | {row['misses']} | {alarms} | {others} |" in page
