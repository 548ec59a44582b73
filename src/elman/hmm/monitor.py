"""Convergence of EM: the log-likelihood of every iteration, and the rule that stops it."""

import logging
import sys
from collections import deque
from contextlib import suppress
from typing import ClassVar

log = logging.getLogger("elman.hmm")
NOISE = 1.5e-8  # a smaller decrease of the log-likelihood is rounding (square root of float64's resolution)


class ConvergenceMonitor:
    """Record of EM's progress that decides when to stop; set another one as `model.monitor_` before `fit`.

    Args:
        tol: EM has converged when an iteration gains less than this, in nats over all rows.
        n_iter: the maximum number of iterations.
        verbose: whether to report every iteration on standard error.
    Attributes:
        history: the log-likelihood before each iteration.
        iter: the number of iterations so far.
    Example:
        >>> monitor = ConvergenceMonitor(tol=0.1, n_iter=10, verbose=False)
        >>> for log_prob in [-20.0, -12.0, -11.95]:
        ...     monitor.report(log_prob)
        >>> monitor.converged, list(monitor.history)
        (True, [-20.0, -12.0, -11.95])
    """

    _template: ClassVar[str] = "{iter:>10d} {log_prob:>16.8f} {delta:>+16.8f}"

    def __init__(self, tol: float, n_iter: int, verbose: bool):
        self.tol, self.n_iter, self.verbose = tol, n_iter, verbose
        self.history: deque[float] = deque()
        self.iter = 0

    def __repr__(self) -> str:
        settings = vars(self) | {"history": list(self.history)}
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in sorted(settings.items()))})"

    def _reset(self) -> None:
        self.iter = 0
        self.history.clear()

    def report(self, log_prob: float) -> None:
        """Record the log-likelihood of one more iteration."""
        delta = log_prob - self.history[-1] if self.history else float("nan")
        if self.verbose:
            with suppress(OSError, ValueError):  # a lost or closed standard error is no reason to stop
                print(self._template.format(iter=self.iter + 1, log_prob=log_prob, delta=delta), file=sys.stderr)
        if delta < -NOISE:
            log.warning("Model is not converging: the log-likelihood fell by %g, from %g to %g.",
                        -delta, self.history[-1], log_prob)  # fmt: skip
        self.history.append(log_prob)
        self.iter += 1

    @property
    def converged(self) -> bool:
        """Whether EM should stop; a subclass may use another rule."""
        slow = len(self.history) > 1 and self.history[-1] - self.history[-2] < self.tol
        return self.iter == self.n_iter or slow
