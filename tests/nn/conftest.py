"""Fixture for tests in which PyTorch's own forward must not run."""

import pytest
from torch import nn

from elman.kernels import native


@pytest.fixture
def without_pytorch(monkeypatch):
    """Return a function that makes every later call of PyTorch's own `forward` an error."""

    def forbid():
        def forward(self, *args, **kwargs):
            raise AssertionError(f"{type(self).__name__} ran PyTorch's forward")

        if native.available():
            for kind in (nn.RNN, nn.LSTM, nn.GRU):
                monkeypatch.setattr(kind, "forward", forward)

    return forbid
