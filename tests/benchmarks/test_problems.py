import numpy as np
import pytest
from problems import Problem, agree, dense, difference, merge


def test_a_dense_shape_is_read_from_its_name():
    problem = dense("T784B100I1H100", "gru")
    assert (len(problem.lengths), problem.lengths[0], problem.inputs, problem.hidden) == (100, 784, 1, 100)
    assert dense("T1000B1H64", "rnn").inputs == 64
    assert problem.flops == 2 * 78400 * 3 * 100 * 101
    with pytest.raises(SystemExit, match="shape B3: expected one like T100B32H128"):
        dense("B3", "rnn")


def test_batches_of_a_problem_come_together_in_the_order_of_its_rows():
    problem = Problem("ragged", "lstm", (3, 1, 2, 5), 2, 4)
    (whole,) = problem.batches()
    parts = problem.batches([np.array([2, 0]), np.array([3, 1])])

    def result(batch):
        return {"y": np.concatenate(batch.x), "h": batch.state[0], "dbias": np.ones(3)}

    merged = merge(parts, [result(part) for part in parts])
    np.testing.assert_array_equal(merged["y"], np.concatenate(whole.x))
    np.testing.assert_array_equal(merged["h"], whole.state[0])
    np.testing.assert_array_equal(merged["dbias"], [2, 2, 2])


def test_the_difference_is_a_share_of_the_largest_value():
    expected = {"y": np.array([0.0, 4.0]), "dx": np.ones(3)}
    assert difference(expected, {"y": np.array([0.5, 4.0])}) == (0.125, "y")
    assert difference(expected, {"dx": np.array([1, np.nan, 1])}) == (np.inf, "dx")
    assert difference(expected, {"dx": np.ones(2)}) == (np.inf, "dx")


def test_the_benchmark_stops_if_results_differ():
    right = {"y": np.ones(3)}
    assert agree("here", {"elman": right, "torch": right}, truth="torch") == {"elman": 0}
    with pytest.raises(SystemExit) as end:
        agree("T1B1H1 lstm", {"elman": {"y": np.ones(3) + 1e-3}, "torch": right}, truth="torch")
    assert end.value.code == (
        "T1B1H1 lstm: elman and torch differ in y by 0.001 of the largest value, allowed is 0.0001; nothing was timed."
    )
    with pytest.raises(SystemExit):
        agree("here", {"elman": {}, "torch": right}, truth="torch")
