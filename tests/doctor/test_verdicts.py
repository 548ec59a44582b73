"""What each rule says, and when it says nothing."""

import numpy as np
import pytest
import torch

from elman.doctor import Facts, examine, verdicts
from elman.doctor.context import Context
from elman.doctor.rules import RULES
from elman.doctor.verdict import ILL, WARNING, WELL


def said(found, rule):
    """The verdict of one rule."""
    [verdict] = [verdict for verdict in found.verdicts() if verdict.rule == rule] or [None]
    return verdict


def changed(found, **changes):
    """With another layer."""
    return found._replace(layers=[found.layers[0]._replace(**changes)])


def context_of(*losses):
    lengths = np.append(2 ** np.arange(len(losses) - 1), 100)
    return Context(lengths, np.array(losses), losses[-1])


def test_a_model_that_is_well(well):
    [verdict] = well.verdicts()
    assert (verdict.rule, verdict.level, verdict.remedy) == ("well", WELL, None)
    assert verdict.says == ("All is well: the gradient reaches 45 steps; 90 % of what memory is worth lies within 16 "
                            "steps; clipping acted on 0% of the updates.")  # fmt: skip


def test_the_ill_come_first(sick, well):
    found = sick(facts=well.facts._replace(history=well.facts.history._replace(losses=np.ones(400))))
    assert [verdict.level for verdict in found.verdicts()] == [ILL, WARNING]


class TestVanishing:
    def test_a_loss_at_the_end_of_rows_that_the_gradient_does_not_go_through(self, sick):
        verdict = said(sick(), "vanishing")
        assert verdict.level == ILL
        assert verdict.says == ("cells.1: the gradient halves every 1.0 steps, and 1 % of it is left after 7.6; the "
                                "loss comes at the end of rows of up to 100 steps.")  # fmt: skip
        assert verdict.remedy == "--set cell=lstm, or --set cell.init=identity"
        assert said(sick(rate=0.9), "vanishing") is None

    def test_what_is_known_of_the_data_decides(self, sick):
        found = sick(rate=0.9)  # to 44 steps
        for needs, level in ((30, None), (60, WARNING), (95, ILL)):
            verdict = said(found._replace(facts=found.facts._replace(needs=needs)), "vanishing")
            assert (verdict and verdict.level) == level
            assert level is None or f"the answer lies up to {needs} steps back" in verdict.says

    def test_what_the_model_has_learnt_to_use_is_no_trouble(self, sick, well):
        lengths, losses = np.array([1, 2, 64, 100]), np.array([3.0, 2.9, 1.05, 1.0])
        assert said(sick(context=Context(lengths, losses, 1.0)), "vanishing") is None

    def test_a_loss_at_every_step_is_fine_with_a_gradient_that_lasts_a_little(self, sick):
        for rate, level in ((0.65, None), (0.5, WARNING)):
            verdict = said(changed(sick(rate), judged=1.0), "vanishing")
            assert (verdict and verdict.level) == level

    def test_one_layer_of_a_stack_is_enough_and_a_decoder_is_no_part_of_it(self, sick, well):
        short, far = sick().layers[0], well.layers[0]
        for names, level in ((("cells.0", "cells.2"), None), (("encoder.l0", "decoder.l0"), ILL)):
            layers = [short._replace(name=names[0]), far._replace(name=names[1], judged=0.01)]
            verdict = said(sick(layers=layers), "vanishing")
            assert (verdict and verdict.level) == level
            assert level is None or verdict.says.startswith("encoder.l0: ")

    def test_remedies_for_the_lstm_of_a_task(self, sick):
        found = changed(sick(), kind="LSTM(4 -> 8)")
        for given, way in ((None, "--set cell.forget_bias=3"), (3.0, "--set cell.forget_gate=false")):
            settings = {"cell": "lstm", "cell.forget_bias": given}
            facts = found.facts._replace(task="classifier", settings=settings)
            assert way in said(found._replace(facts=facts), "vanishing").remedy

    @pytest.mark.parametrize(
        ("kind", "name", "remedy"),
        [
            ("RNN(4 -> 8)", "l0", 'RNN(4, 8, nonlinearity="relu") and torch.nn.init.eye_(model.weight_hh_l0)'),
            ("RNN(4 -> 8)", "inner.l1", "eye_(model.inner.weight_hh_l1)"),
            ("RNN(4 -> 8)", "cell", 'RNN(4, 8, activation="relu") and torch.nn.init.eye_(model.cell.weight_hh)'),
            ("LSTM(4 -> 8)", "l0_reverse", "model.bias_ih_l0_reverse.data[8:16] = 3"),
            ("GRU(4 -> 8)", "cell", "model.cell.bias.data[8:16] = 3; or take LSTM(4, 8) in place of GRU"),
        ],
    )
    def test_remedies_for_modules_of_ones_own(self, sick, kind, name, remedy):
        found = changed(sick(facts=Facts()), kind=kind, name=name)
        assert remedy in said(found, "vanishing").remedy


