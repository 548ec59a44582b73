"""Models whose memory is unused, misleading, too short or unbounded, by construction."""

from functools import partial

import torch
from torch import nn
from torch.nn.functional import mse_loss

from cases import data
from cases.case import Case, classifier, language, plain, reader, tagger, trained
from cases.failing_gradients import TORCH, UNTRAINED, gate, norm
from cases.nets import mislead, positive, scale_inputs
from elman import CellSettings
from elman.cells import GRU, LSTM, RNN, MinGRU


def _curves(g):
    x = torch.from_numpy(g.uniform(-1, 1, (8, 14, 1))).float()
    return x, x.squeeze(-1) ** 2


def unused():
    """Return cases whose outputs do not depend on earlier steps, or cannot."""
    also = frozenset({"misled"})
    cut, fades = UNTRAINED | {"vanishing"}, UNTRAINED | {"vanishing", "forgetting", "stuck gates"}
    cases = {
        "nn.RNN, recurrent matrix 0": (also | cut, lambda g, f: plain(
            reader(nn.RNN(4, 8, **TORCH)), *data.echo(g, 8, 14, 1), norm(0.0))),
        "nn.GRU, update bias -20, recurrent matrix 0": (fades, lambda g, f: plain(
            reader(nn.GRU(4, 8)), *data.echo(g, 8, 14, 2), norm(0.0), gate("update", -20.0))),
        "nn.LSTM of 2 layers, forget bias -20, recurrent matrix 0": (fades, lambda g, f: plain(
            reader(nn.LSTM(4, 6, 2, **TORCH)), *data.echo(g, 8, 14, 2), norm(0.0), gate("forget", -20.0))),
        "Tagger, GRU, tags of the words themselves": (also, lambda g, f: tagger(
            g, f, lag=0, rows=120, cell="gru", learning_rate=0.03, epochs=20)),
        "Tagger, bidirectional LSTM, tags of the words themselves": (also, lambda g, f: tagger(
            g, f, lag=0, rows=120, bidirectional=True, learning_rate=0.03, epochs=20)),
        "LanguageModel, LSTM, letters by chance": (also, lambda g, f: language(
            g, f, data.noise(g, 3000), learning_rate=0.01, epochs=3)),
        "LanguageModel, GRU, letters by chance": (also, lambda g, f: language(
            g, f, data.noise(g, 3000, "aaabcd"), cell="gru", learning_rate=0.01, epochs=3)),
        "nn.GRU, the last symbol": (also | {"vanishing"}, lambda g, f: trained(
            reader(nn.GRU(4, 8, **TORCH), each=False), lambda: data.last(g, 12, 14), f, updates=150)),
        "Classifier, LSTM, the last letter": (also | {"vanishing"}, lambda g, f: classifier(
            g, f, place=-1, rows=120, learning_rate=0.03, epochs=15)),
        "nn.RNN, a square of each number": (also, lambda g, f: trained(
            reader(nn.RNN(1, 8, **TORCH), outputs=1), lambda: _curves(g), f, updates=150,
            loss=lambda logits, y: mse_loss(logits.squeeze(-1), y))),
    }  # fmt: skip
    return [Case("memory unused", name, make, more) for name, (more, make) in cases.items()]


def misled():
    """Return cases whose outputs depend on a unit that counts steps, or remembers a mark at the start of the row."""
    also = frozenset({"memory unused", "drift", "stuck gates"})

    def marked(g, steps):
        x, y = data.echo(g, 8, steps, 1)
        x = torch.cat([x, torch.zeros(8, steps, 1)], 2)
        x[:, 0, 4] = 1
        return x, y

    def counting(layer, steps=30):
        return lambda g, f: plain(reader(layer()), *data.echo(g, 8, steps, 1), mislead)

    def marking(layer, steps=24):
        return lambda g, f: plain(reader(layer()), *marked(g, steps), partial(mislead, marker=4))

    cases = {
        "nn.RNN that counts": counting(lambda: nn.RNN(4, 8, **TORCH)),
        "relu nn.RNN that counts": counting(lambda: nn.RNN(4, 8, nonlinearity="relu", **TORCH)),
        "nn.LSTM of 2 layers that counts": counting(lambda: nn.LSTM(4, 6, 2, **TORCH)),
        "GRU of elman that counts slowly": counting(lambda: GRU(4, 8)),
        "MinGRU that counts slowly": counting(lambda: MinGRU(4, 8)),
        "Classifier, LSTM that counts": lambda g, f: classifier(g, f, mislead, steps=40, learning_rate=0.02),
        "Tagger, RNN that counts": lambda g, f: tagger(g, f, mislead, steps=30, lag=1, cell="rnn", learning_rate=0.02),
        "nn.RNN with a mark": marking(lambda: nn.RNN(5, 8)),
        "nn.LSTM with a mark": marking(lambda: nn.LSTM(5, 8, **TORCH)),
        "LSTM of elman with a mark, 40 steps": marking(lambda: LSTM(5, 10), 40),
    }  # fmt: skip
    return [Case("misled", name, make, also) for name, make in cases.items()]


