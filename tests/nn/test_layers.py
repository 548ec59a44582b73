"""`elman.nn.RNN`, `LSTM` and `GRU` against PyTorch's: values, gradients and the interface of a module."""

import pickle
from copy import deepcopy
from itertools import product

import pytest
import torch
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence, pack_sequence, pad_packed_sequence

import elman.nn
from elman import state as states
from elman.kernels import native

from .calls import FORMS, KINDS, assert_same, call, given, gradients, modules

STACKS = {"one": (1, False), "both ways": (1, True), "three": (3, False), "two, both ways": (2, True)}
pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning"),
]  # PyTorch's own


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def modules_and_calls():
    """Return every module with every form of input, with and without biases; one of the two is fast."""
    for numbers in product(range(len(KINDS)), range(len(STACKS)), range(len(FORMS)), range(2)):
        kind, stack, form = (list(some)[number] for some, number in zip((KINDS, STACKS, FORMS), numbers, strict=False))
        yield pytest.param(kind, stack, form, bool(numbers[3]), marks=pytest.mark.slow if sum(numbers) % 2 else ())


@pytest.mark.parametrize(("kind", "stack", "form", "bias"), [*modules_and_calls()])
def test_values_and_gradients_are_pytorchs(kind, stack, form, bias, without_pytorch):
    batch_first = not bias
    layers, both_ways = STACKS[stack]
    options = {"bias": bias, "batch_first": batch_first, "bidirectional": both_ways}
    theirs, ours = modules(kind, 3, 4, layers, **options, dropout=0.5 if layers > 1 else 0.0)
    theirs.eval(), ours.eval()
    both = [given(theirs, form, state) for state in (True, False)]
    expected = [call(theirs, one) for one in both]
    gradients_expected = [gradients(theirs, *pair) for pair in zip(both, expected, strict=True)]
    without_pytorch()
    both = [given(theirs, form, state) for state in (True, False)]
    for one, values, sent in zip(both, expected, gradients_expected, strict=True):
        written = call(ours, one)
        assert_same(written, values)
        assert_same(gradients(ours, one, written), sent)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stack", ["three", "two, both ways"])
@pytest.mark.parametrize("kind", KINDS)
def test_dropout_uses_pytorchs_random_numbers(kind, stack, form, without_pytorch):
    layers, both_ways = STACKS[stack]
    for batch_first, p in ((False, 0.4), (True, 0.4), (True, 1.0)):
        theirs, ours = modules(kind, 3, 4, layers, dropout=p, bidirectional=both_ways, batch_first=batch_first)
        torch.manual_seed(1)
        one = given(theirs, form)
        values = call(theirs, one)
        sent, left = gradients(theirs, one, values), torch.rand(3)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(theirs), "forward", None) if native.available() else None
            torch.manual_seed(1)
            written = call(ours, one)
        assert_same(written, values)
        assert_same(gradients(ours, one, written), sent)
        assert torch.equal(torch.rand(3), left)  # equally many random numbers


@pytest.mark.needs_native
@pytest.mark.parametrize("kind", KINDS)
def test_output_has_pytorchs_strides_or_is_contiguous(kind):
    for batch_first in (False, True):
        _, ours = modules(kind, 3, 4, batch_first=batch_first)
        for form in ("padded", "unbatched"):
            y, *finals = call(ours, given(ours, form))
            assert y.is_contiguous()
            assert all(leaf.is_contiguous() for leaf in finals)


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_that_are_not_contiguous(kind, without_pytorch):
    theirs, ours = modules(kind, 3, 4, 2)
    x, hx = torch.randn(6, 3, 6)[..., ::2], [torch.randn(2, 6, 4)[:, ::2] for _ in range(2)]
    assert not x.is_contiguous()
    assert not hx[0].is_contiguous()
    hx = tuple(hx) if kind == "lstm" else hx[0]
    expected = [*states.leaves(theirs(x, hx))]
    without_pytorch()
    assert_same([*states.leaves(ours(x, hx))], expected)


