"""Verdicts of each rule, and the cases in which it is silent."""

import numpy as np
import pytest
import torch

import elman
from elman import Sequences
from elman.cells import CellModule
from elman.doctor import CellInfo, Facts, examine, verdicts
from elman.doctor.context import Context
from elman.doctor.findings import FAILING, HEALTHY, WARNING
from elman.doctor.rules import RULES

GRU, LSTM, RNN = (CellInfo.describe(cell(4, 8)) for cell in (elman.GRU, elman.LSTM, elman.RNN))


def verdict_of(found, rule):
    """Return the verdict of one rule; None if it is silent."""
    [verdict] = [verdict for verdict in found.verdicts() if verdict.rule == rule] or [None]
    return verdict


def changed(found, **changes):
    """Return the examination with a changed layer."""
    return found._replace(layers=[found.layers[0]._replace(**changes)])


def context_of(*losses):
    lengths = np.append(2 ** np.arange(len(losses) - 1), 100)
    return Context(lengths, np.array(losses), losses[-1])


def test_a_healthy_model(healthy):
    [verdict] = healthy.verdicts()
    assert (verdict.rule, verdict.level, verdict.remedy) == ("healthy", HEALTHY, None)
    assert verdict.message == (
        "No problem found: the gradient reaches 45 steps; 90 % of the benefit of context comes from the last 16 steps; "
        "clipping affected 0% of the updates."
    )


def test_failing_comes_before_warning(failing, healthy):
    found = failing(facts=healthy.facts._replace(history=healthy.facts.history._replace(losses=np.ones(400))))
    assert [verdict.level for verdict in found.verdicts()] == [FAILING, WARNING]


class TestVanishing:
    def test_a_loss_at_the_end_of_rows_that_the_gradient_does_not_cross(self, failing):
        verdict = verdict_of(failing(), "vanishing")
        assert verdict.level == FAILING
        assert verdict.message == (
            "cells.1: the gradient vanishes: it halves every 1.0 steps, and 1 % is left after 7.6 steps; the loss is "
            "at the end of rows of up to 100 steps."
        )
        assert verdict.remedy == "--set cell=lstm, or --set cell.init=identity"
        assert verdict_of(failing(rate=0.9), "vanishing") is None

    def test_a_known_dependency_decides(self, failing):
        found = failing(rate=0.9)  # to 44 steps
        for dependency, level in ((30, None), (60, WARNING), (95, FAILING)):
            verdict = verdict_of(found._replace(facts=found.facts._replace(dependency=dependency)), "vanishing")
            assert (verdict and verdict.level) == level
            assert level is None or f"the output depends on inputs up to {dependency} steps back" in verdict.message

    def test_a_context_that_the_model_uses_is_no_problem(self, failing, healthy):
        lengths, losses = np.array([1, 2, 64, 100]), np.array([3.0, 2.9, 1.05, 1.0])
        assert verdict_of(failing(context=Context(lengths, losses, 1.0)), "vanishing") is None

    def test_a_loss_at_every_step_needs_a_gradient_of_a_few_steps(self, failing):
        for rate, level in ((0.65, None), (0.5, WARNING)):
            verdict = verdict_of(changed(failing(rate), supervised=1.0), "vanishing")
            assert (verdict and verdict.level) == level

    def test_one_layer_of_a_stack_is_enough_but_a_decoder_is_separate(self, failing, healthy):
        short, far = failing().layers[0], healthy.layers[0]
        for names, level in ((("cells.0", "cells.2"), None), (("encoder.l0", "decoder.l0"), FAILING)):
            layers = [short._replace(name=names[0]), far._replace(name=names[1], supervised=0.01)]
            verdict = verdict_of(failing(layers=layers), "vanishing")
            assert (verdict and verdict.level) == level
            assert level is None or verdict.message.startswith("encoder.l0: ")

    def test_remedies_for_the_lstm_of_a_task(self, failing):
        found = changed(failing(), cell=LSTM)
        for given, way in ((None, "--set cell.forget_bias=3"), (3.0, "--set cell.forget_gate=false")):
            settings = {"cell": "lstm", "cell.forget_bias": given}
            facts = found.facts._replace(task="classifier", settings=settings)
            assert way in verdict_of(found._replace(facts=facts), "vanishing").remedy

    @pytest.mark.parametrize(
        ("cell", "path", "suffix", "remedy"),
        [
            (RNN, "", "l0", 'RNN(4, 8, nonlinearity="relu") and torch.nn.init.eye_(model.weight_hh_l0)'),
            (RNN, "inner", "l1", "eye_(model.inner.weight_hh_l1)"),
            (RNN, "cell", None, 'RNN(4, 8, activation="relu") and torch.nn.init.eye_(model.cell.weight_hh)'),
            (LSTM, "", "l0_reverse", "model.bias_ih_l0_reverse.data[8:16] = 3"),
            (GRU, "cell", None, "model.cell.bias.data[8:16] = 3; or replace GRU by LSTM(4, 8)"),
        ],
    )
    def test_remedies_for_your_own_module(self, failing, cell, path, suffix, remedy):
        found = changed(failing(facts=Facts()), cell=cell, path=path, suffix=suffix)
        assert remedy in verdict_of(found, "vanishing").remedy