def test_a_gradient_that_explodes(well):
    for rate, level in ((1.02, None), (1.05, WARNING), (1.2, ILL)):
        lags = well.layers[0].lags._replace(norms=rate ** np.arange(100)[None])
        found = changed(well, lags=lags, growth=rate)._replace(facts=Facts(clip_norm=1.0))
        verdict = said(found, "exploding")
        assert (verdict and verdict.level) == level
    assert f"grows {1.2**99:,.3g} times on its way back, 1.20 times a step" in verdict.says
    assert "clip" not in verdict.remedy
    assert "torch.nn.utils.clip_grad_norm_" in said(found._replace(facts=Facts()), "exploding").remedy
    assert said(found._replace(facts=Facts(unrolled=10)), "exploding") is None


class TestTruncation:
    def test_what_lies_beyond(self, well):
        facts = well.facts._replace(unrolled=5)
        verdict = said(well._replace(facts=facts, context=None), "truncation")
        assert "59% of the gradient that cells.1 sends back lies beyond the 5 steps" in verdict.says  # 0.9 ** 5
        assert verdict.remedy.startswith("--set steps=20")

    def test_a_context_that_is_needed(self, well):
        assert said(well._replace(facts=well.facts._replace(needs=80)), "truncation").remedy.startswith(
            "--set steps=80"
        )
        assert said(well, "truncation") is None
        assert said(well._replace(facts=well.facts._replace(unrolled=None, needs=80)), "truncation") is None

    def test_of_a_gradient_that_explodes_nothing_is_missed(self, well):
        lags = well.layers[0].lags
        facts = well.facts._replace(unrolled=40)
        for rate, rule in ((1.0, "truncation"), (1.1, "exploding")):
            curve = rate ** np.arange(100)[None]
            found = changed(well, lags=lags._replace(norms=curve, whole=curve), growth=rate)
            found = found._replace(facts=facts, context=None)
            assert [name for name in ("truncation", "exploding") if said(found, name)] == [rule]


class TestMemory:
    def test_not_used(self, well):
        found = well._replace(context=context_of(1.002, 1.001, 1.0, 1.0))
        assert "as low with a context of 1 step (1.002) as with all there is (1)" in said(found, "memory unused").says
        assert said(well, "memory unused") is None

    def test_misled(self, well):
        found = well._replace(context=context_of(2.0, 1.2, 1.0, 1.4))
        verdict = said(found, "misled")
        assert verdict.says.startswith("The loss is 1 with a context of 4 steps and 1.4 with all there is")
        assert said(well._replace(context=context_of(2.0, 1.2, 0.99, 1.0)), "misled") is None

    def test_forgetting(self, well):
        gates = {**well.layers[0].gates}
        for share, level in ((0.4, ILL), (0.6, WARNING), (0.9, None)):
            gates["forget"] = gates["forget"]._replace(first_row=np.full((100, 8), share, np.float32))
            verdict = said(changed(well, gates=gates)._replace(facts=Facts(needs=40)), "forgetting")
            assert (verdict and verdict.level) == level

    def test_a_state_that_runs_away(self, well):
        for growth, level in ((0.02, None), (0.05, WARNING), (0.1, ILL)):
            units = well.layers[0].units._replace(growth=growth, drift=np.exp(growth * np.arange(100)))
            verdict = said(changed(well, units=units), "drift")
            assert (verdict and verdict.level) == level
        assert "along the second half" in verdict.says


class TestGatesAndUnits:
    @pytest.mark.parametrize(
        ("gate", "opening", "ill"),
        [
            ("input", 0.01, True),
            ("output", 0.01, True),
            ("forget", 0.01, True),
            ("forget", 0.99, False),
            ("input", 0.99, False),
        ],
    )
    def test_gates_that_never_move(self, well, gate, opening, ill):
        gates = {**well.layers[0].gates}
        gates[gate] = gates[gate]._replace(first_row=np.full((100, 8), opening, np.float32))
        verdict = said(changed(well, gates=gates), "stuck gates")
        assert (verdict is not None) == ill
        assert not ill or (verdict.level == ILL and f"the {gate} gates of 100% of the units are shut" in verdict.says)

    def test_a_gate_that_opens_once_in_a_row_is_well(self, well):
        row = np.full((100, 8), 0.01, np.float32)
        row[50] = 0.9
        gates = {**well.layers[0].gates}
        gates["input"] = gates["input"]._replace(first_row=row)
        assert said(changed(well, gates=gates), "stuck gates") is None

    def test_a_gru_that_keeps_everything_lets_nothing_in(self, well):
        update = well.layers[0].gates["forget"]._replace(first_row=np.full((100, 8), 0.99, np.float32))
        verdict = said(changed(well, gates={"update": update}), "stuck gates")
        assert "the update gates of 100% of the units are open at every step: nothing new comes in" in verdict.says

    def test_dead_and_saturated_units(self, well):
        units = well.layers[0].units
        for count, level in ((3, None), (7, WARNING), (8, ILL)):
            dead = changed(well, units=units._replace(dead=np.arange(8) < count))
            flat = changed(well, units=units._replace(saturated=np.where(np.arange(8) < count, 1.0, 0.0)))
            for found, rule in ((dead, "dead units"), (flat, "saturated units")):
                verdict = said(found, rule)
                assert (verdict and verdict.level) == level


