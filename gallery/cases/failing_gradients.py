"""Models whose gradient vanishes, explodes or is truncated, by construction; each is named after the cause."""

from functools import partial

from torch import nn

from cases import data
from cases.case import Case, classifier, language, plain, reader, tagger
from cases.nets import hold, positive, scale_inputs, stretch
from elman import CellSettings
from elman.cells import GRU, RNN, MinGRU

# An untrained net does not use its memory, or is misled by it: these verdicts are right.
UNTRAINED = frozenset({"memory unused", "misled"})
TORCH = {"batch_first": True}


def norm(value, **more):
    return partial(stretch, norm=value, **more)


def gate(name, value, **more):
    return partial(hold, gate=name, value=value, **more)


def small(net):
    scale_inputs(net, 1e-4)
    for module in net.modules():
        for name, weight in module.named_parameters(recurse=False):
            if name.startswith("bias") and not isinstance(module, nn.Linear):
                weight.data.mul_(1e-4)


def linear_gru(value):
    """Return changes that make a GRU h = tanh(A h), with all singular values of A equal."""
    return (norm(value), small, gate("update", -7.0), gate("reset", 7.0))


def linear_lstm(value):
    """Return changes that make an LSTM c = c + A tanh(c), h = tanh(c)."""
    return (norm(value, init="identity"), small, gate("forget", 7.0), gate("input", 7.0), gate("output", 7.0))


def vanishing():
    """Return cases whose output depends on a step that less than 1 % of the gradient reaches."""
    also = UNTRAINED | {"forgetting"}
    cases = {
        "nn.RNN, norm 0.5, first of 30": lambda g, f: plain(
            reader(nn.RNN(4, 8, **TORCH), each=False), *data.first(g, 8, 30), norm(0.5)),
        "nn.RNN of 2 layers, norm 0.4, first of 24": lambda g, f: plain(
            reader(nn.RNN(4, 8, 2), each=False), *data.first(g, 8, 24), norm(0.4)),
        "sigmoid RNN, orthogonal, first of 24": lambda g, f: plain(
            reader(RNN(4, 10, "sigmoid"), each=False), *data.first(g, 8, 24)),
        "Classifier, sigmoid RNN, first of 40 letters": lambda g, f: classifier(
            g, f, norm(1.0), steps=40, place=0, cell=CellSettings("rnn", activation="sigmoid")),
        "nn.GRU, update bias -6, first of 30": lambda g, f: plain(
            reader(nn.GRU(4, 8, **TORCH), each=False), *data.first(g, 8, 30), norm(0.5), gate("update", -6.0)),
        "nn.LSTM, forget bias -6, first of 28": lambda g, f: plain(
            reader(nn.LSTM(4, 8), each=False), *data.first(g, 8, 28), norm(0.3), gate("forget", -6.0)),
        "MinGRU, forget bias -4, first of 32": lambda g, f: plain(
            reader(MinGRU(4, 8), each=False), *data.first(g, 8, 32), gate("forget", -4.0)),
        "LanguageModel, sigmoid RNN, letter comes again after 20": lambda g, f: language(
            g, f, data.brackets(g, 40, 19), norm(1.0), steps=60,
            cell=CellSettings("rnn", activation="sigmoid"), dependency=20),
        "Tagger, RNN of norm 0.5, word 15 before": lambda g, f: tagger(
            g, f, norm(0.5), steps=30, lag=15, cell="rnn", dependency=15),
        "nn.RNN of norm 0.4 under a Linear, echo of 12, distance unstated": lambda g, f: plain(
            reader(nn.RNN(6, 8, **TORCH), inputs=nn.Linear(4, 6)), *data.echo(g, 8, 40, 12), norm(0.4)),
    }  # fmt: skip
    return [Case("vanishing", name, make, also) for name, make in cases.items()]


