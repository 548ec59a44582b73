"""Steps of RNN, GRU and LSTM in NumPy: the definition of what the native time loop computes."""

from collections.abc import Mapping

import numpy as np

NORM_EPSILON = 1e-5  # for the layer norms inside an LSTM; the same as in native/recurrences/lstm_normed.hpp

Weights = Mapping[str, np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Compute the logistic function without overflow."""
    return np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5)


ACTIVATION = {"tanh": np.tanh, "sigmoid": sigmoid, "relu": lambda x: np.maximum(x, 0), "identity": lambda x: x}


def rnn_step(weights: Weights, activation: str, x: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute a step of an RNN: x [B, D], h [B, H] -> y [B, H] and h."""
    raise NotImplementedError


def gru_step(weights: Weights, x: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute a step of a GRU; the reset gate is inside the product where there is a `bias_hn`."""
    raise NotImplementedError


def lstm_step(
    weights: Weights, options: Mapping[str, float], x: np.ndarray, h: np.ndarray, c: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute a step of an LSTM: x [B, D], h [B, P], c [B, H] -> h and c after it."""
    raise NotImplementedError