def forgetting():
    """Return cases whose memory gates are below one third at every step, with dependencies of 16 steps and more."""
    also = UNTRAINED | {"vanishing"}
    cases = {
        "nn.LSTM, forget bias -1, first of 64": lambda g, f: plain(
            reader(nn.LSTM(4, 8, **TORCH), each=False), *data.first(g, 6, 64), gate("forget", -1.0)),
        "nn.GRU, update bias -2, first of 40": lambda g, f: plain(
            reader(nn.GRU(4, 8), each=False), *data.first(g, 6, 40), gate("update", -2.0)),
        "MinGRU, forget bias -1.5, first of 48": lambda g, f: plain(
            reader(MinGRU(4, 8), each=False), *data.first(g, 6, 48), gate("forget", -1.5)),
        "LSTM of elman, forget bias -2, 20 back": lambda g, f: plain(
            reader(LSTM(4, 8)), *data.echo(g, 8, 36, 20), gate("forget", -2.0), dependency=20),
        "nn.LSTM of 2 layers, forget bias -1, 16 back": lambda g, f: plain(
            reader(nn.LSTM(4, 6, 2)), *data.echo(g, 8, 32, 16), gate("forget", -1.0), dependency=16),
        "Classifier, GRU, update bias -2, first of 40 letters": lambda g, f: classifier(
            g, f, gate("update", -2.0), steps=40, place=0, cell="gru"),
        "Classifier, LSTM, forget bias -1, first of 50 letters": lambda g, f: classifier(
            g, f, gate("forget", -1.0), steps=50, place=0),
        "Tagger, MinGRU, forget bias -2, 18 back": lambda g, f: tagger(
            g, f, gate("forget", -2.0), steps=30, lag=18, cell="min_gru", dependency=18),
        "LanguageModel, LSTM, forget bias -2, 20 back": lambda g, f: language(
            g, f, data.brackets(g, 40, 19), gate("forget", -2.0), steps=60, dependency=20),
        "nn.GRU under a Linear, update bias -3, 24 back": lambda g, f: plain(
            reader(nn.GRU(5, 8, **TORCH), inputs=nn.Linear(4, 5)), *data.echo(g, 8, 40, 24), gate("update", -3.0),
            dependency=24),
    }  # fmt: skip
    return [Case("forgetting", name, make, also) for name, make in cases.items()]


def drift():
    """Return cases whose state grows at each step without limit: more than 6 times in half a row."""
    also = UNTRAINED | {"exploding", "vanishing"}
    cases = {
        "identity RNN of norm 1.15, 50 steps": lambda g, f: plain(
            reader(RNN(4, 8, "identity")), *data.echo(g, 8, 50, 2), norm(1.15)),
        "identity RNN of norm 1.08, 100 steps": lambda g, f: plain(
            reader(RNN(4, 6, "identity")), *data.echo(g, 4, 100, 2), norm(1.08)),
        "relu nn.RNN, 1.2 times the identity, 30 steps": lambda g, f: plain(
            reader(nn.RNN(4, 8, nonlinearity="relu", **TORCH)), *data.echo(g, 8, 30, 2),
            norm(1.2, init="identity"), positive),
        "relu nn.RNN of 2 layers, 1.1 times the identity, 40 steps": lambda g, f: plain(
            reader(nn.RNN(4, 6, 2, nonlinearity="relu")), *data.echo(g, 8, 40, 2),
            norm(1.1, init="identity"), positive),
        "relu RNN of elman, 1.12, target at the end of 50": lambda g, f: plain(
            reader(RNN(4, 8, "relu"), each=False), *data.last(g, 8, 50), norm(1.12, init="identity"), positive),
        "Classifier, relu RNN, 1.15 times the identity, 40 letters": lambda g, f: classifier(
            g, f, norm(1.15, init="identity"), positive, steps=40, cell=CellSettings("rnn", activation="relu")),
        "Classifier, max over relu RNN, 1.2 times the identity, 24 letters": lambda g, f: classifier(
            g, f, norm(1.2, init="identity"), positive, steps=24, pooling="max",
            cell=CellSettings("rnn", init="identity")),
        "Tagger, relu RNN, 1.15 times the identity, 40 words": lambda g, f: tagger(
            g, f, norm(1.15, init="identity"), positive, steps=40, cell=CellSettings("rnn", activation="relu")),
        "LanguageModel, identity RNN of norm 1.1, rows of 50": lambda g, f: language(
            g, f, data.noise(g, 800), norm(1.1), sample=400, cell=CellSettings("rnn", activation="identity")),
        "LSTM below relu nn.RNN of 1.3, 24 steps": lambda g, f: plain(
            reader(LSTM(4, 6), nn.RNN(6, 8, nonlinearity="relu", **TORCH)), *data.echo(g, 8, 24, 2),
            norm(1.3, layer=1, init="identity"), positive, partial(scale_inputs, times=2.0)),
    }  # fmt: skip
    return [Case("drift", name, make, also) for name, make in cases.items()]


CASES = [*unused(), *misled(), *forgetting(), *drift()]
