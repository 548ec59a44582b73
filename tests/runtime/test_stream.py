"""Streams of trained models: any cut, fork, restored state or bytes continue as an uninterrupted stream does."""

import itertools
import json
from contextlib import nullcontext
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman import Classifier, LanguageModel, Tagger, Translator, runtime
from elman import state as states
from elman.kernels import native
from elman.network import Streams

from . import torch_free

FEW = {"epochs": 1, "hidden_size": 6, "embedding_size": 5, "validation": 0, "learning_rate": 0.03}
TEXT = "the cat sat on the mat; "
WORDS = ["Ann", "Lee", "met", "Bob", "in", "New", "York", ".", "Rome", "is", "old"]
TAGS = ["B-P", "I-P", "O", "B-P", "O", "B-L", "I-L", "O", "B-L", "O", "O"]
SERIES = np.random.default_rng(0).normal(0, 1, (11, 2))
KINDS = "text", "classifier", "tagger"


@cache
def trained(kind, seed=0):
    """Return a task, and its trained model without PyTorch."""
    if kind == "text":
        return LanguageModel(**FEW, steps=10, streams=2, num_layers=2, ngram_order=0, seed=seed).fit(TEXT * 9)
    if kind == "classifier":
        few = FEW | {"embedding_size": None}
        rows = [SERIES + number % 2 for number in range(8)]
        return Classifier(**few, bidirectional=False, differences=True, pooling="mean", seed=seed).fit(rows, [0, 1] * 4)
    return Tagger(**FEW, character_size=4, bidirectional=False, seed=seed).fit([WORDS, WORDS[:3]], [TAGS, TAGS[:3]])


def streamed(kind, seed=0):
    model = trained(kind, seed)
    return model.stream(look_ahead=2) if kind == "tagger" else model.stream()


def steps(kind):
    return {"text": TEXT[:11], "classifier": SERIES, "tagger": WORDS}[kind]


def outputs(stream, pieces):
    """Return all that a stream gives for pieces of a sequence, and at its end."""
    found = [stream.read(piece) for piece in pieces]
    if hasattr(stream, "finish"):
        return [*itertools.chain(*found), *stream.finish()]
    return (stream.log_probs if hasattr(stream, "log_probs") else stream.probabilities).tolist()


def by_state(stream, fresh):
    fresh.state = stream.state
    return fresh


def by_bytes(stream, fresh):
    return fresh.from_bytes(stream.to_bytes())


def by_numpy_bytes(stream, fresh):
    fresh.state = states.from_bytes(states.to_bytes(stream.state), stream.state)
    return fresh


CONTINUE = {"state": by_state, "bytes": by_bytes, "state.to_bytes": by_numpy_bytes,
            "fork": lambda stream, _: stream.fork(), "nothing": lambda stream, _: stream}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_native", [True, False])
@settings(max_examples=12, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 11), max_size=4), ways=st.lists(st.sampled_from([*CONTINUE]), min_size=5, max_size=5)
)
def test_any_cut_continues(kind, is_native, cuts, ways):
    if is_native and not native.available():
        pytest.skip("no native kernels")
    places = [0, *sorted(cuts), 11]
    with nullcontext() if is_native else native.disabled():
        whole = outputs(streamed(kind), [steps(kind)])
        stream, tags = streamed(kind), []
        for start, stop, way in zip(places, places[1:-1], ways, strict=False):
            tags += (
                stream.read(steps(kind)[start:stop])
                if kind == "tagger"
                else stream.read(steps(kind)[start:stop])[:0].tolist()
            )
            before, stream = stream, CONTINUE[way](stream, streamed(kind))
            if stream is not before:
                before.read(steps(kind)[:2])  # changes nothing in the other
        last = outputs(stream, [steps(kind)[places[-2] :]])
    if kind == "tagger":
        assert tags + last == whole
    else:
        np.testing.assert_allclose(last, whole, rtol=0, atol=0 if is_native else 1e-6)


def test_streams_continue_in_a_process_without_pytorch(tmp_path):
    sent, wanted = [], []
    for kind in KINDS:
        trained(kind).save(tmp_path / f"{kind}.safetensors")
        stream = streamed(kind)
        stream.read(steps(kind)[:5])
        sent.append(stream.to_bytes().hex())
        wanted.append(outputs(stream, [steps(kind)[5:]]))
    code = """
from elman import runtime
import numpy as np
found = []
for kind, sent, rest in zip(*json.loads(sys.argv[2])):
    stream = runtime.load(f"{sys.argv[1]}/{kind}.safetensors").stream().from_bytes(bytes.fromhex(sent))
    read = stream.read(np.array(rest) if kind == "classifier" else rest)
    found.append(read + stream.finish() if kind == "tagger" else
                 (stream.log_probs if kind == "text" else stream.probabilities).tolist())
print(json.dumps(found))
"""
    rest = [TEXT[5:11], SERIES[5:].tolist(), WORDS[5:]]
    assert torch_free.run(code, tmp_path, json.dumps([KINDS, sent, rest])) == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bytes_and_those_of_another_model_change_nothing(kind):
    stream, other, twin = streamed(kind), streamed(kind, seed=1), streamed(kind)
    for one in (stream, other, twin):
        one.read(steps(kind)[:5])
    data, name = stream.to_bytes(), type(stream).__name__
    for place in (0, 17, 40, len(data) - 1):
        damaged = bytearray(data)
        damaged[place] ^= 4
        for wrong in (damaged, data[:place]):
            with pytest.raises(ValueError, match=rf"^{name}\.from_bytes: expected the bytes of a stream, .* damaged"):
                stream.from_bytes(wrong)
    with pytest.raises(ValueError, match=rf"^{name}\.from_bytes: expected the bytes of a stream of this model"):
        stream.from_bytes(other.to_bytes())
    with pytest.raises(TypeError, match=rf"^{name}\.from_bytes: expected the bytes of a stream, got str"):
        stream.from_bytes("bytes")
    for wrong in ("junk", None, stream.state.network, stream.state[:-1], (*stream.state[:-1], np.zeros((1, 99)))):
        with pytest.raises(ValueError, match=rf"^{name}\.state: expected a state (of|with)"):
            stream.state = wrong
    with pytest.raises(TypeError, match=rf"^{name}\.state: expected a state with a leaf of"):
        stream.state = (*stream.state[:-1], stream.state[-1].astype(np.float32))
    assert stream.to_bytes() == twin.to_bytes()
    assert outputs(stream, [steps(kind)[5:]]) == outputs(twin, [steps(kind)[5:]])


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_that_is_reset_begins_again(kind):
    stream, fresh = streamed(kind), streamed(kind)
    stream.read(steps(kind)[:7])
    stream.reset()
    assert stream.to_bytes() == fresh.to_bytes()
    assert outputs(stream, [steps(kind)]) == outputs(fresh, [steps(kind)])


