"""A trained tagger without PyTorch: the same tags and probabilities, and tags of a stream of words."""

import json
from functools import cache, partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman import runtime
from elman.files import read_tensors, write_tensors
from elman.kernels import native
from elman.network import make_layer
from elman.runtime.tagger import TrainedTagger
from elman.tasks import Tagger, load

from . import torch_free

NAMES = [["Ann", "Lee", "met", "Bob", "in", "New", "York", "."], ["Rome", "is", "old"], [], ["Lee", "saw", "Rome"]]
SPANS = {
    "BIO": [["B-P", "I-P", "O", "B-P", "O", "B-L", "I-L", "O"], ["B-L", "O", "O"], [], ["B-P", "O", "B-L"]],
    "IOBES": [["B-P", "E-P", "O", "S-P", "O", "B-L", "E-L", "O"], ["S-L", "O", "O"], [], ["S-P", "O", "S-L"]],
    "IOB1": [["I-P", "I-P", "O", "I-P", "O", "I-L", "I-L", "O"], ["I-L", "O", "O"], [], ["I-P", "O", "I-L"]],
    "none": [["N", "N", "V", "N", "P", "A", "N", "."], ["N", "V", "A"], [], ["N", "V", "N"]],
}
SETTINGS = {
    "default": {"scheme": "BIO"},
    "forward": {"scheme": "BIO", "bidirectional": False},
    "deep": {"scheme": "IOBES", "bidirectional": False, "num_layers": 3, "layer_norm": True, "residual": True},
    "softmax": {"scheme": "IOB1", "output": "softmax", "cell": "gru", "bidirectional": False},
    "words alone": {"scheme": "none", "character_size": 0, "cell": "min_gru", "bidirectional": False},
    "window": {"scheme": "BIO", "cell": "window_net", "bidirectional": False},
}


@cache
def trained(name: str) -> Tagger:
    model = Tagger(**{"character_size": 4, **SETTINGS[name]}, hidden_size=8, embedding_size=6, epochs=4, seed=1,
                   learning_rate=0.05, validation=0)  # fmt: skip
    return model.fit(NAMES * 6, SPANS[SETTINGS[name]["scheme"]] * 6)


@pytest.fixture(scope="module", params=list(SETTINGS))
def pair(request, tmp_path_factory) -> tuple[Tagger, TrainedTagger]:
    """Return the same tagger in PyTorch and without it."""
    path = tmp_path_factory.mktemp("tagger") / "model.safetensors"
    trained(request.param).save(path)
    return load(path), runtime.load(path)


def test_tags_and_probabilities_are_those_of_pytorch(pair):
    task, model = pair
    texts = [*NAMES, ["unseen", "Words", "1999"]]
    assert model.predict(texts) == task.predict(texts)
    assert model.predict("Ann saw Rome.") == task.predict("Ann saw Rome.")
    for got, wanted in zip(model.predict_proba(texts), task.predict_proba(texts), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6)
    assert model.facts() == task.facts()


def test_the_numpy_evaluator_agrees(pair):
    task, model = pair
    with native.disabled():
        without = model.predict_proba(NAMES)
    for got, wanted in zip(without, task.predict_proba(NAMES), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5)


def test_a_report_is_that_of_pytorch(pair):
    task, model = pair
    tags = SPANS[task.scheme]
    assert model.evaluate(NAMES, tags).to_json() == task.evaluate(NAMES, tags).to_json()
    assert model.score(NAMES, tags) == task.score(NAMES, tags)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 3), max_size=5), st.integers(0, 4))
def test_a_stream_with_enough_look_ahead_returns_the_tags_of_predict(cuts, look_ahead):
    model = trained("forward")
    sentence = NAMES[0]
    stream = model.stream(look_ahead=len(sentence) if look_ahead == 4 else look_ahead)
    tags, rest = [], list(sentence)
    for size in cuts:
        tags += stream.read(rest[:size])
        rest = rest[size:]
        assert len(tags) == max(0, len(sentence) - len(rest) - stream.look_ahead)
    tags += [*stream.read(rest), *stream.finish()]
    assert len(tags) == len(sentence)
    if look_ahead == 4:
        assert tags == model.predict([sentence])[0]