class TestTraining:
    def with_past(self, well, **changes):
        return well._replace(facts=well.facts._replace(history=well.facts.history._replace(**changes)))

    def test_clipping(self, well):
        verdict = said(self.with_past(well, clipped=0.97, cut=23.0, norms=np.full(400, 23.0)), "clipping")
        assert verdict.says == "Clipping acts on 97% of the updates, whose gradients are 23 times too long."
        assert verdict.remedy == "--set clip_norm=23, or --set learning_rate=0.001"
        assert said(self.with_past(well, clipped=0.97, cut=2.0), "clipping") is None
        assert said(self.with_past(well, clipped=0.1, cut=23.0), "clipping") is None

    def test_spikes_without_clipping(self, well):
        norms = np.append(np.ones(399), 500.0)
        found = self.with_past(well, norms=norms)
        assert said(found, "spikes") is None
        found = found._replace(facts=found.facts._replace(clip_norm=None))
        assert said(found, "spikes").remedy == "--set clip_norm=2"

    def test_numbers_that_are_none(self, well):
        found = self.with_past(well, non_finite=1)._replace(facts=well.facts._replace(
            history=well.facts.history._replace(non_finite=1), task=None, clip_norm=None))  # fmt: skip
        verdict = said(found, "non-finite")
        assert verdict.level == ILL
        assert "clip_grad_norm_(model.parameters(), " in verdict.remedy

    def test_a_loss_that_does_not_fall(self, well):
        verdict = said(self.with_past(well, losses=np.linspace(2.31, 2.3, 400)), "not falling")
        assert verdict.says.endswith("in the last ones of 400: nothing was learnt.")
        assert verdict.remedy == "--set learning_rate=0.006, or 0.000666667"


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


class TestRealNets:
    """Nets whose troubles the textbooks tell."""

    @pytest.fixture(autouse=True)
    def _seeded(self):
        torch.manual_seed(0)

    def found(self, net, scale=1.0, steps=60, at_end=True):
        x = torch.randn(steps, 4, 6)
        for name, weight in net.named_parameters():
            if name.startswith("weight_hh"):
                torch.nn.init.orthogonal_(weight, scale)
        return examine(net, lambda: (net(x)[0][-1] if at_end else net(x)[0]).square().mean(), context=False)

    def test_a_recurrent_matrix_of_a_half(self):
        assert said(self.found(torch.nn.RNN(6, 16), 0.5), "vanishing").level == ILL
        assert said(self.found(torch.nn.RNN(6, 16), 0.5, at_end=False), "vanishing").level == WARNING

    def test_a_large_recurrent_matrix_and_a_relu(self):
        found = self.found(torch.nn.RNN(6, 16, nonlinearity="relu"), 2.5)
        assert said(found, "exploding").level == ILL

    def test_an_lstm_that_keeps(self):
        net = torch.nn.LSTM(6, 16)
        with torch.no_grad():
            net.bias_ih_l0[16:32] = 5
        assert not {verdict.rule for verdict in self.found(net).verdicts()} & {"vanishing", "exploding", "forgetting"}


def test_nothing_is_said_of_what_is_not_known(well):
    bare = well._replace(context=None, facts=Facts(), layers=[well.layers[0]._replace(gates={}, horizon=float("nan"))])
    assert [verdict.rule for verdict in verdicts(bare)] == ["well"]
    assert [rule(well._replace(layers=[], context=None, facts=Facts()), Facts()) for rule in RULES] == [None] * len(
        RULES
    )


def test_every_setting_in_a_remedy_is_one_that_tasks_have(well, sick):
    """Of all verdicts above that name settings, each names what `elman train --set` takes."""
    import re

    from elman import Classifier, LanguageModel
    from elman.tasks.settings import parse

    found = [sick(), sick(rate=1.3), well._replace(facts=well.facts._replace(unrolled=5))]
    found += [well._replace(context=context_of(1.0, 1.0, 1.0)), sick(layers=well.layers, facts=well.facts)]
    settings = [setting for one in found for verdict in one.verdicts() if verdict.remedy
                for setting in re.findall(r"--set (\w+)=(\S+?)(?=[,; ]|$)", verdict.remedy)]  # fmt: skip
    assert len(settings) > 3
    for name, value in settings:
        parse(LanguageModel if name == "steps" else Classifier, {name: value})
