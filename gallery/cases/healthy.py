"""Healthy models: trained on tasks they can learn, until at least 90 % of their outputs were right."""

import torch
from torch import nn

from cases import data
from cases.case import SAME, Case, classifier, language, of_task, reader, tagger, trained
from cases.failing_gradients import TORCH
from elman import Classifier
from elman.cells import GRU, LSTM, RNN, MinGRU

GOOD = 0.9
FAST = {"learning_rate": 0.02, "hidden_size": 16}


def _words(**settings):
    own = {"rows": 250, "epochs": 8, "judge": True, **FAST, **settings}
    return lambda g, f: classifier(g, f, **own)


def _tags(**settings):
    own = {"rows": 200, "epochs": 10, "judge": True, **FAST, **settings}
    return lambda g, f: tagger(g, f, **own)


def _text(draw, nats, **settings):
    own = {"epochs": 15, "nats": nats, "steps": 30, "sample": 360, **FAST, **settings}
    return lambda g, f: language(g, f, draw(g), **own)


def _waves(**settings):
    def make(g, f):
        own = {"inputs": "series", "epochs": 10, **FAST, **settings}
        held = data.waves(g, 40, 20)
        return of_task(Classifier(**{**SAME, **own}), data.waves(g, 200, 20), (held[0][:10], held[1][:10]), f,
                       good=lambda model: model.score(*held))  # fmt: skip

    return make


def _echo(layer, lag=2, steps=14, **settings):
    own = {"updates": 400, "rate": 0.02, "clip_norm": 1.0, **settings}
    return lambda g, f: trained(reader(*layer()), lambda: data.echo(g, 12, steps, lag), f, **own)


def _speed(layer, **settings):
    def draw(g):
        x, y = data.waves(g, 12, 16)
        return torch.from_numpy(x).float(), torch.from_numpy(y)

    own = {"updates": 250, "rate": 0.01, "clip_norm": 1.0, **settings}
    return lambda g, f: trained(reader(*layer(), outputs=3, each=False), lambda: draw(g), f, **own)


def _names(g):
    starts, ends = ("Mar", "Jo", "El", "Ann", "Ro", "Lu"), ("ia", "hannes", "isabeth", "alena", "bert", "cas")
    return [starts[n] + ends[n] for n in g.integers(0, 6, 120)]


CASES = [
    Case(None, name, make)
    for name, make in {
        "Classifier, LSTM, third letter from the end": _words(steps=10),
        "Classifier, GRU, second letter from the end": _words(steps=12, place=-2, cell="gru"),
        "Classifier, RNN, second letter from the end": _words(steps=8, place=-2, cell="rnn"),
        "Classifier, LSTM, first letter of 8": _words(steps=8, place=0),
        "Classifier, GRU, first letter of 12": _words(steps=12, place=0, cell="gru"),
        "Classifier, bidirectional LSTM, first letter of 14": _words(steps=14, place=0, bidirectional=True),
        "Classifier, LSTM, waves": _waves(),
        "Classifier, GRU, waves": _waves(cell="gru"),
        "Classifier, unidirectional RNN, waves": _waves(cell="rnn", bidirectional=False),
        "Tagger, LSTM, word 2 before": _tags(),
        "Tagger, GRU, word 3 before": _tags(lag=3, cell="gru"),
        "Tagger, RNN, word before": _tags(lag=1, cell="rnn"),
        "Tagger, MinGRU of 2 layers, word before": _tags(lag=1, cell="min_gru", num_layers=2),
        "Tagger, bidirectional GRU, word 2 before": _tags(cell="gru", bidirectional=True),
        "LanguageModel, LSTM, a^n b^n": _text(lambda g: data.counts(g, 200, 8), 0.30, steps=None),
        "LanguageModel, GRU, letters repeat after 2": _text(lambda g: data.brackets(g, 300, 2), 0.45, cell="gru"),
        "LanguageModel, LSTM, letters repeat after 3": _text(lambda g: data.brackets(g, 300, 3), 0.38, epochs=40),
        "LanguageModel, LSTM, six names": _text(_names, 0.36, steps=None, epochs=60),
        "nn.LSTM, echo of 2": _echo(lambda: [nn.LSTM(4, 16, **TORCH)]),
        "nn.GRU, echo of 3": _echo(lambda: [nn.GRU(4, 16)], lag=3),
        "nn.RNN, echo of 1": _echo(lambda: [nn.RNN(4, 16, **TORCH)], lag=1),
        "nn.GRU of 2 layers, echo of 2": _echo(lambda: [nn.GRU(4, 12, 2, **TORCH)]),
        "LSTM of elman below nn.GRU, echo of 1": _echo(lambda: [LSTM(4, 12), nn.GRU(12, 12)], lag=1),
        "RNN of elman, echo of 2": _echo(lambda: [RNN(4, 16)]),
        "nn.LSTM, waves": _speed(lambda: [nn.LSTM(1, 12)]),
        "GRU of elman, waves": _speed(lambda: [GRU(1, 12)]),
        "MinGRU of 2 layers, waves": _speed(lambda: [MinGRU(1, 12), MinGRU(12, 12)], updates=400),
        "relu RNN, identity initialisation, waves": _speed(
            lambda: [RNN(1, 12, init="identity")], rate=0.005, updates=400
        ),
    }.items()
]
