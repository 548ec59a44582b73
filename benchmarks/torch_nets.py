"""Networks of the tagger and of the classifier in torch.nn and pytorch-crf, and their training updates.

A batch is padded, time first. Rows are read in both directions, and no step reads padding before its row: either the
backward LSTM reads rows that are reversed within their lengths, or both directions read a packed sequence.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, dropout
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torchcrf import CRF

from elman.data.spelled_words import UNKNOWN as UNKNOWN_WORD
from elman.data.spelled_words import Spelled
from elman.data.units.base import UNKNOWN as UNKNOWN_UNIT
from elman.layers import Bidirectional, Dropout
from elman.sequences import Sequences
from elman.tasks.classifier import ClassifierNet
from elman.tasks.tagger_net import TaggerNet

FORBIDDEN = -1e4  # pytorch-crf does not accept -inf


class Layout(NamedTuple):
    """Layout of a padded batch, made once, outside the clock."""

    lengths: Tensor  # [B]
    mask: Tensor | None  # [T, B] True for real steps; None if no row is padded
    turned: Tensor | None  # [T, B] step numbers of the reversed rows; None: a flip is enough

    @classmethod
    def of(cls, lengths: np.ndarray) -> "Layout":
        times = np.arange(lengths.max())[:, None]
        mask = times < lengths
        if mask.all():
            return cls(torch.tensor(lengths), None, None)
        turned = np.where(mask, lengths - 1 - times, times)
        return cls(torch.tensor(lengths), torch.from_numpy(mask), torch.from_numpy(turned))


class BothDirections(nn.Module):
    """Bidirectional LSTM: `steps` returns its outputs [T, B, 2H], `ends` its final states [B, 2H]."""

    def steps(self, x: Tensor, layout: Layout) -> Tensor:
        raise NotImplementedError

    def ends(self, x: Tensor, layout: Layout) -> Tensor:
        raise NotImplementedError

    def take(self, cell: Bidirectional) -> None:
        """Copy the weights of elman's cell."""
        halves = zip(self.halves(), (cell.forward_cell, cell.backward_cell), strict=True)
        with torch.no_grad():
            for (weight_ih, weight_hh, bias_ih, bias_hh), own in halves:
                weight_ih.copy_(own.weight_ih)
                weight_hh.copy_(own.weight_hh)
                bias_ih.copy_(own.bias)
                bias_hh.zero_()

    def halves(self) -> list[list[Tensor]]:
        """Return the weights of the forward and of the backward LSTM."""
        weights = list(self.parameters())
        return [weights[:4], weights[4:]]


class Padded(BothDirections):
    """Two LSTMs over all steps, including padding, so that PyTorch calls oneDNN."""

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.forward_lstm, self.backward_lstm = nn.LSTM(input_size, hidden_size), nn.LSTM(input_size, hidden_size)

    def steps(self, x: Tensor, layout: Layout) -> Tensor:
        forward, backward = self._both(x, layout)
        return torch.cat([forward, _turn(backward, layout)], -1)

    def ends(self, x: Tensor, layout: Layout) -> Tensor:
        last = layout.lengths - 1, torch.arange(len(layout.lengths))
        return torch.cat([y[last] for y in self._both(x, layout)], -1)

    def _both(self, x: Tensor, layout: Layout) -> list[Tensor]:
        return [self.forward_lstm(x)[0], self.backward_lstm(_turn(x, layout))[0]]


class Packed(BothDirections):
    """Bidirectional LSTM over a PackedSequence."""

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, bidirectional=True)

    def steps(self, x: Tensor, layout: Layout) -> Tensor:
        return pad_packed_sequence(self._packed(x, layout)[0])[0]

    def ends(self, x: Tensor, layout: Layout) -> Tensor:
        _, (h, _) = self._packed(x, layout)
        return torch.cat([h[0], h[1]], -1)

    def _packed(self, x: Tensor, layout: Layout) -> Any:
        return self.lstm(pack_padded_sequence(x, layout.lengths, enforce_sorted=False))


def _turn(x: Tensor, layout: Layout) -> Tensor:
    """Reverse every row within its length."""
    return x.flip(0) if layout.turned is None else x.gather(0, layout.turned[:, :, None].expand_as(x))


READERS: dict[str, type[BothDirections]] = {"padded": Padded, "packed": Packed}


class Sentences(NamedTuple):
    """Batch of the tagger, with each different word spelled once."""

    words: Tensor  # [T, B]
    spellings: Tensor  # [T, B] rows of the characters
    characters: Tensor  # [letters, different words]
    spelled: Layout  # layout of the characters
    layout: Layout
    tags: Tensor  # [T, B]

    @classmethod
    def of(cls, batch: Spelled, tags: Sequences) -> "Sentences":
        words, spellings = (batch.tokens.map(lambda tokens, i=i: tokens[i]) for i in (0, 1))
        spelled, layout = Layout.of(batch.characters.lengths), Layout.of(tags.lengths)
        return cls(padded(words), padded(spellings), padded(batch.characters), spelled, layout, padded(tags))


