"""Representations of all public classes: one short line, and escaped tables for notebooks."""

import inspect
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, get_type_hints

import numpy as np
import pytest
import torch
from torch import nn

import elman
from elman import (
    GRU,
    LSTM,
    RNN,
    Attention,
    AttentionPooling,
    Bidirectional,
    CellSettings,
    Classifier,
    Differences,
    Dropout,
    Embedding,
    FrameEncoder,
    LanguageModel,
    LayerNorm,
    Linear,
    MeanPooling,
    Memory,
    MinGRU,
    Residual,
    Sequences,
    Stack,
    Tagger,
    WeightDrop,
    WindowNet,
)
from elman.data import DocumentBatches, Windows, make_units
from elman.data.examples import Batches, Encoded, Examples
from elman.data.readers import Captioned, Labelled, Parallel, PictureFile
from elman.data.row_batches import RowBatches
from elman.data.units import UNITS, Unknown
from elman.data.units.pairs import PairUnits
from elman.decoding import Constraints, Hypothesis, Sampling
from elman.estimator import Estimator
from elman.inputs import INPUTS, InputSettings, make_inputs
from elman.metrics import Comparison, Likelihood, SummaryReport, TranslationReport, class_report, entity_report
from elman.network import Streams, read_model
from elman.representation import brief, brief_fields, call
from elman.rows import Rows
from elman.runtime import TASKS, load
from elman.tasks import task_class
from elman.tasks.run import Run
from elman.training import Evaluation, Examined, Score, Update

BAD = "<script>alert('&\"')</script>"
LONG = 200  # characters
NOT_SHOWN = {"Cell", "Units", "Data", "Task", "Inputs", "InputSettings", "TrainingSettings", "Progress"}
OF_OTHERS = "elman.classical", "elman.doctor", "elman.hmm", "elman.kernels"  # with tests of their own


@pytest.fixture(scope="module")
def text_model():
    return LanguageModel(hidden_size=4, epochs=1, steps=5, streams=2, ngram_order=2).fit(f"ab{BAD}" * 9)


@pytest.fixture(scope="module")
def classifier():
    settings = {"bidirectional": False, "pooling": "last", "hidden_size": 4, "epochs": 1}
    return Classifier(**settings).fit([np.zeros((5, 2)), np.ones((5, 2))] * 5, [BAD, "b"] * 5)


@pytest.fixture(scope="module")
def tagger():
    rows = [["Ann", "went"], ["to", BAD]] * 4, [["B-PER", "O"], ["O", "B-LOC"]] * 4
    return Tagger(hidden_size=4, embedding_size=4, epochs=1).fit(*rows)


def fitted(name):
    """Return the preprocessor of a kind of rows."""
    rows = {"text": [BAD], "skeletons": [np.ones((2, 3, 2))], "frames": [np.ones((2, 4, 4), np.uint8)]}
    settings = InputSettings(inputs=name)
    return make_inputs(settings).fit(rows.get(name, [np.ones((5, 2))]), settings)


