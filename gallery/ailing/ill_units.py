"""Models whose gates never move, and whose units are dead or at the end of their range, by construction."""

from functools import partial

import torch
from torch import nn

from ailing import data
from ailing.ill_gradients import TORCH, UNTAUGHT, gate, norm
from ailing.nets import read_more, recurrences
from ailing.patients import Patient, classifier, language, plain, reader, tagger
from elman import CellSettings
from elman.cells import GRU, LSTM, RNN, MinGRU

STEPS = 14


def _echo(g, steps=STEPS):
    return data.echo(g, 8, steps, 2)


def silence(net, share):
    """Nothing comes into a share of the units, not even from one another."""
    for weights in recurrences(net):
        some = round(share * weights.units)
        for tensor in (weights.inward, weights.recurrent, *weights.biases):
            tensor[:some] = 0


def _raw(g, steps=STEPS, size=200.0, mean=500.0):
    """Numbers that nobody scaled, and whether each is above the mean."""
    x = torch.from_numpy(g.normal(mean, size, (8, steps, 3))).float()
    return x, (x[..., 0] > mean).long()


def stuck():
    """A gate of at least 60 % of the units has a bias of 7 or more either way, and next to no weights."""
    shut = UNTAUGHT | {"vanishing", "forgetting"}
    silent = UNTAUGHT | {"dead units"}
    patients = {
        "nn.LSTM, write shut": (silent, lambda g, f: plain(
            reader(nn.LSTM(4, 8, **TORCH)), *_echo(g), gate("write", -8.0))),
        "LSTM of elman, read shut": (silent, lambda g, f: plain(reader(LSTM(4, 8)), *_echo(g), gate("read", -8.0))),
        "nn.LSTM, keep shut": (shut, lambda g, f: plain(reader(nn.LSTM(4, 8)), *_echo(g), gate("keep", -8.0))),
        "nn.GRU, keep open": (silent, lambda g, f: plain(
            reader(nn.GRU(4, 8, **TORCH)), *_echo(g, 20), gate("keep", 8.0))),
        "GRU of elman, keep shut": (shut, lambda g, f: plain(reader(GRU(4, 8)), *_echo(g), gate("keep", -7.0))),
        "MinGRU, keep open in 70 %": (silent, lambda g, f: plain(
            reader(MinGRU(4, 10)), *_echo(g), gate("keep", 8.0, share=0.7))),
        "nn.GRU, reset shut": (UNTAUGHT, lambda g, f: plain(reader(nn.GRU(4, 8)), *_echo(g), gate("reset", -8.0))),
        "Classifier, LSTM, write shut in 60 %": (silent, lambda g, f: classifier(
            g, f, gate("write", -8.0, share=0.6), steps=STEPS)),
        "Tagger, bidirectional GRU, keep open in one direction": (silent, lambda g, f: tagger(
            g, f, gate("keep", 8.0, layer=1), cell="gru", bidirectional=True)),
        "LanguageModel of 2 layers, LSTM, read shut above": (silent, lambda g, f: language(
            g, f, data.noise(g, 600), gate("read", -8.0, layer=1), num_layers=2)),
    }  # fmt: skip
    return [Patient("stuck gates", name, make, also) for name, (also, make) in patients.items()]


