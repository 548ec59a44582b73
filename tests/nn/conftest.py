"""A test says whether PyTorch may answer in place of the kernels."""

import pytest
from torch import nn

from elman.kernels import native


@pytest.fixture
def kernels_alone(monkeypatch):
    """A function: from its call on, what PyTorch's own `forward` is asked fails the test."""

    def from_now_on():
        def forward(self, *args, **kwargs):
            raise AssertionError(f"{type(self).__name__} asked PyTorch")

        if native.available():
            for kind in (nn.RNN, nn.LSTM, nn.GRU):
                monkeypatch.setattr(kind, "forward", forward)

    return from_now_on
