"""Gallery programs for series, skeletons and video: they run on little data and write receipts with pictures."""

import gzip

import numpy as np
import pytest

GENERATOR = np.random.default_rng(0)
SMALL = ["--set", "hidden_size=8", "--set", "epochs=20", "--set", "learning_rate=0.02"]


@pytest.fixture
def run(program, receipt, tmp_path, monkeypatch):
    """Return a function that runs a gallery program on the data below `tmp_path`, and returns its receipt."""

    def run(name, settings):
        module = program(name)
        monkeypatch.setattr(module, "SETTINGS", settings)
        monkeypatch.setattr(module, "STATES", 2)
        monkeypatch.setattr(module, "SEEDS", (0,), raising=False)
        module.main(["--data", str(tmp_path), "--run", str(tmp_path / "run")])
        return receipt(name)

    return run


def waves(kind, count):
    """Return rows [T, 3] of a slow or a quick wave."""
    return [np.sin(np.arange(12 + n % 3)[:, None] * (0.3 + kind) + GENERATOR.random(3)) for n in range(count)]


def ts(rows):
    cases = (":".join(",".join(map(str, variable)) for variable in row.T) + f":{label}" for row, label in rows)
    return "@univariate false\n@dimensions 3\n@classLabel true slow quick\n@data\n" + "\n".join(cases) + "\n"


def test_series(run, program, tmp_path, monkeypatch, capsys):
    (tmp_path / "uea").mkdir()
    for name in ("Walks", "Runs"):
        for part in ("TRAIN", "TEST"):
            rows = [(row, label) for kind, label in enumerate(("slow", "quick")) for row in waves(kind, 10)]
            (tmp_path / "uea" / f"{name}_{part}.ts.gz").write_bytes(gzip.compress(ts(rows).encode()))
    monkeypatch.setattr(program("uea"), "SETS", ("Walks", "Runs"))
    facts = run("uea", [*SMALL, "--set", "validation=0"])
    assert facts["result"]["reached"] == min(sets["median"] for sets in facts["sets"].values()) > 0.8
    assert facts["classical"]["HMM per class"] == min(sets["HMM per class"] for sets in facts["sets"].values()) > 0.8
    assert facts["held_out_best"] == [None, None]  # no part was held out
    assert "elman train classifier DIR/uea/Walks_TRAIN.ts.gz --set hidden_size=8" in capsys.readouterr().out


def test_skeletons(run, tmp_path):
    body = GENERATOR.normal(size=(20, 3)) * 500
    rows = [(kind, subject, body + 900 * np.pad(wave, ((0, 0), (57, 0))).reshape(-1, 20, 3))
            for kind in (0, 1) for subject in (1, 2, 3, 4) for wave in waves(kind, 5)]  # fmt: skip
    (tmp_path / "msr_action3d").mkdir()
    np.savez(
        tmp_path / "msr_action3d" / "msr_action3d.npz",
        xyz_mm=np.concatenate([row for *_, row in rows]).astype(np.int16),
        length=[len(row) for *_, row in rows],
        action_subject_instance_used=[[kind + 1, subject, 1, n % 5 < 4] for n, (kind, subject, _) in enumerate(rows)],
    )
    facts = run("msr_action3d", SMALL)
    assert facts["sequences"] == {"train": 16, "test": 16}
    assert facts["result"]["reached"] > 0.8
    assert set(facts["classical"]) == {"HMM per action", "bag of poses"}


def test_lips(run, tmp_path):
    def clip(word, speaker, wave):
        wide = np.arange(8) < 4 + (1 + 2 * word) * wave[:, :1, None]  # [T, 1, 8]
        return (100 + 20 * speaker + 60 * wide + GENERATOR.integers(0, 9, (len(wave), 8, 8))).astype(np.uint8)

    lips = [(word, speaker, clip(word, speaker, wave))
            for word in (0, 1) for speaker in range(4) for wave in waves(1, 5)]  # fmt: skip
    (tmp_path / "miracl_vc1_words").mkdir()
    np.savez(
        tmp_path / "miracl_vc1_words" / "train.npz",
        frames=np.concatenate([clip for *_, clip in lips]),
        length=[len(clip) for *_, clip in lips],
        word=[word for word, *_ in lips],
        word_names=["Begin", "Web"],
        speaker=[f"F{speaker:02}" for _, speaker, _ in lips],
    )
    facts = run("miracl_words", [*SMALL, "--set", "learning_rate=0.005"])
    assert set(facts["speakers"]) == {"F02", "F03"}
    assert set(facts["words"]) == {"Begin", "Web"}
    assert facts["result"]["reached"] == pytest.approx(sum(facts["speakers"].values()) / 2)
    assert min(facts["classical"].values()) > 0.8
