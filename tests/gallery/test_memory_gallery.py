"""The trials of `gallery/memory.py` run once, and ranks are correlated."""

import math

import numpy as np
import pytest

from elman.data import memory_problems


def test_the_mean_of_the_bins_is_the_sum(program):
    classified = program("memory_trials.classifier")
    sums = np.linspace(0.1, 1.8999, 500)
    classes = np.unique(classified.bins(np.linspace(0, 2, 1000)))
    sure = (classified.bins(sums)[:, None] == classes).astype(float)
    assert np.abs(classified.expected(sure, classes) - sums).max() <= classified.WIDTH / 2 + 1e-9
    halves = np.full((1, 2), 0.5)
    assert classified.expected(halves, np.array([10, 20])) == pytest.approx(0.05 * 15.5)


def test_a_net_that_counts_is_right_and_one_that_leaks_is_wrong(program):
    import torch

    from elman import LanguageModel
    from elman.cells import CellModule

    written = program("memory_trials.language_model")

    class Counter(CellModule):
        """Predict b while there were more a than b, and then the end."""

        def __init__(self, a, b, leak):
            super().__init__()
            self.a, self.b, self.leak = a, b, leak

        def initial_state(self, batch_size):
            return torch.zeros(batch_size)

        def step(self, x, state):
            state = self.leak * state + (x == self.a).float() - (x == self.b).float()
            logits = torch.zeros(len(x), 5)
            logits[:, self.b], logits[:, 0] = state - 0.5, 0.5 - state
            return logits, state

        def scan(self, sequences, state=None):
            from elman.cell import unroll

            return unroll(self.step, sequences, self.initial_state(len(sequences)))

    model = LanguageModel(hidden_size=4, epochs=1, steps=None, ngram_order=0, validation=0).fit(["ab", "aabb"])
    ids = (int(model.units_.encode(letter)[0]) for letter in "ab")
    model.net_ = Counter(*ids, leak=1.0)
    assert all(written.counted(model, n) for n in (1, 2, 20, 200))
    model.net_.leak = 0.99
    assert written.counted(model, 2)
    assert not written.counted(model, 200)


def test_a_row_without_gradient_does_not_hide_the_others(program):
    from elman.doctor.gradient_by_lag import Lags, horizon

    steps, whole = np.arange(3), np.array([[2.0, 1, 0.5, 0.25], [2, 0, 0, 0], [4, 2, np.nan, np.nan]])
    found = program("memory_trials.training").summed(Lags(steps, whole, whole))
    np.testing.assert_allclose(found.curve, [1, 3 / 8, 0.5 / 4, 0.25 / 4])
    assert horizon(Lags(steps, whole, whole)) < 1 < horizon(found)


def test_examinations_do_not_change_the_training(program):
    from elman import Classifier

    training = program("memory_trials.training")
    rows, targets = memory_problems.temporal_order(60, 20)

    def model():
        return Classifier(units="characters", hidden_size=6, epochs=2, validation=0, seed=3, bidirectional=False)

    watched, alone = model(), model().fit(rows, targets)
    course = training.train_examined(
        watched, (rows, targets), (rows, targets), lambda: watched.probe_loss(rows, targets).loss()
    )
    also = model().fit(rows, targets, validation_data=(rows, targets))
    assert set(course.horizons) == {"update 1", "end"}
    assert course.updates == also.result_.updates == alone.result_.updates
    assert all(
        (own == other).all() for own, other in zip(watched.net_.parameters(), also.net_.parameters(), strict=True)
    )