def exploding():
    """Return cases whose gradient grows at each step, more than 30 times in all, as long as nothing saturates."""
    also = UNTRAINED | {"drift"}
    cases = {
        "identity RNN of norm 1.2, 40 steps": lambda g, f: plain(
            reader(RNN(4, 8, "identity"), each=False), *data.first(g, 8, 40), norm(1.2)),
        "nn.RNN of norm 1.3, inputs near 0, 20 steps": lambda g, f: plain(
            reader(nn.RNN(4, 8, **TORCH), each=False), *data.first(g, 8, 20), norm(1.3), small),
        "relu nn.RNN, 1.15 times the identity, 40 steps": lambda g, f: plain(
            reader(nn.RNN(6, 8, nonlinearity="relu"), each=False, inputs=nn.Sequential(nn.Linear(4, 6), nn.Sigmoid())),
            *data.first(g, 8, 40), norm(1.15, init="identity"), positive),
        "nn.LSTM, gates open, 24 steps": lambda g, f: plain(
            reader(nn.LSTM(4, 8, **TORCH), each=False), *data.first(g, 8, 24), *linear_lstm(0.3)),
        "nn.GRU, update closed, 24 steps": lambda g, f: plain(
            reader(nn.GRU(4, 8), each=False), *data.first(g, 8, 24), *linear_gru(1.3)),
        "Classifier, relu RNN, 1.2 times the identity, 30 letters": lambda g, f: classifier(
            g, f, norm(1.2, init="identity"), positive, steps=30, cell=CellSettings("rnn", init="identity")),
        "LanguageModel, identity RNN of norm 1.1, windows of 50": lambda g, f: language(
            g, f, data.noise(g, 800), norm(1.1), sample=400, cell=CellSettings("rnn", activation="identity"), steps=50),
        "Tagger, relu RNN, 1.25 times the identity, 25 words": lambda g, f: tagger(
            g, f, norm(1.25, init="identity"), positive, steps=25, cell=CellSettings("rnn", activation="relu")),
        "nn.RNN of 2 layers, the upper of norm 1.4, 16 steps": lambda g, f: plain(
            reader(nn.RNN(4, 8, 2, **TORCH), each=False), *data.first(g, 8, 16), norm(1.4, layer=1), small),
        "GRU of elman, update closed, 1.35, echo of 3 in 20": lambda g, f: plain(
            reader(GRU(4, 8)), *data.echo(g, 8, 20, 3), *linear_gru(1.35)),
    }  # fmt: skip
    more = {2: {"vanishing"}, 4: {"forgetting", "stuck gates"}, 9: {"forgetting", "stuck gates"}}
    return [Case("exploding", name, make, also | more.get(number, set()))
            for number, (name, make) in enumerate(cases.items())]  # fmt: skip


def truncation():
    """Return cases whose output depends on steps beyond the unrolled ones; half of them state the distance."""
    also = UNTRAINED | {"vanishing", "forgetting"}
    letters = {"steps": 4, "epochs": 1}
    cases = {
        "LanguageModel, LSTM, 4 steps, dependency 16": lambda g, f: language(
            g, f, data.brackets(g, 50, 15), dependency=16, **letters),
        "LanguageModel, GRU, 6 steps, dependency 25": lambda g, f: language(
            g, f, data.brackets(g, 40, 24), dependency=25, cell="gru", steps=6, epochs=1),
        "nn.LSTM, 5 steps of 40, dependency 20": lambda g, f: plain(
            reader(nn.LSTM(4, 8, **TORCH)), *data.echo(g, 8, 40, 20), unrolled=5, dependency=20),
        "nn.GRU of 2 layers, 3 steps of 24, dependency 8": lambda g, f: plain(
            reader(nn.GRU(4, 6, 2, **TORCH)), *data.echo(g, 8, 24, 8), unrolled=3, dependency=8),
        "RNN of elman, 8 steps of 30, dependency 12": lambda g, f: plain(
            reader(RNN(4, 8)), *data.echo(g, 8, 30, 12), unrolled=8, dependency=12),
        "LanguageModel, RNN, 4 steps, 16 unstated": lambda g, f: language(
            g, f, data.brackets(g, 50, 15), cell="rnn", **letters),
        "LanguageModel, LSTM with open forget gates, 4 steps, 20 unstated": lambda g, f: language(
            g, f, data.brackets(g, 45, 19), gate("forget", 4.0), **letters),
        "nn.LSTM with open forget gates, 5 steps of 40, 20 unstated": lambda g, f: plain(
            reader(nn.LSTM(4, 8)), *data.echo(g, 8, 40, 20), gate("forget", 5.0), unrolled=5),
        "relu RNN, identity initialisation, 6 steps of 40, 15 unstated": lambda g, f: plain(
            reader(RNN(4, 8, init="identity")), *data.echo(g, 8, 40, 15), unrolled=6),
        "MinGRU with open forget gates, 4 steps of 30, 10 unstated": lambda g, f: plain(
            reader(MinGRU(4, 8)), *data.echo(g, 8, 30, 10), gate("forget", 4.0), unrolled=4),
    }  # fmt: skip
    return [Case("truncation", name, make, also) for name, make in cases.items()]


CASES = [*vanishing(), *exploding(), *truncation()]
