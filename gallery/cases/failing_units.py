"""Models whose gates never move, or whose units are dead or saturated, by construction."""

from functools import partial

import torch
from torch import nn

from cases import data
from cases.case import Case, classifier, language, plain, reader, tagger
from cases.failing_gradients import TORCH, UNTRAINED, gate, norm
from cases.nets import recurrences, scale_inputs
from elman import CellSettings
from elman.cells import GRU, LSTM, RNN, MinGRU

STEPS = 14


def _echo(g, steps=STEPS):
    return data.echo(g, 8, steps, 2)


def silence(net, share):
    """Set all weights into a fraction of the units to zero."""
    for weights in recurrences(net):
        some = round(share * weights.units)
        for tensor in (weights.inward, weights.recurrent, *weights.biases):
            tensor[:some] = 0


def _raw(g, steps=STEPS, size=200.0, mean=500.0):
    """Return unscaled numbers, and whether each is above the mean."""
    x = torch.from_numpy(g.normal(mean, size, (8, steps, 3))).float()
    return x, (x[..., 0] > mean).long()


def stuck():
    """Return cases with a gate of bias 7 or more, or -7 or less, and small weights, in at least 60 % of the units."""
    closed = UNTRAINED | {"vanishing", "forgetting"}
    silent = UNTRAINED | {"dead units"}
    cases = {
        "nn.LSTM, input closed": (silent, lambda g, f: plain(
            reader(nn.LSTM(4, 8, **TORCH)), *_echo(g), gate("input", -8.0))),
        "LSTM of elman, output closed": (silent, lambda g, f: plain(
            reader(LSTM(4, 8)), *_echo(g), gate("output", -8.0))),
        "nn.LSTM, forget closed": (closed, lambda g, f: plain(reader(nn.LSTM(4, 8)), *_echo(g), gate("forget", -8.0))),
        "nn.GRU, update open": (silent, lambda g, f: plain(
            reader(nn.GRU(4, 8, **TORCH)), *_echo(g, 20), gate("update", 8.0))),
        "GRU of elman, update closed": (closed, lambda g, f: plain(reader(GRU(4, 8)), *_echo(g), gate("update", -7.0))),
        "MinGRU, forget open in 70 %": (silent, lambda g, f: plain(
            reader(MinGRU(4, 10)), *_echo(g), gate("forget", 8.0, share=0.7))),
        "nn.GRU, reset closed": (UNTRAINED, lambda g, f: plain(reader(nn.GRU(4, 8)), *_echo(g), gate("reset", -8.0))),
        "Classifier, LSTM, input closed in 60 %": (silent, lambda g, f: classifier(
            g, f, gate("input", -8.0, share=0.6), steps=STEPS)),
        "Tagger, bidirectional GRU, update open in one direction": (silent, lambda g, f: tagger(
            g, f, gate("update", 8.0, layer=1), cell="gru", bidirectional=True)),
        "LanguageModel of 2 layers, LSTM, output closed above": (silent, lambda g, f: language(
            g, f, data.noise(g, 600), gate("output", -8.0, layer=1), num_layers=2)),
    }  # fmt: skip
    return [Case("stuck gates", name, make, also) for name, (also, make) in cases.items()]


