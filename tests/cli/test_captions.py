"""`elman` with a captioner: pictures in folders and archives, and their captions."""

import json
import random
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TINY = [f"--set={setting}" for setting in (
    "encoder=convolutional", "image_size=32", "hidden_size=16", "embedding_size=16", "encoder_size=16",
    "encoder_dropout=0.1", "dropout=0.1", "output_dropout=0.1", "embedding_dropout=0.1", "epochs=12", "min_count=1",
    "learning_rate=0.02", "label_smoothing=0",
)]  # fmt: skip
CAPTIONS = {"left": "the light is on the left .", "right": "the right is bright ."}


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """Write a folder of 40 pictures, bright on one side, next to `captions.tsv`."""
    draw, folder = random.Random(0), tmp_path_factory.mktemp("photos") / "photos"
    folder.mkdir()
    lines = []
    for number in range(40):
        side = "left" if number % 2 else "right"
        pixels = np.full((20, 30, 3), draw.randrange(0, 60), np.uint8)
        half = slice(0, 15) if side == "left" else slice(15, None)
        pixels[:, half] = draw.randrange(180, 256)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
        lines += [f"{number:02}.png\t{copy}\t{CAPTIONS[side].capitalize()}" for copy in range(2)]
    folder.with_name("captions.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def captions(photos) -> Path:
    return photos.with_name("captions.tsv")


@pytest.fixture(scope="session")
def trained(elman, photos, captions, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "captioner"
    return run, elman("train", "captioner", captions, "--images", photos, "--out", run, "--set=mirror=false", *TINY)


@pytest.fixture(scope="session")
def run_folder(trained) -> Path:
    return trained[0]


def test_training_prints_its_figures_and_the_next_commands(trained, photos):
    run, result = trained
    assert result.exit_code == 0, result.output
    assert "BLEU" in result.output
    assert f"elman predict {run} PICTURE" in result.output
    config = (run / "config.toml").read_text()
    assert str(photos) in config
    assert 'task = "captioner"' in config


def test_predict(elman, run_folder, photos, tmp_path, monkeypatch):
    left, right = photos / "01.png", photos / "02.png"
    result = elman("predict", run_folder, left, right)
    assert result.stdout.splitlines() == [f"{CAPTIONS['left']}\t{left}", f"{CAPTIONS['right']}\t{right}"]
    assert elman("predict", run_folder, stdin=f"{left}\n").stdout == f"{CAPTIONS['left']}\t{left}\n"
    whole = elman("predict", run_folder, photos).stdout.splitlines()
    assert [line.split("\t")[1] for line in whole] == [str(photos / f"{number:02}.png") for number in range(40)]
    found = json.loads(elman("predict", run_folder, right, "--jsonl").stdout)
    assert (found["place"], found["caption"]) == (str(right), CAPTIONS["right"])
    several = elman("predict", run_folder, right, "--n-best", 2, "--beam", 4).stdout.splitlines()
    assert len(several) == 3
    assert several[0].split("\t")[1:] == [CAPTIONS["right"], str(right)]
    assert float(several[0].split("\t")[0]) >= float(several[1].split("\t")[0])


def test_captions_before_a_picture_that_cannot_be_read_are_printed(elman, run_folder, photos, tmp_path):
    left, missing, broken = photos / "01.png", tmp_path / "no.png", tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    for wrong, message in ((missing, "cannot be read: No such file"), (broken, "expected a picture")):
        result = elman("predict", run_folder, stdin=f"{left}\n{wrong}\n{left}\n")
        assert result.exit_code == 1
        assert result.stdout == f"{CAPTIONS['left']}\t{left}\n"
        assert result.stderr.startswith(f"Error: {wrong}: {message}")


def test_a_picture_in_the_place_of_names(elman, run_folder, photos):
    result = elman("predict", run_folder, stdin=(photos / "01.png").read_bytes())
    assert result.stderr == "Error: standard input:1: expected names of pictures, one per line, got a PNG picture.\n"


def test_missing_packages_are_found_before_a_caption_is_written(elman, run_folder, photos, captions, monkeypatch):
    from elman.runtime.writer import TrainedWriter

    monkeypatch.setattr(TrainedWriter, "n_best", lambda *_, **__: pytest.fail("a caption was written"))
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    monkeypatch.delitem(sys.modules, "elman.pictures.figure", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    check_error(elman("evaluate", run_folder, captions), "BLEU needs the package sacrebleu; install it with")
    check_error(
        elman("predict", run_folder, photos / "01.png", "--show-attention", "a.png"), "needs the package matplotlib"
    )


def test_predict_from_an_archive(elman, run_folder, photos, tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.write(photos / "03.png", "dataset/03.png")
    result = elman("predict", run_folder, tmp_path / "photos.zip")
    assert result.stdout == f"{CAPTIONS['left']}\t{tmp_path}/photos.zip/dataset/03.png\n"


def test_show_attention(elman, run_folder, photos, tmp_path):
    result = elman("predict", run_folder, photos / "01.png", photos / "02.png", "--show-attention", tmp_path / "a.png")
    assert result.exit_code == 0, result.output
    for name in ("a.png", "a-2.png"):
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 100


def test_evaluate(elman, run_folder, photos, captions, tmp_path):
    figures = json.loads(elman("evaluate", run_folder, captions, "--json").stdout)
    assert figures["bleu"] > 90
    assert figures["sentences"] == 40
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.write(photos / "00.png", "00.png")
    (tmp_path / "other.csv").write_text(f"file,said\n00.png,{CAPTIONS['right']}\n")
    result = elman("evaluate", run_folder, tmp_path / "other.csv", "--images", tmp_path / "other.zip", "--image",
                    "file", "--caption", "said", "--beam", 1)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "BLEU" in result.stdout


def test_a_run_is_resumed(elman, photos, captions, tmp_path):
    run = tmp_path / "run"
    assert (
        elman("train", "captioner", captions, "--images", photos, "--out", run, *TINY, "--set=epochs=1").exit_code == 0
    )
    result = elman("train", "captioner", "--resume", "--out", run)
    assert result.exit_code == 0, result.output


def check_error(result, message):
    assert result.exit_code != 0
    line = result.stderr.strip().splitlines()[-1]
    assert message in line, result.output
    return line


def test_errors_name_the_line_of_a_bad_picture(elman, photos, captions, tmp_path):
    def train(table, *more):
        run = tmp_path / "run"
        result = elman("train", "captioner", table, "--images", photos, *more, "--out", run, *TINY)
        assert not run.exists()
        return result

    other = tmp_path / "more"
    other.mkdir()
    whole = (photos / "00.png").read_bytes()
    (other / "cut.png").write_bytes(whole[: len(whole) // 2])
    (other / "text.jpg").write_text("no picture")
    for name in ("cut.png", "text.jpg"):
        (tmp_path / "bad.tsv").write_text(f"00.png\tA light .\n{name}\tA dog .\n")
        error = f"bad.tsv:2: {other / name}: expected a picture, but it cannot be read"
        check_error(train(tmp_path / "bad.tsv", "--images", other), error)
        check_error(train(captions, "--validation", tmp_path / "bad.tsv", "--images", other), error)
    archive = tmp_path / "more.zip"
    with zipfile.ZipFile(archive, "w") as content:
        content.write(other / "cut.png", "folder/cut.png")
    (tmp_path / "bad.tsv").write_text("00.png\tA light .\ncut.png\tA dog .\n")
    check_error(
        train(tmp_path / "bad.tsv", "--images", archive), f"bad.tsv:2: {archive}/folder/cut.png: expected a picture"
    )
    (tmp_path / "bad.tsv").write_text("00.png\tA light .\nnone.png\tA dog .\n")
    check_error(train(tmp_path / "bad.tsv"), "bad.tsv:2: the picture 'none.png' is not in")
    check_error(elman("train", "captioner", captions, "--out", tmp_path / "run"), "--images DIR")


def test_bad_pictures_and_options(elman, run_folder, tmp_path):
    (tmp_path / "a.jpg").write_text("no picture")
    line = check_error(
        elman("predict", run_folder, tmp_path / "a.jpg"), "a.jpg: expected a picture, but it cannot be read"
    )
    assert line.count("a.jpg") == 1
    (tmp_path / "a.gif").touch()
    check_error(elman("predict", run_folder, tmp_path / "a.gif"), "a.gif: expected a picture (.png .jpg")
    check_error(elman("predict", run_folder, tmp_path / "b.jpg"), "b.jpg: cannot be read")
    check_error(
        elman("predict", run_folder, tmp_path / "a.jpg", "--label", "x"), "--label: not supported for a captioner"
    )