class TorchTagger(nn.Module):
    """Network of `TaggerNet` with its CRF."""

    def __init__(self, net: TaggerNet, reader: type[BothDirections], settings: Any):
        super().__init__()
        spelling, body, num_tags = net.spelling.cells, _recurrent(net.body), net.readout.output_size
        self.settings = settings
        self.input_dropout, self.dropout = _dropouts(net.body)
        self.word = embedding_of(net.word.weight, sparse=True)
        self.character = embedding_of(spelling[0].weight)
        self.spelling = reader(spelling[1].input_size, spelling[1].forward_cell.output_size)
        self.body = reader(body.input_size, body.forward_cell.output_size)
        self.readout = linear_of(net.readout)
        self.crf = CRF(num_tags)
        self.spelling.take(spelling[1])
        self.body.take(body)
        weights = self.crf.transitions, self.crf.start_transitions, self.crf.end_transitions
        with torch.no_grad():
            for own, given in zip(weights, net.chain._weights(), strict=True):
                own.copy_(given.clamp(min=FORBIDDEN))

    def forward(self, batch: Sentences) -> Tensor:
        words = _forget(self, batch.words, UNKNOWN_WORD)
        spelled = self.spelling.ends(self.character(batch.characters), batch.spelled)
        x = torch.cat([self.word(words), spelled.index_select(0, batch.spellings.view(-1)).view(*words.shape, -1)], -1)
        y = self.body.steps(dropout(x, self.input_dropout, self.training), batch.layout)
        scores = self.readout(dropout(y, self.dropout, self.training))
        return -self.crf(scores, batch.tags, batch.layout.mask, reduction="token_mean")


class Texts(NamedTuple):
    """Batch of the classifier."""

    units: Tensor  # [T, B]
    layout: Layout
    classes: Tensor  # [B]

    @classmethod
    def of(cls, rows: Sequences, classes: Tensor) -> "Texts":
        return cls(padded(rows), Layout.of(rows.lengths), classes)


class TorchClassifier(nn.Module):
    """Network of `ClassifierNet` for text, with maximum pooling."""

    def __init__(self, net: ClassifierNet, reader: type[BothDirections], settings: Any):
        super().__init__()
        body = _recurrent(net.cells[0])
        self.settings = settings
        self.input_dropout, self.dropout = _dropouts(net.cells[0])
        self.word = embedding_of(net.cells[0].cells[0].weight, sparse=True)
        self.body = reader(body.input_size, body.forward_cell.output_size)
        self.readout = linear_of(net.readout)
        self.body.take(body)

    def forward(self, batch: Texts) -> Tensor:
        x = self.word(_forget(self, batch.units, UNKNOWN_UNIT))
        y = self.body.steps(dropout(x, self.input_dropout, self.training), batch.layout)
        y = dropout(y, self.dropout, self.training)
        if batch.layout.mask is not None:
            y = y.masked_fill(~batch.layout.mask[:, :, None], -torch.inf)
        return cross_entropy(self.readout(y.max(0).values), batch.classes)


class Trainer:
    """Updates as in elman's loop: AdamW, and SparseAdam for the rows of embeddings that a batch has read."""

    def __init__(self, net: nn.Module, batches: Sequence[Any]):
        self.net, self.batches = net, batches
        self.tables = [part.weight for part in net.modules() if isinstance(part, nn.Embedding) and part.sparse]
        self.dense = [weight for weight in net.parameters() if all(weight is not table for table in self.tables)]
        rate = net.settings.learning_rate
        self.optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(self.dense, rate, fused=True)]
        if self.tables:
            self.optimizers.append(torch.optim.SparseAdam(self.tables, rate))

    def run(self) -> None:
        self.net.train()
        for batch in self.batches:
            self.update(batch)

    def update(self, batch: Any) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss = self.net(batch)
        if not math.isfinite(loss.item()):
            raise SystemExit(f"the loss is {loss.item()}; nothing was timed.")
        loss.backward()
        for table in self.tables:
            table.grad = table.grad.coalesce()
        gradients = [*(table.grad.values() for table in self.tables), *(weight.grad for weight in self.dense)]
        norm = nn.utils.get_total_norm(gradients, foreach=True)
        if norm > self.net.settings.clip_norm:
            torch._foreach_mul_(gradients, self.net.settings.clip_norm / (norm + 1e-6))
        for optimizer in self.optimizers:
            optimizer.step()


def _forget(net: Any, ids: Tensor, unknown: int) -> Tensor:
    """Replace some ids by the unknown id in training."""
    part = net.settings.word_dropout
    return torch.where(torch.rand(ids.shape) < part, unknown, ids) if net.training and part else ids


def _dropouts(stack: Any) -> list[float]:
    return [cell.p for cell in stack if isinstance(cell, Dropout)]


def _recurrent(stack: Any) -> Bidirectional:
    (found,) = (cell for cell in stack if isinstance(cell, Bidirectional))
    return found


def embedding_of(weight: Tensor, sparse: bool = False) -> nn.Embedding:
    return nn.Embedding.from_pretrained(weight.detach().clone(), freeze=False, sparse=sparse)


def linear_of(given: Any) -> nn.Linear:
    own = nn.Linear(given.input_size, given.output_size)
    own.load_state_dict(given.state_dict())
    return own


def padded(rows: Sequences) -> Tensor:
    return torch.from_numpy(rows.to_padded(batch_first=False)).contiguous()
