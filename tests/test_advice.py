"""Advice in errors: each error is raised, its advice is followed, and the call then works."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

import elman
from elman import (
    HMM,
    LSTM,
    Attention,
    BagOfWords,
    Bidirectional,
    CellSettings,
    Classifier,
    DelayTaps,
    Dropout,
    LanguageModel,
    LastPooling,
    Linear,
    MinGRU,
    NGram,
    Sequences,
    Stack,
    Tagger,
    Translator,
)
from elman.classical.hmm import Categorical, Gaussian, Words
from elman.classical.lds import local_level
from elman.convert import to_keras, to_onnx, to_torch
from elman.data.documents import split
from elman.data.readers import read_labelled, read_parallel
from elman.data.units import make_units
from elman.files import SCHEMA, read_tensors, write_tensors
from elman.hmm import CategoricalHMM, GaussianHMM
from elman.layers.recurrent_stack import recurrent_stack
from elman.losses import crf_loss
from elman.metrics import calibration_error, translation_report
from elman.network import Streams
from elman.settings import parse
from elman.tasks.run import Run

TINY = {"epochs": 1, "hidden_size": 4}
TEXTS, LABELS = ["ab", "cd"] * 4, ["x", "y"] * 4
ROWS = [np.arange(6.0).reshape(3, 2), np.ones((4, 2))]
WRONG_TAGS = [["a", "b"]] * 4, [["O", "I-PER"], ["B-LOC", "O"]] * 2


@dataclass(frozen=True)
class Advice:
    """Call that raises, the part of its error that gives advice, and the call that follows it."""

    fails: Any
    advice: str
    works: Any


def read(path: Path, content: str, **columns: Any) -> Any:
    path.write_text(content, encoding="utf-8")
    return read_labelled(path, **columns)


def crf_of(tags: torch.Tensor) -> torch.Tensor:
    return crf_loss(torch.zeros(2, 3), tags, [2], torch.zeros(3, 3), torch.zeros(3), torch.zeros(3))


def calls(path: Path) -> dict[str, Advice]:
    """Return the advice by name; files are written into the folder `path`."""
    x = Sequences(torch.zeros(3, 2), [3])
    hmm = HMM(2, Gaussian()).fit(ROWS)
    lstm, gru = LSTM(3, 4), MinGRU(3, 4)
    return {
        "an array of rows": Advice(
            lambda: hmm.log_prob(np.stack(ROWS[:1])),
            "list(x) makes a row of each part",
            lambda: hmm.log_prob(list(np.stack(ROWS[:1]))),
        ),
        "a list of numbers": Advice(
            lambda: HMM(2, Gaussian()).fit([1.0, 2.0]),
            "a single row is np.asarray(x)",
            lambda: HMM(2, Gaussian()).fit(np.asarray([1.0, 2.0])),
        ),
        "a mask of rows": Advice(
            lambda: x.select([True]), "np.flatnonzero(mask)", lambda: x.select(np.flatnonzero([True]))
        ),
        "no rows": Advice(
            lambda: Sequences.from_list([]), "Sequences(values, [])", lambda: Sequences(np.zeros((0, 2)), [])
        ),
        "an input of NumPy": Advice(
            lambda: lstm.step(np.zeros((1, 3), np.float32), lstm.initial_state(1)),
            "torch.from_numpy",
            lambda: lstm.step(torch.from_numpy(np.zeros((1, 3), np.float32)), lstm.initial_state(1)),
        ),
        "a state of other rows": Advice(
            lambda: gru.scan(Sequences(torch.zeros(2, 3), [1, 1]), gru.initial_state(3)),
            "initial_state(2)",
            lambda: gru.scan(Sequences(torch.zeros(2, 3), [1, 1]), gru.initial_state(2)),
        ),
        "a stream of both directions": Advice(
            lambda: Bidirectional(LSTM(3, 4), LSTM(3, 4)).step(torch.zeros(1, 3), ()),
            "use scan",
            lambda: Bidirectional(LSTM(3, 4), LSTM(3, 4)).scan(Sequences(torch.zeros(2, 3), [2])),
        ),
        "a step of a stack of both directions": Advice(
            lambda: Stack(Bidirectional(LSTM(3, 4), LSTM(3, 4))).step(torch.zeros(1, 3), None),
            "Bidirectional.step: the layer reads a sequence from both ends and cannot stream; use scan",
            lambda: Stack(Bidirectional(LSTM(3, 4), LSTM(3, 4))).scan(Sequences(torch.zeros(2, 3), [2])),
        ),
        "a stepper of whole sequences": Advice(
            lambda: Stack(Bidirectional(LSTM(3, 4), LSTM(3, 4))).stepper(),
            "use scan",
            lambda: Stack(Bidirectional(LSTM(3, 4), LSTM(3, 4))).scan(Sequences(torch.zeros(2, 3), [2])),
        ),
        "a batch beyond the pool": Advice(
            lambda: Streams(Linear(2, 2).network(), 9, 2).step([0, 1, 2], np.zeros((3, 2), np.float32)),
            "a larger batch_size",
            lambda: Streams(Linear(2, 2).network(), 9, batch_size=3),
        ),
        "a pooling of both directions": Advice(
            lambda: LastPooling(4, 2).step(torch.zeros(1, 4), ()),
            "use scan",
            lambda: LastPooling(4, 2).scan(Sequences(torch.zeros(2, 4), [2])),
        ),
        "coupled": Advice(
            lambda: LSTM(3, 4, coupled=True),
            "set forget_gate=False",
            lambda: LSTM(3, 4, coupled=True, forget_gate=False),
        ),
        "forget_bias": Advice(
            lambda: LSTM(3, 4, forget_gate=False, forget_bias=1.0),
            "leave one of them out",
            lambda: LSTM(3, 4, forget_bias=1.0),
        ),
        "cell_clip": Advice(lambda: LSTM(3, 4, cell_clip=0), "leave it out for no bound", lambda: LSTM(3, 4)),
        "projection": Advice(
            lambda: LSTM(3, 4, projection_size=4), "leave it out for no projection", lambda: LSTM(3, 4)
        ),
        "dropout of nothing": Advice(lambda: Dropout(3, 0), "leave it out", lambda: Stack(LSTM(3, 3))),
        "dropout between no layers": Advice(
            lambda: recurrent_stack(LSTM, 3, 4, 1, residual=True),
            "num_layers to 2 or more",
            lambda: recurrent_stack(LSTM, 3, 4, 2, residual=True),
        ),
        "tags of floats": Advice(lambda: crf_of(torch.zeros(2)), ".long()", lambda: crf_of(torch.zeros(2).long())),
        "one document": Advice(
            lambda: make_units("words", min_count=1).fit("a b"),
            "put it in a list",
            lambda: make_units("words", min_count=1).fit(["a b"]),
        ),
        "bytes": Advice(
            lambda: make_units("characters").fit([b"a"]), "units=bytes", lambda: make_units("bytes").fit([b"a"])
        ),
        "rare words": Advice(
            lambda: make_units("words").fit(["a b"]),
            "lower min_count",
            lambda: make_units("words", min_count=1).fit(["a b"]),
        ),
        "one text as rows": Advice(
            lambda: Classifier(**TINY).fit("ab", ["x"]),
            "put it in a list: [text]",
            lambda: Classifier(**TINY, units="characters").fit([*TEXTS, "ab"], [*LABELS, "x"]),
        ),
        "a column of labels": Advice(
            lambda: Classifier(**TINY, units="characters").fit(TEXTS, [[label, label] for label in LABELS]),
            "expected a label for each",
            lambda: Classifier(**TINY, units="characters").fit(TEXTS, LABELS),
        ),
        "continuous labels": Advice(
            lambda: Classifier(**TINY).fit(TEXTS, [0.5, 1.5] * 4),
            "give strings or integers",
            lambda: Classifier(**TINY, units="characters").fit(TEXTS, [str(y) for y in [0.5, 1.5] * 4]),
        ),
        "labels of bytes": Advice(
            lambda: Classifier(**TINY).fit(TEXTS, [b"x", b"y"] * 4),
            "give strings or integers",
            lambda: Classifier(**TINY, units="characters").fit(TEXTS, [*LABELS]),
        ),
        "variational": Advice(
            lambda: Classifier(**TINY, variational=True, dropout=0.0).fit(TEXTS, LABELS),
            "set dropout",
            lambda: Classifier(**TINY, units="characters", variational=True, dropout=0.3).fit(TEXTS, LABELS),
        ),
        "momentum": Advice(
            lambda: Classifier(**TINY, momentum=0.9).fit(TEXTS, LABELS),
            "choose 'sgd' or 'rmsprop'",
            lambda: Classifier(**TINY, units="characters", momentum=0.9, optimizer="sgd").fit(TEXTS, LABELS),
        ),
        "decay": Advice(
            lambda: Classifier(**TINY, decay=0.5).fit(TEXTS, LABELS),
            "choose 'plateau' or 'step'",
            lambda: Classifier(**TINY, units="characters", decay=0.5, schedule="plateau").fit(TEXTS, LABELS),
        ),
        "decay_after": Advice(
            lambda: Classifier(**TINY, decay_after=1).fit(TEXTS, LABELS),
            "choose 'step'",
            lambda: Classifier(epochs=2, hidden_size=4, units="characters", decay_after=1, schedule="step").fit(
                TEXTS, LABELS
            ),
        ),
        "tied weights": Advice(
            lambda: LanguageModel(hidden_size=4, tie_weights=True, embedding_size=5).fit("ab" * 99),
            "leave it out",
            lambda: LanguageModel(**TINY, tie_weights=True).fit("ab" * 99),
        ),
        "a short text": Advice(
            lambda: LanguageModel(**TINY, validation=0).fit("abab"),
            "a lower setting of steps",
            lambda: LanguageModel(**TINY, validation=0, steps=2).fit("abab"),
        ),
        "an n-gram": Advice(
            lambda: LanguageModel(**TINY, steps=2, ngram_order=0).fit("ab" * 20).evaluate_ngram("ab"),
            "fit with another ngram_order than 0",
            lambda: LanguageModel(**TINY, steps=2, ngram_order=2).fit("ab" * 20).evaluate_ngram("ab"),
        ),
        "a text to split": Advice(lambda: split(["a"], 0.5), "give more text", lambda: split(["abcdef" * 9], 0.5)),
        "an unknown unit": Advice(
            lambda: LanguageModel(**TINY, steps=2).fit("ab" * 20).stream().read("z"),
            "units=bytes",
            lambda: LanguageModel(**TINY, steps=2, units="bytes").fit("ab" * 20).stream().read("z"),
        ),
        "tags that break their scheme": Advice(
            lambda: Tagger(**TINY, embedding_size=4, scheme="BIO").fit(*WRONG_TAGS),
            "repair=True",
            lambda: Tagger(**TINY, embedding_size=4, scheme="BIO", repair=True).fit(*WRONG_TAGS),
        ),
        "tags of no spans": Advice(
            lambda: Tagger(**TINY, embedding_size=4, scheme="BIO").fit(
                [["a", "b"]] * 4, [["O", "NN"], ["B-LOC", "O"]] * 2
            ),
            "scheme=none",
            lambda: Tagger(**TINY, embedding_size=4, scheme="none").fit(
                [["a", "b"]] * 4, [["O", "NN"], ["B-LOC", "O"]] * 2
            ),
        ),
        "a shared vocabulary": Advice(
            lambda: Translator(shared_vocabulary=True, target_vocabulary_size=300).fit(["a"] * 4, ["b"] * 4),
            "leave one of them out",
            lambda: Translator(epochs=1, hidden_size=4, encoder_size=4, embedding_size=4, shared_vocabulary=True).fit(
                [*"abcd"], [*"efgh"]
            ),
        ),
        "one reference": Advice(
            lambda: translation_report("a", "a"), "put it in a list: [text]", lambda: translation_report(["a"], ["a"])
        ),
        "logits": Advice(
            lambda: calibration_error([[2.0, 1.0]], [0]),
            "apply softmax",
            lambda: calibration_error(torch.tensor([[2.0, 1.0]]).softmax(1), [0]),
        ),
        "a table": Advice(
            lambda: read(path / "a.csv", "a,b\n1,2\n"),
            "text=COLUMN or values=COLUMNS",
            lambda: read(path / "a.csv", "a,b\n1,2\n", values=["a", "b"]),
        ),
        "a decimal comma": Advice(
            lambda: read(path / "b.csv", 'a,b\n"1,5",2\n', values=["a", "b"]),
            "1234.5",
            lambda: read(path / "b.csv", "a,b\n1.5,2\n", values=["a", "b"]),
        ),
        "parallel columns": Advice(
            lambda: read_parallel(_written(path / "c.tsv", "a\tb\n")),
            "source=COLUMN and target=COLUMN",
            lambda: read_parallel(_written(path / "c.tsv", "a\tb\n"), source=1, target=2),
        ),
        "a symbol never seen": Advice(
            lambda: HMM(1, Categorical(3, prior=1.0)).fit([np.array([0, 1, 0, 1])]).log_prob([np.array([2])]),
            "a prior above 1",
            lambda: HMM(1, Categorical(3, prior=1.5)).fit([np.array([0, 1, 0, 1])]).log_prob([np.array([2])]),
        ),
        "words": Advice(
            lambda: HMM(2, Words()).fit([["a", "b"]]),
            "fit_labelled",
            lambda: HMM(2, Words()).fit_labelled([["a", "b"]], [np.array([0, 1])]),
        ),
        "too few windows": Advice(
            lambda: DelayTaps(5).fit([np.random.default_rng(0).normal(size=(8, 2))]),
            "method='ridge'",
            lambda: DelayTaps(5, method="ridge").fit([np.random.default_rng(0).normal(size=(8, 2))]),
        ),
        "observations of floats": Advice(
            lambda: CategoricalHMM(1).fit([[0.0], [1.0]]),
            ".astype(int)",
            lambda: CategoricalHMM(1).fit(np.array([[0.0], [1.0]]).astype(int)),
        ),
        "an hmmlearn model without parameters": Advice(
            lambda: GaussianHMM(1).predict(ROWS[0]),
            "call fit",
            lambda: GaussianHMM(1).fit(ROWS[1] + ROWS[1].cumsum(0)).predict(ROWS[0]),
        ),
        "an n-gram without counts": Advice(
            lambda: NGram(4, 2).to_arrays(), "call fit", lambda: NGram(4, 2).fit([np.array([1])]).to_arrays()
        ),
        "a bag without weights": Advice(
            lambda: BagOfWords(4).predict([[1]]),
            "call fit",
            lambda: BagOfWords(4, min_count=1).fit([[1], [2]], [0, 1]).predict([[1]]),
        ),
        "a task that is not fitted": Advice(
            lambda: Classifier().predict(["a"]),
            "call fit first",
            lambda: Classifier(**TINY, units="characters").fit(TEXTS, LABELS).predict(["a"]),
        ),
        "steps of a model that reads whole rows": Advice(
            lambda: to_onnx(Bidirectional(LSTM(3, 4), LSTM(3, 4)), path / "a.onnx", steps=True),
            "export whole rows, without steps",
            lambda: to_onnx(Bidirectional(LSTM(3, 4), LSTM(3, 4)), path / "a.onnx"),
        ),
        "a layer without one of Keras": Advice(
            lambda: to_keras(Stack(LSTM(3, 4), MinGRU(4, 4), Linear(4, 2))),
            "convert the layers before and after it separately",
            lambda: (to_keras(LSTM(3, 4)), to_keras(Linear(4, 2))),
        ),
        "a layer without one of torch.nn": Advice(
            lambda: to_torch(Stack(LSTM(3, 4), MinGRU(4, 4), Linear(4, 2))),
            "convert the layers before and after it separately",
            lambda: (to_torch(LSTM(3, 4)), to_torch(Linear(4, 2))),
        ),
        "missing values of hmmlearn": Advice(
            lambda: GaussianHMM(1).fit([[math.nan], [1.0], [2.0]]),
            "elman.HMM reads NaN",
            lambda: HMM(1, Gaussian()).fit([np.array([[math.nan], [1.0], [2.0]])]),
        ),
        "a sparse matrix": Advice(
            lambda: Classifier(**TINY).fit(scipy.sparse.eye(6).tocsr(), [0, 1] * 3),
            "X.toarray()",
            lambda: Classifier(**TINY).fit(scipy.sparse.eye(6).toarray(), [0, 1] * 3),
        ),
        "a name of a file": Advice(
            lambda: LanguageModel(**TINY, steps=2).fit(str(_written(path / "t.txt", "ab" * 99))),
            "give Path(",
            lambda: LanguageModel(**TINY, steps=2).fit(path / "t.txt"),
        ),
        "a file of another encoding": Advice(
            lambda: LanguageModel(**TINY, steps=2).fit(_latin(path / "l.txt")),
            "units=bytes",
            lambda: LanguageModel(**TINY, steps=2, units="bytes").fit(path / "l.txt"),
        ),
        "tensors that NumPy lacks": Advice(
            lambda: read_tensors(_bfloat16(path / "b.safetensors")),
            "torch=True",
            lambda: read_tensors(path / "b.safetensors", torch=True),
        ),
        "one row to hold out": Advice(
            lambda: Classifier(**TINY, units="characters").fit(["ab"] * 2, ["x", "y"]),
            "set validation=0",
            lambda: Classifier(**TINY, units="characters", validation=0).fit(["ab"] * 2, ["x", "y"]),
        ),
        "a file with a checkpoint": Advice(
            lambda: elman.load(_run(path / "run") / "last.safetensors"),
            "name the run folder",
            lambda: elman.load(path / "run"),
        ),
        "a used folder": Advice(
            lambda: LanguageModel(**TINY, steps=2).fit("ab" * 20, run=_run(path / "run")),
            "name another folder",
            lambda: LanguageModel(**TINY, steps=2).fit("ab" * 20, run=path / "other"),
        ),
        "a folder without a run": Advice(
            lambda: LanguageModel(**TINY, steps=2).fit("ab" * 20, run=Run(path / "none", resume=True)),
            "train without resume first",
            lambda: LanguageModel(**TINY, steps=2).fit("ab" * 20, run=path / "none"),
        ),
        "an option of another cell": Advice(
            lambda: Classifier(**TINY, cell=CellSettings("gru", zoneout_c=0.1)).fit(TEXTS, LABELS),
            "available for lstm",
            lambda: Classifier(**TINY, units="characters", cell=CellSettings("lstm", zoneout_c=0.1)).fit(TEXTS, LABELS),
        ),
        "a frozen value": Advice(
            lambda: setattr(CellSettings("lstm"), "kind", "gru"),
            "replace(kind=",
            lambda: CellSettings("lstm").replace(kind="gru"),
        ),
        "a diffuse start to sample": Advice(
            lambda: local_level(level=1.0, noise=1.0).sample([3]),
            "state=",
            lambda: (m := local_level(level=1.0, noise=1.0)).sample(
                [3], state=m.scan(Sequences(np.ones((3, 1)), [3]))[1]
            ),
        ),
        "an attention of other sizes": Advice(
            lambda: Attention(3, 4, 5, "dot"), "use general", lambda: Attention(3, 4, 5, "general")
        ),
        "an unknown setting": Advice(
            lambda: parse(Classifier, {"hiden_size": "3"}),
            "did you mean hidden_size?",
            lambda: parse(Classifier, {"hidden_size": "3"}),
        ),
    }


def _latin(path: Path) -> Path:
    path.write_bytes("é\nab\n".encode("latin1") * 30)
    return path


def _bfloat16(path: Path) -> Path:
    write_tensors(path, {"x": torch.zeros(2, dtype=torch.bfloat16)}, {"schema": SCHEMA})
    return path


def _run(folder: Path) -> Path:
    LanguageModel(**TINY, steps=2, ngram_order=0).fit("ab" * 20, run=folder)
    return folder


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", calls(Path()))
def test_the_advice_of_an_error_works(name, tmp_path):
    case = calls(tmp_path)[name]
    with pytest.raises((ValueError, TypeError, OSError, AttributeError)) as caught:
        case.fails()
    assert case.advice in str(caught.value)
    case.works()