def test_a_gradient_that_explodes(healthy):
    for rate, level in ((1.02, None), (1.05, WARNING), (1.2, FAILING)):
        lags = healthy.layers[0].lags._replace(norms=rate ** np.arange(100)[None])
        found = changed(healthy, lags=lags, growth=rate)._replace(facts=Facts(clip_norm=1.0))
        verdict = verdict_of(found, "exploding")
        assert (verdict and verdict.level) == level
    assert f"grows {1.2**99:,.3g} times in the backward pass, 1.20 times per step" in verdict.message
    assert "clip" not in verdict.remedy
    assert "torch.nn.utils.clip_grad_norm_" in verdict_of(found._replace(facts=Facts()), "exploding").remedy
    assert verdict_of(found._replace(facts=Facts(unrolled=10)), "exploding") is None


class TestTruncation:
    def test_half_of_the_gradient_is_cut_off(self, healthy):
        facts = healthy.facts._replace(unrolled=5)
        verdict = verdict_of(healthy._replace(facts=facts, context=None), "truncation")
        assert "59% of the gradient in cells.1 lies more than the 5 unrolled steps back" in verdict.message  # 0.9 ** 5
        assert verdict.remedy.startswith("--set steps=20")

    def test_a_context_that_is_needed(self, healthy):
        assert verdict_of(
            healthy._replace(facts=healthy.facts._replace(dependency=80)), "truncation"
        ).remedy.startswith("--set steps=80")
        assert verdict_of(healthy, "truncation") is None
        assert (
            verdict_of(healthy._replace(facts=healthy.facts._replace(unrolled=None, dependency=80)), "truncation")
            is None
        )

    def test_an_exploding_gradient_may_be_truncated(self, healthy):
        lags = healthy.layers[0].lags
        facts = healthy.facts._replace(unrolled=40)
        for rate, rule in ((1.0, "truncation"), (1.1, "exploding")):
            curve = rate ** np.arange(100)[None]
            found = changed(healthy, lags=lags._replace(norms=curve, state_norms=curve), growth=rate)
            found = found._replace(facts=facts, context=None)
            assert [name for name in ("truncation", "exploding") if verdict_of(found, name)] == [rule]


class TestMemory:
    def test_memory_unused(self, healthy):
        found = healthy._replace(context=context_of(1.002, 1.001, 1.0, 1.0))
        assert (
            "the loss is 1.002 with a context of 1 step and 1 with the full context"
            in verdict_of(found, "memory unused").message
        )
        assert verdict_of(healthy, "memory unused") is None

    def test_misled(self, healthy):
        found = healthy._replace(context=context_of(2.0, 1.2, 1.0, 1.4))
        verdict = verdict_of(found, "misled")
        assert "the loss is 1 with a context of 4 steps and 1.4 with the full context" in verdict.message
        assert verdict_of(healthy._replace(context=context_of(2.0, 1.2, 0.99, 1.0)), "misled") is None

    def test_forgetting(self, healthy):
        gates = {**healthy.layers[0].gates}
        for share, level in ((0.4, FAILING), (0.6, WARNING), (0.9, None)):
            gates["forget"] = gates["forget"]._replace(first_row=np.full((100, 8), share, np.float32))
            verdict = verdict_of(changed(healthy, gates=gates)._replace(facts=Facts(dependency=40)), "forgetting")
            assert (verdict and verdict.level) == level

    def test_a_state_that_runs_away(self, healthy):
        for growth, level in ((0.02, None), (0.05, WARNING), (0.1, FAILING)):
            units = healthy.layers[0].units._replace(norm_growth=growth, state_norm=np.exp(growth * np.arange(100)))
            verdict = verdict_of(changed(healthy, units=units), "drift")
            assert (verdict and verdict.level) == level
        assert "grows 148 times along the second half of the rows" in verdict.message


