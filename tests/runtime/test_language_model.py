"""A trained language model without PyTorch: the same likelihoods, surprisals and texts."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman import runtime
from elman.cells.settings import CellSettings
from elman.cli import main
from elman.data.windows import Windows
from elman.files import read_tensors, write_tensors
from elman.kernels import native
from elman.losses.cross_entropy import unit_cross_entropy
from elman.network import MODEL
from elman.runtime import ngram_baseline
from elman.runtime.language_model import TrainedLanguageModel
from elman.runtime.unit_costs import unit_costs
from elman.tasks import LanguageModel, load

from . import torch_free

GOLDEN = Path(__file__).parents[1] / "golden" / "language-model-1.safetensors"
TEXT = "the cat sat on the mat and the dog sat on the log; " * 20
TEXTS = ["the cat sat", "a dog on the log", ""]
SETTINGS = {
    "lstm": {"num_layers": 2, "dropout": 0.1},
    "words": {"units": "words", "cell": "gru", "tie_weights": True},
    "bytes": {"units": "bytes", "cell": "rnn", "num_layers": 2, "layer_norm": True, "residual": True, "ngram_order": 0},
    "bpe": {"units": "bpe", "vocabulary_size": 270, "cell": "min_gru"},
    "window": {"cell": "window_net", "ngram_order": 2},
    "zoneout": {"cell": CellSettings("lstm", zoneout_c=0.1, peephole=True)},
}
EXACT = "lstm", "words", "zoneout"  # all of whose layers are native


@cache
def trained(name: str) -> LanguageModel:
    model = LanguageModel(**SETTINGS[name], hidden_size=12, epochs=2, steps=20, streams=4, validation=0, seed=1)
    return model.fit(TEXT)


@pytest.fixture(scope="module", params=SETTINGS)
def pair(request, tmp_path_factory) -> tuple[str, LanguageModel, TrainedLanguageModel]:
    """Return the name of a language model, the model in PyTorch, and without it."""
    folder = tmp_path_factory.mktemp("model")
    task = trained(request.param)
    task.save(folder / MODEL)
    if task.ngram_:
        ngram_baseline.write(folder, task.ngram_, task.metadata())
    return request.param, load(folder), runtime.load(folder)


def test_likelihoods_and_surprisals_are_those_of_pytorch(pair):
    _, task, model = pair
    assert type(model) is TrainedLanguageModel
    for streams in (1, 3):
        assert model.evaluate(TEXT, streams=streams).nats == pytest.approx(
            task.evaluate(TEXT, streams=streams).nats, 1e-6
        )
    assert model.score(TEXTS) == pytest.approx(task.score(TEXTS), 1e-6)
    ours, theirs = model.compare(TEXTS).to_json(), task.compare(TEXTS).to_json()
    assert ours.keys() == theirs.keys()
    ours, theirs = model.surprisal(TEXTS), task.surprisal(TEXTS)
    assert list(ours["word"]) == list(theirs["word"])
    np.testing.assert_allclose(ours["surprisal"], theirs["surprisal"], rtol=1e-5, atol=1e-5)
    with native.disabled():
        np.testing.assert_allclose(model.surprisal(TEXTS)["surprisal"], theirs["surprisal"], rtol=1e-5, atol=2e-5)
    pairs = model.minimal_pairs(["the cat", "a log"], ["the mat", "a dog"])
    assert pairs.accuracy == task.minimal_pairs(["the cat", "a log"], ["the mat", "a dog"]).accuracy
    assert model.facts() == task.facts()


def test_a_seed_generates_the_text_of_pytorch(pair):
    _, task, model = pair
    written = "".join(model.generate("the cat ", length=200, seed=3))
    assert written == "".join(task.generate("the cat ", length=200, seed=3))
    ours = model.stream().read("the cat ")
    state = task.net_.initial_state(1)
    for unit in [0, *model.units_.encode("the cat ").tolist()]:
        with task.evaluating():
            logits, state = task.net_.step(torch.tensor([unit]), state)
    theirs = logits[0].double().log_softmax(-1).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    with native.disabled():
        np.testing.assert_allclose(model.stream().read("the cat "), theirs, rtol=0, atol=1e-5)


@pytest.mark.needs_native
@pytest.mark.parametrize("name", EXACT)
def test_logits_have_the_bits_of_pytorch(name, tmp_path):
    trained(name).save(tmp_path / MODEL)
    task, model = load(tmp_path), runtime.load(tmp_path)
    documents = [model.units_.encode(text) for text in (TEXT, *TEXTS)]
    window = Windows(documents, 3, 50)[0]
    with torch.no_grad():
        expected = task.net_(window.inputs.map(torch.from_numpy))[0].values
    np.testing.assert_array_equal(model.net_.scan(window.inputs)[0].values, expected.numpy())


def test_a_golden_model_has_the_likelihood_that_it_had():
    assert runtime.load(GOLDEN).evaluate("to be or not to be").nats == pytest.approx(54.59797286987305, rel=1e-6)
    with native.disabled():
        assert runtime.load(GOLDEN).evaluate("to be or not to be").nats == pytest.approx(54.59797286987305, rel=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 40), st.integers(2, 300), st.floats(0.1, 40), st.booleans())
def test_costs_of_units_equal_those_of_the_loss(steps, size, spread, certain):
    generator = np.random.default_rng(steps)
    logits = generator.normal(0, spread, (steps, size)).astype(np.float32)
    targets, units = generator.integers(size, size=steps), generator.random(size) < 0.3
    units |= certain
    expected = unit_cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(targets), torch.from_numpy(units))
    with native.disabled():
        np.testing.assert_allclose(unit_costs(logits.copy(), targets, units), expected.numpy(), rtol=1e-12, atol=1e-12)
    got = unit_costs(logits, targets, units)
    bound = expected.numpy() < 70  # float32 probabilities are denormal from 87 on, and lose digits before
    np.testing.assert_allclose(got[bound], expected.numpy()[bound], rtol=1e-5, atol=2e-5)


def test_a_file_whose_network_does_not_fit_raises(tmp_path):
    trained("lstm").save(tmp_path / MODEL)
    tensors, metadata = read_tensors(tmp_path / MODEL)
    other = trained("words")
    write_tensors(tmp_path / MODEL, tensors, metadata | other.metadata())
    message = rf"model\.safetensors: spec: expected a model that reads and predicts {other.units_.size} units"
    with pytest.raises(ValueError, match=message):
        runtime.load(tmp_path)


def test_it_runs_in_a_process_without_pytorch(tmp_path, capsys):
    task = trained("lstm")
    task.save(tmp_path / MODEL)
    code = """
