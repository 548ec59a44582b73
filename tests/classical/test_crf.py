"""CRF against enumeration of all paths."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.classical.crf import CRF
from elman.classical.tag_schemes import all_tags, allowed, check_tags
from elman.sequences import Sequences
from elman.testing import check_cell


def log_sum(values):
    top = max(values, default=-np.inf)
    return top if top == -np.inf else top + np.log(sum(np.exp(value - top) for value in values))


def all_paths(crf, scores):
    """Return every path of tags of one row of scores, and its log-weight."""
    found = {}
    for path in product(range(crf.num_tags), repeat=len(scores)):
        weight = sum(x[tag] for x, tag in zip(scores, path, strict=True))
        weight += sum(crf.transitions_[a, b] for a, b in pairwise(path))
        found[path] = weight + (crf.start_[path[0]] + crf.end_[path[-1]] if path else 0.0)
    return found


@st.composite
def problems(draw, forbidding=True):
    """Return a CRF and a batch in which every row has a path; some weights and scores are -inf."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    num_tags = draw(st.integers(1, 3))
    lengths = draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    spread = draw(st.sampled_from([0.0, 1.0, 30.0]))
    share = draw(st.sampled_from([0.0, 0.3])) if forbidding else 0.0

    def weights(*shape):
        array = spread * rng.standard_normal(shape)
        array[rng.random(shape) < share] = -np.inf
        return array

    crf = CRF.from_parameters(weights(num_tags, num_tags), weights(num_tags), weights(num_tags))
    rows = [weights(length, num_tags) for length in lengths]
    rows = [row for row in rows if log_sum(all_paths(crf, row).values()) > -np.inf]
    rows.append(np.empty((0, num_tags)))
    return crf, Sequences.from_list(rows)


def same(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)


@settings(max_examples=50)
@given(problems())
def test_partitions_and_log_probs_equal_enumeration(problem):
    crf, x = problem
    rows = [all_paths(crf, row) for row in x.to_list()]
    partitions = [log_sum(paths.values()) for paths in rows]
    same(crf.log_partition(x), partitions)
    for pick in (0, -1):
        chosen = [list(paths)[pick] for paths in rows]
        tags = np.concatenate([np.array(path, np.int64) for path in chosen])
        expected = [paths[path] - z for paths, path, z in zip(rows, chosen, partitions, strict=True)]
        same(crf.log_prob(x, tags), expected)


@settings(max_examples=50)
@given(problems())
def test_marginals_are_sums_over_all_paths(problem):
    crf, x = problem
    marginals, pairs = crf.marginals(x).to_list(), crf.pairwise(x).to_list()
    for scores, probs, moves in zip(x.to_list(), marginals, pairs, strict=True):
        paths = all_paths(crf, scores)
        z = log_sum(paths.values())
        expected, expected_moves = np.zeros_like(probs), np.zeros_like(moves)
        for path, weight in paths.items():
            for step, tag in enumerate(path):
                expected[step, tag] += np.exp(weight - z)
            for step, (a, b) in enumerate(pairwise(path)):
                expected_moves[step, a, b] += np.exp(weight - z)
        same(probs, expected)
        same(moves, expected_moves)


@settings(max_examples=50)
@given(problems(), st.integers(1, 100))
def test_the_best_paths_come_first(problem, k):
    crf, x = problem
    best, several = crf.decode(x), crf.decode(x, k=k + 1)
    tags, log_prob = several.tags.values.T, several.log_prob.T
    assert tags.shape == (k + 1, x.num_steps)
    assert log_prob.shape == (k + 1, len(x))
    np.testing.assert_array_equal(best.tags.values, tags[0])
    same(best.log_prob, log_prob[0])
    for row, scores in enumerate(x.to_list()):
        paths = {path: weight for path, weight in all_paths(crf, scores).items() if weight > -np.inf}
        z = log_sum(paths.values())
        ranked = sorted(paths.values(), reverse=True)[: k + 1]
        same(log_prob[: len(ranked), row], np.array(ranked) - z)
        assert (log_prob[len(ranked) :, row] == -np.inf).all()
        found = [tuple(path) for path in tags[:, x.offsets[row] : x.offsets[row + 1]].tolist()]
        assert len(set(found[: len(ranked)])) == len(ranked)
        same([paths[path] for path in found[: len(ranked)]], ranked)
        assert set(found[len(ranked) :]) <= {(-1,) * len(scores)}


