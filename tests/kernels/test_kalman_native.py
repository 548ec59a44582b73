"""The native kernel against the reference, which test_kalman.py tests."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from elman.kernels import kalman, native
from elman.kernels.kalman import System
from elman.threads import get_num_threads, set_num_threads

from .kalman_truth import assert_same, cases, draw, near, part

either_form = pytest.mark.parametrize("square_root", [False, True], ids=["plain", "square root"])


@pytest.mark.needs_native
def test_a_row_with_a_steady_gain_may_be_cut_anywhere():
    arguments = draw(5, [400], n=4, m=2, missing=0, offsets=False)
    arguments["x"][200] = np.nan
    whole, after = kalman.filter(**arguments)
    smoothed, roots = kalman.smooth(**arguments), kalman.smooth(**arguments, square_root=True)
    for cut in (1, 37, 201, 399):
        first, state = kalman.filter(**part(arguments, 0, slice(cut)))
        second, state = kalman.filter(**part(arguments, 0, slice(cut, None)) | state._asdict())
        for a, b, wanted in zip(first, second, whole, strict=True):
            near(np.concatenate([a, b]), wanted, 1e-10)
        for got, wanted in zip(state, after, strict=True):
            near(got, wanted, 1e-10)
    for got, wanted in zip(smoothed, roots, strict=True):
        near(got, wanted, 1e-10)


@pytest.mark.needs_native
@either_form
@settings(max_examples=20)
@given(case=st.fixed_dictionaries({**cases, "lengths": st.lists(st.integers(0, 40), max_size=3),
                                   "n": st.sampled_from([1, 2, 3, 4, 5, 8, 9, 17])}),
       diffuse=st.booleans())  # fmt: skip
def test_native_equals_the_reference_in_float64(square_root, case, diffuse):
    arguments = draw(**case, diffuse=diffuse)

    def result(function):
        try:
            return function(**arguments, square_root=square_root)
        except ValueError as error:
            return str(error)

    for function in (kalman.filter, kalman.smooth):
        got = result(function)
        with native.disabled():
            wanted = result(function)
        if isinstance(wanted, str) or isinstance(got, str):
            assert got == wanted
            continue
        if function is kalman.filter:
            got, wanted = (*got[0], *got[1]), (*wanted[0], *wanted[1])
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9 * max(1, np.abs(b).max(initial=0)))


@pytest.mark.needs_native
@pytest.mark.parametrize("n", [1, 3, 4, 6])
def test_threads_change_no_bit(n):
    arguments = draw(1, [900, 0, 30, 2500, 1, *[100] * 40], n=n, models=2, diffuse=True)
    before, found = get_num_threads(), []
    try:
        for count in (1, 3):
            set_num_threads(count)
            filtered, after = kalman.filter(**arguments)
            found.append([*filtered, *after, *kalman.smooth(**arguments | {"diffuse": 0 * arguments["diffuse"]})])
    finally:
        set_num_threads(before)
    assert_same(*found)


@pytest.mark.needs_native
@either_form
def test_native_writes_all_of_its_outputs_in_float64(square_root, monkeypatch):
    def full_of_nan(shape, dtype=np.float64):
        return np.full(shape, np.nan if dtype == np.float64 else -1, dtype)

    arguments = draw(2, [3, 0, 40], n=6)
    monkeypatch.setattr(kalman.np, "empty", full_of_nan)
    filtered, after = kalman.filter(**arguments, square_root=square_root)
    smoothed = kalman.smooth(**arguments, square_root=square_root)
    assert all(np.isfinite(leaf).all() for leaf in (*filtered, *after, *smoothed))


@pytest.mark.needs_native
@pytest.mark.parametrize("n", [1, 2, 4, 7, 16])
@either_form
def test_a_reused_gain_equals_the_computed_one_in_float64(n, square_root):
    arguments = draw(3, [600], n=n, m=2, missing=0)
    arguments["x"][300, 0] = np.nan
    arguments["x"][450] = np.nan
    filtered, _ = kalman.filter(**arguments, square_root=square_root)
    steady = [np.array_equal(filtered.cov[t], filtered.cov[t - 1]) for t in (200, 299, 449, 599)]
    assert all(steady)
    never = System(*(np.repeat(leaf[arguments["model"]], 600, 0) for leaf in arguments["system"]))
    wanted, _ = kalman.filter(**arguments | {"system": never, "per_step": True}, square_root=square_root)
    for got, each in zip(filtered, wanted, strict=True):
        near(got, each, 1e-11)


@pytest.mark.needs_native
def test_native_code_converts_no_argument():
    with pytest.raises(TypeError, match="incompatible function arguments"):
        native.module.kalman(*[np.zeros((1, 1, 1), np.float32)] * 4)
