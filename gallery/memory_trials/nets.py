"""The nets, as settings of a task: they differ only in the cell and its initialisation.

`lstm, no bias` is the LSTM with PyTorch's initialisation: all weights and biases uniform within 1 / sqrt(H), so that
the forget gate starts at one half. `lstm` is orthogonal, with a forget bias of 1: the forget gate starts at three
quarters.
"""

from elman import CellSettings

NETS = {
    "tanh, pytorch": {"cell": CellSettings("rnn", init="pytorch")},
    "tanh, orthogonal": {"cell": "rnn"},
    "sigmoid, pytorch": {"cell": CellSettings("rnn", activation="sigmoid", init="pytorch")},
    "sigmoid, orthogonal": {"cell": CellSettings("rnn", activation="sigmoid")},
    "relu, identity": {"cell": CellSettings("rnn", init="identity")},
    "lstm": {"cell": "lstm"},
    "lstm, no bias": {"cell": CellSettings("lstm", init="pytorch")},
    "gru": {"cell": "gru"},
}
COLORS = dict(zip(NETS, ("#9ecae1", "#3182bd", "#fdae6b", "#e6550d", "#756bb1", "#31a354", "#a1d99b", "#636363"),
                  strict=True))  # fmt: skip