def test_the_posterior_path_has_the_most_probable_tag_at_every_step():
    rng = np.random.default_rng(0)
    crf = CRF.from_parameters(*(3 * rng.standard_normal(shape) for shape in ((4, 4), 4, 4)))
    x = Sequences(rng.standard_normal((50, 4)), [20, 0, 30])
    tags, log_prob = crf.decode(x, "posterior")
    np.testing.assert_array_equal(tags.values, crf.marginals(x).values.argmax(1))
    np.testing.assert_array_equal(log_prob, crf.log_prob(x, tags.values))
    assert (log_prob <= crf.decode(x).log_prob).all()
    assert (log_prob < crf.decode(x).log_prob).any()


@settings(max_examples=50)
@given(problems())
def test_samples_are_paths_that_are_not_forbidden(problem):
    crf, x = problem
    for path in crf.sample(x, 3, seed=1):
        assert (crf.log_prob(x, path) > -np.inf).all()


def test_sample_frequencies_equal_probabilities():
    rng = np.random.default_rng(0)
    crf = CRF.from_parameters(rng.standard_normal((2, 2)), rng.standard_normal(2), rng.standard_normal(2))
    x = Sequences.from_list([rng.standard_normal((3, 2))])
    drawn = crf.sample(x, 20_000, seed=1)
    paths = all_paths(crf, x.values)
    z = log_sum(paths.values())
    for path, weight in paths.items():
        assert np.isclose((drawn == path).all(1).mean(), np.exp(weight - z), atol=0.015)
    np.testing.assert_array_equal(drawn, crf.sample(x, 20_000, seed=1))


@settings(max_examples=50)
@given(problems())
def test_the_stream_filters_prefixes_that_may_end_with_any_tag(problem):
    crf, x = problem
    crf = CRF.from_parameters(crf.transitions_, crf.start_)
    filtered, _ = crf.scan(x)
    for scores, (probs, log_prob) in zip(x.to_list(), filtered.to_list(), strict=True):
        before = 0.0
        for step in range(len(scores)):
            paths = all_paths(crf, scores[: step + 1])
            z = log_sum(paths.values())
            expected = [log_sum([w for path, w in paths.items() if path[-1] == tag]) for tag in range(crf.num_tags)]
            same(probs[step], np.exp(np.array(expected) - z))
            same(log_prob[step], z - before)
            before = z
    rows = np.flatnonzero(x.lengths)
    same(np.add.reduceat(filtered.values.log_prob, x.offsets[:-1][rows]) if len(rows) else [],
         crf.log_partition(x)[rows])  # fmt: skip


@pytest.mark.parametrize("spread", [1.0, 400.0])
def test_the_contract(spread):
    rng = np.random.default_rng(0)
    tags = all_tags(["X", "Y"], "IOBES")
    weights = (spread * rng.standard_normal(shape) for shape in ((9, 9), 9, 9))
    crf = CRF.from_parameters(*weights, allowed=allowed(tags, "IOBES"))
    assert "saving" in check_cell(crf, spread * rng.standard_normal((64, 9)), tolerance=1e-10)


