"""Trainings that go wrong by construction, as their logs show."""

from functools import partial

import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss, nll_loss

from cases import data
from cases.case import SAME, Case, classifier, language, of_task, reader, tagger, trained
from cases.failing_gradients import TORCH, UNTRAINED
from elman import CellSettings, Classifier
from elman.cells import GRU, LSTM, RNN, MinGRU

WHEN = 60  # the update of 120 at which something happens


def _echo(g, rows=8, steps=10, lag=1):
    return lambda: data.echo(g, rows, steps, lag)


def _series(g, rows=8, steps=12):
    """Return numbers, and at each step their sum with the previous one."""

    def draw():
        x = torch.from_numpy(g.normal(size=(rows, steps, 1))).float()
        return x, (x + torch.cat([torch.zeros(rows, 1, 1), x[:, :-1]], 1)).squeeze(-1)

    return draw


def _squared(logits, y):
    return mse_loss(logits.squeeze(-1), y)


def _at(update, change):
    return lambda now, x, y: change(x, y) if now == update else (x, y)


def _huge(x, size=1e4):
    x = x.clone()
    x[0, 3] *= size
    return x


def non_finite():
    """Return cases with a loss or gradient that is not finite: infinity or NaN in the data, or updates far too
    large."""
    also = UNTRAINED | {"exploding", "drift", "not falling", "spikes", "clipping", "vanishing", "dead units",
                       "saturated units", "stuck gates", "forgetting"}  # fmt: skip

    def bad_row(number, at=WHEN):
        def change(x, y):
            x = x.clone()
            x[0, 0] = number
            return x, y

        return _at(at, change)

    def careless(logits, y):
        return nll_loss(torch.log(torch.relu(logits)).flatten(0, -2), y.flatten())

    def half_empty(update, x, y):
        return (x, torch.full_like(y, -100)) if update % 40 == 0 else (x, y)  # a mean over no targets

    def wild(**settings):
        return lambda g, f: of_task(
            Classifier(**{**SAME, "inputs": "series", "clip_norm": None, "optimizer": "sgd", "learning_rate": 1e6,
                          "epochs": 4, "bidirectional": False, **settings}),
            data.waves(g, 60, 30), _held(g), f)  # fmt: skip

    def _held(g):
        return data.waves(g, 8, 30)

    cases = {
        "nn.RNN, NaN in a row": lambda g, f: trained(
            reader(nn.RNN(4, 8, **TORCH)), _echo(g), f, corrupt=bad_row(float("nan"))),
        "nn.GRU, infinity in a row of the last batch": lambda g, f: trained(
            reader(nn.GRU(4, 8)), _echo(g), f, corrupt=bad_row(float("inf"), 120)),
        "nn.LSTM, logarithm of 0": lambda g, f: trained(reader(nn.LSTM(4, 8, **TORCH)), _echo(g), f, loss=careless),
        "GRU of elman, batches without targets": lambda g, f: trained(reader(GRU(4, 8)), _echo(g), f,
        corrupt=half_empty), "relu nn.RNN, SGD with steps of 1e8": lambda g, f: trained(
            reader(nn.RNN(1, 8, nonlinearity="relu", **TORCH), outputs=1), _series(g), f, rate=1e8,
            optimizer=torch.optim.SGD, loss=_squared),
        "identity RNN, targets of 1e30": lambda g, f: trained(
            reader(RNN(1, 8, "identity"), outputs=1), _series(g), f, loss=_squared,
            corrupt=_at(WHEN, lambda x, y: (x, y * 1e30))),
        "Classifier, relu RNN, SGD with steps of 1e6": wild(cell=CellSettings("rnn", activation="relu")),
        "Classifier, identity RNN, SGD with steps of 1e6": wild(cell=CellSettings("rnn", activation="identity")),
        "MinGRU, one batch divided by 0": lambda g, f: trained(
            reader(MinGRU(4, 8)), _echo(g), f, corrupt=_at(WHEN, lambda x, y: (x / 0.0, y))),
        "LSTM of elman, square root of 0": lambda g, f: trained(
            reader(LSTM(1, 8), outputs=1), lambda: (torch.zeros(8, 10, 1), torch.zeros(8, 10)), f,
            loss=lambda logits, y: (logits.squeeze(-1) * 0).abs().sum().sqrt()),
    }  # fmt: skip
    return [Case("non-finite", name, make, also) for name, make in cases.items()]


