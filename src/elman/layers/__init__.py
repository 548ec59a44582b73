"""Layers around and between cells: stacking, dropout, norms, attention, pooling. Each works with every cell."""

from elman.optional_packages import needed_by

with needed_by("elman.layers"):
    import torch  # noqa: F401  # the first import of it, for an error that names this module

from elman.layers.attention import Attention
from elman.layers.bidirectional import Bidirectional
from elman.layers.decoder import Decoder
from elman.layers.deviations import Deviations
from elman.layers.differences import Differences
from elman.layers.dropout import Dropout, VariationalDropout, set_key
from elman.layers.embedding import Embedding
from elman.layers.frame_encoder import FrameEncoder
from elman.layers.layer_norm import LayerNorm
from elman.layers.linear import Linear
from elman.layers.output_feedback import OutputFeedback
from elman.layers.pooling import AttentionPooling, LastPooling, MaxPooling, MeanPooling
from elman.layers.residual import Residual
from elman.layers.reversed import Reversed
from elman.layers.stack import Stack
from elman.layers.weight_drop import WeightDrop

__all__ = [
    "Attention",
    "AttentionPooling",
    "Bidirectional",
    "Decoder",
    "Deviations",
    "Differences",
    "Dropout",
    "Embedding",
    "FrameEncoder",
    "LastPooling",
    "LayerNorm",
    "Linear",
    "MaxPooling",
    "MeanPooling",
    "OutputFeedback",
    "Residual",
    "Reversed",
    "Stack",
    "VariationalDropout",
    "WeightDrop",
    "set_key",
]
