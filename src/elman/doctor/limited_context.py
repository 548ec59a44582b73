"""Scans that forget: what a recurrence writes when it has read no more than the last few inputs before each step."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from elman import state as states
from elman.cells import CellModule
from elman.cells.torch_weights import cell_from_layer, layer_suffixes
from elman.doctor.torch_layers import state_of
from elman.rows import Rows
from elman.sequences import Sequences
from elman.state import State

CHUNK = 1 << 23  # numbers that the windows take at once: 32 MiB in float32

Scan = Callable[[CellModule, Sequences, State | None], tuple[Sequences, State]]


def scan_afresh(cell: CellModule, x: Sequences, state: State | None, context: int) -> tuple[Sequences, State]:
    """The scan of a cell that starts afresh before each step that it writes: its kernel, run on windows.

    Every step has read `context` inputs or a few more, up to a sixteenth: so many neighbours end one window together.
    The first `context` steps of a row are scanned once, from the state that was given.
    """
    if x.lengths.max(initial=0) <= context:
        return cell.scan(x, state)
    first, later = np.flatnonzero(x.times < context), np.flatnonzero(x.times >= context)
    y, final = cell.scan(Sequences(states.select(x.values, first), np.minimum(x.lengths, context)), state)
    written, carried = [y.values], []
    starts = later[(x.times[later] - context) % _together(context) == 0]  # of each window the first step that it writes
    sizes = np.minimum(_together(context), x.offsets[1:][x.rows[starts]] - starts) + context - 1
    parts = 1 + int(sizes.sum()) * (cell.input_size + 6 * cell.output_size) // CHUNK
    for part in np.array_split(np.arange(len(starts)), parts):
        rows = Rows(sizes[part])
        steps = starts[part][rows.rows] - context + 1 + rows.times
        y, last = cell.scan(Sequences(states.select(x.values, steps), rows), None)
        written.append(states.select(y.values, np.flatnonzero(rows.times >= context - 1)))
        carried.append(last)
    back = np.argsort(np.concatenate([first, later]))
    ending = np.searchsorted(starts, x.offsets[1:] - 1, side="right") - 1  # the window with the last step of each row
    last = states.select(states.cat(carried), np.maximum(ending, 0))
    y = x.with_values(states.select(states.cat(written), back))
    return y, states.where(x.lengths > context, last, final)


def steps_afresh(lengths: np.ndarray, context: int) -> int:
    """The steps that `scan_afresh` costs for rows of these lengths [B]: about 17 times what there are, at most."""
    windows = -(np.minimum(context - lengths, 0) // _together(context))
    return int((lengths + windows * (context - 1)).sum())


def _together(context: int) -> int:
    """Steps that are written at the end of one window."""
    return max(1, context // 16)


def cells_of(layer: Any) -> list[CellModule]:
    """A cell with the same weights for each layer and direction of a `torch.nn.RNN`, `LSTM` or `GRU`."""
    return [cell_from_layer(layer, suffix).eval() for suffix in layer_suffixes(layer)]


def call_again(
    layer: Any, cells: Sequence[CellModule], args: Sequence[Any], kwargs: dict[str, Any], scan: Scan
) -> tuple[Any, Any]:
    """What a layer of torch returns for these arguments, where its `cells` are scanned by `scan`."""
    given = dict(zip(("input", "hx"), args, strict=False)) | kwargs
    read, ways = given["input"], 2 if layer.bidirectional else 1
    before = _states_of(layer, given.get("hx"), len(cells))
    below, order = _rows_of(layer, read)
    after = []
    for number in range(0, len(cells), ways):
        written = []
        for way in range(ways):
            y, final = scan(cells[number + way], below.reverse() if way else below, before[number + way])
            written.append((y.reverse() if way else y).values)
            after.append(tuple(states.leaves(final)))
        below = below.with_values(torch.cat(written, -1))
    data = torch.empty_like(below.values).index_copy_(0, order, below.values)
    packed = isinstance(read, PackedSequence)
    output = read._replace(data=data) if packed else data.view(*read.shape[:-1], data.shape[-1])
    finals = [torch.stack(leaves) for leaves in zip(*after, strict=True)]
    if not packed and read.dim() == 2:
        finals = [leaf[:, 0] for leaf in finals]
    return output, tuple(finals) if isinstance(layer, nn.LSTM) else finals[0]


def _rows_of(layer: Any, read: Any) -> tuple[Sequences, Tensor]:
    """What a layer was given, ragged, and the place of each of its steps [N] in what was given."""
    if isinstance(read, PackedSequence):
        data, numbers = read.data, read._replace(data=torch.arange(len(read.data)))
        order = Sequences.from_packed(numbers)
    else:
        data, places = read.flatten(0, -2), torch.arange(read[..., 0].numel()).view(read.shape[:-1])
        places = places if layer.batch_first or places.dim() == 1 else places.T
        order = Sequences(places.flatten(), [places.shape[-1]] * (places.numel() // max(places.shape[-1], 1)))
    steps = order.values.to(data.device)
    return order.with_values(data.index_select(0, steps)), steps


def _states_of(layer: Any, hx: Any, count: int) -> list[State | None]:
    """The initial state of each of its cells, [B, H] or (h, c); None for zeros."""
    if hx is None:
        return [None] * count
    leaves = [leaf if leaf.dim() == 3 else leaf[:, None] for leaf in (hx if isinstance(hx, tuple) else (hx,))]
    return [state_of(layer, [leaf[number] for leaf in leaves]) for number in range(count)]
