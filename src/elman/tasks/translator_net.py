"""The net of a translator: an encoder of embedded units, a decoder that attends to it."""

from elman.layers import Embedding, Stack
from elman.layers.decoder import summary_width
from elman.tasks.decoder_settings import DecoderSettings
from elman.tasks.encoder_decoder import EncoderDecoder


def translator_net(
    source_size: int, target_size: int, settings: DecoderSettings, *, encoder_size: int, bidirectional: bool
) -> EncoderDecoder:
    """Ids of sources, ids of targets; the settings are those of `Translator`.

    Raises:
        ValueError: a setting that is unknown or cannot act.
    """
    width = settings.embedding_size
    layers = settings.recurrent_layers(width, bidirectional, encoder_size)
    encoder = Stack(Embedding(source_size, width), *settings.drops(width), *layers)
    summary = summary_width(encoder.initial_state(0))
    net = EncoderDecoder(encoder, settings.decoder(target_size, encoder.output_size, summary))
    settings.initialize(net)
    return net
