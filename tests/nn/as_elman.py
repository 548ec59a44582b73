"""Pytest plugin that replaces `RNN`, `LSTM` and `GRU` of `torch.nn` by those of `elman.nn` for later imports."""

import torch.nn
from torch.nn.modules import rnn

import elman.nn

NAMES = ("RNN", "LSTM", "GRU")


def pytest_configure(config):
    for name in NAMES:
        for module in (torch.nn, torch.nn.modules, rnn):
            setattr(module, name, getattr(elman.nn, name))


def pytest_collection_modifyitems(items):
    """Check that every test module uses the classes of elman."""
    for module in {item.module for item in items}:
        for name in NAMES:
            assert getattr(module.torch.nn, name) is getattr(elman.nn, name), (module, name)
