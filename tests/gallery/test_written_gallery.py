"""Gallery programs for translation, sounds and summaries: they run on little data and write receipts with pictures."""

import gzip
import json

import numpy as np
import pytest

SMALL = ["hidden_size=24", "encoder_size=16", "embedding_size=16", "learning_rate=0.02", "dropout=0",
         "embedding_dropout=0", "output_dropout=0", "label_smoothing=0", "epochs=12"]  # fmt: skip
WORDS = {"the": "der", "old": "alte", "dog": "hund", "cat": "kater", "sees": "sieht", "here": "hier"}


@pytest.fixture
def run(program, receipt, tmp_path, monkeypatch):
    """Return a function that runs a gallery program on the data below `tmp_path`, and returns its receipt."""

    def run(name, settings, arguments=("--data", str(tmp_path)), home=None):
        monkeypatch.setattr(program(home or name), "SETTINGS", settings)
        program(name).main([*arguments, "--run", str(tmp_path / "run")])
        return receipt(name)

    return run


def write(path, lines):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))


def sentences(count, seed=0):
    generator = np.random.default_rng(seed)
    rows = [list(generator.choice([*WORDS], generator.integers(4, 12))) for _ in range(count)]
    return [" ".join(row) for row in rows], [" ".join(WORDS[word] for word in row) for row in rows]


@pytest.mark.parametrize("language", ["de", pytest.param("fr", marks=pytest.mark.slow)])
def test_translations(run, tmp_path, language):
    for part, count in (("train", 200), ("val", 20), ("test_2016_flickr", 30)):
        for side, lines in zip(("en", language), sentences(count, seed=count), strict=True):
            write(tmp_path / "multi30k" / f"{part}.{side}.gz", lines)
    facts = run(f"multi30k_{language}", [*SMALL, "units=words"], home="translated")
    assert facts["result"]["reached"] == round(facts["report"]["bleu"] / 100, 4) > 0.6
    if language == "de":
        assert facts["bleu_by_words"].keys() == {"attention", "no attention"}
        assert facts["classical"]["no attention"] < facts["result"]["reached"]
        assert (tmp_path / "receipts" / "multi30k_lengths.png").exists()


def test_copying(run, tmp_path):
    facts = run("copying", [*SMALL, "units=characters", "epochs=4"], ["--rows", "200"])
    assert facts["perplexity"] < facts["perplexity_of_shuffled_sources"]
    assert 0 <= facts["result"]["reached"] <= 1
    assert (tmp_path / "receipts" / "copying_alignment.png").exists()


def test_sounds(run, tmp_path):
    sounds = {"a": "AH0", "b": "B", "c": "K", "e": "EH1"}
    generator = np.random.default_rng(0)
    words = sorted({"".join(generator.choice([*sounds], 4)) for _ in range(150)})
    lines = [f"{word}\t{' '.join(sounds[letter] for letter in word)}" for word in words]
    write(tmp_path / "cmudict" / "train.tsv.gz", lines)
    write(tmp_path / "cmudict" / "valid.tsv.gz", [*lines[:20], f"{words[0]}\tB B"])
    facts = run("cmudict", [*SMALL, "units=characters", "target_units=words"])
    assert facts["result"]["reached"] == pytest.approx(1 - facts["stress_removed"]["phoneme_errors"], abs=1e-4)
    assert facts["result"]["reached"] > 0.8


def test_subjects(run, tmp_path):
    sources, _ = sentences(150)
    mails = [{"body": f"{text}. here the cat. sees", "subject": " ".join(text.split()[-2:])} for text in sources]
    write(tmp_path / "aeslc" / "train.jsonl.gz", map(json.dumps, mails))
    write(tmp_path / "aeslc" / "dev.jsonl.gz", map(json.dumps, mails[:20]))
    facts = run("aeslc", [*SMALL, "units=words", "epochs=2"])
    assert facts["classical"].keys() == {"first five words", "best sentence by TF-IDF"}
    assert facts["result"]["at_least"] == max(facts["reports"][name]["rougeL"] / 100 for name in facts["classical"])
