"""A trained classifier without PyTorch: every kind of inputs, every pooling, in one and in both directions."""

import math
from functools import cache

import numpy as np
import pytest

from elman import runtime
from elman import state as states
from elman.files import read_tensors, write_tensors
from elman.kernels import native
from elman.network import Streams
from elman.runtime.classifier import TrainedClassifier
from elman.tasks import Classifier, load
from elman.testing.torch_laws import without_torch

from . import torch_free

GENERATOR = np.random.default_rng(0)
LENGTHS = [5, 1, 0, 9, 3, 7, 2, 4]


def numbers(*shape: int) -> list[np.ndarray]:
    return [GENERATOR.normal(number % 2, 1, (length, *shape)).round(3) for number, length in enumerate(LENGTHS)]


def with_gap(rows: list[np.ndarray]) -> list[np.ndarray]:
    rows[0][2, 1] = math.nan
    return rows


ROWS = {
    "text": ["a good film", "bad - as always", "", "Good, isn't it?", "bad, bad", "good!", "so bad", "a film"],
    "series": with_gap(numbers(3)),
    "skeletons": numbers(4, 3),
    "frames": [(40 * row).astype(np.uint8) for row in numbers(6, 7)],
    "pixels": [GENERATOR.integers(0, 255, (3, 2 + number)).astype(np.uint8) for number in range(8)],
}
SETTINGS = {
    "text": {"inputs": "text", "embedding_size": 6},
    "characters": {"inputs": "text", "units": "characters", "embedding_size": 6, "bidirectional": False},
    "series": {"inputs": "series"},
    "changes": {"inputs": "series", "differences": True, "deviations": True, "cell": "gru", "bidirectional": False},
    "skeletons": {"inputs": "skeletons", "num_layers": 2, "residual": True, "layer_norm": True},
    "frames": {"inputs": "frames", "embedding_size": 6, "bidirectional": False, "deviations": True},
    "pixels": {"inputs": "pixels", "cell": "rnn", "bidirectional": False},
    **{
        f"{pooling}, {'both ways' if both else 'forwards'}": {"pooling": pooling, "bidirectional": both}
        for pooling in ("last", "mean", "max", "attention")
        for both in (False, True)
    },
}
LABELS = ["yes", "no"] * 4


def rows_of(name: str) -> list:
    return ROWS[SETTINGS[name].get("inputs", "series")]


@cache
def trained(name: str) -> Classifier:
    model = Classifier(**SETTINGS[name], hidden_size=8, epochs=2, seed=1, learning_rate=0.02, validation=0)
    return model.fit(rows_of(name) * 2, LABELS * 2)


@pytest.fixture(scope="module", params=list(SETTINGS))
def pair(request, tmp_path_factory) -> tuple[str, Classifier, TrainedClassifier]:
    """Return the same classifier in PyTorch and without it."""
    path = tmp_path_factory.mktemp("classifier") / "model.safetensors"
    trained(request.param).save(path)
    return request.param, load(path), runtime.load(path)


def test_probabilities_are_those_of_pytorch(pair):
    name, task, model = pair
    rows = rows_of(name)
    got, wanted = model.predict_proba(rows), task.predict_proba(rows)
    if model.net_.same_bits and native.available():
        np.testing.assert_array_equal(got, wanted)
    else:
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5)
    assert model.predict(rows).tolist() == task.predict(rows).tolist()
    assert model.facts() == task.facts()


def test_native_kernels_give_the_same_bits_unless_pytorch_computes_a_part(pair):
    name, _, model = pair
    assert model.net_.same_bits == (name not in ("skeletons", "frames") and not name.startswith("attention"))


def test_the_numpy_evaluator_agrees(pair):
    name, task, model = pair
    with native.disabled():
        without = model.predict_proba(rows_of(name))
    np.testing.assert_allclose(without, task.predict_proba(rows_of(name)), rtol=0, atol=1e-5)


def test_a_report_is_that_of_pytorch(pair):
    name, task, model = pair
    own, wanted = (one.evaluate(rows_of(name), LABELS).to_json() for one in (model, task))
    for figure in ("nats", "calibration_error"):
        assert own.pop(figure) == pytest.approx(wanted.pop(figure), rel=1e-5)
    assert own == wanted
    assert model.score(rows_of(name), LABELS) == task.score(rows_of(name), LABELS)


@pytest.mark.parametrize("name", ["text", "series"])
def test_an_occlusion_is_that_of_pytorch(name, tmp_path):
    task = trained(name)
    task.save(tmp_path / "model.safetensors")
    model, row = runtime.load(tmp_path / "model.safetensors"), rows_of(name)[0]
    np.testing.assert_allclose(model.occlusion(row).importance, task.occlusion(row).importance, atol=1e-5)


def test_a_stream_gives_the_probabilities_of_the_row_so_far(pair):
    name, _, model = pair
    row = rows_of(name)[3]
    if not model.net_.streams:
        with pytest.raises(ValueError, match=r"Classifier\.stream: .* \(Bidirectional\) reads whole sequences"):
            model.stream()
        return
    stream = model.stream()
    np.testing.assert_allclose(stream.probabilities, model.predict_proba([row[:0]])[0], atol=1e-6)
    pieces = [row] if name == "skeletons" else [row[:2], row[2:]]
    after = np.concatenate([stream.read(piece) for piece in pieces])
    np.testing.assert_allclose(after[-1], model.predict_proba([row])[0], atol=1e-6)
    assert stream.label == model.predict([row])[0]
    assert np.array_equal(stream.probabilities, after[-1])