def dead():
    """Return cases in which at least 60 % of the units have a constant output."""
    also = UNTRAINED | {"vanishing", "stuck gates"}
    low = gate("", -20.0)
    cases = {
        "relu nn.RNN, bias -20": lambda g, f: plain(
            reader(nn.RNN(4, 8, nonlinearity="relu", **TORCH)), *_echo(g), low),
        "relu RNN of elman, bias -20 in 60 %": lambda g, f: plain(
            reader(RNN(4, 10, "relu")), *_echo(g), gate("", -20.0, share=0.6)),
        "Classifier, relu RNN, identity initialisation, bias -20": lambda g, f: classifier(
            g, f, low, steps=STEPS, cell=CellSettings("rnn", init="identity")),
        "Tagger, relu RNN, bias -20 in 80 %": lambda g, f: tagger(
            g, f, gate("", -20.0, share=0.8), cell=CellSettings("rnn", activation="relu")),
        "LanguageModel, relu RNN, bias -20 in 70 %": lambda g, f: language(
            g, f, data.noise(g, 600), gate("", -20.0, share=0.7), cell=CellSettings("rnn", activation="relu")),
        "tanh nn.RNN, no weights into 75 %": lambda g, f: plain(
            reader(nn.RNN(4, 8)), *_echo(g), partial(silence, share=0.75)),
        "nn.LSTM, output bias -40": lambda g, f: plain(reader(nn.LSTM(4, 8)), *_echo(g), gate("output", -40.0)),
        "nn.GRU of 2 layers, update bias 40 below": lambda g, f: plain(
            reader(nn.GRU(4, 8, 2, **TORCH)), *_echo(g), gate("update", 40.0, layer=0)),
        "MinGRU, forget bias 40 in 80 %": lambda g, f: plain(
            reader(MinGRU(4, 10)), *_echo(g), gate("forget", 40.0, share=0.8)),
        "relu nn.RNN, unscaled negative numbers": lambda g, f: plain(
            reader(nn.RNN(1, 8, nonlinearity="relu", **TORCH)), -_raw(g)[0][..., :1], _raw(g)[1], _outward),
    }  # fmt: skip
    return [Case("dead units", name, make, also) for name, make in cases.items()]


def _outward(net):
    """Make the input weights positive: with negative inputs, the ReLU is always off."""
    for weights in recurrences(net):
        weights.inward.abs_().add_(0.1)


def saturated():
    """Return cases whose pre-activations in at least 60 % of the units are twice those of a slope of one tenth."""
    also = UNTRAINED | {"vanishing", "stuck gates", "dead units"}
    cases = {
        "nn.RNN, inputs of mean 500, deviation 200": lambda g, f: plain(
            reader(nn.RNN(3, 8, **TORCH), outputs=2), *_raw(g)),
        "RNN of elman, inputs of mean 0, deviation 100": lambda g, f: plain(
            reader(RNN(3, 8), outputs=2), *_raw(g, 20, 100.0, 0.0)),
        "nn.RNN, bias 6 in 70 %": lambda g, f: plain(reader(nn.RNN(4, 10)), *_echo(g), gate("", 6.0, share=0.7)),
        "sigmoid RNN, bias 9": lambda g, f: plain(reader(RNN(4, 8, "sigmoid")), *_echo(g), gate("", 9.0)),
        "sigmoid RNN, bias -9 in 80 %": lambda g, f: plain(
            reader(RNN(4, 10, "sigmoid")), *_echo(g), gate("", -9.0, share=0.8)),
        "Classifier, RNN whose inputs are 100 times larger": lambda g, f: classifier(
            g, f, partial(scale_inputs, times=100.0), steps=STEPS, cell="rnn"),
        "Tagger, RNN of norm 30": lambda g, f: tagger(g, f, norm(30.0), cell="rnn"),
        "LanguageModel, RNN whose inputs are 100 times larger": lambda g, f: language(
            g, f, data.noise(g, 600), partial(scale_inputs, times=100.0), cell="rnn"),
        "nn.LSTM, all gates open, candidate bias 6": lambda g, f: plain(
            reader(nn.LSTM(4, 8, **TORCH)), *_echo(g, 20),
            *(gate(name, 7.0) for name in ("input", "forget", "output", "candidate"))),
        "nn.GRU, update closed, unscaled numbers": lambda g, f: plain(
            reader(nn.GRU(3, 8), outputs=2), *_raw(g), gate("update", -7.0),
            lambda net: [one.inward[: 2 * one.units].zero_() for one in recurrences(net)]),
    }  # fmt: skip
    more = {8: {"drift"}, 9: {"forgetting"}}
    return [Case("saturated units", name, make, also | more.get(number, set()))
            for number, (name, make) in enumerate(cases.items())]  # fmt: skip


CASES = [*stuck(), *dead(), *saturated()]
