"""Lazy embeddings: rows that no batch has read do not change, and all others are updated as usual."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from elman import Embedding, Linear, Sequences, Stack, files
from elman.training import Event, Interrupted, NonFinite, TrainingSettings, Update, train
from elman.training.lazy_rows import LazyRows
from elman.training.optimizer import clip, gradient_norm, gradients_of, make_optimizers

IDS = 9
READ = [1, 4, 4, 7, 1, 1]  # some more than once
UNREAD = [0, 2, 3, 5, 6, 8]
OPTIMIZERS = [
    {},
    {"optimizer": "sgd"},
    {"optimizer": "sgd", "momentum": 0.9},
    {"optimizer": "rmsprop"},
    {"optimizer": "rmsprop", "momentum": 0.5},
]


def make_net(lazy: bool = True) -> Stack:
    torch.manual_seed(0)
    return Stack(Embedding(IDS, 3, lazy), Linear(3, 2))


def loss_of(net: nn.Module, ids: list[int], scale: float = 1.0) -> Tensor:
    y, _ = net(Sequences(torch.tensor(ids, dtype=torch.int64), [len(ids)]))
    return scale * (y.values * torch.arange(y.values.numel()).view_as(y.values).cos()).sum()


def update(net: nn.Module, optimizers: list[torch.optim.Optimizer], ids: list[int]) -> None:
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss_of(net, ids).backward()
    gradients_of(list(net.parameters()))
    for optimizer in optimizers:
        optimizer.step()


class Batches:
    """Random ids in batches of different sizes, one of which is empty."""

    def epoch(self, number: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(number)
        return [torch.randint(IDS - 2, (size,), generator=generator).tolist() for size in (5, 1, 0, 8, 2, 3)]


@pytest.mark.parametrize("options", OPTIMIZERS)
def test_the_first_update_of_rows_that_were_read_equals_a_dense_update(options: dict[str, Any]) -> None:
    settings = TrainingSettings(**options, weight_decay=0.0, learning_rate=0.1)
    lazy, dense = make_net(), make_net(lazy=False)
    before = lazy.cells[0].weight.detach().clone()
    for net in (lazy, dense):
        update(net, make_optimizers(net, settings), READ)
    torch.testing.assert_close(lazy.state_dict(), dense.state_dict())
    after = lazy.cells[0].weight
    assert torch.equal(after[UNREAD], before[UNREAD])
    assert (after[READ] != before[READ]).all()


def test_adam_is_pytorchs_sparse_adam_over_many_updates() -> None:
    ours, theirs = make_net().cells[0], make_net().cells[0]
    (optimizer,) = make_optimizers(ours, TrainingSettings(learning_rate=0.05))
    plain = torch.optim.SparseAdam(theirs.parameters(), lr=0.05)
    for epoch in range(1, 6):
        for ids in Batches().epoch(epoch):
            update(ours, [optimizer], ids)
            update(theirs, [plain], ids)
    torch.testing.assert_close(ours.weight, theirs.weight)


@pytest.mark.parametrize("options", OPTIMIZERS)
def test_rows_without_a_gradient_keep_their_bits_and_their_memory(options: dict[str, Any]) -> None:
    net = make_net()
    table = net.cells[0].weight
    dense, lazy = optimizers = make_optimizers(net, TrainingSettings(**options, weight_decay=0.5))
    assert isinstance(lazy, LazyRows)
    assert dense.param_groups[0]["weight_decay"] == 0.5
    update(net, optimizers, list(range(IDS)))
    kept = {
        "": table.detach().clone(),
        **{k: v.clone() for k, v in lazy.state[table].items() if k != "step" and v is not None},
    }
    for _ in range(3):
        update(net, optimizers, READ)
    for name, before in kept.items():
        after = lazy.state[table][name] if name else table
        assert torch.equal(after[UNREAD], before[UNREAD])
        assert not torch.equal(after[READ], before[READ])


@pytest.mark.parametrize("scale", [0.01, 1e3])
@pytest.mark.parametrize(("norm", "value"), [(None, None), (1.0, None), (None, 0.3), (1.0, 0.3)])
def test_the_norm_and_the_clipped_gradient_are_those_of_a_dense_table(
    scale: float, norm: float | None, value: float | None
) -> None:
    lengths, clipped = [], []
    for lazy in (True, False):
        net = make_net(lazy)
        loss_of(net, READ, scale).backward()
        gradients = gradients_of(list(net.parameters()))
        lengths.append(gradient_norm(gradients))
        clip(gradients, lengths[-1], TrainingSettings(clip_norm=norm, clip_value=value))
        clipped.append([parameter.grad.to_dense() for parameter in net.parameters()])
    torch.testing.assert_close(lengths[0], lengths[1])
    torch.testing.assert_close(clipped[0], clipped[1])


def test_coalesced_gradients_do_not_share_memory() -> None:
    table, bias = Embedding(IDS, 3, lazy=True), nn.Parameter(torch.zeros(1, 3))
    (table.apply_to(torch.tensor([2])) + bias).sum().backward()  # one tensor may serve both
    clip(gradients := gradients_of([table.weight, bias]), gradient_norm(gradients), TrainingSettings(clip_norm=1.0))
    for gradient in gradients:
        torch.testing.assert_close(gradient, torch.full((1, 3), 6**-0.5))


def run(net: nn.Module, folder: Path | None = None, **more: Any) -> list[Event]:
    events: list[Event] = []
    options = {name: more.pop(name) for name in ("resume", "save_every") if name in more}
    stop = more.pop("stop", 0)

    def watch(event: Event) -> None:
        events.append(event)
        if event.update == stop:
            raise KeyboardInterrupt

    def loss(ids: list[int], state: Any) -> tuple[Tensor, None]:
        return loss_of(net, ids).abs(), None

    settings = TrainingSettings(**{"epochs": 3, "learning_rate": 0.05, **more})
    train(net, loss, Batches(), settings, run=folder, observers=[watch], **options)
    return events


@pytest.mark.parametrize("options", OPTIMIZERS)
def test_a_run_that_is_resumed_ends_with_the_same_bits(tmp_path: Path, options: dict[str, Any]) -> None:
    whole, resumed = make_net(), make_net()
    run(whole, tmp_path / "whole", **options)
    for stop in (2, 3, 11):
        with pytest.raises(Interrupted):
            run(make_net(), tmp_path / "cut", resume=True, stop=stop, **options)
    run(resumed, tmp_path / "cut", resume=True, **options)
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name])
    left, other = (files.read_tensors(tmp_path / name / "last.safetensors", torch=True)[0] for name in ("whole", "cut"))
    assert left.keys() == other.keys()
    assert all(torch.equal(left[name], other[name]) for name in left)
    assert options or left["optimizer/cells.0.weight/exp_avg"].shape == (IDS, 3)
    assert torch.equal(whole.cells[0].weight[IDS - 2 :], make_net().cells[0].weight[IDS - 2 :])  # never read


def test_the_schedule_reaches_the_rows() -> None:
    net, weights = make_net(), [make_net().cells[0].weight.detach().clone()]

    class Same:
        def epoch(self, number: int) -> list[list[int]]:
            return [READ] * 4

    def loss(ids: list[int], state: Any) -> tuple[Tensor, None]:
        return loss_of(net.cells[0], ids), None  # linear: the gradient stays

    def keep(event: Event) -> None:
        assert isinstance(event, Update)
        weights.append(net.cells[0].weight.detach().clone())
        moved = (weights[-1] - weights[-2])[1].norm().item()
        rates.append(moved / event.learning_rate)

    rates: list[float] = []
    settings = TrainingSettings(epochs=2, optimizer="sgd", clip_norm=None, warmup=3, learning_rate=0.1)
    train(net, loss, Same(), settings, observers=[keep])
    assert len(rates) == 8
    assert rates == pytest.approx([rates[0]] * 8, rel=1e-3)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_is_found_in_its_table(bad: float) -> None:
    net = make_net()

    class Slope(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, dy: Tensor) -> Tensor:
            return dy.index_fill(0, torch.tensor([1]), bad)

    net.cells[0].register_forward_hook(lambda _module, _inputs, output: (output[0].map(Slope.apply), output[1]))
    with pytest.raises(
        NonFinite, match=rf"update 1 .epoch 1.: the norm of the gradient is {bad} in cells\.0\.weight"
    ) as caught:
        run(net)
    assert caught.value.layer == "cells.0.weight"
    assert torch.equal(net.cells[0].weight, make_net().cells[0].weight)


def test_a_lazy_table_shared_with_another_layer_is_an_error() -> None:
    net = nn.ModuleDict({"words": Embedding(IDS, 3, lazy=True), "read_out": Linear(3, IDS)})
    net["read_out"].weight = net["words"].weight
    with pytest.raises(ValueError, match=r"^train: read_out\.weight is also the weight of a lazy Embedding, whose"):
        make_optimizers(net, TrainingSettings())
    net["read_out"] = Embedding(IDS, 3, lazy=True)
    net["read_out"].weight = net["words"].weight
    (optimizer,) = make_optimizers(net, TrainingSettings())
    assert len(optimizer.param_groups[0]["params"]) == 1


def test_a_dense_gradient_of_a_lazy_table_is_an_error() -> None:
    net = make_net()
    optimizers = make_optimizers(net, TrainingSettings())
    (loss_of(net, READ) + net.cells[0].weight.square().sum()).backward()
    with pytest.raises(ValueError, match="a lazy Embedding to have a sparse gradient, got a dense one"):
        optimizers[1].step()
