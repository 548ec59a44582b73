"""Gallery programs for language models and names: they run on little data with small networks and write receipts."""

import gzip
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
def run(program, receipt, tmp_path, monkeypatch):
    """Return a function that runs a gallery program on little data, and returns its receipt."""
    monkeypatch.setattr(program("receipt"), "UPDATES", 2)

    def run(name, *arguments, **settings):
        for file, text in DATA[name].items():
            path = tmp_path / "data" / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(text.encode()))
        module = program(name)
        monkeypatch.setattr(module, "SETTINGS", {**module.SETTINGS, **SMALL, **settings})
        module.main(["--data", str(tmp_path / "data"), "--run", str(tmp_path / "run"), *arguments])
        return receipt(name)

    return run


def test_a_result_that_reaches_its_target_is_reported(run, capsys):
    facts = run("ptb_zaremba", decay_after=1)
    assert facts["result"]["reached"] == facts["perplexity"]["test"]["LSTM"] < 20  # the words of the small text
    assert facts["test_units"] == 7 * len([*WORDS.split(), *WORDS.splitlines()]) + 1  # words, ends of lines, the end
    assert facts["settings"]["seed"] == 0
    assert set(facts["training_words_per_second"]) == {"elman", "torch.nn"}
    assert "reached: test perplexity" in capsys.readouterr().out


def test_a_result_below_its_target_is_reported_as_missed(run, capsys):
    facts = run("tinyshakespeare", learning_rate=1e-6, warmup=0)
    assert facts["result"]["reached"] == round(facts["test_nats_per_character"]["LSTM"], 4) > 1.5
    assert "MISSED: test nats per character" in capsys.readouterr().out
    line = runpy.run_path(ROOT / "docs" / "conf.py")["summary"]({"tinyshakespeare": facts}).splitlines()[-1]
    assert f"| none | at most 1.5 | {facts['result']['reached']} (missed) |" in line


def test_names_are_classified_and_shifted(run, capsys):
    facts = run("names_windows", big_window=9, batch_size=16, learning_rate=0.02)
    assert sum(facts["names"].values()) == 150
    assert set(facts["accuracy"]) == {
        "the most common language", "counts", "window of 4", "window of 9", "window of 9, shifted by 3"
    }  # fmt: skip
    assert min(facts["accuracy"][model] for model in ("counts", "window of 4", "window of 9")) > 0.8
    assert facts["result"]["reached"] < 1
    assert "accuracy on 16 names:" in capsys.readouterr().out


def test_choosing_settings_writes_no_receipt(run, capsys):
    assert run("tinyshakespeare", "--validation", "0.2", warmup=0) is None
    assert "The held-out part of the training text" in capsys.readouterr().out


def test_every_receipt_is_on_the_page_and_has_the_settings_of_its_program(program):
    source = ["<!-- receipts -->"]
    runpy.run_path(ROOT / "docs" / "conf.py")["add_receipts"](None, "gallery", source)
    for path in (ROOT / "gallery" / "receipts").glob("*.json"):
        assert f"[{path.stem}](#{path.stem})" in source[0]
        assert path.with_suffix(".png").exists()
        facts, module = json.loads(path.read_text()), program(path.stem)
        if "settings" in facts:
            assert facts["settings"] == module.SETTINGS
        else:  # trained by commands, with at most three settings and a seed for classifiers and taggers
            commands, settings = facts.get("trained_by", []), getattr(module, "SETTINGS", [])
            few = [command for command in commands if re.match("elman train (classifier|tagger)", command)]
            assert all(len(re.findall("--set (?!seed=)", command)) <= 3 for command in few)
            assert not commands or any(set(settings) <= set(command.split()) for command in commands)