def test_a_tag_whose_probability_underflows_may_come_back():
    """Let tag 1 be a thousand nats behind, which underflows, and then be the only allowed tag."""
    crf = CRF.from_parameters(np.array([[0.0, -np.inf], [0.0, 0.0]]))
    scores = np.array([[0.0, -1000.0], [-np.inf, 0.0]])
    whole, _ = crf.scan(Sequences.from_list([scores]))
    _, state = crf.scan(Sequences.from_list([scores[:1]]))
    rest, _ = crf.scan(Sequences.from_list([scores[1:]]), state)
    same(whole.values.log_prob, [0.0, -1000.0])
    same(rest.values.log_prob, [-1000.0])
    same(crf.log_partition(Sequences.from_list([scores])), [-1000.0])


@pytest.mark.parametrize("scheme", ["BIO", "IOB1", "IOBES", "BILOU"])
def test_constrained_rows_are_valid(scheme):
    rng = np.random.default_rng(0)
    tags = all_tags(["X", "Y"], scheme)
    crf = CRF(len(tags), allowed(tags, scheme))
    x = Sequences(rng.standard_normal((60, len(tags))), [1, 0, 9, 50])
    paths = [crf.decode(x).tags.values, *crf.decode(x, k=3).tags.values.T, *crf.sample(x, 5)]
    paths = [path for path in paths if path.min() >= 0]
    assert len(paths) >= 8
    for path in paths:
        assert np.isfinite(crf.log_prob(x, path)).all()
        for row in Sequences(path, x.lengths).to_list():
            check_tags([tags[tag] for tag in row], scheme)


def test_a_crf_without_constraints_is_a_classifier_of_every_step():
    x = Sequences(np.random.default_rng(0).standard_normal((5, 3)), [2, 3])
    np.testing.assert_array_equal(CRF(3).decode(x).tags.values, x.values.argmax(1))
    same(CRF(3).marginals(x).values, np.exp(x.values) / np.exp(x.values).sum(1, keepdims=True))


@settings(max_examples=10)
@given(problems(), st.sampled_from([0.1, 1.0]))
def test_the_gradient_vanishes_at_the_result_of_fit(problem, l2):
    """Check the gradient of the penalised likelihood by finite differences of sums over all paths."""
    crf, x = problem
    tags = crf.decode(x).tags.values
    crf.l2 = l2
    fitted = CRF.from_parameters(crf.transitions_, crf.start_, crf.end_)
    fitted.l2 = l2
    fitted.fit(x, tags)

    def penalised(model):
        penalty = sum((array[np.isfinite(array)] ** 2).sum() for array in model.to_arrays().values())
        return 0.5 * l2 * penalty - model.log_prob(x, tags).sum()

    for array in (fitted.transitions_, fitted.start_, fitted.end_):
        for place in np.argwhere(np.isfinite(array)):
            values = []
            kept = array[tuple(place)]
            for shift in (-1e-4, 1e-4):
                array[tuple(place)] = kept + shift
                values.append(penalised(fitted))
            array[tuple(place)] = kept
            assert abs(values[1] - values[0]) / 2e-4 < 1e-4 * (1 + x.num_steps)
    assert penalised(fitted) <= penalised(crf) + 1e-9


def test_fit_learns_the_transitions_of_a_chain():
    rng = np.random.default_rng(0)
    truth = CRF.from_parameters(np.array([[1.0, -1.0], [-0.5, 0.5]]), np.array([0.5, -0.5]))
    x = Sequences(rng.standard_normal((40_000, 2)), np.full(2000, 20))
    fitted = CRF(2, l2=0.01).fit(x, truth.sample(x, seed=2)[0])
    contrasts = [w[0, 0] + w[1, 1] - w[0, 1] - w[1, 0] for w in (truth.transitions_, fitted.transitions_)]
    assert abs(contrasts[0] - contrasts[1]) < 0.15


def test_a_fit_that_does_not_converge_raises_an_error():
    x = Sequences(np.random.default_rng(0).standard_normal((50, 3)), [50])
    with pytest.raises(RuntimeError, match=r"CRF.fit: no convergence in 1 iterations .*; give larger max_iterations"):
        CRF(3, l2=1e-3, max_iterations=1).fit(x, np.arange(50) % 3)


