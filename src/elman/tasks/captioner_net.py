"""The net of a captioner: an encoder of pictures, a decoder that attends to its map."""

from torch import nn

from elman.layers.efficientnet_lite import FEATURES, EfficientNetLite0
from elman.layers.picture_encoder import PictureEncoder
from elman.layers.picture_net import PictureNet
from elman.tasks.decoder_settings import DecoderSettings
from elman.tasks.encoder_decoder import EncoderDecoder

WIDTHS = 32, 64, 128, 256  # of the net that is trained from pixels


def captioner_net(
    vocabulary_size: int, settings: DecoderSettings, *, encoder: str, fine_tune: bool, encoder_size: int,
    encoder_dropout: float, pretrained: bool,
) -> EncoderDecoder:  # fmt: skip
    """Pictures or their features, ids of captions; the settings are those of `Captioner`.

    Args:
        pretrained: with the weights of ImageNet where the encoder has such and is trained.
    Raises:
        ValueError: a setting that is unknown or cannot act.
        ModuleNotFoundError: the package that brings the weights is not installed.
    """
    trunk: nn.Module | None = None
    if encoder == "convolutional":
        trunk = PictureNet(WIDTHS)
    elif fine_tune:
        trunk = EfficientNetLite0.pretrained() if pretrained else EfficientNetLite0()
        trunk.classes = nn.Identity()  # a caption is not one of them
    channels = WIDTHS[-1] if encoder == "convolutional" else FEATURES
    reader = PictureEncoder(channels, encoder_size, encoder_dropout, trunk)
    net = EncoderDecoder(reader, settings.decoder(vocabulary_size, encoder_size, encoder_size))
    if trunk is None or isinstance(trunk, PictureNet):
        settings.initialize(net)
    else:
        settings.initialize(net.decoder)
    return net
