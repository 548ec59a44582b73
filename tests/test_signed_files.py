"""Files with a valid digest and invalid contents: one kind of error, or a model with finite numbers."""

import numpy as np
import pytest
import torch

import elman
from elman import runtime
from elman.files import write_tensors
from elman.network import read_model
from elman.training import model_tensors

from .signed_files import altered, models, read, sign, use

LARGE = (
    r"expected weights of .*, as in the file, got a network that needs .* or more; its tensors do not fit its settings"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the function that loads each file."""
    return models(tmp_path_factory.mktemp("models"))


def check_altered(files, seed, count):
    """Load every file `count` times with random changes."""
    generator = np.random.default_rng(seed)
    for path, load in files.items():
        whole, parts = path.read_bytes(), read(path)
        for number in range(count):
            sign(path, *altered(generator, *parts))
            found = loaded(load, path, number)
            if found is not None:
                check_finite(found)
            found = loaded(runtime.load, path, number)
            if found is not None:
                check_use(path, found)
        path.write_bytes(whole)


def loaded(load, path, number):
    """Return the model in a file, or None if it raises an error of one line that names the file."""
    try:
        return load(path)
    except ValueError as error:
        text = str(error)
        assert str(path.parent) in text, (path, number, text)
        assert "\n" not in text, (path, number, text)
        assert "do not match the digest" not in text, (path, number, text)
        return None


def check_use(path, found):
    """Check that a model predicts, unless its weights overflow."""
    try:
        with np.errstate(all="ignore"):
            use(path.parent.name, found)
    except ValueError as error:
        if "finite" not in str(error):
            raise


def check_finite(found):
    """Check that the weights of a loaded network are finite numbers in memory."""
    if net := getattr(found, "net_", None):
        for name, tensor in model_tensors(net).items():
            assert not tensor.is_meta, name
            assert torch.isfinite(tensor).all(), name


def test_altered_files_raise_one_kind_of_error(files):
    check_altered(files, 0, 20)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_many_altered_files_raise_one_kind_of_error(files, seed):
    check_altered(files, seed, 150)


@pytest.fixture
def words(files):
    """Return the file of a classifier and its parts."""
    path = next(iter(files))
    whole = path.read_bytes()
    yield path, *read(path)
    path.write_bytes(whole)


def wrong_metadata():
    yield "schema", "x", "schema: expected a whole number, got 'x'"
    yield "settings", [], r"settings: expected a dictionary, got \[\]"
    yield "settings.hidden_size", -1, "hidden_size: expected at least 1, got -1"
    yield (
        "settings.hidden_size",
        2**31,
        LARGE,
    )
    yield (
        "settings.hidden_size",
        10**12,
        LARGE,
    )
    yield "settings.num_layers", 2**31, "num_layers: expected at least 1 and less than 1000, got 2147483648"
    yield (
        "settings.num_layers",
        900,
        LARGE,
    )
    yield (
        "settings.hidden_size",
        5,
        r"expected cells\.0\..* \(20,\), got \(16,\); it does not fit its settings",
    )
    yield "settings.learning_rate", float("nan"), "Classifier: expected learning_rate above 0, got nan"
    yield "settings.cell", {"kind": "lstm", "self": 1}, "settings cell.self: unknown option of cell=lstm"
    yield "labels", 5, "labels: expected a list of texts or a list of whole numbers or a list of true or false, got 5"
    yield "labels", ["x", 5], r"labels: expected .*, got \['x', 5\]"
    yield "labels", ["x", "x"], "labels: expected at least two different ones"
    yield "inputs", "x", "inputs: expected a dictionary, got 'x'"
    yield "inputs.name", "txt", "inputs: expected one of text, .*, got 'txt'; did you mean text"
    yield "inputs.units.vocabulary", {"a": 1}, r"vocabulary: expected a list of texts, got \{'a': 1\}"
    yield "task", ["classifier"], r"task: expected a text, got \['classifier'\]"


@pytest.mark.parametrize(("place", "value", "message"), list(wrong_metadata()))
def test_wrong_metadata_is_named(words, place, value, message):
    path, table, metadata, data = words
    *parents, name = place.split(".")
    part = metadata
    for parent in parents:
        part = part[parent]
    part[name] = value
    sign(path, table, metadata, data)
    with pytest.raises(ValueError, match=rf"^{path}: {message}"):
        elman.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "expected a JSON dictionary, got list"),
        ("[" * 100_000, "expected JSON of a few levels, got a deeply nested text"),
        ("{", "Expecting property name"),
    ],
)
def test_metadata_of_another_type_are_one_line(words, text, message):
    path, table, _, data = words
    sign(path, table, text, data)
    with pytest.raises(ValueError, match=rf"^{path}: {message}"):
        elman.load(path)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_named(words, number):
    path, table, metadata, data = words
    sign(path, table, metadata, data[:-4] + np.float32(number).tobytes())
    for load in (elman.load, runtime.load):
        with pytest.raises(ValueError, match=rf"^{path}: .*: expected finite numbers, got 1 that are NaN or infinite"):
            load(path)


def test_tensors_that_overlap_or_have_an_unknown_type(words):
    path, table, metadata, data = words
    name = next(iter(table))
    start, end = table[name]["data_offsets"]
    for entry in ({"data_offsets": [start + 4, end + 4]}, {"dtype": "XX"}, {"shape": [2**62, 2**62]}, {"shape": [-1]}):
        sign(path, {**table, name: {**table[name], **entry}}, metadata, data)
        with pytest.raises(ValueError, match=rf"^{path}: not a table of tensors: "):
            elman.load(path)


def test_a_nested_header_is_another_format(tmp_path):
    path = tmp_path / "model.safetensors"
    for text in (b"[" * 5000, b'{"__metadata__":{"elman":5,"sha256":"x"}}', b'{"__metadata__":{"elman":["x"]}}'):
        path.write_bytes(len(text).to_bytes(8, "little") + text)
        with pytest.raises(ValueError, match=rf"^{path}: expected a model file of elman, got {8 + len(text)} bytes"):
            elman.load(path)


def test_float64_weights_beyond_float32_are_not_finite(words):
    path, tensors = words[0], read_model(words[0]).tensors
    name = next(name for name in tensors if tensors[name].dtype == np.float32)
    wide = {**tensors, name: np.full(tensors[name].shape, 1e300)}
    write_tensors(path, wide, words[2])
    with pytest.raises(ValueError, match=rf"^{path}: {name}: expected finite numbers"):
        elman.load(path)