def test_rank_correlations(program):
    results = program("memory_trials.results")

    def points(horizons, successes, lag=10):
        return [results.Point("adding", "lstm", lag, True, success, *4 * [horizon])
                for horizon, success in zip(horizons, successes, strict=True)]  # fmt: skip

    assert results.rank_correlation(points([1, 5, 20, math.inf], [0, 0.2, 0.7, 1])) == pytest.approx(1)
    assert results.rank_correlation(points([math.inf, 5, 2, 1], [0, 0.2, 0.7, 1])) == pytest.approx(-1)
    near = points([20], [1], lag=10) + points([20], [0], lag=100) + points([30], [0.5], lag=50)
    assert results.rank_correlation(near) == pytest.approx(1)  # horizons are compared relative to the lag
    same = points([1, 2, 3, 4], [0, 0.01, 0.02, 1])
    assert results.rank_correlation(same) == results.rank_correlation(points([1, 2, 3, 4], [0.02, 0.01, 0, 1]))
    assert math.isnan(results.rank_correlation(points([1, 2], [1, 1])))
    broken = [*points([1, 5], [0, 1]), *points([math.nan], [0])]
    assert results.rank_correlation(broken) == pytest.approx(1)


def test_seeds_become_one_point(program):
    results = program("memory_trials.results")
    name = f"update {results.EARLY}"
    falls = 0.5 * 0.8 ** np.arange(100)  # from the first step back
    outcomes = [
        {"problem": "agreement", "net": "lstm", "lag": 60, "seed": seed, "success": {"30": success, "90": 0.0},
         "horizons": {name: horizon, "end": 2 * horizon}, "usual_horizons": {name: 1.0}, "curves": {name: [1, *falls]}}
        for seed, (success, horizon) in enumerate([(1.0, 7.0), (0.4, 9.0), (0.1, math.inf)])
    ]  # fmt: skip
    near, far = results.points(outcomes)
    assert (near.lag, near.trained, near.success, near.horizon) == (30, True, 0.5, 9.0)
    assert (far.lag, far.trained) == (90, False)
    assert near.end_horizon == 18
    assert near.reach == pytest.approx(1 + math.log(0.01) / math.log(0.8))


def test_trials_run_once_and_write_a_receipt(program, receipt, tmp_path, monkeypatch, capsys):
    memory = program("memory")
    monkeypatch.setattr(program("memory_trials.results"), "EARLY", 2)
    monkeypatch.setattr(program("memory_trials.results"), "FOLLOWED", ("temporal order", 20))
    monkeypatch.setattr(program("memory_trials.training"), "EARLY", 2)
    monkeypatch.setattr(program("memory_trials.training"), "EXAMINED", (1, 2))
    lags = {"adding": 10, "temporal order": 20, "copying": 6, "agreement": 12, "addition": 5, "counting": 8}
    small = {"hidden_size": 6, "evaluate_every": 2}
    few = {"rows": 96, "validation_rows": 12, "test_rows": 12, "batch_steps": 300, "updates": 4}
    settings = {
        name: {**own, **few, "task": {**own["task"], **small}, "seeds": {str(lags[name]): 1},
               "nets": {str(lags[name]): ["tanh, pytorch", "lstm"]}, "tested": [lags[name], 2 * lags[name]]}
        for name, own in memory.SETTINGS.items()
    }  # fmt: skip
    monkeypatch.setattr(memory, "SETTINGS", settings)
    memory.main(["--run", str(tmp_path / "run"), "--only", "copying"])
    assert not (tmp_path / "receipts").exists()
    outcomes = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()}
    assert len(outcomes) == 2
    settings["temporal order"]["task"]["learning_rate"] = 0.01
    memory.main(["--run", str(tmp_path / "run")])
    assert len([*(tmp_path / "run").iterdir()]) == 12
    assert all(path.stat().st_mtime_ns == written for path, written in outcomes.items())
    facts = receipt("memory")
    assert facts["result"]["reached"] == facts["rank_correlations"]["all"]
    assert facts["rank_correlations"]["points"] == 12
    assert facts["settings"] == settings
    lstm = facts["problems"]["addition"]["lstm"]
    assert set(lstm["success"]) == {"5", "10"}
    assert set(lstm["horizon"]) == {"5"}
    for picture in ("memory_gradient", "memory_counter"):
        assert (tmp_path / "receipts" / f"{picture}.png").exists()
    assert "12 of 12" in capsys.readouterr().out
    settings["copying"]["updates"] = 8
    memory.main(["--run", str(tmp_path / "run"), "--only", "copying"])
    assert all(path.stat().st_mtime_ns > written for path, written in outcomes.items())  # another training
