"""Native attention against the reference in float64, the reference against padded softmax, and bitwise laws."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from elman.kernels import native
from elman.kernels.attention import attend, reference
from elman.memory import Reads
from elman.threads import get_num_threads, set_num_threads

scores = pytest.mark.parametrize("additive", [False, True], ids=["dot", "additive"])
both = pytest.mark.parametrize("function", [reference, attend])

CASES = {  # steps, starts, sizes, A, D
    "one": ([1], [0], [5], 16, 16),
    "two": ([2, 2], [0, 3], [3, 4], 5, 37),
    "63": ([63, 0, 3], [2, 0, 10], [7, 4, 17], 33, 9),
    "300": ([300, 1], [0, 33], [33, 2], 40, 64),
    "one feature": ([3, 1], [0, 2], [2, 5], 1, 1),
    "nothing to read": ([2, 3, 0], [1, 0, 4], [0, 0, 0], 4, 6),
    "no query": ([0, 0], [0, 1], [1, 3], 4, 6),
    "no row": ([], [], [], 4, 6),
    "five captions of a picture": ([3, 4, 0, 2, 5, 1, 2], [0, 0, 0, 0, 0, 9, 9], [9, 9, 9, 9, 9, 4, 4], 20, 130),
    "not in order": ([1, 2, 3, 4], [8, 0, 8, 3], [5, 3, 5, 5], 17, 12),
    "overlapping": ([2, 3, 4, 2], [0, 2, 3, 9], [4, 5, 2, 3], 17, 12),
    "long": ([40, 7], [0, 400], [400, 90], 64, 70),
    "many": ([1] * 200, [3 * (b // 5) for b in range(200)], [3] * 200, 128, 256),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def draw(case, additive, dtype=torch.float32):
    """Return the ranges, queries, keys, values and direction, and the gradients of context and weights."""
    steps, starts, sizes, features, outputs = case
    reads = Reads(*(np.array(part, np.int64) for part in (steps, starts, sizes)))
    memory = int(max(reads.starts + reads.sizes, default=0)) + 3  # no row reads the last ones
    generator = torch.Generator().manual_seed(0)
    queries, pairs = int(reads.steps.sum()), int(reads.steps @ reads.sizes)
    shapes = [(queries, features), (memory, features), (memory, outputs), (features,), (queries, outputs), (pairs,)]
    arrays = [torch.randn(*shape, generator=generator, dtype=dtype) for shape in shapes]
    arrays[0] = arrays[0] / (1 if additive else features**0.5)
    return reads, [*arrays[:3], arrays[3] / features**0.5 if additive else None], arrays[4:]


def run(function, reads, inputs, gradients, outputs=slice(None)):
    """Return context, weights, and the gradients of all inputs."""
    leaves = [None if x is None else x.clone().requires_grad_() for x in inputs]
    found = function(*leaves[:3], reads, leaves[3])
    leaves = [leaf for leaf in leaves if leaf is not None]
    sent = torch.autograd.grad(found[outputs], leaves, gradients[outputs], allow_unused=True)
    return [*(x.detach() for x in found), *(0 * leaf if d is None else d for d, leaf in zip(sent, leaves, strict=True))]


def equal(found, wanted):
    return all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


@contextmanager
def threads(count):
    before = get_num_threads()
    set_num_threads(count)
    try:
        yield
    finally:
        set_num_threads(before)


@both
@scores
@cases
def test_equals_softmax_attention_of_each_query(case, additive, function):
    reads, (queries, keys, values, direction), _ = draw(case, additive, torch.float64)
    context, weights = function(queries, keys, values, reads, direction)
    rows, found = np.repeat(np.arange(len(reads.steps)), reads.steps), iter(weights.split(sizes_of(reads)))
    for query, row, got in zip(queries, rows, context, strict=True):
        read = slice(reads.starts[row], reads.starts[row] + reads.sizes[row])
        score = (query + keys[read]).tanh() @ direction if additive else keys[read] @ query
        expected = score.softmax(0)
        torch.testing.assert_close(next(found), expected)
        torch.testing.assert_close(got, expected @ values[read])


def sizes_of(reads):
    return np.repeat(reads.sizes, reads.steps).tolist()


@pytest.mark.needs_native
@scores
@cases
def test_as_close_to_float64_as_pytorch_is(case, additive):
    reads, inputs, gradients = draw(case, additive)
    exact = run(reference, reads, [None if x is None else x.double() for x in inputs], [d.double() for d in gradients])
    plain, found = (run(function, reads, inputs, gradients) for function in (reference, attend))
    for got, near, value in zip(found, plain, exact, strict=True):
        assert got.shape == value.shape
        assert got.dtype == torch.float32
        if value.numel():
            error, near_error = ((a.double() - value).abs().max() for a in (got, near))
            assert error <= 8 * near_error + 2e-6 * value.abs().max()


@pytest.mark.needs_native
@scores
@cases
def test_native_writes_all_of_its_outputs(case, additive):
    reads, inputs, (dcontext, dweights) = draw(case, additive)
    _, keys, values, _ = inputs
    context, weights, *sent = (
        torch.full_like(x, torch.nan) for x in (dcontext, dweights, *(x for x in inputs if x is not None))
    )
    arrays = [0 if x is None else x.data_ptr() for x in inputs]
    given = *reads, len(keys), keys.shape[1], values.shape[1], *arrays, weights.data_ptr()
    native.module.attend(*given, context.data_ptr())
    addresses = [x.data_ptr() for x in (dcontext, dweights, *sent)]
    native.module.attend_backward(*given, *addresses, *([] if additive else [0]))
    assert not any(x.isnan().any() for x in (context, weights, *sent))


@scores
@pytest.mark.parametrize("case", [([2, 1, 0], [0, 2, 1], [2, 3, 1], 2, 3), ([2, 1], [0, 0], [2, 2], 3, 1)], ids=str)
def test_gradients_of_the_reference_equal_finite_differences(case, additive):
    reads, inputs, _ = draw(case, additive, torch.float64)
    doubles = [x.requires_grad_() for x in inputs if x is not None]
    assert gradcheck(lambda q, k, v, *d: reference(q, k, v, reads, *d), doubles)
    assert gradgradcheck(lambda q, k, v, *d: reference(q, k, v, reads, *d), doubles)


@pytest.mark.needs_native
@scores
@cases
def test_queries_at_once_and_one_at_a_time_are_bitwise_equal(case, additive):
    reads, (queries, keys, values, direction), _ = draw(case, additive)
    context, weights = attend(queries, keys, values, reads, direction)
    rows = np.repeat(np.arange(len(reads.steps)), reads.steps)
    found = iter(weights.split(sizes_of(reads)))
    for query in range(len(queries)):
        row = rows[query : query + 1]
        alone = Reads(np.ones(1, np.int64), reads.starts[row], reads.sizes[row])
        assert equal(attend(queries[query : query + 1], keys, values, alone, direction),
                     (context[query : query + 1], next(found)))  # fmt: skip


@pytest.mark.needs_native
@scores
@cases
def test_rows_do_not_affect_each_other(case, additive):
    reads, inputs, gradients = draw(case, additive)
    together = run(attend, reads, inputs, gradients)
    order = np.random.default_rng(0).permutation(len(reads.steps))[: len(reads.steps) // 2 + 1]
    of_rows = np.split(np.arange(reads.steps.sum()), np.cumsum(reads.steps))[:-1]
    of_pairs = np.split(np.arange(reads.steps @ reads.sizes), np.cumsum(reads.steps * reads.sizes))[:-1]
    chosen, pairs = (torch.from_numpy(np.concatenate([np.arange(0), *(parts[row] for row in order)]).astype(np.int64))
                     for parts in (of_rows, of_pairs))  # fmt: skip
    queries, *others = inputs
    apart = run(attend, Reads(*(part[order] for part in reads)), [queries[chosen], *others],
                [gradients[0][chosen], gradients[1][pairs]])  # fmt: skip
    for got, wanted in zip(apart[:3], (together[0][chosen], together[1][pairs], together[2][chosen]), strict=True):
        assert torch.equal(got, wanted)


@pytest.mark.needs_native
@scores
@cases
def test_the_number_of_threads_changes_nothing(case, additive):
    drawn, runs = draw(case, additive), []
    for count in (1, 2, 3, 5):
        with threads(count):
            runs.append(run(attend, *drawn))
    assert all(equal(other, runs[0]) for other in runs[1:])


@pytest.mark.needs_native
@scores
@cases
def test_only_wanted_gradients_are_computed(case, additive):
    reads, inputs, gradients = draw(case, additive)
    everything = run(attend, reads, inputs, gradients)[2:]
    count = len(everything)
    for chosen in [[i] for i in range(count)] + [[0, 2], [1, 2], [0, 1]]:
        leaves = [None if x is None else x.clone().requires_grad_(i in chosen) for i, x in enumerate(inputs)]
        found = torch.autograd.grad(attend(*leaves[:3], reads, leaves[3]), [leaves[i] for i in chosen], gradients)
        assert equal(found, [everything[i] for i in chosen])


@scores
@pytest.mark.parametrize("output", [0, 1], ids=["context", "weights"])
def test_an_unused_output_has_no_gradient(additive, output):
    reads, inputs, gradients = draw(CASES["63"], additive)
    found = run(attend, reads, inputs, gradients, slice(output, output + 1))
    wanted = run(reference, reads, inputs, gradients, slice(output, output + 1))
    for got, expected in zip(found, wanted, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@scores
def test_keys_that_are_the_values(additive):
    reads, (queries, _, values, direction), gradients = draw((*CASES["63"][:3], 12, 12), additive)

    def penalty(function):
        leaves = [x.clone().requires_grad_() for x in (queries, values)]
        found = function(leaves[0], leaves[1], leaves[1], reads, direction)
        first = torch.autograd.grad(found, leaves, gradients, create_graph=True)
        return *first, *torch.autograd.grad(sum(g.square().sum() for g in first), leaves)

    for got, wanted in zip(penalty(attend), penalty(reference), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-3)


def test_backward_twice():
    reads, inputs, gradients = draw(CASES["two"], True)
    leaves = [x.requires_grad_() for x in inputs]
    found = attend(*leaves[:3], reads, leaves[3])
    first = torch.autograd.grad(found, leaves, gradients, retain_graph=True)
    assert equal(torch.autograd.grad(found, leaves, gradients), first)


def forward_mode(function, x):
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, x.cos())
        return torch.autograd.forward_ad.unpack_dual(function(dual)).tangent


def batched(function, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(function(x), x, torch.tensor([1.0, 2.0, 3.0]), is_grads_batched=True)[0]


TRANSFORMS = {
    "grad": lambda function, x: torch.func.grad(function)(x),
    "hessian": lambda function, x: torch.func.hessian(function)(x),
    "vmap": lambda function, x: torch.func.vmap(function)(torch.stack([x, x.cos()])),
    "vectorized": lambda function, x: torch.autograd.functional.jacobian(function, x, vectorize=True),
    "is_grads_batched": batched,
    "forward mode": forward_mode,
}


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # PyTorch's own
@pytest.mark.parametrize("transform", TRANSFORMS)
@scores
def test_transforms_use_the_reference(additive, transform):
    reads, (queries, keys, values, direction), _ = draw(([2, 1], [0, 2], [2, 3], 3, 3), additive)

    def found():
        def loss(x):
            return attend(queries, keys + x, values * x, reads, direction)[0].sin().sum()

        return TRANSFORMS[transform](loss, keys.new_tensor([0.5, 1.0, 2.0]))

    got = found()
    with native.disabled():
        expected = found()
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.needs_native
@scores
def test_nan_in_a_row_stays_in_that_row(additive):
    reads, inputs, gradients = draw(([20, 3, 20], [0, 5, 9], [5, 4, 6], 20, 30), additive)
    healthy = run(attend, reads, inputs, gradients)
    inputs[0][20] = torch.nan
    sick = run(attend, reads, inputs, gradients)
    others = torch.arange(43) != 20
    assert sick[0][20].isnan().all()
    for got, wanted in ((sick[i][others], healthy[i][others]) for i in (0, 2)):
        assert torch.equal(got, wanted)


@pytest.mark.parametrize("spread", [50.0, 1e4])
def test_scores_far_apart(spread):
    reads, (queries, keys, values, _), gradients = draw(CASES["63"], False)
    found = run(attend, reads, [spread * queries, keys, values, None], gradients)
    assert all(x.isfinite().all() for x in found)
    assert torch.stack([part.sum() for part in found[1].split(sizes_of(reads))]).sub(1).abs().max() < 1e-5


@pytest.mark.parametrize("place", range(6))
def test_arrays_that_are_not_contiguous(place):
    reads, inputs, gradients = draw(CASES["two"], True)
    arrays = [*inputs, *gradients]
    wanted = run(attend, reads, inputs, gradients)
    arrays[place] = torch.stack([arrays[place]] * 2, -1)[..., 0]
    assert not arrays[place].is_contiguous()
    assert equal(run(attend, reads, arrays[:4], arrays[4:]), wanted)


def test_integers_of_any_kind():
    reads, inputs, _ = draw(CASES["two"], False)
    narrow = Reads(*(np.stack([part.astype(np.int32)] * 2, 1)[:, 0] for part in reads))
    assert equal(attend(*inputs[:3], narrow), attend(*inputs[:3], reads))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_go_to_the_reference(dtype):
    reads, inputs, _ = draw(CASES["two"], True, dtype)
    assert equal(attend(*inputs[:3], reads, inputs[3]), reference(*inputs[:3], reads, inputs[3]))


def test_the_reference_runs_without_the_extension(monkeypatch):
    reads, inputs, _ = draw(CASES["two"], True)
    monkeypatch.setattr(native, "module", None)
    assert equal(attend(*inputs[:3], reads, inputs[3]), reference(*inputs[:3], reads, inputs[3]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"queries": torch.ones(3)}, r"attend: expected queries of shape \[N, A\], got \[3\]"),
        ({"keys": torch.ones(4, 3)}, r"attend: expected keys of shape \[M, A=2\], got \[4, 3\]"),
        ({"values": torch.ones(3, 5)}, r"attend: expected values of shape \[M=4, D\], got \[3, 5\]"),
        ({"additive": torch.ones(3)}, r"attend: expected additive of shape \[A=2\], got \[3\]"),
        ({"reads": ([1, 1], [0, 2], [2, 2])}, "attend: expected lengths that sum to 3 steps, got 2"),
        ({"reads": ([1, 2], [0, 2], [2, 3])}, "attend: expected ranges within the 4 steps of the memory"),
        ({"reads": ([1, 2], [-1, 2], [2, 1])}, "attend: expected ranges within the 4 steps of the memory"),
        ({"reads": ([4, -1], [0, 0], [0, 0])}, "attend: expected lengths of at least 0, got -1"),
        (
            {"reads": ([1, 2], [0], [2, 2])},
            r"attend: expected steps, starts and sizes of shape \[B\], got \[2\], \[1\]",
        ),
    ],
)
def test_a_wrong_argument_is_one_clear_line(change, message):
    reads = [1, 2], [0, 2], [2, 2]
    arguments = {"queries": torch.ones(3, 2), "keys": torch.ones(4, 2), "values": torch.ones(4, 5), "reads": reads}
    arguments |= change
    with pytest.raises(ValueError, match=message):
        attend(**arguments | {"reads": Reads(*(np.array(part) for part in arguments["reads"]))})


@pytest.mark.parametrize(
    ("reads", "message"),
    [
        (([2**63 - 1, 2**63 - 1, 5], [0] * 3, [1] * 3), r"lengths that sum to less than 2\*\*62 steps"),
        (([1, 2], [2**63 - 1, 0], [2, 1]), "ranges within the 4 steps"),
        (([1, 2], [1, 0], [2**63 - 1, 1]), "ranges within the 4 steps"),
        (([1, 2], [5, 0], [-1, 1]), "ranges within the 4 steps"),
    ],
)
def test_ranges_whose_ends_overflow_raise(reads, message):
    with pytest.raises(ValueError, match=f"attend: expected {message}"):
        attend(torch.zeros(3, 2), torch.zeros(4, 2), torch.zeros(4, 2), Reads(*map(np.array, reads)))


def test_ranges_are_copied():
    sizes = np.array([2, 1])
    queries = torch.zeros(3, 2, requires_grad=True)
    context, _ = attend(queries, torch.zeros(4, 2), torch.zeros(4, 2), Reads(np.array([1, 2]), np.array([0, 2]), sizes))
    sizes[0] = 4_000_000
    context.sum().backward()
    assert queries.grad.shape == (3, 2)
