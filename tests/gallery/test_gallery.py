"""The programs of the gallery run, on little data and with small nets, and leave receipts that the page can show."""

import gzip
import importlib
import json
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORDS = " the cat sat on the mat \n the <unk> sat on the log \n a dog saw the cat \n"
NAMES = "".join(f"{a}{b}{end}\t{language}\n" for a in "BDGKLMNPRT" for b in ("a", "e", "il", "or", "ust")
                for end, language in (("ov", "Russian"), ("son", "English"), ("enko", "Russian")))  # fmt: skip
DATA = {
    "tinyshakespeare": {"input.txt.gz": "ROMEO:\nThe cat sat on the mat.\n\n" * 60},
    "ptb_zaremba": {f"../ptb/ptb.{part}.txt.gz": n * WORDS for part, n in (("train", 60), ("valid", 6), ("test", 7))},
    "names_windows": {"../names/train.tsv.gz": NAMES},
}
SMALL = {"hidden_size": 8, "embedding_size": 8, "epochs": 2, "streams": 4, "steps": 10}


@pytest.fixture
def program(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "gallery")
    return importlib.import_module


@pytest.fixture
def run(program, tmp_path, monkeypatch):
    """Run a program of the gallery on little data, and give its receipt."""
    receipt = program("receipt")
    monkeypatch.setattr(receipt, "RECEIPTS", tmp_path / "receipts")
    monkeypatch.setattr(receipt, "UPDATES", 2)

    def run(name, *arguments, **settings):
        for file, text in DATA[name].items():
            path = tmp_path / "data" / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(text.encode()))
        module = program(name)
        monkeypatch.setattr(module, "SETTINGS", {**module.SETTINGS, **SMALL, **settings})
        module.main(["--data", str(tmp_path / "data"), "--run", str(tmp_path / "run"), *arguments])
        path = tmp_path / "receipts" / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else None

    return run


def test_a_receipt_of_a_result_that_was_reached(run, tmp_path, capsys):
    facts = run("ptb_zaremba", decay_after=1)
    assert facts["result"]["reached"] == facts["perplexity"]["test"]["LSTM"] < 20  # the words of the small text
    assert facts["test_units"] == 7 * len([*WORDS.split(), *WORDS.splitlines()]) + 1  # words, ends of lines, the end
    assert facts["settings"]["seed"] == 0
    assert set(facts["training_words_per_second"]) == {"elman", "torch.nn"}
    assert (tmp_path / "receipts" / "ptb_zaremba.png").exists()
    assert "reached: test perplexity" in capsys.readouterr().out


def test_what_was_missed_is_reported_as_missed(run, tmp_path, capsys):
    facts = run("tinyshakespeare", learning_rate=1e-6, warmup=0)
    assert facts["result"]["reached"] == round(facts["test_nats_per_character"]["LSTM"], 4) > 1.5
    assert "MISSED: test nats a character" in capsys.readouterr().out
    line = runpy.run_path(ROOT / "docs" / "conf.py")["summary"]({"tinyshakespeare": facts}).splitlines()[-1]
    assert f"| none | 1.5 | {facts['result']['reached']} (missed) |" in line


def test_names_are_classified_and_shifted(run, tmp_path, capsys):
    facts = run("names_windows", big_window=9, batch_size=16, learning_rate=0.02)
    assert sum(facts["names"].values()) == 150
    assert set(facts["accuracy"]) == {
        "the commonest language", "counts", "window of 4", "window of 9", "window of 9, shifted by 3"
    }  # fmt: skip
    assert min(facts["accuracy"][model] for model in ("counts", "window of 4", "window of 9")) > 0.8
    assert facts["result"]["reached"] < 1
    assert (tmp_path / "receipts" / "names_windows.png").exists()
    assert "names held out, part of which is right" in capsys.readouterr().out


def test_choosing_settings_leaves_no_receipt(run, capsys):
    assert run("tinyshakespeare", "--validation", "0.2", warmup=0) is None
    assert "held out of the training text" in capsys.readouterr().out


def test_every_receipt_that_is_kept_is_on_the_page_and_of_the_settings_of_today(program):
    source = ["<!-- receipts -->"]
    runpy.run_path(ROOT / "docs" / "conf.py")["add_receipts"](None, "gallery", source)
    for path in (ROOT / "gallery" / "receipts").glob("*.json"):
        assert f"[{path.stem}](#{path.stem})" in source[0]
        assert path.with_suffix(".png").exists()
        facts, module = json.loads(path.read_text()), program(path.stem)
        if "settings" in facts:
            assert facts["settings"] == module.SETTINGS
        else:  # trained by commands, those of labelled data with three settings at most, a seed aside
            commands, settings = facts.get("trained_by", []), getattr(module, "SETTINGS", [])
            few = [command for command in commands if re.match("elman train (classifier|tagger)", command)]
            assert all(len(re.findall("--set (?!seed=)", command)) <= 3 for command in few)
            assert not commands or any(set(settings) <= set(command.split()) for command in commands)