@pytest.mark.parametrize("name", ["changes", "attention, forwards", "max, forwards", "characters"])
def test_the_state_of_a_stream_is_a_value(name):
    row = rows_of(name)[3]
    stream = trained(name).stream()
    stream.read(row[:2])
    kept, data = stream.state, states.to_bytes(stream.state)
    wanted = stream.read(row[2:])
    for state in (kept, states.from_bytes(data, kept)):
        other = trained(name).stream()
        other.state = state
        assert np.array_equal(other.probabilities, kept.probabilities[0])
        assert np.array_equal(other.read(row[2:]), wanted)


def test_the_state_of_another_model_raises_and_changes_nothing():
    stream, other = (trained(name).stream() for name in ("max, forwards", "mean, forwards"))
    before = states.to_bytes(stream.state)
    for state in (other.state, stream.state.network, (stream.state.network, np.zeros((1, 3))), None, "junk"):
        with pytest.raises(
            ValueError, match=r"^ClassifierStream\.state: expected a state (of \d leaves|with a leaf of)"
        ):
            stream.state = state
    with pytest.raises(ValueError, match="expected finite numbers in the state, got nan"):
        stream.state = states.map(
            lambda leaf: np.full_like(leaf, np.nan) if leaf.dtype == np.float32 else leaf, stream.state
        )
    assert states.to_bytes(stream.state) == before


@pytest.mark.parametrize("name", ["changes", "attention, forwards", "max, forwards", "mean, forwards", "characters"])
def test_streams_of_a_pool_give_the_probabilities_of_a_stream(name):
    model = trained(name)
    encoded = [model.inputs_.encode_row(row) for row in rows_of(name)[:4]]
    streams = Streams(without_torch(model.net_), capacity=4, output="probs")
    slots = {number: streams.open() for number in range(4)}
    for step in range(max(map(len, encoded))):
        reading = [number for number in range(4) if step < len(encoded[number])]
        inputs = np.stack([encoded[number][step] for number in reading])
        got = streams.step([slots[number] for number in reading], inputs)
        for number, probabilities in zip(reading, got, strict=True):
            if step == len(encoded[number]) - 1:
                wanted = model.stream().read(rows_of(name)[number])[-1]
                np.testing.assert_allclose(probabilities, wanted, rtol=0, atol=1e-6)


def test_a_piece_that_overflows_leaves_the_stream_unchanged():
    stream = trained("max, forwards").stream()
    stream.read(rows_of("series")[1])
    state = states.to_bytes(stream.state)
    with pytest.raises(ValueError, match=r"ClassifierStream.read: the piece is far outside the range of the train"):
        stream.read([[0, 0, 0], [1e200, 0, 0]])
    assert states.to_bytes(stream.state) == state


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"labels": ["a", "b", "c"]}, "labels: expected 2, as the network has, got 3"),
        ({"labels": ["a", "a"]}, "labels: expected at least two different ones"),
        ({"inputs": {"name": "sound"}}, "inputs: expected one of text, series"),
        ({"inputs": trained("text").inputs_.to_json()}, r"inputs: expected steps of shape \[4\] with 4 features"),
        ({"spec": trained("series").net_.cells[0].spec()}, "spec: expected a classifier, got a stack"),
    ],
)
def test_a_file_whose_parts_do_not_fit_raises(change, error, tmp_path):
    trained("series").save(tmp_path / "m")
    tensors, metadata = read_tensors(tmp_path / "m")
    if "spec" in change:
        tensors = {name.removeprefix("cells.0."): tensor for name, tensor in tensors.items()}
    write_tensors(tmp_path / "m", tensors, metadata | change)
    with pytest.raises(ValueError, match=error):
        runtime.load(tmp_path / "m")


def test_every_kind_of_inputs_runs_in_a_process_without_pytorch(tmp_path):
    names = ["text", "changes", "skeletons", "frames", "pixels", "attention, both ways"]
    for number, name in enumerate(names):
        trained(name).save(tmp_path / f"{number}.safetensors")
    arrays = {f"{number} {row}": np.asarray(value) for number, name in enumerate(names)
              for row, value in enumerate(rows_of(name))}  # fmt: skip
    np.savez(tmp_path / "rows.npz", **arrays)
    code = """
import numpy as np
from elman import runtime
found = []
rows = np.load(sys.argv[1] + "/rows.npz")
for number in range(int(sys.argv[2])):
    model = runtime.load(f"{sys.argv[1]}/{number}.safetensors")
    own = [rows[f"{number} {row}"] for row in range(8)]
    own = [str(row) if row.dtype.kind == "U" else row for row in own]
    streamed = model.stream().read(own[3])[-1].tolist() if model.net_.streams else None
    found.append([model.predict_proba(own).tolist(), streamed])
print(json.dumps(found))
"""
    for is_native in (True, False):
        for name, (got, streamed) in zip(
            names, torch_free.run(code, tmp_path, len(names), native=is_native), strict=True
        ):
            wanted = trained(name).predict_proba(rows_of(name))
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5, err_msg=name)
            if streamed is not None:
                np.testing.assert_allclose(streamed, wanted[3], rtol=0, atol=1e-5, err_msg=name)
