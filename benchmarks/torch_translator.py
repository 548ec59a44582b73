"""Network of the translator in torch.nn, with training and translation.

Batches are padded, time first. Sources of equal length are read unpacked, others packed. The attention of all decoder
steps is one call, and only real steps reach the read-out. In translation, sentences are sorted by length; finished ones
leave the batch, and the hypotheses of a sentence share its memory.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, dropout
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch_nets import Layout, embedding_of, linear_of, padded

from elman.data.examples import Encoded
from elman.data.units import BOUNDARY, shifted
from elman.sequences import Sequences
from elman.tasks.encoder_decoder import EncoderDecoder

HELD = 128  # sentences translated at once: the fastest of 32 to 256


class Sentences(NamedTuple):
    """A batch of pairs."""

    sources: Tensor  # [S, B]
    layout: Layout  # layout of the sources
    inputs: Tensor  # [T, B]
    real: Tensor  # [N] places of the real steps among T x B
    targets: Tensor  # [N]

    @classmethod
    def of(cls, data: Encoded) -> "Sentences":
        inputs, targets = shifted(data.targets.units)
        places = inputs.times * len(inputs) + inputs.rows
        layout = Layout.of(data.inputs.lengths)
        return cls(padded(data.inputs), layout, padded(inputs), torch.from_numpy(places), torch.from_numpy(targets))


class Source(NamedTuple):
    """Memory of a decoder."""

    keys: Tensor  # [B, S, A]
    values: Tensor  # [B, S, D]
    padding: Tensor | None  # [B, S] True where the row has ended; None if no row is padded

    def select(self, rows: Tensor) -> "Source":
        return Source(*(None if part is None else part.index_select(0, rows) for part in self))


class TorchTranslator(nn.Module):
    """Default network of `Translator`: LSTMs with additive attention."""

    def __init__(self, net: EncoderDecoder, settings: Any):
        super().__init__()
        encoder, decoder = net.encoder.cells, net.decoder
        both, attention, cell = encoder[2], decoder.attention, decoder.stack.cells[0]
        self.settings = settings
        self.source, self.target = embedding_of(encoder[0].weight), embedding_of(decoder.readout.weight)
        self.encoder = nn.LSTM(both.input_size, both.forward_cell.output_size, bidirectional=True)
        self.decoder = nn.LSTM(cell.input_size, cell.output_size)
        self.bridge, self.combine = linear_of(decoder.bridge), linear_of(attention.combine)
        self.query = nn.Linear(attention.input_size, attention.input_size)
        self.key = nn.Linear(attention.memory_size, attention.input_size, bias=False)
        self.score = nn.Linear(attention.input_size, 1, bias=False)
        self.readout = linear_of(decoder.readout)
        self.readout.weight = self.target.weight
        with torch.no_grad():
            for number, own in enumerate((both.forward_cell, both.backward_cell)):
                _take(list(self.encoder.parameters())[4 * number :], own)
            _take(list(self.decoder.parameters()), cell)
            self.query.weight.copy_(attention.weight_query)
            self.query.bias.copy_(attention.bias_query)
            self.key.weight.copy_(attention.weight_key)
            self.score.weight.copy_(attention.weight_score)

    def forward(self, batch: Sentences) -> Tensor:
        source, begun = self.begin(batch.sources, batch.layout)
        x = self._drop(self.target(batch.inputs), self.settings.embedding_dropout)
        h = self._drop(self.decoder(x, [part[None] for part in begun])[0], self.settings.dropout)
        context = self.attend(h.transpose(0, 1), source).transpose(0, 1)
        real = torch.cat([h, context], -1).flatten(0, 1).index_select(0, batch.real)
        features = self._drop(self.combine(real).tanh(), self.settings.output_dropout)
        return cross_entropy(self.readout(features), batch.targets, label_smoothing=self.settings.label_smoothing)

    def begin(self, sources: Tensor, layout: Layout) -> tuple[Source, tuple[Tensor, Tensor]]:
        """Return the memory and the decoder's initial state."""
        x = self._drop(self.source(sources), self.settings.embedding_dropout)
        if layout.mask is None:
            y, (h, c) = self.encoder(x)
        else:
            y, (h, c) = self.encoder(pack_padded_sequence(x, layout.lengths, enforce_sorted=False))
            y, _ = pad_packed_sequence(y)
        begun = self.bridge(torch.cat([h[0], c[0], h[1], c[1]], 1)).tanh().chunk(2, 1)
        values = self._drop(y, self.settings.dropout).transpose(0, 1).contiguous()
        return Source(self.key(values), values, None if layout.mask is None else ~layout.mask.T), begun

    def attend(self, h: Tensor, source: Source) -> Tensor:
        """Return the contexts of steps h [B, T, H], [B, T, D]."""
        scores = self.score((self.query(h)[:, :, None] + source.keys[:, None]).tanh())[..., 0]  # [B, T, S]
        if source.padding is not None:
            scores = scores.masked_fill(source.padding[:, None], -torch.inf)
        return scores.softmax(-1) @ source.values

    def _drop(self, x: Tensor, part: float) -> Tensor:
        return dropout(x, part, self.training)


