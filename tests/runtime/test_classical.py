"""Classical models from their files, in a process without PyTorch and SciPy."""

import json

import numpy as np
import pytest

from elman import runtime
from elman.classical import CRF, HMM, LDS, MODELS, BagOfWords, DelayTaps, HMMTagger, NGram
from elman.classical.hmm import GaussianMixture, Poisson
from elman.classical.lds import local_level
from elman.classical.model import ClassicalModel
from elman.files import write_tensors
from elman.network import read_model

from . import torch_free

RNG = np.random.default_rng(0)
COUNTS = [RNG.poisson(4.0, (20, 1)).astype(np.float64) for _ in range(3)]
SERIES = [row - 4 for row in COUNTS]
IDS = [RNG.integers(1, 5, 12) for _ in range(4)]
TAGS = [row % 3 for row in IDS]
WORDS = [["the", "dog", "barks"], ["a", "cat", "sleeps"], ["the", "cats", "purr"]]
MIXTURE = GaussianMixture.from_parameters([[0.4, 0.6], [1.0, 0.0]], RNG.standard_normal((2, 2, 1)), np.ones((2, 2, 1)))

FITTED = {  # name -> model, and rows that it reads
    "DelayTaps": lambda: (DelayTaps(2).fit(SERIES), SERIES),
    "BagOfWords": lambda: (BagOfWords(vocabulary_size=5).fit(IDS, ["a", "b", "a", "b"]), IDS),
    "BagOfWords counts": lambda: (BagOfWords(5, binary=False).fit(IDS, [0, 1, 1, 0]), IDS),
    "NGram": lambda: (NGram(vocabulary_size=5, order=3).fit(IDS), IDS),
    "HMM": lambda: (HMM(2, Poisson(), seed=0, max_iterations=3).fit(COUNTS), COUNTS),
    "HMM mixture": lambda: (HMM.from_parameters([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]], MIXTURE), SERIES),
    "HMMTagger": lambda: (HMMTagger().fit(WORDS, 3 * [["DET", "NOUN", "VERB"]]), [["a", "bird", "sings"]]),
    "LDS": lambda: (local_level(level=0.3, noise=1.0), SERIES),
    "CRF": lambda: (
        CRF(3).fit([np.eye(3)[tags] for tags in TAGS], np.concatenate(TAGS)),
        [np.eye(3)[tags] for tags in TAGS],
    ),
}
CODE = """
import numpy as np
from elman import runtime

def numbers(value):
    return [numbers(part) for part in value] if isinstance(value, tuple) else np.asarray(value).tolist()

found = {}
for path in sys.argv[2:]:
    model = runtime.load(path)
    name = path.rsplit("/", 1)[1]
    rows = json.loads(sys.argv[1])[name]
    rows = [row if isinstance(row[0], str) else np.array(row) for row in rows]
    y, state = model.scan(rows)
    step, _ = model.step(np.array([rows[0][0]]), model.initial_state(1))
    more = model.predict_proba(rows).tolist() if hasattr(model, "predict_proba") else None
    found[name] = [type(model).__name__, numbers(y.values), numbers(step), more]
print(json.dumps(found))
"""


def numbers(value):
    return [numbers(part) for part in value] if isinstance(value, tuple) else np.asarray(value).tolist()


def in_this_process(model: ClassicalModel, rows: list) -> list:
    y, _ = model.scan(rows)
    step, _ = model.step(np.array([rows[0][0]]), model.initial_state(1))
    more = model.predict_proba(rows).tolist() if hasattr(model, "predict_proba") else None
    return [type(model).__name__, numbers(y.values), numbers(step), more]


def check_equal(got, wanted):
    if isinstance(wanted, list):
        for one, other in zip(got, wanted, strict=True):
            check_equal(one, other)
    elif isinstance(wanted, float):
        assert got == pytest.approx(wanted, rel=1e-10, abs=1e-12, nan_ok=True)
    else:
        assert got == wanted


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classical")
    fitted = {name: make() for name, make in FITTED.items()}
    for name, (model, _) in fitted.items():
        model.save(folder / name)
    return folder, fitted


@pytest.mark.parametrize("native", [True, False])
def test_every_classical_model_runs_without_pytorch_and_scipy(files, native):
    folder, fitted = files
    rows = json.dumps({name: [np.asarray(row).tolist() for row in rows] for name, (_, rows) in fitted.items()})
    found = torch_free.run(CODE, rows, *(folder / name for name in fitted), native=native)
    for name, (model, rows) in fitted.items():
        check_equal(found[name], in_this_process(model, rows))


def test_the_registry_has_every_model_that_can_be_saved(files):
    _, fitted = files
    assert {kind.__name__ for kind in ClassicalModel.__subclasses__()} >= {*MODELS}
    assert {type(model).__name__ for model, _ in fitted.values()} == {*MODELS}


def test_a_file_of_an_unknown_model_is_an_error(tmp_path):
    path = tmp_path / "model.safetensors"
    write_tensors(path, {}, {"schema": 1, "version": "0", "model": "os.system", "settings": {}})
    with pytest.raises(ValueError, match=r"expected a model of elman.classical \(DelayTaps, .*\), got 'os.system'"):
        runtime.load(path)


def test_the_representation_of_a_file_names_the_model(files):
    folder, _ = files
    assert "model HMMTagger" in repr(read_model(folder / "HMMTagger"))
    assert "runs without PyTorch yes" in repr(read_model(folder / "HMMTagger"))


def test_the_file_of_another_model_names_runtime_load(files):
    folder, _ = files
    with pytest.raises(ValueError, match=r"expected a LDS, got a model of the kind HMM; use elman.runtime.load"):
        LDS.load(folder / "HMM")