def clipping():
    """Return cases clipped at 0.001, with gradients at least ten times longer at every update."""
    also = UNTRAINED | {"not falling"}
    tight = {"clip_norm": 1e-3}
    cases = {
        "Classifier, LSTM": lambda g, f: classifier(g, f, epochs=5, rows=200, **tight),
        "Classifier, GRU, bidirectional": lambda g, f: classifier(
            g, f, epochs=5, rows=200, cell="gru", bidirectional=True, pooling="max", **tight),
        "Classifier, RNN, waves": lambda g, f: of_task(
            Classifier(**{**SAME, "inputs": "series", "cell": "rnn", "epochs": 4, **tight}), data.waves(g, 120, 14),
            data.waves(g, 8, 14), f),
        "Tagger, LSTM": lambda g, f: tagger(g, f, epochs=4, rows=120, **tight),
        "Tagger, MinGRU of 2 layers": lambda g, f: tagger(
            g, f, epochs=4, rows=120, cell="min_gru", num_layers=2, **tight),
        "LanguageModel, LSTM": lambda g, f: language(g, f, data.brackets(g, 150, 2), steps=14, epochs=4, **tight),
        "LanguageModel, GRU, a^n b^n": lambda g, f: language(
            g, f, data.counts(g, 120, 8), steps=14, cell="gru", epochs=4, **tight),
        "nn.GRU": lambda g, f: trained(reader(nn.GRU(4, 8, **TORCH)), _echo(g), f, **tight),
        "nn.RNN, errors squared": lambda g, f: trained(
            reader(nn.RNN(1, 8), outputs=1), _series(g), f, loss=_squared, **tight),
        "LSTM of elman, SGD": lambda g, f: trained(
            reader(LSTM(4, 8)), _echo(g), f, optimizer=torch.optim.SGD, rate=0.1, **tight),
    }  # fmt: skip
    return [Case("clipping", name, make, also) for name, make in cases.items()]


def spikes():
    """Return cases with one batch whose values or loss are ten thousand times too large, without clipping."""
    also = UNTRAINED | {
        "not falling",
        "exploding",
        "drift",
        "dead units",
        "saturated units",
        "stuck gates",
        "vanishing",
    }
    wrong = _at(WHEN, lambda x, y: (x, y * 1e4))
    outlier = _at(WHEN, lambda x, y: (_huge(x), y))

    def summed(logits, y):
        return (logits.squeeze(-1) - y).square().sum()

    def layers(*layer):
        return reader(*layer, outputs=1)

    cases = {
        "nn.RNN, targets of another unit": lambda g, f: trained(
            layers(nn.RNN(1, 8, **TORCH)), _series(g), f, loss=_squared, corrupt=wrong),
        "nn.LSTM, targets of another unit": lambda g, f: trained(
            layers(nn.LSTM(1, 8)), _series(g), f, loss=_squared, corrupt=wrong),
        "GRU of elman, targets of another unit": lambda g, f: trained(
            layers(GRU(1, 8)), _series(g), f, loss=_squared, corrupt=wrong),
        "MinGRU, targets of another unit, SGD": lambda g, f: trained(
            layers(MinGRU(1, 8)), _series(g), f, loss=_squared, corrupt=wrong, optimizer=torch.optim.SGD, rate=1e-4),
        "relu nn.RNN, an outlier": lambda g, f: trained(
            layers(nn.RNN(1, 8, nonlinearity="relu", **TORCH)), _series(g), f, loss=_squared, corrupt=outlier),
        "relu RNN of elman, an outlier": lambda g, f: trained(
            layers(RNN(1, 8, "relu")), _series(g), f, loss=_squared, corrupt=outlier),
        "identity RNN under a Linear, an outlier": lambda g, f: trained(
            reader(RNN(4, 6, "identity"), outputs=1, inputs=nn.Linear(1, 4)), _series(g), f, loss=_squared,
            corrupt=outlier),
        "nn.GRU of 2 layers, one outlier target": lambda g, f: trained(
            layers(nn.GRU(1, 6, 2, **TORCH)), _series(g), f, loss=_squared,
            corrupt=_at(WHEN, lambda x, y: (x, _huge(y, 1e6)))),
        "nn.LSTM, sums of squares, targets of another unit near the end": lambda g, f: trained(
            layers(nn.LSTM(1, 6, **TORCH)), _series(g), f, loss=summed,
            corrupt=_at(115, lambda x, y: (x, y * 1e4))),
        "LSTM of elman, a loss times 10000": lambda g, f: trained(
            reader(LSTM(4, 8)), _echo(g), f, loss=_Now(WHEN)),
    }  # fmt: skip
    return [Case("spikes", name, make, also) for name, make in cases.items()]


