"""Loss of a linear-chain CRF (Lafferty, McCallum and Pereira 2001), with its gradient from the native kernel."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from elman.arrays import tensor
from elman.cell import unroll
from elman.cells.module import check_tensor
from elman.classical.crf import CRF
from elman.classical.crf_likelihood import Ends, Weights, negative_log_likelihood
from elman.classical.tag_schemes import Allowed
from elman.kernels import transforms
from elman.kernels.memory import plain
from elman.losses.cross_entropy import REDUCTIONS
from elman.sequences import Sequences
from elman.shapes import check


def reference(scores: Tensor, tags: Tensor, lengths: Any, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Compute the negative log-likelihood of all rows by its definition in PyTorch: differentiable any number of times.

    A score of -inf is replaced by a very small one, because the gradient of logsumexp over -inf is NaN.
    """
    low = torch.finfo(scores.dtype).min / 16
    scores, transitions, start, end = (
        torch.nan_to_num(x, nan=torch.nan, neginf=low) for x in (scores, transitions, start, end)
    )

    def step(x: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
        joint = alpha + x
        return joint, torch.logsumexp(joint[:, :, None] + transitions, 1)

    sequences = Sequences(scores, lengths)
    _, first, last = (tensor(x).to(scores.device) for x in Ends.of(sequences.lengths))
    joint, _ = unroll(step, sequences, start.expand(len(sequences), -1))
    log_partition = torch.logsumexp(joint.values[last] + end, 1)
    moves = torch.ones(len(scores), dtype=torch.bool, device=scores.device)
    moves[last] = False
    moves = moves.nonzero()[:, 0]
    gain = scores.gather(1, tags[:, None]).sum() + transitions[tags[moves], tags[moves + 1]].sum()
    return log_partition.sum() - gain - start[tags[first]].sum() - end[tags[last]].sum()


class _Native(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rest: tuple[Tensor, np.ndarray, int], *inputs: Tensor) -> Tensor:
        tags, lengths, over = rest
        scores, transitions, start, end = inputs
        loss, gradients = _numbers(scores, tags, lengths, transitions, start, end, gradients=True)
        arrays = gradients.scores, *gradients.weights
        found = (torch.from_numpy(array).to(x) for array, x in zip(arrays, inputs, strict=True))
        ctx.save_for_backward(*inputs, tags, *found)
        ctx.lengths, ctx.over = lengths, over
        return torch.full((), loss / over, dtype=scores.dtype, device=scores.device)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, tags, ds, dt, db, de = ctx.saved_tensors
        gradient = gradient / ctx.over
        if torch.is_grad_enabled():  # create_graph=True: the kernel builds no graph of the gradient
            scores, *weights = inputs
            loss = reference(scores, tags, ctx.lengths, *weights)
            wanted = [x for x in inputs if x.requires_grad]
            found = iter(torch.autograd.grad(loss, wanted, gradient, create_graph=True))
            return None, *(next(found) if x.requires_grad else None for x in inputs)
        wanted = ctx.needs_input_grad[1:]
        return None, *(gradient * d if wanted[i] else None for i, d in enumerate((ds, dt, db, de)))


def _numbers(
    scores: Tensor, tags: Tensor, lengths: np.ndarray, transitions: Tensor, start: Tensor, end: Tensor, gradients: bool
) -> tuple[float, Any]:
    """Return the summed loss of all rows and its gradients."""
    weights = Weights(*(_array(x).astype(np.float64, copy=False) for x in (transitions, start, end)))
    return negative_log_likelihood("crf_loss", _array(scores), plain(tags.cpu()).numpy(), lengths, weights, gradients)


def _array(x: Tensor) -> np.ndarray:
    """Return a tensor as a NumPy array, without a copy where possible."""
    x = plain(x.detach().cpu())
    return (x if x.dtype in (torch.float32, torch.float64) else x.double()).numpy()


def crf_loss(
    scores: Tensor,
    tags: Tensor,
    lengths: Any,
    transitions: Tensor,
    start: Tensor,
    end: Tensor,
    reduction: str = "mean",
    streams: int = 1,
) -> Tensor:
    """Compute the negative log-probability of the tags of a ragged batch given their scores, in nats.

    One call of the kernel computes the loss and all gradients, in float64 on the CPU, for tensors of any dtype and
    device. The transforms of `torch.func` and gradients of gradients use `reference`.

    Args:
        scores: [N, K] logits of each tag at each step; -inf forbids a tag.
        tags: [N] integers from 0 to K - 1.
        lengths: the lengths of the rows, B integers that sum to N, or their layout.
        transitions: [K, K] scores from, to; -inf forbids a transition.
        start: [K] scores of the first tag of a row.
        end: [K] scores of the last tag of a row.
        reduction: `mean` over the steps, or `sum`.
        streams: divisor of a sum.
    Returns:
        A scalar. The loss of an empty row, and of an empty batch, is zero.
    Raises:
        TypeError: scores and weights do not have one floating-point dtype, or tags are not integers.
        ValueError: the shapes do not agree; a tag is out of range or forbidden; all paths of a row are forbidden; a
            score or a weight is NaN or infinite.
    Example:
        >>> scores = torch.zeros(3, 2, requires_grad=True)
        >>> loss = crf_loss(scores, torch.tensor([0, 1, 0]), [2, 1], torch.zeros(2, 2), torch.zeros(2), torch.zeros(2))
        >>> loss.backward()
        >>> round(loss.item(), 4), (3 * scores.grad).tolist()
        (0.6931, [[-0.5, 0.5], [0.5, -0.5], [-0.5, 0.5]])
    """
    return _loss(Sequences(scores, lengths), tags, transitions, start, end, reduction, streams)


def _loss(
    rows: Sequences, tags: Tensor, transitions: Tensor, start: Tensor, end: Tensor, reduction: str, streams: int
) -> Tensor:
    scores, lengths = rows.values, rows.lengths
    if reduction not in REDUCTIONS:
        raise ValueError(f"crf_loss: expected reduction to be one of {', '.join(REDUCTIONS)}, got {reduction!r}.")
    _check(scores, tags, transitions, start, end)
    tags = tags.long()
    over = max(1, len(scores)) if reduction == "mean" else streams
    if transforms.active():
        return reference(scores, tags, lengths, transitions, start, end) / over
    inputs = scores, transitions, start, end
    if torch.is_grad_enabled() and any(x.requires_grad for x in inputs):
        return _Native.apply((tags, lengths, over), *inputs)
    loss, _ = _numbers(scores, tags, lengths, transitions, start, end, gradients=False)
    return torch.full((), loss / over, dtype=scores.dtype, device=scores.device)


def _check(scores: Tensor, tags: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> None:
    """Check shapes and types."""
    check_tensor("crf_loss", "scores", scores)
    check_tensor("crf_loss", "tags", tags)
    steps, num_tags = scores.shape if scores.ndim == 2 else (0, 0)
    given = tags.shape, transitions.shape, start.shape, end.shape
    if scores.ndim != 2 or given != ((steps,), (num_tags, num_tags), (num_tags,), (num_tags,)):
        check("crf_loss", "scores", scores, "N K")
        check("crf_loss", "tags", tags, f"N={steps}")
        check("crf_loss", "transitions", transitions, f"K={num_tags} K={num_tags}")
        check("crf_loss", "start", start, f"K={num_tags}")
        check("crf_loss", "end", end, f"K={num_tags}")
    if not scores.dtype == transitions.dtype == start.dtype == end.dtype or not scores.is_floating_point():
        raise TypeError(f"crf_loss: expected scores and weights of one floating-point dtype, got {scores.dtype}, "
                        f"{transitions.dtype}, {start.dtype} and {end.dtype}.")  # fmt: skip
    if tags.is_floating_point() or tags.dtype == torch.bool:
        raise TypeError(f"crf_loss: expected tags of integers, got {tags.dtype}; convert them with .long().")


class CRFLoss(nn.Module):
    """`crf_loss` as a module with trainable weights, and its decoder.

    Args:
        num_tags: K.
        allowed: tags that may follow each other, begin and end a row, as `tag_schemes.allowed` returns them; None: all.
            Others have probability zero, in training and in decoding.
        reduction: `mean` over the steps, or `sum`.
        streams: divisor of a sum.
    Shapes:
        scores: Sequences of [N, K], tags: [N] integers   ->   a scalar, in nats
    Attributes:
        transitions: [K, K] scores from, to; initialised with zeros, as are the others.
        start, end: [K] scores of the first and of the last tag of a row.
    Example:
        >>> from elman.classical.tag_schemes import allowed
        >>> loss = CRFLoss(3, allowed(["O", "B-PER", "I-PER"], "BIO"))
        >>> scores = Sequences.from_list([torch.zeros(4, 3), torch.zeros(2, 3)])
        >>> round(loss(scores, torch.tensor([0, 1, 2, 0, 1, 1])).item(), 3)
        0.856
        >>> loss.decode(scores).values
        tensor([0, 0, 0, 0, 0, 0])
    """

    allowed_transitions: Tensor
    allowed_start: Tensor
    allowed_end: Tensor

    calls_kernels = True  # read by elman.layers.torch_threads

    def __init__(self, num_tags: int, allowed: Allowed | None = None, reduction: str = "mean", streams: int = 1):
        super().__init__()
        if num_tags < 1:
            raise ValueError(f"CRFLoss: expected num_tags of at least 1, got {num_tags}.")
        self.num_tags, self.reduction, self.streams = num_tags, reduction, streams
        self.transitions = nn.Parameter(torch.zeros(num_tags, num_tags))
        self.start = nn.Parameter(torch.zeros(num_tags))
        self.end = nn.Parameter(torch.zeros(num_tags))
        self.constrained = allowed is not None
        for name in Allowed._fields if allowed is not None else ():
            mask = torch.from_numpy(np.array(getattr(allowed, name), dtype=bool))
            check("CRFLoss", f"allowed.{name}", mask, " ".join(f"K={size}" for size in getattr(self, name).shape))
            self.register_buffer(f"allowed_{name}", mask)

    def forward(self, scores: Sequences, tags: Tensor) -> Tensor:
        """Return the loss of a batch."""
        transitions, start, end = self._weights()
        return _loss(scores, tags, transitions, start, end, self.reduction, self.streams)

    def decode(self, scores: Sequences) -> Sequences:
        """Return the most probable tags of each row, [N]."""
        found = self.crf().decode(scores.map(lambda x: _array(x).astype(np.float64, copy=False))).tags
        return found.map(lambda tags: torch.from_numpy(tags).to(scores.values.device))

    def crf(self) -> CRF:
        """Return a `CRF` (NumPy) with these weights: marginals, k best paths, samples, streaming and files."""
        transitions, start, end = (_array(x).astype(np.float64) for x in self._weights())
        return CRF.from_parameters(transitions, start, end, self._allowed())

    def _allowed(self) -> Allowed | None:
        if not self.constrained:
            return None
        return Allowed(*(getattr(self, f"allowed_{name}").cpu().numpy() for name in Allowed._fields))

    def _weights(self) -> list[Tensor]:
        weights: list[Tensor] = [self.transitions, self.start, self.end]
        if not self.constrained:
            return weights
        masks = self.allowed_transitions, self.allowed_start, self.allowed_end
        return [torch.where(mask, weight, -torch.inf) for mask, weight in zip(masks, weights, strict=True)]

    def extra_repr(self) -> str:
        return f"{self.num_tags}, constrained={self.constrained}, reduction={self.reduction}"