def dead():
    """At least 60 % of the units write one number whatever they read."""
    also = UNTAUGHT | {"vanishing", "stuck gates"}
    low = gate("", -20.0)
    patients = {
        "relu nn.RNN, bias -20": lambda g, f: plain(
            reader(nn.RNN(4, 8, nonlinearity="relu", **TORCH)), *_echo(g), low),
        "relu RNN of elman, bias -20 in 60 %": lambda g, f: plain(
            reader(RNN(4, 10, "relu")), *_echo(g), gate("", -20.0, share=0.6)),
        "Classifier, identity-started relu RNN, bias -20": lambda g, f: classifier(
            g, f, low, steps=STEPS, cell=CellSettings("rnn", init="identity")),
        "Tagger, relu RNN, bias -20 in 80 %": lambda g, f: tagger(
            g, f, gate("", -20.0, share=0.8), cell=CellSettings("rnn", activation="relu")),
        "LanguageModel, relu RNN, bias -20 in 70 %": lambda g, f: language(
            g, f, data.noise(g, 600), gate("", -20.0, share=0.7), cell=CellSettings("rnn", activation="relu")),
        "tanh nn.RNN, nothing comes into 75 %": lambda g, f: plain(
            reader(nn.RNN(4, 8)), *_echo(g), partial(silence, share=0.75)),
        "nn.LSTM, read bias -40": lambda g, f: plain(reader(nn.LSTM(4, 8)), *_echo(g), gate("read", -40.0)),
        "nn.GRU of 2 layers, keep bias 40 below": lambda g, f: plain(
            reader(nn.GRU(4, 8, 2, **TORCH)), *_echo(g), gate("keep", 40.0, layer=0)),
        "MinGRU, keep bias 40 in 80 %": lambda g, f: plain(
            reader(MinGRU(4, 10)), *_echo(g), gate("keep", 40.0, share=0.8)),
        "relu nn.RNN, numbers below zero that nobody scaled": lambda g, f: plain(
            reader(nn.RNN(1, 8, nonlinearity="relu", **TORCH)), -_raw(g)[0][..., :1], _raw(g)[1], _outward),
    }  # fmt: skip
    return [Patient("dead units", name, make, also) for name, make in patients.items()]


def _outward(net):
    """What comes in, which is below zero, is multiplied by what is above: to the relu it is always off."""
    for weights in recurrences(net):
        weights.inward.abs_().add_(0.1)


def saturated():
    """At least 60 % of the units are driven more than twice as far as where their slope is a tenth."""
    also = UNTAUGHT | {"vanishing", "stuck gates", "dead units"}
    patients = {
        "nn.RNN, numbers of 500 and 200 apart": lambda g, f: plain(
            reader(nn.RNN(3, 8, **TORCH), answers=2), *_raw(g)),
        "RNN of elman, numbers of 0 and 100 apart": lambda g, f: plain(
            reader(RNN(3, 8), answers=2), *_raw(g, 20, 100.0, 0.0)),
        "nn.RNN, bias 6 in 70 %": lambda g, f: plain(reader(nn.RNN(4, 10)), *_echo(g), gate("", 6.0, share=0.7)),
        "sigmoid RNN, bias 9": lambda g, f: plain(reader(RNN(4, 8, "sigmoid")), *_echo(g), gate("", 9.0)),
        "sigmoid RNN, bias -9 in 80 %": lambda g, f: plain(
            reader(RNN(4, 10, "sigmoid")), *_echo(g), gate("", -9.0, share=0.8)),
        "Classifier, RNN whose inputs are 100 times larger": lambda g, f: classifier(
            g, f, partial(read_more, times=100.0), steps=STEPS, cell="rnn"),
        "Tagger, RNN of norm 30": lambda g, f: tagger(g, f, norm(30.0), cell="rnn"),
        "LanguageModel, RNN whose inputs are 100 times larger": lambda g, f: language(
            g, f, data.noise(g, 600), partial(read_more, times=100.0), cell="rnn"),
        "nn.LSTM, all gates open, candidate bias 6": lambda g, f: plain(
            reader(nn.LSTM(4, 8, **TORCH)), *_echo(g, 20),
            *(gate(name, 7.0) for name in ("write", "keep", "read", "candidate"))),
        "nn.GRU, keep shut, numbers that nobody scaled": lambda g, f: plain(
            reader(nn.GRU(3, 8), answers=2), *_raw(g), gate("keep", -7.0),
            lambda net: [one.inward[: 2 * one.units].zero_() for one in recurrences(net)]),
    }  # fmt: skip
    more = {8: {"drift"}, 9: {"forgetting"}}
    return [Patient("saturated units", name, make, also | more.get(number, set()))
            for number, (name, make) in enumerate(patients.items())]  # fmt: skip


PATIENTS = [*stuck(), *dead(), *saturated()]
