"""Trained translators and summarizers without PyTorch: the same texts, scores, alignments and reports."""

import json
from functools import cache

import numpy as np
import pytest

from elman import runtime
from elman.cells.settings import CellSettings
from elman.files import write_tensors
from elman.kernels import native
from elman.network import read_model
from elman.runtime.translator import TrainedTranslator
from elman.tasks import Summarizer, Translator, load

from . import torch_free

WORDS = {"the": "der", "old": "alte", "small": "kleine", "dog": "Hund", "cat": "Kater", "sees": "sieht"}
SMALL = {"hidden_size": 16, "encoder_size": 8, "embedding_size": 12, "epochs": 3, "learning_rate": 0.02,
         "validation": 0, "output_dropout": 0.1, "embedding_dropout": 0.1, "dropout": 0.1,
         "label_smoothing": 0}  # fmt: skip
SETTINGS = {
    "additive, copies": {"units": "words", "min_count": 3, "epochs": 8},
    "dot, input feeding": {"units": "words", "attention": "dot", "input_feeding": True, "num_layers": 2},
    "general, bpe": {"units": "bpe", "attention": "general", "cell": "gru", "variational": True, "lowercase": True},
    "additive, options": {"units": "characters", "cell": CellSettings("lstm", peephole=True, zoneout_c=0.1),
                          "bidirectional": False, "tie_weights": False},
    "no attention": {"units": "words", "attention": "none", "source_limit": 4, "target_vocabulary_size": 6,
                     "layer_norm": True, "num_layers": 2},
}  # fmt: skip
SOURCES = [
    "the old dog sees",
    "cat",
    "",
    "the small cat sees the old dog",
    "Zoe sees the quokka",
    "the the the the the",
]
TARGETS = ["sieht Hund alte der", "Kater", "der", "Hund alte der", "Hund sieht der", "der der der"]


def pairs():
    """Return sentences and their translations in reverse order; a few have a rare word."""
    generator = np.random.default_rng(0)
    rows = [list(generator.choice([*WORDS], generator.integers(1, 6))) for _ in range(150)]
    targets = [[WORDS[word] for word in reversed(row)] for row in rows]
    for number, (row, target) in enumerate(zip(rows[::15], targets[::15], strict=True)):
        row.append(f"Name{number}")
        target.insert(0, f"Name{number}")
    return [" ".join(row) for row in rows], [" ".join(target) for target in targets]


@cache
def trained(name):
    return Translator(**{**SMALL, **SETTINGS[name]}).fit(*pairs())


@pytest.fixture(scope="module", params=SETTINGS)
def pair(request, tmp_path_factory):
    """Return the same translator in PyTorch and without it."""
    path = tmp_path_factory.mktemp("translator") / "model.safetensors"
    trained(request.param).save(path)
    return load(path), runtime.load(path)


@pytest.mark.parametrize("rows", [None, 5, "text", ["a", 5], [None]])
def test_bad_rows_raise_the_same_error_as_in_pytorch(pair, rows):
    errors = []
    for model in pair:
        with pytest.raises((TypeError, ValueError)) as caught:
            model.predict(rows)
        errors.append((caught.type, str(caught.value)))
    assert errors[0] == errors[1]


def compare(found, expected, tolerance):
    """Compare the n-best lists of several rows."""
    for own, wanted in zip(found, expected, strict=True):
        assert [text for text, _ in own] == [text for text, _ in wanted]
        np.testing.assert_allclose([score for _, score in own], [score for _, score in wanted], rtol=0, atol=tolerance)


def test_texts_and_scores_are_those_of_pytorch(pair):
    task, model = pair
    compare(model.n_best(SOURCES, 3, beam=5), task.n_best(SOURCES, 3, beam=5), 1e-6)
    assert model.predict(SOURCES, beam=1) == task.predict(SOURCES, beam=1)
    assert model.sample(SOURCES, seed=1, top_p=0.9) == task.sample(SOURCES, seed=1, top_p=0.9)
    assert model.facts() == task.facts()


def test_constraints_are_those_of_pytorch(pair):
    task, model = pair
    options = {"no_repeat_ngram": 2, "min_length": 2, "max_length": 9, "length_penalty": 0.5}
    compare(model.n_best(SOURCES, 2, **options), task.n_best(SOURCES, 2, **options), 1e-6)
    if model.attends:
        compare(model.n_best(SOURCES, 2, coverage=0.3), task.n_best(SOURCES, 2, coverage=0.3), 1e-5)
    else:
        with pytest.raises(ValueError, match="coverage: has no effect without attention"):
            model.predict(SOURCES, coverage=0.3)


