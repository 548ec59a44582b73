"""PyTorch works in one thread while the kernels compute everything, and gets its threads back."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from torch import nn

import elman
import elman.nn
from elman.cells.module import CellModule
from elman.layers.torch_threads import one_torch_thread, runs_in_kernels
from elman.losses.crf import CRFLoss
from elman.tasks.run import Run

pytestmark = pytest.mark.needs_native


class WithoutKernel(CellModule):
    """Cell whose products PyTorch computes."""

    def __init__(self):
        super().__init__()
        self.input_size = self.output_size = 3
        self.weight = nn.Parameter(torch.eye(3))


@pytest.fixture(autouse=True)
def three_threads():
    """Give PyTorch a number of threads that differs from one, on every machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    "net",
    [
        elman.Stack(elman.Embedding(5, 4), elman.LSTM(4, 8, zoneout_h=0.1), elman.LayerNorm(8), elman.Linear(8, 2)),
        elman.Bidirectional(elman.GRU(3, 4), elman.GRU(3, 4)),
        elman.Residual(elman.MinGRU(3, 3)),
        elman.WindowNet(3, 4),
        elman.Attention(3, 4, 5),
        elman.AttentionPooling(3),
        elman.nn.LSTM(3, 4),
        CRFLoss(3),
        nn.ModuleList([elman.RNN(3, 4), nn.Embedding(5, 4), nn.LayerNorm(4), nn.Dropout(0.5)]),
    ],
)
def test_a_net_of_kernels_runs_in_kernels(net):
    assert runs_in_kernels(net)


@pytest.mark.parametrize(
    "net",
    [
        elman.FrameEncoder(1, 8, 8, 4),
        WithoutKernel(),
        elman.Stack(elman.LSTM(3, 3), WithoutKernel()),
        elman.LSTM(3, 4).double(),
        elman.LSTM(3, 4).to("meta"),
        nn.Sequential(nn.Linear(3, 4)),
        nn.LSTM(3, 4),
    ],
)
def test_products_in_pytorch_keep_its_threads(net):
    assert not runs_in_kernels(net)
    with one_torch_thread(net):
        assert torch.get_num_threads() == 3


def test_a_net_is_not_examined_where_one_thread_works_already(monkeypatch):
    monkeypatch.setattr("elman.layers.torch_threads.runs_in_kernels", lambda net: pytest.fail("examined"))
    net = elman.LSTM(3, 4)
    with one_torch_thread(), one_torch_thread(net):
        assert torch.get_num_threads() == 1
    torch.set_num_threads(1)
    with one_torch_thread(net):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 1


def test_the_number_of_threads_is_restored_after_errors_and_nested_blocks():
    with one_torch_thread():
        with one_torch_thread(elman.LSTM(3, 4)):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3
    with pytest.raises(KeyError), one_torch_thread():
        raise KeyError
    assert torch.get_num_threads() == 3


def test_blocks_that_overlap_in_two_threads_restore_the_number_in_both():
    order = Barrier(2, timeout=10)

    def first():
        with one_torch_thread():
            order.wait()  # the second one is inside as well
            order.wait()
        order.wait()
        return torch.get_num_threads()

    def second():
        order.wait()
        with one_torch_thread():
            order.wait()
            order.wait()  # the first one has left
            assert torch.get_num_threads() == 1
        return torch.get_num_threads()

    with ThreadPoolExecutor(2) as pool:
        found = [future.result() for future in [pool.submit(first), pool.submit(second)]]
    assert found == [3, 3]
    assert torch.get_num_threads() == 3


def test_training_and_evaluation_use_one_thread():
    seen = []
    model = elman.Classifier(units="characters", hidden_size=4, epochs=1, validation=0)
    model.fit(["ab", "cd"] * 4, [0, 1] * 4, run=Run(observers=[lambda event: seen.append(torch.get_num_threads())]))
    with model.reporting(lambda part: seen.append(torch.get_num_threads())):
        model.predict(["ab"])
        model.evaluate(["ab"], [0])
    assert seen == [1] * len(seen)
    assert len(seen) >= 3
    assert torch.get_num_threads() == 3


def test_a_number_of_threads_that_the_caller_sets_meanwhile_is_kept():
    with one_torch_thread():
        torch.set_num_threads(2)
    assert torch.get_num_threads() == 2
    with one_torch_thread(), one_torch_thread():
        torch.set_num_threads(4)
    assert torch.get_num_threads() == 4
