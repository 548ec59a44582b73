"""Layer types of a `spec`. The list is closed, so that a file contains no code."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from elman.declared_types import Record, field
from elman.nearest import did_you_mean
from elman.network.activations import Activation, PReLU, RMSNorm
from elman.network.attention import Attention
from elman.network.changes import Deviations, Differences
from elman.network.classifier import ClassifierNet
from elman.network.containers import Bidirectional, OutputFeedback, Residual, Reversed, Stack
from elman.network.decoder import Decoder
from elman.network.efficientnet_lite import EfficientNetLite0
from elman.network.encoder_decoder import EncoderDecoder
from elman.network.frame_encoder import FrameEncoder
from elman.network.layer import Layer
from elman.network.pictures import PictureEncoder, PictureNet
from elman.network.pointwise import Dropout, Embedding, LayerNorm, Linear
from elman.network.pooling import AttentionPooling, LastPooling, MaxPooling, MeanPooling
from elman.network.recurrent import GRU, LSTM, RNN
from elman.network.spec import LayerSpec, Spec
from elman.network.tagger import TaggerNet
from elman.network.windows import MinGRU, WindowNet

DEEPEST = 50  # layers inside one another

LAYER_TYPES: dict[str, type[Layer]] = {
    layer.kind: layer
    for layer in (RNN, LSTM, GRU, MinGRU, WindowNet, Embedding, Linear, LayerNorm, Dropout, Stack, Residual,
                  OutputFeedback, Bidirectional, Reversed, Attention, Decoder, EncoderDecoder, TaggerNet,
                  FrameEncoder, PictureNet, EfficientNetLite0, PictureEncoder, LastPooling, MeanPooling, MaxPooling,
                  AttentionPooling, Deviations, Differences, Activation, PReLU, RMSNorm, ClassifierNet)
}  # fmt: skip


def make_layer(spec: Spec, tensors: Mapping[str, np.ndarray], depth: int = 0) -> Any:
    """Return the layer that a spec describes, with its weights.

    Args:
        spec: the return value of `CellModule.spec`.
        tensors: the tensors of the file, by the names in `spec`.
        depth: layers around this one.
    Raises:
        ValueError: a layer type is unknown, a setting is missing or wrong, or a tensor is missing or does not fit.
    """
    kind = field(spec, "kind", str)
    if kind not in LAYER_TYPES:
        raise ValueError(f"spec: expected a layer type of this version ({', '.join(LAYER_TYPES)}), got {kind!r}"
                         f"{did_you_mean(kind, LAYER_TYPES)}")  # fmt: skip
    if depth == DEEPEST:
        raise ValueError(f"spec: expected at most {DEEPEST} layers inside one another, got more.")
    cells = [make_layer(cell, tensors, depth + 1) for cell in field({"cells": [], **spec}, "cells", list[Record])]
    return LAYER_TYPES[kind](LayerSpec(spec, tensors, cells))


def steps_natively(spec: Spec) -> bool:
    """Return whether the native stepper has the operations of a layer and of all layers inside it."""
    return LAYER_TYPES[spec["kind"]].add is not Layer.add and all(map(steps_natively, spec["cells"]))