def test_probabilities_and_reports_are_those_of_pytorch(pair):
    task, model = pair
    sources = [source or "cat" for source in SOURCES]
    np.testing.assert_allclose(
        model.log_probs(sources, TARGETS), task.log_probs(sources, TARGETS), rtol=1e-5, atol=1e-5
    )
    assert model.evaluate(sources, TARGETS).to_json() == task.evaluate(sources, TARGETS).to_json()
    assert model.score(sources, TARGETS) == task.score(sources, TARGETS)


def test_alignments_are_those_of_pytorch(pair):
    task, model = pair
    sources = [source or "cat" for source in SOURCES]
    if not model.attends:
        with pytest.raises(ValueError, match="expected a decoder with an Attention layer"):
            model.align(sources, TARGETS)
        return
    for own, wanted in zip(model.align(sources, TARGETS), task.align(sources, TARGETS), strict=True):
        assert own[:2] == wanted[:2]
        np.testing.assert_allclose(own.weights, wanted.weights, rtol=1e-5, atol=1e-6)


def test_the_numpy_evaluator_agrees(pair):
    task, model = pair
    expected = task.n_best(SOURCES, 2, beam=5)
    with native.disabled():
        compare(model.n_best(SOURCES, 2, beam=5), expected, 1e-5)


def test_unknown_words_are_copied():
    task = trained("additive, copies")
    assert task.units_.target.encode("Name3").tolist() == [1]
    assert any("Zoe" in text or "quokka" in text for best in task.n_best(SOURCES[4:5], 5) for text, _ in best)


def test_a_summarizer_reports_rouge(tmp_path):
    task = Summarizer(**SMALL, units="words", target_limit=20).fit(*pairs())
    task.save(tmp_path / "model.safetensors")
    model = runtime.load(tmp_path / "model.safetensors")
    assert model.units_.shared
    assert model.predict(SOURCES, max_length=3) == task.predict(SOURCES, max_length=3)
    assert model.evaluate(SOURCES[:2], TARGETS[:2]).to_json() == task.evaluate(SOURCES[:2], TARGETS[:2]).to_json()
    assert model.score(SOURCES[:2], TARGETS[:2]) == task.score(SOURCES[:2], TARGETS[:2])


def test_it_runs_in_a_process_without_pytorch(tmp_path):
    names = [tmp_path / f"{number}.safetensors" for number in range(len(SETTINGS))]
    for name, path in zip(SETTINGS, names, strict=True):
        trained(name).save(path)
    code = """
from elman import runtime
print(json.dumps([runtime.load(path).n_best(json.loads(sys.argv[1]), 2, beam=5) for path in sys.argv[2:]]))
"""
    for is_native in (True, False):
        found = torch_free.run(code, json.dumps(SOURCES), *names, native=is_native)
        for name, own in zip(SETTINGS, found, strict=True):
            compare(own, trained(name).n_best(SOURCES, 2, beam=5), 1e-6 if is_native else 1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("longest_target"), "expected 'longest_target' in its metadata"),
        (lambda data: data.__setitem__("longest_target", 0), r"longest_target: expected at least 1"),
        (lambda data: data["settings"].__setitem__("source_limit", 0), r"source_limit: expected at least 1, got 0"),
        (
            lambda data: data.__setitem__("target_units", data["source_units"]),
            r"spec: expected a decoder that reads and w",
        ),
        (lambda data: data.__setitem__("source_units", data["target_units"]), r"spec: expected an encoder that reads"),
        (
            lambda data: data.__setitem__("spec", data["spec"]["cells"][0]),
            r"spec: expected a decoder that reads and write",
        ),
    ],
)
def test_bad_files(change, message, tmp_path):
    trained("no attention").save(tmp_path / "model.safetensors")
    file = read_model(tmp_path / "model.safetensors")
    change(file.metadata)
    write_tensors(tmp_path / "other.safetensors", file.tensors, file.metadata)
    with pytest.raises(ValueError, match=rf"other\.safetensors: {message}"):
        runtime.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda model: model.predict(["a", 5]), TypeError, r"row 1: expected a source that is text, got int"),
        (lambda model: model.predict("the dog"), TypeError, r"expected a list"),
        (lambda model: model.predict(["cat"], bean=3), TypeError, r"bean: unknown; did you mean beam\?"),
        (
            lambda model: model.log_probs(["cat"], ["Hund", "Kater"]),
            ValueError,
            r"expected a target for each of 1 sources",
        ),
        (lambda model: TrainedTranslator().predict(["cat"]), ValueError, r"Translator: not fitted yet"),
    ],
)
def test_bad_input(call, kind, message, tmp_path):
    trained("no attention").save(tmp_path / "model.safetensors")
    with pytest.raises(kind, match=message):
        call(runtime.load(tmp_path / "model.safetensors"))