@settings(max_examples=20)
@drawn(st.sampled_from(sorted(KINDS)), st.lists(st.integers(1, 9), min_size=1, max_size=5), st.booleans())
def test_rows_of_a_packed_batch_do_not_affect_each_other(kind, lengths, both_ways):
    _, ours = modules(kind, 3, 4, 2, bidirectional=both_ways)
    rows = [torch.randn(length, 3) for length in lengths]
    packed, final = ours(pack_sequence(rows, enforce_sorted=False))
    padded, found = pad_packed_sequence(packed, batch_first=True)
    assert found.tolist() == lengths
    for number, row in enumerate(rows):
        y, last = ours(row)
        torch.testing.assert_close(padded[number, : len(row)], y, rtol=1e-5, atol=1e-6)
        for a, b in zip(states.leaves(final), states.leaves(last), strict=True):
            torch.testing.assert_close(a[:, number], b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stack", ["three", "two, both ways"])
@pytest.mark.parametrize("kind", ["tanh", "lstm", "gru"])
def test_gradients_of_gradients(kind, stack, form, without_pytorch):
    layers, both_ways = STACKS[stack]
    theirs, ours = modules(kind, 3, 4, layers, bidirectional=both_ways)

    def twice(module, one):
        first = torch.autograd.grad(sum(leaf.sin().sum() for leaf in call(module, one)),
                                    [*one.rows, *one.hx, *module.parameters()], create_graph=True)  # fmt: skip
        return torch.autograd.grad(sum((leaf**2).sum() for leaf in first), [*one.rows, *one.hx, *module.parameters()])

    one = given(theirs, form)
    expected = twice(theirs, one)
    without_pytorch()
    assert_same(twice(ours, one), expected, 1e-3 if both_ways else 1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_float64_equals_pytorchs_bitwise(kind):
    theirs, ours = (module.double() for module in modules(kind, 3, 4, 2))
    one = given(theirs, "padded")
    assert all(torch.equal(a, b) for a, b in zip(call(ours, one), call(theirs, one), strict=True))


def test_gradgradcheck_in_float64():
    _, ours = modules("lstm", 2, 2)
    one = given(ours.double(), "packed")
    assert torch.autograd.gradgradcheck(lambda *rows: ours(pack_sequence(rows, enforce_sorted=False))[0].data, one.rows)


@pytest.mark.parametrize("kind", ["tanh", "relu", "gru"])  # few processors support it for an LSTM
def test_bfloat16_and_autocast_are_left_to_pytorch(kind):
    theirs, ours = modules(kind, 3, 4)
    x = torch.randn(6, 2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ours(x)[0], theirs(x)[0])
    y = ours.bfloat16()(x.bfloat16())[0]
    assert y.dtype is torch.bfloat16


@pytest.mark.parametrize("kind", KINDS)
def test_transforms_of_functions(kind):
    theirs, ours = modules(kind, 3, 4)
    x = torch.randn(6, 3)
    for transform in (
        [torch.func.grad] if kind == "lstm" else [torch.func.grad, torch.func.hessian]
    ):  # PyTorch supports it
        torch.testing.assert_close(
            *(transform(lambda x, m=m: m(x)[0].sin().sum())(x) for m in (ours, theirs)), rtol=1e-4, atol=1e-5
        )
    weights = {name: torch.randn_like(weight) for name, weight in theirs.named_parameters()}
    got, expected = (torch.func.functional_call(m, weights, (x,))[0] for m in (ours, theirs))
    torch.testing.assert_close(got, expected)
    many = torch.randn(5, 6, 3)
    got, expected = (torch.stack([m(x)[0] for x in many]) for m in (ours, theirs))
    torch.testing.assert_close(got, expected)
    y = ours(x.requires_grad_())[0]
    basis = torch.randn(3, *y.shape)
    batched = torch.autograd.grad(y, x, basis, is_grads_batched=True, retain_graph=True)[0]
    assert_same(list(batched), [torch.autograd.grad(y, x, row, retain_graph=True)[0] for row in basis])


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_computed(kind, without_pytorch):
    theirs, ours = modules(kind, 3, 4)

    class Doubled(nn.Module):
        def forward(self, weight):
            return 2 * weight

    for module in (theirs, ours):
        nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
        parametrize.register_parametrization(module, "weight_ih_l0", Doubled())
    assert isinstance(ours, getattr(elman.nn, KINDS[kind][0]))
    for _ in range(2):  # the first call might have left something behind
        one = given(theirs, "padded")
        values = call(theirs, one)
        sent = gradients(theirs, one, values)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(getattr(nn, KINDS[kind][0]), "forward", None) if native.available() else None
            written = call(ours, one)
        assert_same(written, values)
        assert_same(gradients(ours, one, written), sent)
        with torch.no_grad():
            for module in (theirs, ours):
                for weight in module.parameters():
                    weight.mul_(0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_shared_and_replaced(kind, without_pytorch):
    theirs, ours = modules(kind, 4, 4, 2)
    for module in (theirs, ours):
        module.weight_hh_l1 = module.weight_hh_l0
        module.bias_ih_l0 = nn.Parameter(torch.ones_like(module.bias_ih_l0))
    one = given(theirs, "padded")
    values = call(theirs, one)
    sent = gradients(theirs, one, values)
    without_pytorch()
    written = call(ours, one)
    assert_same(written, values)
    assert_same(gradients(ours, one, written), sent)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["tanh", "relu", "gru"])
def test_output_may_be_changed_in_place_where_pytorchs_may(kind, form):
    for batch_first in (False, True):
        theirs, ours = modules(kind, 3, 4, batch_first=batch_first)
        found = []
        for module in (theirs, ours):
            one = given(module, form)
            y, final = call(module, one)
            y.mul_(2), final.add_(1)
            found.append(gradients(module, one, [y, final]))
        assert_same(*found)


@pytest.mark.parametrize("kind", KINDS)
def test_state_dicts_copies_and_pickles(kind):
    theirs, ours = modules(kind, 3, 4, 2, bidirectional=True)
    before = repr(ours), list(ours.state_dict())
    one = given(theirs, "packed")
    expected = call(ours, one)
    gradients(ours, one, expected)
    assert (repr(ours), list(ours.state_dict())) == before == (repr(theirs), list(theirs.state_dict()))
    assert list(ours.modules()) == [ours]
    for copy in (deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert type(copy) is type(ours)
        assert_same(call(copy, one), expected)
        assert not set(map(id, copy.parameters())) & set(map(id, ours.parameters()))
    theirs.load_state_dict(ours.state_dict())
    assert_same(call(theirs, one), expected)


@pytest.mark.needs_native
def test_hooks_are_called_around_the_kernels():
    _, ours = modules("lstm", 3, 4)
    seen = []
    ours.register_forward_pre_hook(lambda module, args: seen.append("before"))
    ours.register_forward_hook(lambda module, args, result: seen.append("after"))
    ours.weight_hh_l0.register_hook(lambda gradient: seen.append("weight"))
    ours(torch.randn(6, 2, 3))[0].sum().backward()
    assert seen == ["before", "after", "weight"]


@pytest.mark.parametrize("kind", KINDS)
def test_without_gradients(kind, without_pytorch):
    theirs, ours = modules(kind, 3, 4, 2)
    ours.requires_grad_(False)
    x = torch.randn(6, 2, 3)
    expected = theirs(x)[0].detach()
    without_pytorch()
    assert not ours(x)[0].requires_grad
    with torch.inference_mode():
        torch.testing.assert_close(ours(x)[0], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_few_steps_are_left_to_pytorch(kind):
    theirs, ours = modules(kind, 3, 4)
    x = torch.randn(1, 2, 3)
    assert torch.equal(ours(x)[0], theirs(x)[0])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("stack", STACKS)
def test_projections_are_pytorchs(stack, bias, form, without_pytorch):
    layers, both_ways = STACKS[stack]
    theirs, ours = modules("lstm", 3, 5, layers, bias=bias, bidirectional=both_ways, proj_size=2)
    both = [given(theirs, form, state) for state in (True, False)]
    expected = [call(theirs, one) for one in both]
    gradients_expected = [gradients(theirs, *pair) for pair in zip(both, expected, strict=True)]
    without_pytorch()
    for one, values, sent in zip(both, expected, gradients_expected, strict=True):
        written = call(ours, one)
        assert_same(written, values)
        assert_same(gradients(ours, one, written), sent)


@pytest.mark.parametrize("kind", KINDS)
def test_a_subclass_of_a_tensor_is_left_to_pytorch(kind):
    class Named(torch.Tensor):
        pass

    theirs, ours = modules(kind, 3, 4)
    x = torch.randn(6, 2, 3).as_subclass(Named)
    y, _ = ours(x)
    assert type(y) is type(theirs(x)[0])


class Around(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor):
        return self.layer(x)[0]


@pytest.mark.parametrize("kind", ["relu", "lstm", "gru"])
def test_torchscript_uses_pytorchs(kind):
    theirs, ours = modules(kind, 3, 4, 2)
    x = torch.randn(6, 2, 3)
    traced = torch.jit.trace(ours, x)
    torch.testing.assert_close(traced(x)[0], theirs(x)[0])
    scripted = torch.jit.script(Around(ours))
    torch.testing.assert_close(scripted(x), theirs(x)[0])


X, WIDE = torch.zeros(6, 2, 3), torch.zeros(6, 2, 5)
H, H1, H2 = torch.zeros(1, 2, 4), torch.zeros(1, 1, 4), torch.zeros(1, 4)
WRONG = {
    "features": (WIDE, None),
    "dimensions": (torch.zeros(6), None),
    "four dimensions": (X[None], None),
    "type": (X.double(), None),
    "no steps": (X[:0], None),
    "rows of the state": (X, H1),
    "dimensions of the state": (X, H2),
    "dimensions of the state of one row": (X[:, 0], H),
    "units of the state": (X, H[..., :3]),
    "layers of the state": (X, torch.zeros(2, 2, 4)),
    "type of the state": (X, H.double()),
    "a list": ([1.0, 2.0], None),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", WRONG)
def test_errors_are_pytorchs(what, kind):
    theirs, ours = modules(kind, 3, 4)
    x, hx = WRONG[what]
    if hx is not None and kind == "lstm":
        hx = (hx, hx)
    with pytest.raises(Exception) as expected:  # noqa: PT011
        theirs(x, hx)
    with pytest.raises(type(expected.value)) as got:
        ours(x, hx)
    assert str(got.value) == str(expected.value)


@pytest.mark.needs_native
@pytest.mark.parametrize("kind", KINDS)
def test_errors_of_packed_input(kind):
    """PyTorch's LSTM does not check a PackedSequence, and reads out of bounds."""
    _, ours = modules(kind, 3, 4)
    sizes = torch.tensor([2, 2, 2, 2])
    with pytest.raises(RuntimeError, match=r"input_size. Expected 3, got 5"):
        ours(PackedSequence(torch.zeros(8, 5), sizes))
    with pytest.raises(RuntimeError, match=r"Expected hidden.* size \(1, 2, 4\), got \[1, 1, 4\]"):
        ours(PackedSequence(torch.zeros(8, 3), sizes), (H1, H1) if kind == "lstm" else H1)


def test_a_state_of_the_wrong_kind_is_pytorchs_error():
    theirs, ours = modules("lstm", 3, 4)
    for hx in (H, (H,), [H, H, H]):
        with pytest.raises(Exception) as expected:  # noqa: PT011
            theirs(X, hx)
        with pytest.raises(type(expected.value)):
            ours(X, hx)


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows(kind):
    theirs, ours = modules(kind, 3, 4)
    x = torch.zeros(6, 0, 3)
    for a, b in zip(states.leaves(ours(x)), states.leaves(theirs(x)), strict=True):
        assert a.shape == b.shape


def test_constructors_raise_the_errors_of_pytorch():
    for arguments in ({"dropout": 2}, {"num_layers": 0}, {"hidden_size": -1}, {"bias": 1}):
        for name in ("RNN", "LSTM", "GRU"):
            options = {"input_size": 3, "hidden_size": 4} | arguments
            with pytest.raises((ValueError, TypeError)) as expected:
                getattr(nn, name)(**options)
            with pytest.raises(type(expected.value)) as got:
                getattr(elman.nn, name)(**options)
            assert str(got.value) == str(expected.value)
