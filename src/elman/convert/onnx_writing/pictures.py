"""Writers of networks that read frames and pictures."""

from typing import Any

import numpy as np

from elman.convert.onnx_writing.layers import LayerWriter, PointwiseWriter, write_scan
from elman.convert.onnx_writing.rows import PaddedRows
from elman.convert.onnx_writing.values import Value, clip, concat, integers, relu
from elman.network.efficientnet_lite import EfficientNetLite0
from elman.network.frame_encoder import FrameEncoder
from elman.network.pictures import EPSILON, GROUPS, MEAN, SCALE, PictureEncoder, PictureNet
from elman.state import State


class FrameEncoderWriter(PointwiseWriter, kind="frame_encoder"):
    """Nodes of blocks of convolution, max pooling and relu."""

    def apply(self, layer: FrameEncoder, x: Value) -> Value:
        axes = len(layer.step_shape)
        leading = x.graph.node("Shape", x, dtype=np.int64, end=-axes)  # [B], or [B, T]
        x = x.reshape(-1, *layer.step_shape)
        for block, weight, bias in zip(layer.blocks, layer.weights, layer.biases, strict=True):
            x = x.graph.node("Conv", x, channels_first(weight), bias, pads=[1, 1, 1, 1])
            x = relu(x.graph.node("MaxPool", x, kernel_shape=block.window, strides=block.window))
        y = x.transpose(0, 2, 3, 1).reshape(0, -1) @ layer.weight.T + layer.bias
        return y.graph.node("Reshape", y, concat([leading, integers(layer.output_size)], 0))


class TrunkWriter(LayerWriter):
    """Nodes of a network from pixels to a feature map."""

    def maps(self, layer: Any, x: Value) -> Value:
        """Compute the feature maps [B, C, h, w] of scaled pixels [B, 3, H, W]."""
        raise NotImplementedError(f"{type(self).__name__} has no maps")

    def scan(self, layer: Any, x: Value, rows: PaddedRows, state: State | None) -> tuple[Value, State]:
        """Compute the features of each place of pictures: [B, 3, H, W] of 0 to 255 -> [B, h w, C]."""
        maps = self.maps(layer, (x - MEAN) / SCALE)
        return maps.reshape(0, 0, -1).transpose(0, 2, 1), ()


class PictureNetWriter(TrunkWriter, kind="picture_net"):
    """Nodes of blocks of convolution, group norm and relu."""

    def maps(self, layer: PictureNet, x: Value) -> Value:
        for weight, (scale, shift) in zip(layer.weights, layer.norms, strict=True):
            x = x.graph.node("Conv", x, channels_first(weight), pads=[1, 1, 1, 1], strides=[2, 2])
            ones, zeros = np.ones(GROUPS, np.float32), np.zeros(GROUPS, np.float32)
            groups = x.graph.node("InstanceNormalization", x.reshape(0, GROUPS, -1), ones, zeros, epsilon=EPSILON)
            normed = x.graph.node("Reshape", groups, x.graph.node("Shape", x, dtype=np.int64))
            x = relu(normed * scale.reshape(-1, 1, 1) + shift.reshape(-1, 1, 1))
        return x


class EfficientNetLite0Writer(TrunkWriter, kind="efficientnet_lite0"):
    """Nodes of stem, inverted residual blocks and head; the padding is TensorFlow's."""

    def maps(self, layer: EfficientNetLite0, x: Value) -> Value:
        node = x.graph.node

        def dense(x: Value, weight: np.ndarray, bias: np.ndarray, **settings: Any) -> Value:
            return node("Conv", x, channels_first(weight), bias, **settings)

        x = relu6(dense(x, *layer.stem, auto_pad="SAME_UPPER", strides=[2, 2]))
        for block, expand, (weight, bias), project in layer.blocks:
            y = x if expand is None else relu6(dense(x, *expand))
            y = relu6(node("Conv", y, weight.transpose(2, 0, 1)[:, None], bias, auto_pad="SAME_UPPER",
                           strides=[block.stride, block.stride], group=block.inside))  # fmt: skip
            y = dense(y, *project)
            x = x + y if block.adds else y
        return relu6(dense(x, *layer.head))


class PictureEncoderWriter(LayerWriter, kind="picture_encoder"):
    """Nodes of an encoder of pictures as rows of places."""

    def scan(self, layer: PictureEncoder, x: Value, rows: PaddedRows, state: State | None
             ) -> tuple[Value, State]:  # fmt: skip
        """Compute y [B, h w, D] of pictures [B, 3, H, W], or of features [B, h w, C], and its mean."""
        features = x if layer.trunk is None else write_scan(layer.trunk, x, rows, None)[0]
        y, _ = write_scan(layer.read, features, PaddedRows.unpadded(features), None)
        y = relu(y)
        return y, y.mean(1)


def channels_first(weight: np.ndarray) -> np.ndarray:
    """Return the weight of a convolution, [O, k, l, C], as ONNX reads it, [O, C, k, l]."""
    return weight.transpose(0, 3, 1, 2)


def relu6(x: Value) -> Value:
    """Compute x between 0 and 6."""
    return clip(x, 0.0, 6.0)