class Writer:
    """Greedy and beam search, with equally many hypotheses per row."""

    def __init__(self, net: TorchTranslator):
        self.net = net
        self.cell = nn.LSTMCell(net.decoder.input_size, net.decoder.hidden_size)
        for own, given in zip(self.cell.parameters(), net.decoder.parameters(), strict=True):
            own.data = given.data

    def write(self, sources: Sequences, limits: np.ndarray, beam: int) -> list[list[int]]:
        """Return the translation of each source, of at most `limits` units."""
        found: list[list[int]] = [[] for _ in limits]
        order = np.argsort(sources.lengths, kind="stable")
        search = self.greedy if beam == 1 else self.beam
        self.net.eval()
        with torch.inference_mode():
            for rows in np.split(order, range(HELD, len(order), HELD)):
                batch = sources.select(rows)
                begun = self.net.begin(padded(batch), Layout.of(batch.lengths))
                for row, units in zip(rows, search(*begun, torch.from_numpy(limits[rows]), beam), strict=True):
                    found[row] = units
        return found

    def step(self, ids: Tensor, state: tuple[Tensor, Tensor], source: Source) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return logits [R, V] and the new state, given units [R] sorted by source row."""
        net, rows = self.net, len(source.values)
        h, c = self.cell(net.target(ids), state)
        context = net.attend(h.view(rows, len(h) // rows, -1), source).flatten(0, 1)
        return net.readout(net.combine(torch.cat([h, context], -1)).tanh()), (h, c)

    def greedy(self, source: Source, state: tuple[Tensor, Tensor], limits: Tensor, _: int) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in limits]
        row, ids = torch.arange(len(limits)), torch.full((len(limits),), BOUNDARY)
        while True:
            logits, state = self.step(ids, state, source)
            ids = logits.argmax(-1)
            going = (ids != BOUNDARY) & (limits > 0)
            if not going.all():
                kept = going.nonzero()[:, 0]
                ids, row, limits, source = ids[kept], row[kept], limits[kept], source.select(kept)
                state = state[0].index_select(0, kept), state[1].index_select(0, kept)
            if not len(row):
                return found
            limits = limits - 1
            for number, unit in zip(row.tolist(), ids.tolist(), strict=True):
                found[number].append(unit)

    def beam(self, source: Source, state: tuple[Tensor, Tensor], limits: Tensor, beam: int) -> list[list[int]]:
        """Return the best by log-probability / units; a row is done when `beam` of its hypotheses are finished."""
        best: list[tuple[float, list[int]]] = [(-np.inf, []) for _ in limits]
        row, counts = torch.arange(len(limits)), torch.zeros(len(limits), dtype=torch.int64)
        totals, lanes, length = torch.zeros(len(limits), 1), 1, 0
        written, ids = torch.empty(len(limits), 1, 0, dtype=torch.int64), torch.full((len(limits),), BOUNDARY)
        while True:
            logits, state = self.step(ids, state, source)
            units = logits.shape[1]
            scores = totals[:, :, None] + logits.log_softmax(-1).view(len(row), lanes, units)
            values, chosen = scores.view(len(row), -1).topk(2 * beam)  # at most half of them end
            parent, unit = chosen // units, chosen % units
            ends = unit == BOUNDARY
            done = ends[:, :beam].nonzero()
            for place, rank in done.tolist():
                score = values[place, rank].item() / (length + 1)
                if score > best[row[place]][0]:
                    best[row[place]] = score, written[place, parent[place, rank]].tolist()
            counts += ends[:, :beam].sum(1)
            going = (ends * 2 * beam + torch.arange(2 * beam)).topk(beam, largest=False).indices
            totals, unit, parent = (part.gather(1, going) for part in (values, unit, parent))
            hypotheses = parent + lanes * torch.arange(len(row))[:, None]
            written = torch.cat([written.flatten(0, 1)[hypotheses], unit[:, :, None]], 2)
            length, lanes = length + 1, beam
            kept = ((counts < beam) & (limits >= length)).nonzero()[:, 0]
            for place in ((counts < beam) & (limits < length)).nonzero()[:, 0].tolist():
                if best[row[place]][0] == -np.inf:
                    best[row[place]] = -np.inf, written[place, 0, :-1].tolist()
            if not len(kept):
                return [units for _, units in best]
            if len(kept) < len(row):
                row, counts, limits, totals, written = (p[kept] for p in (row, counts, limits, totals, written))
                unit, hypotheses, source = unit[kept], hypotheses[kept], source.select(kept)
            ids = unit.flatten()
            state = tuple(part.index_select(0, hypotheses.flatten()) for part in state)


def _take(weights: Sequence[Tensor], own: Any) -> None:
    """Copy the weights of an LSTM of elman."""
    for weight, given in zip(weights, (own.weight_ih, own.weight_hh, own.bias), strict=False):
        weight.copy_(given)
    weights[3].zero_()
