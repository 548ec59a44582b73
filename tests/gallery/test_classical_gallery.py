"""Gallery programs for classical models: they run on little data and write receipts with pictures."""

import gzip
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SENTENCES = "a fine film\t1\na dull film\t0\nfine , moving and funny\t1\ndull , long and sad\t0\n"


@pytest.fixture
def run(program, receipt, tmp_path):
    """Return a function that runs a gallery program on the files of a data set, and returns its receipt."""

    def run(name, folder, files, *arguments):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for file, text in files.items():
            (tmp_path / "data" / folder / file).write_bytes(gzip.compress(text.encode()))
        program(name).main(["--data", str(tmp_path / "data"), *arguments])
        return receipt(name)

    return run


def sst2(copies):
    return {f"{part}.tsv.gz": copies * SENTENCES for part in ("train", "dev", "test")}


def test_the_bag_of_words(run, capsys):
    facts = run("sst2_bag", "sst2", sst2(20))
    assert facts["accuracy"] == {"dev": 1.0, "test": 1.0}
    assert "reached: test accuracy 1, target at least 0.818" in capsys.readouterr().out
    line = runpy.run_path(ROOT / "docs" / "conf.py")["summary"]({"sst2_bag": facts}).splitlines()[-1]
    assert "| none | at least 0.818 | 1.0 |" in line


def test_choosing_settings_writes_no_receipt(run, capsys):
    assert run("sst2_bag", "sst2", sst2(10), "--choose") is None
    assert "100.00 %  naive_bayes=False" in capsys.readouterr().out


def ud_ewt(copies):
    sentence = "{}\tDET\tDT\ndog\tNOUN\tNN\nbarks\tVERB\tVBZ\n\n"
    return {"train.tsv.gz": copies * (sentence.format("the") + sentence.format("a")),
            "dev.tsv.gz": sentence.format("The") + sentence.format("another")}  # fmt: skip


def test_the_tagger(run, capsys):
    facts = run("ud_ewt_hmm", "ud_ewt", ud_ewt(20))
    assert facts["seen"] == {"never": 2, "once": 0, "2 to 3": 0, "4 to 9": 0, "10 to 99": 4, "more": 0}
    assert facts["accuracy"]["second order"] == facts["result"]["reached"] == 1.0
    assert facts["accuracy_by_seen"]["first order"]["once"] is None
    assert "reached: dev accuracy 1, target at least 0.925" in capsys.readouterr().out


def test_choosing_settings_of_the_tagger_writes_no_receipt(run, capsys):
    assert run("ud_ewt_hmm", "ud_ewt", ud_ewt(10), "--choose") is None
    assert "100.00 %  rare_count=100" in capsys.readouterr().out
