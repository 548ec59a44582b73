"""Gallery program for photographs: it runs on a few pictures of two kinds and writes a receipt."""

import gzip
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

GENERATOR = np.random.default_rng(0)
CAPTIONS = "A light is on the left .", "The right is very bright ."
TINY = [word for setting in ("encoder=convolutional", "image_size=32", "hidden_size=16", "embedding_size=16",
                             "encoder_size=16", "encoder_dropout=0.1", "dropout=0.1", "output_dropout=0.1",
                             "embedding_dropout=0.1", "epochs=12", "learning_rate=0.02", "mirror=false")
        for word in ("--set", setting)]  # fmt: skip


@pytest.fixture
def flickr8k(program):
    return program("flickr8k")


def write(folder, part, count):
    folder.mkdir(exist_ok=True)
    lines = []
    with zipfile.ZipFile(folder / f"{part}_images.zip", "w") as archive:
        for number in range(count):
            pixels = np.full((20, 30, 3), GENERATOR.integers(0, 60), np.uint8)
            pixels[:, slice(0, 15) if number % 2 == 0 else slice(15, None)] = GENERATOR.integers(180, 256)
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "png")
            archive.writestr(f"{part}{number}.png", content.getvalue())
            lines += [f"{part}{number}.png\t{copy}\t{CAPTIONS[number % 2]}" for copy in range(2)]
    (folder / f"{part}_captions.tsv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))


def test_the_program(flickr8k, receipt, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(flickr8k, "SETTINGS", TINY)
    write(tmp_path / "flickr8k_1000", "train", 40)
    write(tmp_path / "flickr8k_1000", "valid", 6)
    flickr8k.main(["attention", "--data", str(tmp_path), "--run", str(tmp_path / "run")])
    facts = receipt("flickr8k")
    assert facts["result"]["reached"] > 0.9
    assert facts["caption_more_probable_with_its_photograph"]["reached"] >= 0.6  # 3 of 5 others differ
    assert facts["constant"] in (caption.lower() for caption in CAPTIONS)
    assert facts["above_constant"]["reached"] > 10
    assert facts["nets"]["attention"]["different_captions"] == 2
    assert "reached: BLEU-4" in capsys.readouterr().out


def test_the_best_constant_caption(flickr8k):
    captions = [["a dog runs in the grass"], ["a dog runs in the snow"], ["two men sit on a bench in a park"]]
    assert flickr8k.best_constant([*captions, ["a dog runs in the grass"]]) == "a dog runs in the grass"
