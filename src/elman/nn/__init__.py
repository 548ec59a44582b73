"""Drop-in replacement for `torch.nn`: `import elman.nn as nn` in place of `import torch.nn as nn`.

`RNN`, `LSTM` and `GRU` are subclasses of the PyTorch classes that run on elman's kernels where these apply. All other
names are those of `torch.nn`.
"""

from typing import Any

from elman.optional_packages import needed_by

with needed_by("elman.nn"):
    import torch.nn

from elman.nn.layers import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN"]
__all__ += [name for name in dir(torch.nn) if not name.startswith("_") and name not in __all__]


def __getattr__(name: str) -> Any:
    try:
        return getattr(torch.nn, name)
    except AttributeError:
        raise AttributeError(f"module 'elman.nn' has no attribute {name!r}; neither has torch.nn") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(torch.nn)})
