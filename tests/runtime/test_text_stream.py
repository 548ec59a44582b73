"""Text stream on a stepper: without PyTorch, with the same numbers, and with a state that is a value."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from elman import LanguageModel, runtime
from elman import state as states
from elman.network import MODEL
from elman.runtime.text_stream import TextStream
from elman.tasks.torch_layer import TorchLayer

TEXT = "the cat sat on the mat and the dog sat on the log; " * 20

pytestmark = pytest.mark.needs_native


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    settings = {"hidden_size": 12, "embedding_size": 8, "epochs": 2, "steps": 20, "streams": 4, "learning_rate": 1e-2}
    return LanguageModel(**settings, num_layers=2, dropout=0.1, ngram_order=0, validation=0).fit(TEXT)


@pytest.fixture
def file(model, tmp_path):
    model.save(tmp_path / MODEL)
    return runtime.load(tmp_path)


def by_pytorch(model: LanguageModel) -> TextStream:
    return TextStream(TorchLayer(model.net_, model.evaluating), model.units_)


def test_a_file_reads_as_the_model_does(model, file):
    ours, theirs = file.stream(), by_pytorch(model)
    assert np.array_equal(model.stream().log_probs, ours.log_probs)
    for character in "the cat and the dog":
        ours.read(character)
        theirs.read(character)
        np.testing.assert_allclose(ours.log_probs, theirs.log_probs, rtol=0, atol=1e-14)  # the same bits of logits
    for own, other in zip(states.leaves(ours.state), states.leaves(theirs.state), strict=True):
        assert np.array_equal(own, other)


def test_a_file_writes_what_the_model_writes(model, file):
    expected = "".join(model.generate("the ", length=300, seed=5))
    assert "".join(file.stream().generate("the ", length=300, seed=5)) == expected
    assert "".join(by_pytorch(model).generate("the ", length=300, seed=5)) == expected


def test_the_state_is_a_value(file):
    stream = file.stream()
    stream.read("the cat ")
    kept, twin = stream.state, stream.fork()
    sent = states.to_bytes(kept)
    first = stream.read("sat")
    assert np.array_equal(twin.read("sat"), first)
    for state in (kept, states.from_bytes(sent, stream.state)):
        stream.state = state
        assert np.array_equal(stream.read("sat"), first)


def test_streams_of_one_stepper_may_be_read_by_several_threads(file):
    stream = file.stream()
    texts = ["the cat sat on the mat", "and the dog sat on the log"] * 4
    alone = [stream.fork().read(text * 5) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda fork, text: fork.read(text * 5), [stream.fork() for _ in texts], texts))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_a_stream_keeps_the_weights_that_it_began_with(model):
    stream = model.stream()
    kept = stream.log_probs
    weight = model.net_.cells[-1].weight
    before = weight.detach().clone()
    with torch.no_grad():
        weight.zero_()
        try:
            assert not np.array_equal(stream.read_unit(0), model.stream().read_unit(0))
        finally:
            weight.copy_(before)
    assert np.array_equal(model.stream().log_probs, kept)


def test_a_network_without_spec_streams_in_pytorch(model):
    model.net_.double()
    try:
        assert model.stream().state.network[1].h.dtype == np.float64
        assert "".join(model.generate("the ", length=5))
    finally:
        model.net_.float()
