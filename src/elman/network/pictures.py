"""Networks that read pictures: from pixels to feature maps, and from maps to the steps that a decoder reads."""

from typing import Any, NoReturn

import numpy as np

from elman.network.convolution import channels_last, convolution, group_norm, in_parts, padded
from elman.network.layer import Layer
from elman.network.spec import LayerSpec
from elman.sequences import Sequences
from elman.shapes import check
from elman.state import State

MEAN, SCALE = 127.0, 128.0  # a pixel becomes (pixel - MEAN) / SCALE
GROUPS = 8  # of the channels in each group norm of a `PictureNet`
EPSILON = 1e-5  # added to its variances, as in torch.nn.GroupNorm
ANY = 0  # size that differs between pictures; no step of a row has such a shape


class Trunk(Layer):
    """Network from pixels to a feature map. It reads pictures of any size, not the steps of rows.

    Shapes:
        pictures [B, 3, H, W] of 0 to 255   ->   features [B, h, w, output_size]
    """

    streams = False

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        spec.check(self.input_size == 3, "an input_size of 3, the channels of a picture", self.input_size)
        self.step_shape, self.output_shape = (3, ANY, ANY), (self.output_size, ANY, ANY)

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """Compute the feature maps of pictures, a few at a time.

        Raises:
            ValueError: the pictures are not [B, 3, H, W].
        """
        check(type(self).__name__, "pictures", pictures, "B C=3 H W")
        return in_parts(lambda part: self.maps(scaled(part)), pictures)

    def maps(self, x: np.ndarray) -> np.ndarray:
        """Compute the feature maps [B, h, w, C] of scaled pixels [B, H, W, 3]."""
        raise NotImplementedError(f"{type(self).__name__} has no maps")

    def scan(self, sequences: Sequences, state: State | None = None) -> NoReturn:
        raise ValueError(f"{type(self).__name__}: reads pictures, not steps; use it in a PictureEncoder.")


def scaled(pictures: np.ndarray) -> np.ndarray:
    """Return pixels [B, 3, H, W] of 0 to 255 as float32 [B, H, W, 3], about -1 to 1."""
    x = np.ascontiguousarray(pictures.transpose(0, 2, 3, 1), np.float32)
    return (x - np.float32(MEAN)) / np.float32(SCALE)


class PictureNet(Trunk):
    """Blocks of convolution 3 x 3 with stride 2, group norm and relu; each halves the sizes, rounded up."""

    kind = "picture_net"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        widths = spec.sizes("widths")
        spec.check(all(width % GROUPS == 0 for width in widths), f"widths that are multiples of {GROUPS}", widths)
        spec.check(widths[-1] == self.output_size, f"an output_size of {widths[-1]}", self.output_size)
        self.weights, self.norms = [], []
        for number, (channels, size) in enumerate(zip((3, *widths), widths, strict=False)):
            self.weights.append(channels_last(spec.tensor(f"convolutions.{number}.weight", size, channels, 3, 3)))
            self.norms.append([spec.tensor(f"norms.{number}.{part}", size) for part in ("weight", "bias")])

    def maps(self, x: np.ndarray) -> np.ndarray:
        for weight, (scale, shift) in zip(self.weights, self.norms, strict=True):
            x = group_norm(convolution(padded(x, (1, 1), (1, 1)), weight, stride=2), scale, shift, GROUPS, EPSILON)
            np.maximum(x, 0, out=x)
        return x


class PictureEncoder(Layer):
    """Encoder of pictures as rows of places: y = relu(W features + b) at each place of the feature map.

    The state of a picture is the mean of its outputs y.

    Attributes:
        trunk: network from pixels to feature maps; None if the inputs are feature maps.
        read: layers from the features of a place to y.
    """

    kind = "picture_encoder"
    streams = False

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        spec.check(len(self.cells) in (1, 2), "1 or 2 cells", len(self.cells))
        *trunk, self.read = self.cells
        self.trunk: Trunk | None = trunk[0] if trunk else None
        if self.trunk is not None:
            spec.check(isinstance(self.trunk, Trunk), "a network that reads pictures", self.trunk.kind)
            got = self.trunk.output_size
            spec.check(got == self.input_size, f"a {self.trunk.kind} with an output_size of {self.input_size}", got)
        sizes, wanted = [*self.read.step_shape, *self.read.output_shape], [self.input_size, self.output_size]
        spec.check(sizes == wanted, f"layers from {wanted[0]} to {wanted[1]} features", sizes)
        self.step_shape = (ANY, self.input_size) if self.trunk is None else self.trunk.step_shape
        self.output_shape = ANY, self.output_size

    def initial_state(self, batch_size: int) -> np.ndarray:
        return np.zeros((batch_size, self.output_size), np.float32)

    def scan(self, sequences: Any, state: State | None = None) -> tuple[Sequences, np.ndarray]:
        """Return the places of pictures, one row per picture, and the mean of each row.

        Args:
            sequences: pictures [B, 3, H, W]; or features [B, h w, C] without a trunk.
            state: None; a picture has no earlier part.
        Returns:
            y [B h w, D], and its means [B, D].
        Raises:
            ValueError: the shape is another one.
        """
        features = sequences
        if self.trunk is not None:
            maps = self.trunk.features(sequences)
            features = maps.reshape(len(maps), maps.shape[1] * maps.shape[2], maps.shape[3])
        check("PictureEncoder", "features", features, f"B P C={self.input_size}")
        count, places, _ = features.shape
        steps = features.reshape(count * places, self.input_size).astype(np.float32, copy=False)
        y, _ = self.read.scan(Sequences(steps, np.full(count, places)))
        y = y.map(lambda values: np.maximum(values, 0))
        return y, y.values.reshape(count, places, self.output_size).mean(1)