@pytest.fixture(scope="module")
def objects(text_model, classifier, tagger, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    text_model.save(path)
    rows, ids = Sequences(torch.zeros(5, 3), [2, 3]), [np.arange(1, 9)] * 3
    units = [make_units(name) for name in UNITS]
    encoded = Encoded(rows, np.zeros(2), rows.lengths)
    batches, state = Batches(encoded, 5, 2, 0), LSTM(3, 4).scan(rows)[1]
    return [
        rows, rows.layout, rows.plan, Memory(rows), state, CellSettings("lstm", zoneout_c=0.1),
        Windows(ids, 2, 3), Windows(ids, 2, 3)[0], DocumentBatches(ids, 9), RowBatches([3, 4], 5),
        RowBatches([3, 4], 5).epoch(1)[0], *units, *(one.decoder() for one in units), PairUnits(units[0], units[1]),
        Unknown("word", "x" * 10**6, 3), Labelled([BAD * 99] * 10**5, ["a"] * 10**5, ["p"] * 10**5),
        Captioned([PictureFile(Path("a"))] * 10**5, [["b"]] * 10**5, ["p"]), PictureFile(Path("a")),
        Parallel(["a"] * 10**5, ["b"] * 10**5, ["p"] * 10**5), Constraints(), Sampling(),
        Hypothesis(np.zeros(10**6), -1.0, -1.0, True),
        text_model, text_model.stream(), text_model.units_, text_model.evaluate("abab"), text_model.compare("abab"),
        text_model.surprisal([BAD, "b"]), text_model.minimal_pairs([BAD], ["b"]),
        classifier, classifier.stream(), classifier.inputs_, classifier.evaluate([np.zeros((1, 2))] * 2, [BAD, "c"]),
        tagger, tagger.words_, tagger.evaluate([["Ann"]], [["B-PER"]]),
        class_report([BAD, 1][:1], [BAD], [BAD, *"abcdefgh" * 0]), entity_report([["B-PER"]], [["O"]], "BIO"),
        Likelihood(0.0, 0, 0), Comparison({BAD: Likelihood(9.0, 5, 4)}), SummaryReport(3, 1.0, 2.0, 3.0, 4.0, 5.0),
        TranslationReport(3, 20.5, "s" * 500, 30.0, "s", 0.5, None),
        load(path), load(path).stepper(), load(path).net_, Streams(load(path).net_, 3), read_model(path),
        elman.load(path),
        encoded, Examples(["a"] * 10**5, ["b"] * 10**5), batches, batches.epoch(1)[0],
        Run("a" * 50, observers=[print] * 99, source={"data": ["x" * 99] * 99}), text_model.result_, Score("F1", 0.5),
        Update(1, 1, 0.5, 2.0, 1.0, 0.1, 9, 1.0, 9.0), Evaluation(1, 1, Score("F1", 0.5), 0.5, 1, 2.0),
        Examined(1, 1, 1.0, {f"layer {i}": {"a": 1.0} for i in range(999)}),
        *(task_class(word)() for word in TASKS), *(fitted(name) for name in INPUTS),
    ]  # fmt: skip


def public_classes():
    """Return all classes in an `__all__` of the package that are neither modules of PyTorch nor exceptions."""
    found = set()
    for module in [elman, *(import_module(info.name) for info in pkgutil.walk_packages(elman.__path__, "elman.")
                            if info.ispkg)]:  # fmt: skip
        things = [getattr(module, name) for name in getattr(module, "__all__", ())]
        found |= {thing for thing in things if inspect.isclass(thing)}
    return {kind for kind in found if kind.__module__.startswith("elman") and kind.__name__ not in NOT_SHOWN
            and not issubclass(kind, nn.Module | BaseException)}  # fmt: skip


def test_every_public_class_has_an_example(objects):
    classes = {kind for kind in public_classes() if not kind.__module__.startswith(OF_OTHERS)}
    kinds = {type(thing) for thing in objects}
    missing = {kind.__name__ for kind in classes if not any(issubclass(known, kind) for known in kinds)}
    assert missing == set()


def test_no_public_class_prints_its_address_or_the_elements_of_its_arrays():
    short = {str, int, float, bool, Path, Score, tuple[str, ...], str | None, float | None}
    bad = []
    for kind in public_classes():
        generated = issubclass(kind, tuple) and kind.__repr__.__module__ not in (
            "elman.representation",
            kind.__module__,
        )
        if kind.__repr__ is object.__repr__ or (generated and not set(get_type_hints(kind).values()) <= short):
            bad.append(kind.__name__)
    assert bad == []


def test_every_object_is_printed_in_one_short_line(objects):
    bad = {type(thing).__name__: repr(thing) for thing in objects
           if len(repr(thing)) >= LONG or "\n" in repr(thing) or " object at 0x" in repr(thing)}  # fmt: skip
    assert bad == {}


def test_tables_for_notebooks_escape_everything(objects):
    tables = [thing._repr_html_() for thing in objects if hasattr(thing, "_repr_html_")]
    assert len(tables) > 20
    assert any("&lt;script&gt;" in table for table in tables)
    assert not any("<script>" in table for table in tables)


def test_an_object_without_its_attributes_is_printed(objects):
    for kind in {type(thing) for thing in objects if not isinstance(thing, tuple)}:
        if kind.__new__ is object.__new__ and "__repr__" in vars(kind):
            assert "\n" not in repr(kind.__new__(kind))


def test_objects_without_rows_are_printed():
    empty = Sequences(np.zeros((0, 3)), [])
    assert repr(empty) == "Sequences(0 rows, 0 steps, float64 [0, 3])"
    assert repr(Rows([])) == "Rows(0 rows, 0 steps)"
    assert repr(Memory(empty)) == "Memory(0 rows of Sequences(0 rows, 0 steps, float64 [0, 3]))"
    assert repr(GRU(3, 4).scan(Sequences(torch.zeros(0, 3), []))[0]) == "Sequences(0 rows, 0 steps, float32 [0, 4])"
    assert empty._repr_html_().startswith("<table><caption>Sequences(0 rows")
    assert (
        repr(Likelihood(0.0, 0, 0))
        == "Likelihood(bits per character nan, perplexity nan, 0 units, 0 characters, 0 unknown)"
    )


def test_fitted_tasks_print_their_sizes(text_model, classifier, tagger):
    settings = "epochs=1, hidden_size=4, ngram_order=2, steps=5, streams=2"
    sizes = f"{sum(p.numel() for p in text_model.net_.parameters()):,} parameters, {text_model.units_.size} characters"
    assert repr(text_model).startswith(f"<LanguageModel({settings}) fitted: {sizes}")
    assert "2 classes, inputs series of 2 variables" in repr(classifier)
    assert "9 tags, scheme BIO" in repr(tagger)
    for model in (text_model, classifier, tagger):
        best = model.best_score_
        assert best.value == model.result_.best
        assert repr(model).endswith(f", best {best.name} {best.format(best.value)}>")
    assert "best" not in repr(Classifier(epochs=1, validation=0, min_count=1).fit(["a", "b"], [0, 1]))
    assert "Tagger, fitted" in tagger._repr_html_()
    assert "Tagger, not fitted" in Tagger()._repr_html_()


def test_settings_of_any_size_fit_in_a_line():
    class Model(Estimator):
        def __init__(self, a=None, b=None):
            self.a, self.b = a, b

    assert repr(Model(np.zeros((100, 100)))) == "Model(a=float64 [100, 100])"
    assert repr(Model(np.eye(2))) == "Model(a=array([[1., 0.], [0., 1.]]))"
    assert repr(Model(list(range(10**6)), "x" * 10**6)) == f"Model(a=[0, 1, 2, 3, 4, 5, ...], b={brief('x' * 10**6)})"
    assert len(repr(Model(dict.fromkeys(range(99), "x" * 99), dict.fromkeys(range(99), "x" * 99)))) < LONG


@pytest.mark.parametrize(("made", "expected"), [
    (lambda: LSTM(16, 32), "LSTM(16, 32)"),
    (lambda: LSTM(16, 32, zoneout_c=0.1), "LSTM(16, 32, zoneout_c=0.1)"),
    (lambda: LSTM(16, 32, False, peephole=True, coupled=True),
     "LSTM(16, 32, forget_gate=False, peephole=True, coupled=True)"),
    (lambda: LSTM(16, 32, projection_size=8), "LSTM(16, 32, projection_size=8)"),
    (lambda: GRU(16, 32), "GRU(16, 32)"),
    (lambda: GRU(16, 32, reset="before", init="pytorch"), "GRU(16, 32, reset='before')"),
    (lambda: RNN(16, 32), "RNN(16, 32)"),
    (lambda: RNN(16, 32, init="identity"), "RNN(16, 32, activation='relu')"),
    (lambda: MinGRU(16, 32), "MinGRU(16, 32)"),
    (lambda: WindowNet(16, 32, window=5), "WindowNet(16, 32, window=5)"),
    (lambda: Linear(3, 4), "Linear(3, 4)"),
    (lambda: Embedding(3, 4), "Embedding(3, 4)"),
    (lambda: LayerNorm(4), "LayerNorm(4)"),
    (lambda: Dropout(4, 0.5), "Dropout(4, 0.5)"),
    (lambda: MeanPooling(4), "MeanPooling(4)"),
    (lambda: Differences((3, 4)), "Differences((3, 4))"),
])  # fmt: skip
def test_cells_print_their_sizes_and_the_options_that_differ_from_the_default(made, expected):
    assert repr(made()) == expected


def test_layers_around_cells_are_nested_as_in_pytorch():
    stack = Stack(Embedding(5, 6), Residual(GRU(6, 6)), Bidirectional(LSTM(6, 3), LSTM(6, 3)), AttentionPooling(6))
    lines = [line.strip() for line in repr(stack).splitlines()]
    assert {"(0): Embedding(5, 6)", "(cell): GRU(6, 6)", "(backward_cell): LSTM(6, 3)"} <= set(lines)
    assert "p=0.2" in repr(WeightDrop(LSTM(3, 4), 0.2))
    assert "4, 5, 6" in repr(Attention(4, 5, 6))
    assert "output_size=5" not in repr(FrameEncoder(1, 8, 8, 5)).splitlines()[0]


def test_cells_of_users_are_printed():
    class Same(LSTM):
        pass

    class Other(LSTM):
        def __init__(self, depth, *sizes, scale=1.0, **options):
            super().__init__(*sizes, **options)
            self.scale = np.array([1.0, 2.0])

    assert repr(Same(3, 4)) == "Same(3, 4)"
    assert repr(Other(2, 3, 4)) == "Other(scale=float64 [2])"


def test_states_print_shapes():
    rows = Sequences(torch.zeros(2, 3), [1, 1])
    assert repr(LSTM(3, 4).scan(rows)[1]) == "LSTMState(h=float32 [2, 4], c=float32 [2, 4])"
    assert repr(MeanPooling(3).scan(rows)[1]) == "RunningSum(sum=float32 [2, 3], steps=int64 [2])"
    state = Stack(LSTM(3, 4), GRU(4, 5)).stepper().state
    assert repr(state[0]) == "LSTMState(h=float32 [1, 4], c=float32 [1, 4])"


class Failing:
    def __repr__(self):
        raise RuntimeError("no")


@brief_fields
class Pair(NamedTuple):
    left: object
    right: object


@pytest.mark.parametrize("value", [
    np.zeros((9, 9)), torch.zeros(3, 4), np.float32(0.5), np.int64(3), np.array("x"), "x" * 10**6, b"x" * 10**6,
    list(range(10**6)), {i: i for i in range(10**4)}, [[[[[[1]]]]]], 10**900, float("nan"), None, Path("a"),
    np.ma.masked, np.ma.array([1, 2], mask=[0, 1]), Failing(), "line\nline", [Failing()], nn.Linear(3, 4),
    torch.zeros(3, device="meta"), np.datetime64("2020-01-01"), np.array([None, 1], object), Pair(1, Pair(2, [3] * 99)),
])  # fmt: skip
def test_the_representation_of_any_value_is_short(value):
    for text in (brief(value), repr(Pair(value, (value, value)))):
        assert len(text) < LONG
        assert "\n" not in text


def test_a_call_is_cut():
    assert call("f", "x" * 10**6).endswith("...)")
    assert len(call("f", *"abc" * 10**5)) < LONG
