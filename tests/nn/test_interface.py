"""`import elman.nn as nn` in place of `import torch.nn as nn`."""

import pytest
import torch

import elman.nn
from elman import nn

OWN = {"RNN", "LSTM", "GRU"}


def test_every_other_name_is_pytorchs():
    public = [name for name in dir(torch.nn) if not name.startswith("_")]
    assert {name for name in public if getattr(nn, name) is not getattr(torch.nn, name)} == OWN
    assert set(public) <= set(dir(nn))
    assert set(public) == set(nn.__all__)


def test_classes_are_subclasses_of_pytorchs():
    for name in OWN:
        assert issubclass(getattr(nn, name), getattr(torch.nn, name))
        assert getattr(nn, name).__name__ == name


def test_every_form_of_import_gives_the_names():
    from elman.nn import LSTM, Linear, functional

    names = {}
    exec("from elman.nn import *", names)
    assert names["LSTM"] is LSTM is elman.nn.LSTM
    assert names["Linear"] is Linear is torch.nn.Linear
    assert functional is torch.nn.functional
    assert nn.utils.rnn.pack_sequence is torch.nn.utils.rnn.pack_sequence


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"module 'elman\.nn' has no attribute 'LSMT'; neither has torch\.nn"):
        nn.LSMT  # noqa: B018
