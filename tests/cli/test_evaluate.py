import json
import math

import pytest

from elman import load


@pytest.fixture
def other_text(text, tmp_path):
    path = tmp_path / "other.txt"
    path.write_text(text[:300] + "€€")
    return path


def test_the_figures_of_both(elman, run_folder, other_text):
    result = elman("evaluate", run_folder, other_text)
    assert result.exit_code == 0, result.output
    assert "302 characters, 303 units to predict, 2 of them unknown" in result.stdout
    lines = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line}
    model = load(run_folder)
    for name, report in ("LSTM", model.evaluate(other_text)), ("3-gram", model.evaluate_ngram(other_text)):
        figures = [report.nats, report.nats_per_character, report.bits_per_character, report.perplexity]
        assert [float(figure.replace(",", "")) for figure in lines[name]] == pytest.approx(figures, abs=0.06)
    assert "is better" in result.stdout


def test_json_alone_on_standard_output(elman, run_folder, other_text):
    figures = json.loads(elman("evaluate", run_folder, other_text, "--json").stdout)
    assert list(figures) == ["LSTM", "3-gram"]
    for figure in figures.values():
        assert (figure["characters"], figure["units"], figure["unknown"]) == (302, 303, 2)
        assert figure["perplexity"] == pytest.approx(math.exp(figure["nats"] / 303))
        assert figure["bits_per_character"] == pytest.approx(figure["nats"] / 302 / math.log(2))


def test_files_are_added_up(elman, run_folder, other_text, text_file):
    one, two, both = (
        json.loads(elman("evaluate", run_folder, *files, "--json").stdout)
        for files in ([other_text], [text_file], [other_text, text_file])
    )
    for name in both:
        assert both[name]["nats"] == pytest.approx(one[name]["nats"] + two[name]["nats"])


def test_a_model_file_without_its_run(elman, run_folder, other_text, tmp_path):
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes((run_folder / "model.safetensors").read_bytes())
    result = elman("evaluate", copy, other_text, "--streams", 3)
    assert result.exit_code == 0, result.output
    assert "LSTM" in result.stdout
    assert "gram" not in result.stdout
