"""Bound on the gradient from the recurrent weights alone, for any input (Pascanu et al. 2013, arXiv:1211.5063)."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from elman.cells import GRU
from elman.doctor.trace import Trace
from elman.representation import brief_fields

SLOPES = {"tanh": 1.0, "sigmoid": 0.25, "relu": 1.0, "identity": 1.0}


@brief_fields
class Bound(NamedTuple):
    """Textbook bound: |dh_t / dh_{t-l}| is at most `factor ** l`.

    Attributes:
        spectral_norm: largest singular value of the recurrent matrix; for a gated cell, the largest over its gates.
        spectral_radius: largest absolute eigenvalue of the recurrent matrix; for a gated cell, the largest over its
            gates.
        slope: largest slope of the activation; for a gated cell, that of the candidate. NaN for a user-defined
            cell without an `activation`.
        factor: below one, the gradient vanishes for every input; above one, the gradient grows at most this fast,
            and nothing is known about vanishing. NaN for an LSTM, whose cell state the weights do not bound, and for
            user-defined cells.
        per_gate: spectral norm of each gate's recurrent matrix; {} for a cell without gates.
    """

    spectral_norm: float
    spectral_radius: float
    slope: float
    factor: float
    per_gate: dict[str, float]


def bound(trace: Trace) -> Bound | None:
    """Compute the bound of a recurrence; None for a cell without recurrent matrix, or with layer norm.

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
    cell, matrices = trace.cell, trace.cell.recurrent_matrices()
    if not matrices or getattr(cell, "layer_norm", False):  # a norm cancels the scale of the weights
        return None
    norms = {name: _norm(weight) for name, weight in matrices.items()}
    activation = getattr(cell, "activation", "tanh" if cell.kind in ("lstm", "gru") else None)
    norm, slope, factor = max(norms.values()), SLOPES.get(str(activation), math.nan), math.nan
    if cell.kind == "rnn":
        factor = norm * slope
    elif isinstance(cell, GRU):
        factor = _gru_factor(cell, norms, matrices["candidate"])
    return Bound(norm, max(map(_radius, matrices.values())), slope, factor, norms if len(norms) > 1 else {})


def _gru_factor(cell: GRU, norms: dict[str, float], candidate: Tensor) -> float:
    """Bound dh' / dh of a GRU, for h between -1 and 1, a range that it never leaves.

    h' = (1 - z) n + z h. Its derivative is z dh + (1 - z) dn, unit by unit a mean of the two and so no longer than
    sqrt(1 + |dn|^2), and (h - n) dz, where |h - n| is at most 2 and the slope of z at most 1/4.
    n = tanh(... + r (W h + b)): |dn| is at most |W| and |W h + b| times the slope of r; or, with the reset before the
    product, n = tanh(... + W (r h)): at most |W| (1 + the slope of r).
    """
    reset = SLOPES["sigmoid"] * norms["reset"]
    if cell.reset == "after":
        product = (candidate.abs().sum(1) + cell.bias_hn.detach().abs()).max().item()  # |W h + b|, at most
        change = norms["candidate"] + product * reset
    else:
        change = norms["candidate"] * (1 + reset)
    return math.sqrt(1 + change**2) + 2 * SLOPES["sigmoid"] * norms["update"]


def _norm(weight: Tensor) -> float:
    return float(torch.linalg.matrix_norm(weight.detach(), 2))


def _radius(weight: Tensor) -> float:
    return float(torch.linalg.eigvals(weight.detach()).abs().max())
