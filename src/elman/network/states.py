"""States of layers, as tuples with names; `Any` is a tensor in PyTorch and an array here."""

from typing import Any, NamedTuple

from elman.representation import brief_fields


@brief_fields
class LSTMState(NamedTuple):
    """State of an LSTM."""

    h: Any  # [B, H] the hidden state, which is the output; [B, P] with a projection
    c: Any  # [B, H] the cell state


@brief_fields
class CountedLSTMState(NamedTuple):
    """State of an LSTM with random masks; row and step determine the next masks."""

    h: Any  # [B, H]
    c: Any  # [B, H]
    row: Any  # [B] int64
    step: Any  # [B] int64


@brief_fields
class DropoutState(NamedTuple):
    """Row and step, which determine the next mask: stepping and scanning, cut anywhere, drop the same units."""

    row: Any  # [B] int64
    step: Any  # [B] int64


@brief_fields
class RunningSum(NamedTuple):
    """Sum and number of the steps so far."""

    sum: Any  # [B, ...]
    steps: Any  # [B] int64


@brief_fields
class PreviousStep(NamedTuple):
    """The previous step, and the number of steps so far."""

    previous: Any  # [B, ...]; zeros before the first step
    steps: Any  # [B] int64


@brief_fields
class AttentionState(NamedTuple):
    """Running softmax over the steps so far; weights are relative to the weight of the largest score."""

    largest: Any  # [B] score
    weight: Any  # [B]
    sum: Any  # [B, D]


@brief_fields
class KeysAndValues(NamedTuple):
    """Memory of a source, for attention."""

    keys: Any  # [M, A] compared with the queries
    values: Any  # [M, D] averaged to the context


@brief_fields
class DecoderState(NamedTuple):
    """State of a decoder."""

    embedding: Any  # state of the embedding and its dropout
    body: Any  # state of the recurrent layers, including the memory for attention
