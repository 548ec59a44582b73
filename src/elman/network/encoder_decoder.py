"""Encoder-decoder networks (Sutskever et al. 2014, arXiv:1409.3215; Cho et al. 2014, arXiv:1406.1078)."""

from typing import Any, NoReturn

import numpy as np

from elman import state as states
from elman.memory import Memory
from elman.network.checks import check_array, check_leaves, check_shared
from elman.network.decoder import summary_of, summary_width
from elman.network.layer import Layer
from elman.network.no_spec import NoSpec
from elman.network.spec import LayerSpec
from elman.network.states import DecoderState
from elman.sequences import Sequences
from elman.state import State

LOGITS = 1 << 22  # logits in memory at once


class BaseEncoderDecoder:
    """Base of the encoder-decoders in NumPy and in PyTorch: a decoder starts from the final state of an encoder.

    Attributes:
        encoder: layers from sources to their output, `Sequences` [M, D], and a final state. All numbers of that state,
            of all layers and directions, are the decoder's summary.
        decoder: the decoder.
    """

    encoder: Any
    decoder: Any

    def encode(self, sources: Any) -> tuple[Sequences, State]:
        """Return the output of the encoder and its final state."""
        raise NotImplementedError(f"{type(self).__name__} has no encode")

    def begin(self, sources: Any, rows: np.ndarray | None = None) -> DecoderState:
        """Return the decoder's state before the first unit.

        Args:
            sources: the input of the encoder.
            rows: [B] the source of each row, which several rows may share; by default each source has one row.
        """
        memory, final = self.encode(sources)
        summary, size = None, self.decoder.summary_size
        if size:
            if (width := summary_width(final)) != size:
                raise ValueError(f"EncoderDecoder: expected an encoder with a state of {size} numbers, got {width}.")
            summary = summary_of(final)
            if rows is not None:
                summary = states.select(summary, rows)
        state: DecoderState = self.decoder.initial_state(
            len(memory) if rows is None else len(rows), Memory(memory, rows), summary
        )
        return state


class EncoderDecoder(BaseEncoderDecoder, Layer):
    """Network from sources to a decoder's state, from which the decoder writes units."""

    kind = "encoder_decoder"
    streams = False  # reads whole sequences

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        spec.check(len(self.cells) == 2, "an encoder and a decoder", f"{len(self.cells)} cells")
        self.encoder, self.decoder = self.cells
        self.step_shape = self.encoder.step_shape
        spec.check(self.decoder.kind == "decoder", "a decoder", f"a {self.decoder.kind}")
        sizes, got = [self.encoder.input_size, self.decoder.output_size], [self.input_size, self.output_size]
        spec.check(got == sizes, f"sizes of {sizes[0]} and {sizes[1]}", f"{got[0]} and {got[1]}")
        attention, size = self.decoder.attention, self.encoder.output_size
        spec.check(self.encoder.output_shape[-1:] == (size,), f"an encoder to {size} features", self.encoder.kind)
        if attention is not None:
            spec.check(attention.memory_size == size, f"a memory_size of {size}", attention.memory_size)
        size, width = self.decoder.summary_size, summary_width(self.encoder.initial_state(0))
        spec.check(size in (0, width), f"an encoder with a state of {size} numbers, as the bridge reads", width)
        self._initial = self.decoder.initial_state(0)
        self._starts = list(states.row_leaves(self._initial))

    def scan(self, sequences: Sequences, state: State | None = None) -> NoReturn:
        raise ValueError("EncoderDecoder.scan: the output has steps of its own, not those of the source; use predict "
                         "of the trained model, or begin and step.")  # fmt: skip

    def check_streams(self, verb: str) -> NoReturn:
        raise ValueError(f"EncoderDecoder.{verb}: {self.reads_whole()}; use predict of the trained model, or begin "
                         "and step.")  # fmt: skip

    def reads_whole(self) -> NoSpec:
        return NoSpec("the encoder", "reads the whole source first, so nothing can stream")

    def encode(self, sources: Any) -> tuple[Sequences, State]:
        if isinstance(sources, Sequences):  # an encoder of pictures checks its input itself
            sources, _ = self.checked(sources, None)
        memory, final = self.encoder.scan(sources)
        return memory, final

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Return the logits of the next unit and the new state of the decoder, as `elman.decoding` needs them.

        Raises:
            ValueError: the state is of another model, or of other rows than x.
            TypeError: x is not an array of ids, or a leaf of the state is of another type.
        """
        where = "EncoderDecoder.step"
        x = check_array(where, "x", x, (), "B")
        check_leaves(where, state, self._starts, len(x))
        check_shared(where, state, self._initial)
        y, state = self.decoder.step(x, state)
        return y, state

    def log_probs(self, state: DecoderState, inputs: Sequences, targets: np.ndarray) -> np.ndarray:
        """Return the log-probability of each target given the inputs up to its step, float32 [N].

        Args:
            state: from `begin`.
            inputs: numbers of units [N] that the decoder reads.
            targets: the unit after each input, [N].
        """
        features, _ = self.decoder.features(inputs, state)
        found, size = np.empty(len(targets), np.float32), max(1, LOGITS // self.output_size)
        for start in range(0, len(targets), size):
            part = slice(start, start + size)
            logits = self.decoder.readout.apply_to(features.values[part])
            logits -= logits.max(1, keepdims=True)
            wanted = np.take_along_axis(logits, targets[part, None], 1)[:, 0]
            found[part] = wanted - np.log(np.exp(logits, out=logits).sum(1))
        return found