class _Now:
    """Loss that is 10000 times too large in one call."""

    def __init__(self, when):
        self.calls, self.when = 0, when

    def __call__(self, logits, y):
        self.calls += 1
        return cross_entropy(logits.flatten(0, -2), y.flatten()) * (1e4 if self.calls == self.when else 1.0)


def not_falling():
    """Return cases that learn nothing: updates of the wrong size, or of the wrong weights."""
    also = UNTRAINED
    wild = UNTRAINED | {"exploding", "drift", "dead units", "saturated units", "stuck gates", "vanishing", "clipping",
                       "spikes", "forgetting"}  # fmt: skip

    def other(net):
        """Return the weights of a copy."""
        import copy

        return copy.deepcopy(net).parameters()

    def backwards(logits, y):
        return -cross_entropy(logits.flatten(0, -2), y.flatten())

    cases = {
        "Classifier, LSTM, steps of 1e-7": (also, lambda g, f: classifier(
            g, f, epochs=5, rows=200, learning_rate=1e-7)),
        "Tagger, GRU, steps of 1e-8": (also, lambda g, f: tagger(
            g, f, epochs=6, rows=120, cell="gru", learning_rate=1e-8)),
        "LanguageModel, RNN, steps of 1e-7": (also, lambda g, f: language(
            g, f, data.brackets(g, 150, 2), cell="rnn", steps=14, epochs=12, learning_rate=1e-7)),
        "nn.LSTM, the optimiser has the weights of a copy": (also, lambda g, f: trained(
            reader(nn.LSTM(4, 8, **TORCH)), _echo(g), f, learning=other)),
        "nn.GRU, a loss whose sign is wrong": (wild, lambda g, f: trained(
            reader(nn.GRU(4, 8)), _echo(g), f, loss=lambda logits, y: _Wrong.apply(backwards(logits, y)))),
        "nn.RNN, SGD with steps of 1e-6": (also, lambda g, f: trained(
            reader(nn.RNN(4, 8, **TORCH)), _echo(g), f, optimizer=torch.optim.SGD, rate=1e-6)),
        "LSTM of elman, Adam with steps of 10": (wild, lambda g, f: trained(
            reader(LSTM(4, 8)), _echo(g), f, rate=10.0)),
        "MinGRU, random targets": (also, lambda g, f: trained(
            reader(MinGRU(4, 8)), lambda: (_echo(g)()[0], torch.from_numpy(g.integers(0, 5, (8, 10)))), f, rate=1e-3)),
        "nn.GRU, SGD clipped at 1e-6": (also | {"clipping"}, lambda g, f: trained(
            reader(nn.GRU(4, 8, **TORCH)), _echo(g), f, optimizer=torch.optim.SGD, clip_norm=1e-6)),
        "RNN of elman, only the head's bias is trained, classes equally frequent": (also, lambda g, f: trained(
            reader(RNN(4, 8), outputs=4, each=False), partial(data.first, g, 64, 10), f, rate=1e-3,
            learning=lambda net: [net.readout.bias])),
    }  # fmt: skip
    return [Case("not falling", name, make, more) for name, (more, make) in cases.items()]


class _Wrong(torch.autograd.Function):
    """The right loss, with the gradient of its negative."""

    @staticmethod
    def forward(ctx, negative):
        return -negative

    @staticmethod
    def backward(ctx, gradient):
        return gradient


CASES = [*non_finite(), *clipping(), *spikes(), *not_falling()]