def test_numbers_out_of_range_in_a_state_raise():
    text, tagger = streamed("text"), streamed("tagger")
    with pytest.raises(ValueError, match=r"^TextStream\.state: expected the id of a unit, from 0 to \d+, got 99"):
        text.state = text.state._replace(unit=np.array([99]))
    with pytest.raises(ValueError, match=r"^TaggerStream\.state: expected the number of a tag, from -1 to \d+, got 99"):
        tagger.state = tagger.state._replace(tag=np.array([99]))
    with pytest.raises(ValueError, match=r"^TaggerStream\.state: expected finite numbers in the state, got nan"):
        tagger.state = tagger.state._replace(scores=np.full((1, tagger.state.scores.shape[1]), np.nan, np.float32))
    assert tagger.to_bytes() == streamed("tagger").to_bytes()


def test_bytes_of_a_pool_are_of_another_kind():
    pool, stream = Streams(trained("text"), 2), streamed("text")
    with pytest.raises(ValueError, match=r"^TextStream\.from_bytes: expected the bytes of this kind of stream"):
        stream.from_bytes(pool.to_bytes(pool.open()))


def test_a_pool_of_a_trained_model_reads_encoded_steps():
    text, classifier = trained("text"), trained("classifier")
    pool, stream = Streams(text, 2, output="log_probs"), text.stream()
    slot = pool.open()
    for unit in [0, *text.units_.encode("the").tolist()]:
        log_probs = pool.step([slot], np.array([unit]))[0]
    assert np.array_equal(log_probs, stream.read("the"))
    pool, slots = Streams(classifier, 2, output="probs"), [0]
    slots = [pool.open()]
    for step in classifier.inputs_.encode([SERIES]).values:
        probabilities = pool.step(slots, step[None])[0]
    assert np.array_equal(probabilities, classifier.stream().read(SERIES)[-1])


def test_arguments_of_another_type_raise():
    text, tagger, classifier = (streamed(kind) for kind in ("text", "tagger", "classifier"))
    for call, error, message in (
        (lambda: text.most_probable("3"), TypeError, "TextStream.most_probable: expected count to be a whole number"),
        (lambda: text.most_probable(0), ValueError, "TextStream.most_probable: expected a count from 1"),
        (lambda: text.read(5), TypeError, r"TextStream.read: expected text \(str\), got int"),
        (lambda: text.read("é"), ValueError, "TextStream.read: character 'é'"),
        (lambda: text.generate("é"), ValueError, "prompt: character 'é'"),
        (lambda: text.generate(length="3"), TypeError, "generate: expected length to be a whole number, got '3'"),
        (lambda: text.read_unit(99), ValueError, "TextStream.read_unit: expected the id of a unit, from 0 to"),
        (lambda: text.read_unit(1.5), TypeError, "TextStream.read_unit: expected the id of a unit, a whole number"),
        (lambda: tagger.read("Ann Lee"), TypeError, "TaggerStream.read: expected a list of words, got .*; split"),
        (lambda: tagger.read([["Ann"]]), TypeError, "expected words, got list"),
        (lambda: trained("tagger").stream(1.5), TypeError, "stream: expected a look_ahead that is a whole number"),
        (lambda: trained("tagger").stream("2"), TypeError, "stream: expected a look_ahead that is a whole number"),
        (
            lambda: classifier.read(SERIES[0]),
            ValueError,
            r"ClassifierStream.read: expected steps .* write x\[None\] for",
        ),
        (
            lambda: classifier.read(SERIES[:, :1]),
            ValueError,
            r"ClassifierStream.read: .* got \[1\]; give steps of that shape",
        ),
    ):
        with pytest.raises(error, match=message):
            call()
    assert text.to_bytes() == streamed("text").to_bytes()


def test_a_model_that_reads_whole_sequences_raises(tmp_path):
    task = Translator(**FEW, encoder_size=4).fit(["a b"] * 4, ["c d"] * 4)
    task.save(tmp_path / "model.safetensors")
    model = runtime.load(tmp_path)
    for call in (task.stream, task.stepper, model.stream, model.stepper):
        with pytest.raises(
            ValueError, match=r"^Translator\.\w+: the encoder reads the whole source first, .*; use predict"
        ):
            call()
    with pytest.raises(ValueError, match="not fitted"):
        Classifier().stream()
