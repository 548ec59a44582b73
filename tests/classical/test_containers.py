"""Every public method of the classical models gives the same result for all containers and types of equal numbers."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from elman import BagOfWords, DelayTaps, NGram
from elman import state as states
from elman.classical import CRF
from elman.classical.hmm import HMM, Categorical, Gaussian, GaussianMixture, HMMTagger, Poisson
from elman.classical.lds import LDS, Observed, Prediction, Variance
from elman.classical.model import ClassicalModel
from elman.sequences import Sequences

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")

DRAW = np.random.default_rng(0)
X = DRAW.integers(-3, 4, (14, 2)).astype(float)  # whole numbers: every type holds them exactly
COLUMN = DRAW.integers(0, 9, (16, 1)).astype(float)
IDS = DRAW.integers(1, 3, 12)
TAGS = DRAW.integers(0, 2, 14)
NAMES = np.array(["N", "V", "D"])[DRAW.integers(0, 3, 12)]
LABELS = np.array([0, 1, 1, 0])
ONES = np.eye(2)


def pandas_of(array: np.ndarray) -> Any:
    return pandas.Series(array) if array.ndim == 1 else pandas.DataFrame(array)


def nullable(array: np.ndarray) -> Any:
    return pandas_of(array).convert_dtypes()


def polars_of(array: np.ndarray) -> Any:
    return (
        polars.Series(array) if array.ndim == 1 else polars.DataFrame(array, schema=[*map(str, range(array.shape[1]))])
    )


CONTAINERS: dict[str, Callable[[np.ndarray], Any]] = {
    "list": lambda array: array.tolist(),
    "list of arrays": list,
    "tuple": lambda array: tuple(array.tolist()) if array.ndim == 1 else array,
    "integers": lambda array: array if array.dtype.kind == "U" else array.astype(np.int64),
    "small integers": lambda array: array if array.dtype.kind == "U" else array.astype(np.int8),
    "float32": lambda array: array.astype(np.float32) if array.dtype.kind == "f" else array,
    "objects": lambda array: array.astype(object),
    "pandas": pandas_of,
    "nullable": nullable,
    "polars": polars_of,
    "Fortran order": np.asfortranarray,
    "every second": lambda array: np.repeat(array, 2, axis=0)[::2],
}


def up_to_two_axes(convert: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], Any]:
    """Return the function for arrays of any number of axes: data frames have two."""
    return lambda array: convert(array) if array.ndim <= 2 else array.astype(np.float32)


def hmm(c: Any, **settings: Any) -> HMM:
    return HMM.from_parameters(c(np.array([1.0, 0.0])), c(ONES), Gaussian.from_parameters(c(X[:2]), c(1 + 0 * ONES)),
                               **settings)  # fmt: skip


def symbols(c: Any) -> HMM:
    return HMM.from_parameters([0.5, 0.5], [[0.5, 0.5], [1, 0]], Categorical.from_parameters(c(np.eye(3)[:2] * 1.0)))


def soft() -> HMM:
    return HMM.from_parameters([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]], Gaussian.from_parameters(X[:2], 4 + ONES))


def lds(c: Any, **more: Any) -> LDS:
    return LDS(c(np.array([[1.0, 1.0], [0.0, 1.0]])), c(np.array([[1.0, 0.0]])), c(ONES), c(np.ones((1, 1))), **more)


def driven(c: Any) -> LDS:
    return lds(c, B=c(np.ones((2, 1))), start=(c(np.zeros(2)), c(ONES)))


def start(c: Any) -> Prediction:
    return Prediction(c(np.zeros((2, 2))), ONES[None].repeat(2, 0), np.zeros((2, 2, 2)))


def crf(c: Any) -> CRF:
    return CRF.from_parameters(c(np.array([[1.0, 0.0], [2.0, 1.0]])), c(np.array([1.0, 0.0])), c(np.array([0.0, 3.0])))


def taps() -> DelayTaps:
    return DelayTaps(2).fit([X])


def tagger() -> HMMTagger:
    return HMMTagger(Categorical(3)).fit([IDS], [NAMES])


def bag() -> BagOfWords:
    return BagOfWords(4).fit([IDS[:3], IDS[3:6], IDS[6:9], IDS[9:]], LABELS)


def ngram() -> NGram:
    return NGram(4, 2).fit([IDS])


def last(pair: Any) -> Any:
    return pair[0].values, pair[1]


USES: dict[type[ClassicalModel], dict[str, Callable[[Any], Any]]] = {
    HMM: {
        "__init__": lambda c: HMM(2, Gaussian(mean_prior=c(np.ones(2)), mean_weight=1.0, cov_prior=c(ONES),
                                              cov_weight=1.0), transition_prior=c(1 + ONES)).fit([X]),
        "from_parameters": lambda c: hmm(c).filter([X]).values,
        "initial_state": lambda c: hmm(c).initial_state(2),
        "step": lambda c: soft().step(c(X[:2]), c(ONES)),
        "scan": lambda c: last(soft().scan([c(X)], c(ONES[:1]))),
        "log_prob": lambda c: soft().log_prob([c(X), c(X[:5])]),
        "filter": lambda c: soft().filter([c(X)]).values,
        "smooth": lambda c: soft().smooth([c(X)]).values,
        "decode": lambda c: soft().decode([c(X)]).states.values,
        "forecast": lambda c: soft().forecast([c(X)], 2, state=c(ONES[:1])),
        "sample": lambda c: hmm(c).sample(c(np.array([3, 2])), seed=1)[0].values,
        "stationary": lambda c: symbols(c).stationary(),
        "fit": lambda c: HMM(2, Gaussian(), seed=1).fit([c(X), c(X[:5])]),
        "fit_labelled": lambda c: HMM(2, Gaussian("tied")).fit_labelled([c(X)], [c(TAGS)]),
    },
    HMMTagger: {
        "__init__": lambda c: HMMTagger(Categorical.from_parameters(c(np.eye(3)))),
        "fit": lambda c: HMMTagger(Categorical(3)).fit([c(IDS)], [c(NAMES)]),
        "initial_state": lambda c: tagger().initial_state(2),
        "step": lambda c: tagger().step(c(IDS[:1]), tagger().initial_state(1)),
        "scan": lambda c: last(tagger().scan([c(IDS)])),
        "log_prob": lambda c: tagger().log_prob([c(IDS)]),
        "filter": lambda c: tagger().filter([c(IDS)]).values,
        "smooth": lambda c: tagger().smooth([c(IDS)]).values,
        "decode": lambda c: tagger().decode([c(IDS)]).states.values,
        "score": lambda c: tagger().score([c(IDS)], [c(NAMES)]),
    },
    LDS: {
        "__init__": lambda c: driven(c).filter([Observed(c(COLUMN), c(COLUMN))]).values,
        "initial_state": lambda c: lds(c).initial_state(2),
        "step": lambda c: lds(c).step(c(COLUMN[:2]), start(c)),
        "scan": lambda c: last(lds(c).scan([c(COLUMN[:4]), c(COLUMN[:5])], start(c))),
        "log_prob": lambda c: lds(c).log_prob([c(COLUMN)]),
        "filter": lambda c: lds(c).filter([c(COLUMN)]).values,
        "smooth": lambda c: lds(c).smooth([c(COLUMN)]).values,
        "predict": lambda c: lds(c).predict([c(COLUMN)]).values,
        "forecast": lambda c: lds(c).forecast([c(COLUMN)], 3),
        "sample": lambda c: lds(c).sample(c(np.array([3, 2])), state=start(c))[0].values,
        "fit": lambda c: lds(c, variances=[Variance("level", "Q", c(ONES))]).fit([c(COLUMN)]),
        "joined": lambda c: lds(c).joined("here", lds(c), stacked=True).log_prob([X]),
    },
    CRF: {
        "__init__": lambda c: CRF(2).initial_state(1),
        "from_parameters": lambda c: crf(c).log_partition([X]),
        "initial_state": lambda c: crf(c).initial_state(2),
        "step": lambda c: crf(c).step(c(X[:2]), c(ONES)),
        "scan": lambda c: last(crf(c).scan([c(X), c(X[:3])], c(ONES))),
        "log_partition": lambda c: crf(c).log_partition([c(X)]),
        "log_prob": lambda c: crf(c).log_prob([c(X)], c(TAGS)),
        "marginals": lambda c: crf(c).marginals([c(X)]).values,
        "pairwise": lambda c: crf(c).pairwise([c(X)]).values,
        "decode": lambda c: crf(c).decode([c(X)])[0].values,
        "sample": lambda c: crf(c).sample([c(X)], 2),
        "fit": lambda c: CRF(2).fit([c(X)], c(TAGS)),
    },
    DelayTaps: {
        "__init__": lambda c: DelayTaps(1).fit([X]),
        "fit": lambda c: DelayTaps(2).fit([c(X), c(X[:6])]),
        "initial_state": lambda c: taps().initial_state(1),
        "step": lambda c: taps().step(c(X[:2]), taps().after([X[:3], X[3:6]])),
        "scan": lambda c: last(taps().scan([c(X)])),
        "after": lambda c: taps().after([c(X)]),
        "log_prob": lambda c: taps().log_prob([c(X)]),
        "forecast": lambda c: taps().forecast([c(X)], 2),
    },
    BagOfWords: {
        "__init__": lambda c: bag(),
        "fit": lambda c: BagOfWords(4).fit([c(IDS[:3]), c(IDS[3:6]), c(IDS[6:9]), c(IDS[9:])], c(LABELS)),
        "initial_state": lambda c: bag().initial_state(2),
        "step": lambda c: bag().step(c(IDS[:2]), bag().initial_state(2)),
        "scan": lambda c: last(bag().scan([c(IDS)])),
        "predict": lambda c: bag().predict([c(IDS)]),
        "predict_proba": lambda c: bag().predict_proba([c(IDS)]),
        "score": lambda c: bag().score([c(IDS), c(IDS[:2])], c(LABELS[:2])),
    },
    NGram: {
        "__init__": lambda c: ngram(),
        "fit": lambda c: NGram(4, 2).fit([c(IDS), c(IDS[:4])]),
        "initial_state": lambda c: ngram().initial_state(2),
        "step": lambda c: ngram().step(c(IDS[:2]), c(IDS[2:4, None])),
        "scan": lambda c: last(ngram().scan([c(IDS)])),
        "log_prob": lambda c: ngram().log_prob([c(IDS)], c(IDS)),
        "log_prob_and_any": lambda c: ngram().log_prob_and_any([c(IDS)], c(IDS), [True, False, True, False]),
        "after": lambda c: ngram().after([c(IDS)]),
    },
}  # fmt: skip
FILES = {"save", "load", "from_file", "from_arrays", "to_arrays"}


def numbers(result: Any) -> Iterator[np.ndarray]:
    """Yield the arrays of a result: those of a state, or the parameters of a fitted model."""
    if isinstance(result, ClassicalModel):
        yield from result.to_arrays().values() if not isinstance(result, HMMTagger) or hasattr(result, "tags_") else []
    else:
        yield from states.leaves(result)


@pytest.mark.parametrize("model", USES, ids=lambda model: model.__name__)
def test_every_public_method_is_tested(model):
    methods = {name for name in dir(model) if not name.startswith("_") and callable(getattr(model, name))}
    assert methods - FILES == set(USES[model]) - {"__init__"}


@pytest.mark.parametrize(("model", "method"), [(model, method) for model in USES for method in USES[model]])
def test_containers_of_equal_numbers_have_equal_results(model, method):
    use = USES[model][method]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        wanted = list(numbers(use(lambda array: array)))
        found = {name: list(numbers(use(up_to_two_axes(convert)))) for name, convert in CONTAINERS.items()}
    for name, results in found.items():
        assert len(wanted) == len(results)
        for first, second in zip(wanted, results, strict=True):
            np.testing.assert_array_equal(second, first, err_msg=name)
            assert np.asarray(second).dtype == np.asarray(first).dtype


EMISSIONS = {  # emissions of observations that are numbers, from parameters
    "Gaussian": lambda c: Gaussian.from_parameters(c(COLUMN[:2]), c(1 + 0 * COLUMN[:2])),
    "full Gaussian": lambda c: Gaussian.from_parameters(c(X[:2]), c(np.stack([ONES, 2 * ONES])), "full"),
    "tied Gaussian": lambda c: Gaussian.from_parameters(c(X[:2]), c(ONES), "tied"),
    "Poisson": lambda c: Poisson.from_parameters(c(1 + COLUMN[:2])),
    "GaussianMixture": lambda c: GaussianMixture.from_parameters(
        c(np.array([[1.0, 0.0], [0.0, 1.0]])), c(X[:4].reshape(2, 2, 2)), c(np.ones((2, 2, 2)))
    ),
    "Categorical": lambda c: Categorical.from_parameters(c(np.eye(3)[:2])),
}


@pytest.mark.parametrize("kind", EMISSIONS)
def test_parameters_of_emissions(kind):
    make = EMISSIONS[kind]
    wanted = make(lambda array: array).to_arrays()
    for name, convert in CONTAINERS.items():
        for key, array in make(up_to_two_axes(convert)).to_arrays().items():
            np.testing.assert_array_equal(array, wanted[key], err_msg=name)


SERIES = {
    "an array": lambda x: x,
    "integers": lambda x: x.astype(int),
    "pandas": pandas.Series,
    "polars": polars.Series,
    "nullable": lambda x: pandas.Series(x).convert_dtypes(),
}


@pytest.mark.parametrize("kind", SERIES)
def test_a_series_of_numbers_is_one_column(kind):
    convert = SERIES[kind]
    flat, column = convert(COLUMN[:, 0]), COLUMN
    for use in (
        lambda x: lds(lambda array: array).filter([x]).values,
        lambda x: DelayTaps(1).fit([x]).forecast([x], 2),
        lambda x: HMM(2, Gaussian()).fit([x]),
        lambda x: HMM(2, Poisson()).fit([x]).decode([x]).states.values,
    ):
        for first, second in zip(numbers(use(column)), numbers(use(flat)), strict=True):
            np.testing.assert_array_equal(second, first)
    rows = Sequences(COLUMN[:, 0], [10, 6])
    np.testing.assert_array_equal(DelayTaps(1).fit(rows).taps_, DelayTaps(1).fit(Sequences(COLUMN, [10, 6])).taps_)


ROWS: dict[str, tuple[np.ndarray, Callable[[Any], Any]]] = {  # a row, and the use of one row or of a list of rows
    "HMM": (X, lambda x: soft().filter(x).values),
    "HMM.fit": (X, lambda x: HMM(2, Gaussian(), seed=1).fit(x)),
    "HMM of counts": (COLUMN[:, 0], lambda x: HMM(2, Poisson()).fit(x).decode(x).states.values),
    "HMM of symbols": (IDS, lambda x: HMM(2, Categorical(3)).fit(x).log_prob(x)),
    "HMMTagger": (IDS, lambda x: tagger().decode(x).states.values),
    "LDS": (COLUMN, lambda x: lds(np.asarray).forecast(x, 3)),
    "LDS of a series": (COLUMN[:, 0], lambda x: lds(np.asarray).smooth(x).values),
    "CRF": (X, lambda x: crf(np.asarray).decode(x)[0].values),
    "DelayTaps": (X, lambda x: DelayTaps(2).fit(x).forecast(x, 2)),
    "BagOfWords": (IDS, lambda x: bag().predict_proba(x)),
    "NGram": (IDS, lambda x: NGram(4, 2).fit(x).scan(x)[0].values),
}
ONE_ROW: dict[str, Callable[[np.ndarray], Any]] = {
    "array": lambda array: array,
    "integers": CONTAINERS["integers"],
    "objects": CONTAINERS["objects"],
    "pandas": pandas_of,
    "nullable": nullable,
    "polars": polars_of,
}


@pytest.mark.parametrize("use", ROWS)
def test_an_array_a_series_and_a_frame_are_a_single_row(use):
    row, function = ROWS[use]
    wanted = list(numbers(function([row])))
    for name, convert in ONE_ROW.items():
        for first, second in zip(wanted, numbers(function(convert(row))), strict=True):
            np.testing.assert_array_equal(second, first, err_msg=name)


def test_inputs_with_observations_are_a_single_row():
    given = Observed(COLUMN, COLUMN)
    np.testing.assert_array_equal(driven(np.asarray).log_prob(given), driven(np.asarray).log_prob([given]))


def test_a_series_of_rows_is_a_list_of_rows():
    rows = [IDS[:3], IDS[3:6], IDS[6:9], IDS[9:]]
    wanted = bag().predict_proba(rows)
    for kind in (pandas.Series, polars.Series):
        np.testing.assert_array_equal(bag().predict_proba(kind([row.tolist() for row in rows])), wanted)
    ragged = np.empty(4, object)
    ragged[:] = [*rows[:3], rows[3][:2]]
    np.testing.assert_array_equal(bag().predict_proba(ragged)[:3], wanted[:3])


LEVEL = LDS(ONES[:1, :1], ONES[:1, :1], ONES[:1, :1], ONES[:1, :1])
REFUSED = {
    "a generator of numbers": (
        lambda: LDS((row for row in ONES), ONES),
        "LDS: expected F as an array or a list, got gene",
    ),
    "a generator as a row": (
        lambda: LEVEL.filter([iter([1.0])]),
        r"LDS.filter: row 0: expected steps as an array .* list\(",
    ),
    "a set": (
        lambda: HMM.from_parameters({0.5}, ONES, None),
        "expected an emission with parameters",
    ),
    "a set of ids": (
        lambda: NGram(4, 2).fit([{1, 2}]),
        "NGram.fit: expected documents as an array or a list, got set",
    ),
    "a mapping": (
        lambda: CRF.from_parameters({"a": 1.0}),
        "CRF.from_parameters: expected transitions as an array or a",
    ),
    "a number": (
        lambda: LDS(1.0, ONES),
        r"LDS: expected F of shape \[n, n\], got \[\]",
    ),
    "an array without axes": (
        lambda: LEVEL.filter([np.array(1.0)]),
        "row 0: expected an array or a list of steps, got",
    ),
    "numbers as rows": (
        lambda: LEVEL.filter([1.0, 2.0]),
        r"row 0: expected an array or a list of steps, got 1.0; a single row is np.asarray\(x\)",
    ),
    "a data frame of another width": (
        lambda: LEVEL.filter(pandas.DataFrame(ONES)),
        r"LDS.filter: expected observations of shape \[N, m=1\], got \[2, 2\]",
    ),
    "an array of rows": (
        lambda: LEVEL.filter(np.ones((3, 2, 1))),
        r"row 0: expected a row \[T\] or \[T, D\], got an array \[3, 2, 1\]; list\(x\) makes a row of each",
    ),
    "an array of documents": (
        lambda: NGram(4, 2).fit(IDS[:, None]),
        r"NGram.fit: expected",
    ),
    "None": (
        lambda: LEVEL.filter(None),
        "expected Sequences, a list of rows or a single array, got NoneType",
    ),
    "text": (
        lambda: LEVEL.filter([["a", "b"]]),
        "row 0: expected steps of D numbers, got a list of 2",
    ),
    "a list of one series": (
        lambda: LEVEL.filter([[1.0, 2.0]]),
        r"a series of single numbers is np.asarray\(x\)\.$",
    ),
    "text as parameters": (
        lambda: LDS([["a"]], ONES),
        "LDS: expected F of numbers, got <U1",
    ),
    "complex numbers": (
        lambda: LDS(ONES * 1j, ONES),
        "LDS: expected F of numbers, got complex128",
    ),
    "dates": (
        lambda: LEVEL.filter([np.array(["2026-01-01"], "datetime64[D]")]),
        "observations of numbers, got datetime64",
    ),
    "a missing parameter": (
        lambda: LDS([[1, None], [0, 1]], ONES),
        "LDS: expected F of finite numbers, got nan",
    ),
    "booleans as ids": (
        lambda: NGram(4, 2).fit([[True, False]]),
        "expected documents of integer ids, got bool",
    ),
    "booleans as counts": (
        lambda: HMM(1, Categorical()).fit([[True, False]]),
        "whole numbers, got bool",
    ),
    "floats as ids": (
        lambda: NGram(4, 2).fit([[1.0, 2.0]]),
        "expected documents of integer ids, got float64",
    ),
    "lists of unequal length": (
        lambda: LDS([[1.0], [1.0, 2.0]], ONES),
        "LDS: expected F",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_unsupported_values_are_one_line(kind):
    use, message = REFUSED[kind]
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        use()
    assert "\n" not in str(caught.value)
