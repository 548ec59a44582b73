"""Networks are built within the memory of the machine; loading draws no weights, and works in a forked child."""

import os
import subprocess
import sys

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import elman
from elman import RNN, CellSettings, Classifier, LanguageModel
from elman.cells import CELLS
from elman.runtime import NoSpec

TEXTS, LABELS = ["a b", "a c", "d e", "d f"] * 4, ["x", "x", "y", "y"] * 4
BRIEF = {"epochs": 1, "hidden_size": 4, "validation": 0}


@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden_size": 10**12},
        {"hidden_size": 10**18},
        {"hidden_size": 2**31},
        {"embedding_size": 10**12},
        {"cell": CellSettings("window_net", window=10**12)},
    ],
)
def test_a_network_larger_than_the_memory_is_one_line(sizes):
    with pytest.raises(
        ValueError, match=r"^expected weights of at most .*, got a network that needs [\d.]+ [TPE]B or more"
    ):
        Classifier(**{**BRIEF, **sizes}).fit(TEXTS, LABELS)


def test_very_many_layers_are_one_line():
    with pytest.raises(ValueError, match="num_layers: expected at least 1 and less than 1000, got 1000000000"):
        Classifier(**{**BRIEF, "num_layers": 10**9}).fit(TEXTS, LABELS)


class Draws(TorchDispatchMode):
    """Record of the tensors in memory that are drawn at random."""

    drawn = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        self.drawn += torch.Tag.nondeterministic_seeded in function.tags and found.device.type != "meta"
        return found


def test_loading_draws_no_weights(tmp_path):
    model = LanguageModel(steps=10, streams=2, ngram_order=0, tie_weights=True, **BRIEF).fit("to be or not to be " * 8)
    model.save(tmp_path / "m")
    with Draws() as loading:
        loaded = elman.load(tmp_path / "m")
    with Draws() as making:
        elman.LSTM(3, 4)
    assert (loading.drawn, making.drawn > 0) == (0, True)
    assert loaded.net_.cells[0].weight is loaded.net_.cells[-1].weight  # tied weights stay tied
    assert all(parameter.requires_grad for parameter in loaded.net_.parameters())
    assert loaded.net_.spec() == model.net_.spec()
    assert all(map(torch.equal, loaded.net_.parameters(), model.net_.parameters()))


class Scaled(RNN):
    """Cell of a user with tensors that no file holds."""

    kind = "scaled"

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__(input_size, hidden_size)
        self.register_buffer("scale", torch.full((hidden_size,), 2.0), persistent=False)
        self.shift, self.table = torch.arange(3.0), {"steps": [torch.ones(2)]}

    def spec(self, names=None):
        raise NoSpec.of(self)


class Measured(Scaled):
    """Cell of a user that reads its weights while it is built."""

    kind = "measured"

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__(input_size, hidden_size)
        self.norm = self.weight_hh.norm().item()


@pytest.mark.parametrize("cell", [Scaled, Measured])
def test_user_defined_cells_keep_tensors_that_are_not_in_the_file(cell, tmp_path, monkeypatch):
    monkeypatch.setitem(CELLS, cell.kind, cell)
    model = Classifier(cell=cell.kind, bidirectional=False, **BRIEF).fit(TEXTS, LABELS)
    model.save(tmp_path / "m")
    loaded = elman.load(tmp_path / "m")
    (own,) = (layer for layer in loaded.net_.modules() if isinstance(layer, cell))
    assert own.scale.tolist() == [2.0] * 4
    assert own.shift.tolist() == [0.0, 1.0, 2.0]
    assert own.table["steps"][0].tolist() == [1.0, 1.0]
    assert (loaded.predict_proba(TEXTS) == model.predict_proba(TEXTS)).all()


def test_a_file_with_an_own_cell_names_the_way_to_add_it(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(CELLS, "scaled", Scaled)
        Classifier(cell="scaled", bidirectional=False, **BRIEF).fit(TEXTS, LABELS).save(tmp_path / "m")
    with pytest.raises(ValueError, match=r"m: .*got 'scaled'\..* elman\.cells\.CELLS\['scaled'\] = YourCell"):
        elman.load(tmp_path / "m")


FORK = """
import os, signal, sys
import torch
import elman
from elman import GRU, LSTM, Classifier
from elman.nn import LSTM as Replacement

texts, labels = ["a b", "a c", "d e", "d f"] * 4, ["x", "x", "y", "y"] * 4
settings = {"epochs": 1, "hidden_size": 16, "validation": 0}
Classifier(**settings).fit(texts, labels).save(sys.argv[1])
net, x = Replacement(30, 20), torch.randn(40, 64, 30)
packed = torch.nn.utils.rnn.pack_padded_sequence(x, [40] * 64)
jobs = {
    "LSTM": lambda: LSTM(3, 4),
    "projection": lambda: LSTM(3, 200, projection_size=100),
    "GRU": lambda: GRU(3, 200),
    "load": lambda: elman.load(sys.argv[1]).predict(texts),
    "fit": lambda: Classifier(**settings).fit(texts, labels),
    "elman.nn": lambda: (net(x), net(x[:2]), net(packed)),
}
torch.linalg.qr(torch.randn(300, 300))  # starts PyTorch's threads
for name, job in jobs.items():
    job()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        job()
        os._exit(0)
    print(name, os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_making_loading_and_training_work_in_a_forked_child(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "ignore", "-c", FORK, str(tmp_path / "m")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    jobs = "LSTM", "projection", "GRU", "load", "fit", "elman.nn"
    assert done.stdout.splitlines() == [f"{name} 0" for name in jobs], done.stderr


def test_the_initialisation_does_not_depend_on_the_number_of_threads():
    before, found = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        found.append(elman.LSTM(3, 256).weight_hh)
    torch.set_num_threads(before)
    assert torch.equal(*found)
