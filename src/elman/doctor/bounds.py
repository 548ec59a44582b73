"""What the recurrent weights alone say of the gradient, whatever is read (Pascanu et al. 2013, arXiv:1211.5063)."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from elman.cells import GRU, LSTM, RNN
from elman.doctor.trace import Trace

SLOPES = {"tanh": 1.0, "sigmoid": 0.25, "relu": 1.0, "identity": 1.0}


class Bound(NamedTuple):
    """The textbook bound: |dh_t / dh_{t-l}| is at most `factor ** l`.

    Attributes:
        spectral_norm: of the recurrent matrix: the largest singular value; of a gated cell the largest of its gates.
        spectral_radius: the largest eigenvalue by its amount; of a gated cell the largest of its gates.
        slope: the largest slope of the activation, of a gated cell that of its candidate.
        factor: below one the gradient vanishes, whatever is read; above it says nothing about that, and how fast the
            gradient grows at most. NaN for an LSTM, whose memory the weights do not bound.
        per_gate: the spectral norm of each gate's recurrent matrix; {} for a cell without gates.
    """

    spectral_norm: float
    spectral_radius: float
    slope: float
    factor: float
    per_gate: dict[str, float]


def bound(trace: Trace) -> Bound | None:
    """Of an RNN, LSTM or GRU; None for a cell without a recurrent matrix, or one that is not known here.

    Example:
        >>> import torch
        >>> from elman.doctor.capture import capture
        >>> net = torch.nn.RNN(3, 8)
        >>> with torch.no_grad():
        ...     _ = net.weight_hh_l0.copy_(torch.eye(8) / 2)
        >>> [trace] = capture(net, lambda: net(torch.ones(5, 2, 3))[0].sum()).traces
        >>> bound(trace).factor
        0.5
    """
    cell = trace.cell
    if isinstance(cell, RNN):
        norm, slope = _norm(cell.weight_hh), SLOPES[cell.activation]
        return Bound(norm, _radius(cell.weight_hh), slope, norm * slope, {})
    if not isinstance(cell, LSTM | GRU) or getattr(cell, "layer_norm", False):  # a norm forgets how long weights are
        return None
    gates = cell.recurrent_matrices()
    norms = {name: _norm(weight) for name, weight in gates.items()}
    factor = _factor(cell, norms, gates["candidate"]) if isinstance(cell, GRU) else math.nan
    return Bound(max(norms.values()), max(map(_radius, gates.values())), SLOPES["tanh"], factor, norms)


def _factor(cell: GRU, norms: dict[str, float], candidate: Tensor) -> float:
    """Of dh' / dh for a GRU, as long as the numbers of h lie between -1 and 1, where they stay.

    h' = (1 - z) n + z h. Its derivative is z dh + (1 - z) dn, unit by unit a mean of the two and so no longer than
    sqrt(1 + |dn|^2), and (h - n) dz, where |h - n| is at most 2 and the slope of z at most 1/4.
    n = tanh(... + r (W h + b)): |dn| is at most |W| and |W h + b| times the slope of r; or, with the reset before the
    product, n = tanh(... + W (r h)): at most |W| (1 + the slope of r).
    """
    through = SLOPES["sigmoid"] * norms["reset"]
    if cell.reset == "after":
        read = (candidate.abs().sum(1) + cell.bias_hn.detach().abs()).max().item()
        change = norms["candidate"] + read * through
    else:
        change = norms["candidate"] * (1 + through)
    return math.sqrt(1 + change**2) + 2 * SLOPES["sigmoid"] * norms["update"]


def _norm(weight: Tensor) -> float:
    return float(torch.linalg.matrix_norm(weight.detach(), 2))


def _radius(weight: Tensor) -> float:
    return float(torch.linalg.eigvals(weight.detach()).abs().max())