class TestGatesAndUnits:
    @pytest.mark.parametrize(
        ("gate", "activation", "harmful"),
        [
            ("input", 0.01, True),
            ("output", 0.01, True),
            ("forget", 0.01, True),
            ("forget", 0.99, False),
            ("input", 0.99, False),
        ],
    )
    def test_gates_that_never_move(self, healthy, gate, activation, harmful):
        gates = {**healthy.layers[0].gates}
        gates[gate] = gates[gate]._replace(first_row=np.full((100, 8), activation, np.float32))
        verdict = verdict_of(changed(healthy, gates=gates), "stuck gates")
        assert (verdict is not None) == harmful
        assert not harmful or (
            verdict.level == FAILING
            and f"the {gate} gate is closed at every step in 100% of the units" in verdict.message
        )

    def test_a_gate_that_opens_once_in_a_row_is_healthy(self, healthy):
        row = np.full((100, 8), 0.01, np.float32)
        row[50] = 0.9
        gates = {**healthy.layers[0].gates}
        gates["input"] = gates["input"]._replace(first_row=row)
        assert verdict_of(changed(healthy, gates=gates), "stuck gates") is None

    def test_an_update_gate_that_is_always_open_blocks_new_input(self, healthy):
        update = healthy.layers[0].gates["forget"]._replace(first_row=np.full((100, 8), 0.99, np.float32))
        verdict = verdict_of(changed(healthy, cell=GRU, gates={"update": update}), "stuck gates")
        assert "the update gate is open at every step in 100% of the units; the state never changes" in verdict.message

    def test_dead_and_saturated_units(self, healthy):
        units = healthy.layers[0].units
        for count, level in ((3, None), (7, WARNING), (8, FAILING)):
            dead = changed(healthy, units=units._replace(dead=np.arange(8) < count))
            flat = changed(healthy, units=units._replace(saturated=np.where(np.arange(8) < count, 1.0, 0.0)))
            for found, rule in ((dead, "dead units"), (flat, "saturated units")):
                verdict = verdict_of(found, rule)
                assert (verdict and verdict.level) == level


class TestTraining:
    def with_history(self, healthy, **changes):
        return healthy._replace(facts=healthy.facts._replace(history=healthy.facts.history._replace(**changes)))

    def test_clipping(self, healthy):
        verdict = verdict_of(
            self.with_history(healthy, clipped=0.97, clip_ratio=23.0, norms=np.full(400, 23.0)), "clipping"
        )
        assert verdict.message.startswith("97% of the updates are clipped, and their gradients are 23 times longer")
        assert verdict.remedy == "--set clip_norm=23, or --set learning_rate=0.001"
        assert verdict_of(self.with_history(healthy, clipped=0.97, clip_ratio=2.0), "clipping") is None
        assert verdict_of(self.with_history(healthy, clipped=0.1, clip_ratio=23.0), "clipping") is None

    def test_spikes_without_clipping(self, healthy):
        norms = np.append(np.ones(399), 500.0)
        found = self.with_history(healthy, norms=norms)
        assert verdict_of(found, "spikes") is None
        found = found._replace(facts=found.facts._replace(clip_norm=None))
        assert verdict_of(found, "spikes").remedy == "--set clip_norm=2"

    def test_updates_that_are_not_finite(self, healthy):
        found = self.with_history(healthy, non_finite=1)._replace(facts=healthy.facts._replace(
            history=healthy.facts.history._replace(non_finite=1), task=None, clip_norm=None))  # fmt: skip
        verdict = verdict_of(found, "non-finite")
        assert verdict.level == FAILING
        assert "clip_grad_norm_(model.parameters(), " in verdict.remedy

    def test_a_loss_that_does_not_fall(self, healthy):
        verdict = verdict_of(self.with_history(healthy, losses=np.linspace(2.31, 2.3, 400)), "not falling")
        assert (
            verdict.message == "The training loss does not fall: 2.31 in the first and 2.3 in the last of 400 updates."
        )
        assert verdict.remedy == "--set learning_rate=0.006, or 0.000666667"


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