def test_a_saved_model_is_the_same(tmp_path):
    crf = CRF(3, allowed(["O", "B-X", "I-X"], "BIO"), l2=0.5)
    crf.fit(Sequences(np.zeros((4, 3)), [4]), [0, 1, 2, 2])
    crf.save(tmp_path / "crf.safetensors")
    loaded = CRF.load(tmp_path / "crf.safetensors")
    assert loaded.settings == crf.settings == {"num_tags": 3, "l2": 0.5, "max_iterations": 200}
    for name, array in crf.to_arrays().items():
        np.testing.assert_array_equal(loaded.to_arrays()[name], array)
        np.testing.assert_array_equal(getattr(loaded.allowed, name), getattr(crf.allowed, name))
    with pytest.raises(ValueError, match="expected arrays transitions, start, end, got x;"):
        CRF.from_arrays({"x": np.zeros(3)}, num_tags=3)


def test_batches_without_steps_and_without_rows():
    crf = CRF(2)
    for lengths in ([0, 0], []):
        x = Sequences(np.empty((0, 2)), lengths)
        assert crf.log_partition(x).tolist() == [0.0] * len(lengths)
        assert crf.log_prob(x, np.empty(0, np.int64)).tolist() == [0.0] * len(lengths)
        assert crf.decode(x).tags.values.shape == (0,)
        assert crf.marginals(x).values.shape == (0, 2)
        assert crf.pairwise(x).values.shape == (0, 2, 2)
        assert crf.sample(x, 3).shape == (3, 0)
        assert crf.decode(x, k=2).log_prob.tolist() == [[0.0, -np.inf]] * len(lengths)


def calls(crf):
    return {
        "CRF.log_partition": crf.log_partition,
        "CRF.log_prob": lambda x: crf.log_prob(x, np.zeros(x.num_steps, np.int64)),
        "CRF.marginals": crf.marginals,
        "CRF.pairwise": crf.pairwise,
        "CRF.decode": crf.decode,
        "CRF.sample": crf.sample,
        "CRF.fit": lambda x: crf.fit(x, np.zeros(x.num_steps, np.int64)),
        "CRF.scan": crf.scan,
    }


ROWS = [np.zeros((2, 2)), np.zeros((0, 2)), np.zeros((3, 2))]


@pytest.mark.parametrize("name", calls(CRF(2)))
def test_a_row_whose_paths_are_all_forbidden(name):
    crf = CRF.from_parameters(np.array([[0.0, -np.inf], [0.0, 0.0]]))
    x = Sequences.from_list(ROWS)
    x.values[2:4] = [0.0, -np.inf], [-np.inf, 0.0]
    step = ", step 1" if name == "CRF.scan" else ""
    with pytest.raises(ValueError, match=f"^{name}: row 2{step}: expected at least one .* that is not forbidden, got"):
        calls(crf)[name](x)


def test_a_stream_whose_tags_are_all_forbidden():
    crf = CRF.from_parameters(np.array([[0.0, -np.inf], [0.0, 0.0]]))
    _, state = crf.step(np.array([[0.0, 0.0], [0.0, -np.inf]]), crf.initial_state(2))
    with pytest.raises(ValueError, match=r"CRF.step: row 1, step 0: expected at least one tag that is not forbidden"):
        crf.step(np.array([[-np.inf, 0.0], [-np.inf, 0.0]]), state)


@pytest.mark.parametrize("name", calls(CRF(2)))
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_scores_that_are_not_numbers(name, wrong):
    x = Sequences.from_list(ROWS)
    x.values[3, 1] = wrong
    with pytest.raises(
        ValueError, match=f"^{name}: row 2, step 1: expected scores that are finite .*{wrong} for tag 1"
    ):
        calls(CRF(2))[name](x)