from elman import runtime
model = runtime.load(sys.argv[1])
text = "".join(model.generate("the ", length=50, seed=2))
print(json.dumps([model.evaluate("the cat").nats, model.surprisal("the cat")["surprisal"].tolist(), text]))
"""
    for is_native in (True, False):
        nats, surprisal, text = torch_free.run(code, tmp_path, native=is_native)
        assert nats == pytest.approx(task.evaluate("the cat").nats, 1e-6)
        np.testing.assert_allclose(surprisal, task.surprisal("the cat")["surprisal"], rtol=1e-5, atol=1e-5)
        assert not is_native or text == "".join(task.generate("the ", length=50, seed=2))
    with pytest.raises(SystemExit):
        main(["generate", str(tmp_path), "--prompt", "the ", "--length", "50", "--seed", "2"])
    assert capsys.readouterr().out == f"the {text}\n"


def test_methods_that_a_model_does_not_have_name_another_way(tmp_path):
    model = TrainedLanguageModel()
    for name, way_out in (("fit", r"elman\.load\(path\)"), ("predict", "use generate, surprisal or evaluate")):
        assert not hasattr(model, name)
        with pytest.raises(AttributeError, match=f"TrainedLanguageModel has no {name}; {way_out}"):
            getattr(model, name)
    with pytest.raises(AttributeError, match="object has no attribute 'units_'"):
        _ = model.units_
    with pytest.raises(AttributeError, match="object has no attribute 'net_'"):  # inside a property
        _ = model.cell_name
