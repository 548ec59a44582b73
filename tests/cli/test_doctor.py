"""`elman doctor`."""

import json
import shutil

import pytest

from elman.doctor import examine
from elman.doctor.figures import to_json


def test_the_default_data_are_the_files_of_the_run(elman, run_folder, tmp_path):
    result = elman("doctor", run_folder, "--out", tmp_path / "seen")
    assert result.exit_code == 0, result.output
    assert f"Picture: {tmp_path}/seen/doctor.png" in result.stdout
    assert f"Report: {tmp_path}/seen/doctor.html" in result.stdout
    assert "cells.1" in result.stdout
    assert "training: " in result.stdout
    assert (tmp_path / "seen" / "doctor.png").read_bytes()[:4] == b"\x89PNG"
    assert "loss by context" in (tmp_path / "seen" / "doctor.html").read_text(encoding="utf-8")
    assert not (run_folder / "doctor.png").exists()


def test_json_is_one_object_and_writes_no_file(elman, run_folder, tmp_path):
    printed = json.loads(elman("doctor", run_folder, "--json", "--dependency", 12).stdout)
    layer = printed["layers"][0]
    assert (layer["cell"], layer["input_size"], layer["output_size"]) == ("LSTM", 4, 8)
    assert printed["training"]["unrolled"] == 20
    assert not (run_folder / "doctor.html").exists()


def test_a_classifier_and_a_tagger_are_examined(elman, classifier_run, tagger_run, reviews):
    for run, files in ((classifier_run, [reviews]), (tagger_run, [])):
        result = elman("doctor", run, *files, "--json")
        assert result.exit_code == 0, result.output
        assert any(layer["cell"] == "LSTM" for layer in json.loads(result.stdout)["layers"])


def test_the_command_and_python_give_the_same_figures(elman, classifier_run, reviews):
    printed = json.loads(elman("doctor", classifier_run, reviews, "--json", "--dependency", 3).stdout)
    texts, labels = zip(*(line.split("\t") for line in reviews.read_text().splitlines()[1:]), strict=True)
    found = to_json(examine(classifier_run, texts, labels, dependency=3))
    assert {**printed, "seconds": None} == {**found, "seconds": None}


@pytest.mark.slow
def test_the_report_and_the_picture_of_a_classifier_and_a_tagger_are_in_their_runs(
    elman, classifier_run, tagger_run, reviews, tmp_path
):
    for run, files in ((classifier_run, [reviews]), (tagger_run, [])):
        copy = tmp_path / run.name
        shutil.copytree(run, copy)
        result = elman("doctor", copy, *files)
        assert result.exit_code == 0, result.output
        page = (copy / "doctor.html").read_text(encoding="utf-8")
        assert (copy / "doctor.png").exists()
        assert ("<span>Oslo</span>" in page or "<span>Rome</span>" in page) == (run is tagger_run)


def test_the_model_file_alone_needs_data(elman, run_folder, text_file, tmp_path):
    model = tmp_path / "model.safetensors"
    shutil.copy(run_folder / "model.safetensors", model)
    result = elman("doctor", model)
    assert result.exit_code == 1
    assert result.stderr.endswith(
        f"{model}: the files it was trained on are unknown; name a file: elman doctor {model} FILE\n"
    )
    assert elman("doctor", model, text_file, "--json").exit_code == 0


def test_missing_data(elman, small, tmp_path):
    text, run = tmp_path / "text.txt", tmp_path / "run"
    text.write_text("the cat sat on the mat; " * 30)
    assert elman("train", "language-model", text, "--out", run, *small).exit_code == 0
    text.unlink()
    result = elman("doctor", run)
    assert result.exit_code == 1
    assert f"{text}: is missing, and {run} was trained on it; name a file: elman doctor {run} FILE" in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere"], 1, "nowhere"),
        (["LANGUAGE", "FILE", "--text", "x"], 2, "--text: not supported for a language-model; leave it out."),
        (["CLASSIFIER", "FILE", "--word", "1"], 2, "--word: not supported for a classifier; leave it out."),
        (["CLASSIFIER", "FILE", "--dependency", "0"], 2, "--dependency"),
    ],
)
def test_wrong_usage(elman, classifier_run, run_folder, reviews, words, code, message):
    names = {"CLASSIFIER": classifier_run, "LANGUAGE": run_folder, "FILE": reviews}
    result = elman("doctor", *(names.get(word, word) for word in words))
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_a_model_without_memory(elman, text_file, small, tmp_path):
    run = tmp_path / "run"
    result = elman("train", "language-model", text_file, "--out", run, *small, "--set", "cell=window_net")
    assert result.exit_code == 0, result.output
    result = elman("doctor", run, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["layers"][0]["cell"] == "WindowNet"