class TestRealNets:
    """Textbook examples."""

    @pytest.fixture(autouse=True)
    def _seeded(self):
        torch.manual_seed(0)

    def found(self, net, scale=1.0, steps=60, at_end=True):
        x = torch.randn(steps, 4, 6)
        for name, weight in net.named_parameters():
            if name.startswith("weight_hh"):
                torch.nn.init.orthogonal_(weight, scale)
        return examine(net, lambda: (net(x)[0][-1] if at_end else net(x)[0]).square().mean(), context=False)

    def test_a_recurrent_matrix_of_norm_one_half_vanishes(self):
        assert verdict_of(self.found(torch.nn.RNN(6, 16), 0.5), "vanishing").level == FAILING
        assert verdict_of(self.found(torch.nn.RNN(6, 16), 0.5, at_end=False), "vanishing").level == WARNING

    def test_a_large_recurrent_matrix_with_relu_explodes(self):
        found = self.found(torch.nn.RNN(6, 16, nonlinearity="relu"), 2.5)
        assert verdict_of(found, "exploding").level == FAILING

    def test_an_lstm_with_open_forget_gates_does_neither(self):
        net = torch.nn.LSTM(6, 16)
        with torch.no_grad():
            net.bias_ih_l0[16:32] = 5
        assert not {verdict.rule for verdict in self.found(net).verdicts()} & {"vanishing", "exploding", "forgetting"}


def test_rules_are_silent_about_unknown_values(healthy):
    bare = healthy._replace(
        context=None, facts=Facts(), layers=[healthy.layers[0]._replace(gates={}, horizon=float("nan"))]
    )
    assert [verdict.rule for verdict in verdicts(bare)] == ["healthy"]
    assert [rule(healthy._replace(layers=[], context=None, facts=Facts())) for rule in RULES] == [None] * len(RULES)


def test_every_setting_in_a_remedy_exists(healthy, failing):
    """Parse every `--set` of the verdicts above."""
    import re

    from elman import Classifier, LanguageModel
    from elman.settings import parse

    found = [failing(), failing(rate=1.3), healthy._replace(facts=healthy.facts._replace(unrolled=5))]
    found += [healthy._replace(context=context_of(1.0, 1.0, 1.0)), failing(layers=healthy.layers, facts=healthy.facts)]
    settings = [setting for one in found for verdict in one.verdicts() if verdict.remedy
                for setting in re.findall(r"--set (\w+)=(\S+?)(?=[,; ]|$)", verdict.remedy)]  # fmt: skip
    assert len(settings) > 3
    for name, value in settings:
        parse(LanguageModel if name == "steps" else Classifier, {name: value})


class UpdateGateCell(CellModule):
    """Cell of the user with an update gate: h = z h + (1 - z) tanh(c)."""

    gate_names = ("update", "candidate")
    memory_gate = "update"

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.weight_ih = torch.nn.Parameter(torch.randn(2 * hidden_size, input_size))
        self.weight_hh = torch.nn.Parameter(torch.zeros(2 * hidden_size, hidden_size))
        self.bias = torch.nn.Parameter(torch.zeros(2 * hidden_size))

    def initial_state(self, batch_size):
        return self.zeros(batch_size, self.hidden_size)

    def project(self, x):
        return x @ self.weight_ih.T + self.bias

    def gate_activations(self, x, state):
        return {"update": (x + state @ self.weight_hh.T)[:, : self.hidden_size].sigmoid()}

    def advance(self, x, state):
        z = self.gate_activations(x, state)["update"]
        candidate = (x + state @ self.weight_hh.T)[:, self.hidden_size :].tanh()
        h = z * state + (1 - z) * candidate
        return h, h


def test_a_cell_of_your_own_gets_verdicts_about_its_gates():
    cell, x = UpdateGateCell(3, 8), Sequences(torch.randn(40, 3), [20, 20])
    with torch.no_grad():
        cell.weight_ih[:8] = 0
        cell.bias[:8] = -8
    found = examine(cell, lambda: cell.scan(x)[0].values[[19, 39]].square().mean(), dependency=15)
    (layer,) = found.layers
    assert (layer.cell.class_name, layer.cell.kind, layer.memory_gate.closed) == ("UpdateGateCell", None, 1.0)
    assert layer.jacobians.forget_product[1] == pytest.approx(torch.sigmoid(torch.tensor(-8.0)).item(), rel=1e-5)
    assert list(layer.bound.per_gate) == ["update", "candidate"]
    assert "model.bias.data[0:8] = 3" in verdict_of(found, "vanishing").remedy
    assert "the update gate is closed at every step" in verdict_of(found, "stuck gates").message