@pytest.mark.parametrize("look_ahead", [0, 1, 2])
@pytest.mark.parametrize("name", ["forward", "deep", "softmax", "words alone", "window"])
def test_the_tags_of_a_stream_obey_their_scheme(name, look_ahead):
    model = trained(name)
    words = NAMES[0] + NAMES[3]
    stream = model.stream(look_ahead)
    tags = [tag for word in words for tag in stream.read([word])] + stream.finish()
    assert len(tags) == len(words)
    model.evaluate([words], [tags])  # raises for tags that break the scheme
    assert stream.finish() == []
    fresh = model.stream(look_ahead)
    assert [stream.read(NAMES[1]), stream.finish()] == [fresh.read(NAMES[1]), fresh.finish()]


def test_a_model_that_reads_both_ways_does_not_stream(pair):
    task, model = pair
    for one in (task, model):
        if not one.net_.streams:
            error = r"^Tagger\.stream: body\.cells\.\d \(Bidirectional\) reads whole .*; train with bidirectional=False"
            with pytest.raises(ValueError, match=error):
                one.stream()
        else:
            with pytest.raises(ValueError, match="expected a look_ahead of at least 0 words, got -1"):
                one.stream(-1)


def test_the_network_has_no_steps_of_one_number(pair):
    task, model = pair
    reads = (
        "reads words with their spellings and given tags; use" if model.net_.streams else "body.* reads whole sequences"
    )
    for call in (task.stepper, model.stepper):
        with pytest.raises(ValueError, match=rf"^Tagger(Net)?\.stepper: {reads}"):
            call()
    for call in (partial(model.net_.scan, NAMES), partial(model.net_.step, NAMES, None)):
        with pytest.raises(ValueError, match=r"^TaggerNet\.\w+: reads words with their spellings and given tags; use"):
            call()


@pytest.mark.parametrize(
    ("place", "message"), [(0, "tables of ids"), (1, "an LSTM in both directions as its spelling")]
)
def test_a_file_with_other_layers_in_the_network_raises(place, message):
    task = trained("default")
    spec, tensors = task.net_.spec(), {name: weight.numpy() for name, weight in task.net_.state_dict().items()}
    spec["cells"][place] = spec["cells"][1 - place]
    with pytest.raises(ValueError, match=f"^tagger: expected {message}, got other layers"):
        make_layer(spec, tensors)


def test_a_file_with_another_network_raises(tmp_path):
    task = trained("default")
    task.save(tmp_path / "model")
    tensors, metadata = read_tensors(tmp_path / "model")
    write_tensors(tmp_path / "model", tensors, metadata | {"spec": metadata["spec"]["cells"][0]})
    with pytest.raises(ValueError, match="spec: expected the network of a tagger, got embedding"):
        runtime.load(tmp_path / "model")


def test_a_word_that_cannot_be_read_leaves_the_stream_unchanged():
    stream, twin = trained("forward").stream(1), trained("forward").stream(1)
    for one in (stream, twin):
        one.read(["Ann", "Lee"])
    with pytest.raises(TypeError, match="expected words, got int 5"):
        stream.read(["met", 5])
    for words in ("met", b"met", None, 5):
        with pytest.raises(TypeError, match=r"^TaggerStream\.read: expected a list of words, got "):
            stream.read(words)
    assert [stream.read(["met"]), stream.finish()] == [twin.read(["met"]), twin.finish()]
    for look_ahead in (None, "2", 1.5, True):
        with pytest.raises(TypeError, match=r"^stream: expected a look_ahead that is a whole number, got "):
            trained("forward").stream(look_ahead)


@pytest.mark.parametrize("tags", [None, 5, True])
def test_a_row_without_tags_raises_an_error_with_its_number(tags):
    with pytest.raises(TypeError, match=r"^row 1: expected a list of tags, got "):
        trained("forward").evaluate([["Ann"], ["Lee"]], [["O"], tags])


def test_it_runs_in_a_process_without_pytorch(tmp_path):
    task = trained("default")
    task.save(tmp_path / "model.safetensors")
    code = """
from elman import runtime
model = runtime.load(sys.argv[1])
words = json.loads(sys.argv[2])
print(json.dumps([model.predict(words), [rows.tolist() for rows in model.predict_proba(words)]]))
"""
    for is_native in (True, False):
        tags, probabilities = torch_free.run(code, tmp_path, json.dumps(NAMES), native=is_native)
        assert tags == task.predict(NAMES)
        for got, wanted in zip(probabilities, task.predict_proba(NAMES), strict=True):
            np.testing.assert_allclose(np.reshape(got, wanted.shape), wanted, rtol=0, atol=1e-6 if is_native else 1e-5)