@pytest.mark.parametrize("name", calls(CRF(2)))
def test_scores_of_another_kind(name):
    with pytest.raises(TypeError, match=f"^{name}: expected scores of numbers, got complex128"):
        calls(CRF(2))[name](Sequences(np.zeros((3, 2), complex), [3]))
    with pytest.raises(ValueError, match=f"^{name}: expected scores of shape .*K=2.*, got \\[3, 4\\]"):
        calls(CRF(2))[name](Sequences(np.zeros((3, 4)), [3]))


def test_invalid_tags():
    crf, x = CRF(2), Sequences(np.zeros((3, 2)), [3])
    for call in (crf.log_prob, crf.fit):
        with pytest.raises(ValueError, match=r"expected tags from 0 to 1, got 2 at \[1\]"):
            call(x, np.array([0, 2, 1]))
        with pytest.raises(TypeError, match="expected tags of integers, got float64"):
            call(x, np.array([0.0, 1.0, 1.0]))
        with pytest.raises(ValueError, match=r"expected tags of shape \[N=3\], got \[2\]"):
            call(x, np.array([0, 1]))


def test_forbidden_tags_have_probability_zero_and_cannot_be_trained_on():
    crf = CRF(3, allowed(["O", "B-X", "I-X"], "BIO"))
    x = Sequences(np.zeros((4, 3)), [1, 3])
    np.testing.assert_array_equal(np.isfinite(crf.log_prob(x, [1, 0, 2, 2])), [True, False])
    with pytest.raises(ValueError, match=r"CRF.fit: row 1, step 1: expected a tag that may follow 0, got 2; correct"):
        crf.fit(x, [1, 0, 2, 2])
    with pytest.raises(ValueError, match=r"CRF.fit: row 0, step 0: expected a tag that may begin a row, got 2"):
        crf.fit(x, [2, 0, 2, 2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CRF(0), "CRF: expected num_tags to be an int of at least 1, got 0"),
        (lambda: CRF(2, max_iterations=0), "CRF: expected max_iterations to be an int of at least 1, got 0"),
        (lambda: CRF(2, l2=-1.0), "CRF: expected l2 of at least 0, got -1.0"),
        (lambda: CRF(2.0), "CRF: expected num_tags to be an int of at least 1, got 2.0"),
        (lambda: CRF(4, allowed(["O", "B-X", "I-X"], "BIO")), r"expected allowed.transitions of shape \[K=4, K=4\]"),
        (lambda: CRF.from_parameters(np.zeros((2, 3))), r"expected transitions of shape \[K=2, K=2\], got \[2, 3\]"),
        (lambda: CRF.from_parameters(np.zeros((2, 2)), np.zeros(3)), r"expected start of shape \[K=2\], got \[3\]"),
        (lambda: CRF.from_parameters(np.full((2, 2), np.nan)), r"transitions that are finite .* got nan at \[0, 0\]"),
        (lambda: CRF.from_parameters(np.zeros((2, 2)), end=np.array([0, np.inf])), r"end that are finite .* at \[1\]"),
        (lambda: CRF(2).step(np.zeros((3, 2)), np.zeros((2, 2))), r"CRF.step: expected state of shape \[B=3, K=2\]"),
        (lambda: CRF(2).scan(Sequences(np.zeros((3, 2)), [3]), np.zeros((2, 2))), r"expected state of shape \[B=1"),
        (lambda: CRF(2).decode(Sequences(np.zeros((3, 2)), [3]), k=0), "expected k to be an int of at least 1, got 0"),
        (
            lambda: CRF(2).decode(Sequences(np.zeros((3, 2)), [3]), "posterior", 2),
            "posterior with k=1, got 'posterior'",
        ),
        (lambda: CRF(2).decode(Sequences(np.zeros((3, 2)), [3]), "best"), "expected method viterbi, or .* got 'best'"),
    ],
)
def test_invalid_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_weights_of_another_kind():
    with pytest.raises(TypeError, match="expected transitions of numbers, got <U1"):
        CRF.from_parameters(np.full((2, 2), "a"))
