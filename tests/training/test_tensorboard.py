import math
import shutil
import sys
from pathlib import Path

import pytest
from small_run import small_run

from elman.training import Evaluation, Event, Examined, Score, Update
from elman.training.tensorboard import TensorBoard

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def read(folder: Path) -> "accumulator.EventAccumulator":
    sizes = {accumulator.SCALARS: 0, accumulator.HISTOGRAMS: 0}
    return accumulator.EventAccumulator(str(folder), size_guidance=sizes).Reload()


def test_every_number_of_a_run(tmp_path: Path) -> None:
    history: list[Event] = []
    with TensorBoard(tmp_path / "board") as board:
        small_run(observers=[board, history.append], epochs=2)
    found = read(tmp_path / "board")
    updates = [event for event in history if isinstance(event, Update)]
    evaluations = [event for event in history if isinstance(event, Evaluation)]
    for name in set(Update._fields) - {"update", "epoch", "seconds"}:
        points = found.Scalars(f"update/{name}")
        assert [point.step for point in points] == [event.update for event in updates]
        assert [point.value for point in points] == pytest.approx([getattr(event, name) for event in updates])
    for tag, values in (("evaluation", [event.score.value for event in evaluations]),
                        ("best", [event.best for event in evaluations])):  # fmt: skip
        points = found.Scalars(f"evaluation/{tag}")
        assert [point.step for point in points] == [event.update for event in evaluations]
        assert [point.value for point in points] == pytest.approx(values)


def test_the_tag_of_an_evaluation_has_the_name_of_its_score(tmp_path: Path) -> None:
    with TensorBoard(tmp_path) as board:
        board(Evaluation(7, 1, Score("nats per unit", 1.5), 1.25, 5, 0.5))
    assert read(tmp_path).Tags()["scalars"] == ["evaluation/nats_per_unit", "evaluation/best"]


def test_examinations_are_written(tmp_path: Path) -> None:
    shares = [0.0, 0.25, 0.25, 0.5]
    with TensorBoard(tmp_path) as board:
        for update, horizon in ((1, 12.0), (2, math.inf), (3, 14.0)):
            board(Examined(update, 1, 0.5, {"cells.1": {"horizon": horizon, "forget_histogram": shares}}))
    found = read(tmp_path)
    assert [(point.step, point.value) for point in found.Scalars("cells.1/horizon")] == [(1, 12.0), (3, 14.0)]
    histogram = found.Histograms("cells.1/forget_histogram")[1].histogram_value
    assert list(histogram.bucket_limit) == [0.25, 0.5, 0.75, 1.0]
    assert list(histogram.bucket) == shares
    assert histogram.sum / histogram.num == pytest.approx(0.25 * 0.375 + 0.25 * 0.625 + 0.5 * 0.875)


def test_a_resumed_run_draws_one_curve(tmp_path: Path) -> None:
    for updates, loss in ((range(1, 6), 1.0), (range(4, 9), 2.0)):
        with TensorBoard(tmp_path) as board:
            for update in updates:
                board(Update(update, 1, 0.1, loss, 1.0, 1e-3, 50, 0.1, 500.0))
    points = read(tmp_path).Scalars("update/loss")
    assert [(point.step, point.value) for point in points] == [(1, 1), (2, 1), (3, 1)] + [(n, 2) for n in range(4, 9)]


def test_no_folder_before_there_is_something_to_write(tmp_path: Path) -> None:
    with TensorBoard(tmp_path / "board"):
        pass
    assert not (tmp_path / "board").exists()


def test_a_removed_folder_is_not_created_again(tmp_path: Path) -> None:
    """Remove the folder, like a run that fails before its first checkpoint."""
    with TensorBoard(tmp_path / "run" / "board") as board:
        board(Evaluation(1, 1, Score("F1", 0.5), 0.5, 1, 0.1))
        board.flush()
        shutil.rmtree(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_tensorboard_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ModuleNotFoundError, match="TensorBoard needs the package tensorboard; install it") as caught:
        TensorBoard(tmp_path)
    assert caught.value.name == "tensorboard"
