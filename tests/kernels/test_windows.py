"""Windows in chunks: values and gradients against the definition, for any shape, in little memory."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from elman.kernels import windows
from elman.kernels.windows import line, reference, window_linear
from elman.rows import Rows

LENGTHS = [[5], [1, 1, 1], [3, 0, 7, 1, 0], [63, 2], [0, 0], []]


def draw(lengths, inputs, taps, units, dtype=torch.float64, seed=0):
    """Return x, the past, the weight, the bias."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(sum(lengths), inputs), (len(lengths), taps - 1, inputs), (units, taps * inputs), (units,)]
    return [torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]


def one_by_one(x, lengths, past, weight, bias):
    """Compute the windows one by one."""
    y, last, at = [], [], 0
    for row, length in enumerate(lengths):
        steps = torch.cat([past[row], x[at : at + length]])
        taps = past.shape[1] + 1
        y += [weight @ steps[t : t + taps].ravel() + bias for t in range(length)]
        last.append(steps[length:])
        at += length
    return torch.stack(y) if y else x.new_zeros(0, len(weight)), torch.stack(last) if last else past


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("taps", [1, 2, 6])
@pytest.mark.parametrize("chunk", [1, 40, 1 << 19])
def test_values_and_gradients(lengths, taps, chunk, monkeypatch):
    monkeypatch.setattr(windows, "CHUNK", chunk)
    leaves = draw(lengths, 3, taps, 4)
    got, expected = ((lambda y, last: (y, last))(*function(leaves[0], lengths, *leaves[1:]))
                     for function in (window_linear, one_by_one))  # fmt: skip
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    found, wanted = (
        torch.autograd.grad(y.sin().sum() + last.cos().sum(), leaves, allow_unused=True, materialize_grads=True)
        for y, last in (got, expected)
    )
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_against_the_reference(dtype):
    leaves = draw([70, 1, 30], 5, 4, 9, dtype)
    x, past, weight, bias = leaves
    y, _ = window_linear(x, [70, 1, 30], past, weight, bias)
    steps, starts, _ = line(x, Rows([70, 1, 30]), past)
    expected = reference(steps, starts, weight, bias)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(y, expected, rtol=0, atol=10 * tolerance)
    dy = torch.randn_like(y)
    for a, b in zip(torch.autograd.grad(y, leaves, dy), torch.autograd.grad(expected, leaves, dy), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=100 * tolerance)


def test_gradients_of_gradients():
    x, past, weight, bias = draw([4, 0, 2], 2, 3, 2)
    torch.autograd.gradgradcheck(
        lambda *leaves: window_linear(leaves[0], [4, 0, 2], *leaves[1:])[0].tanh(), (x, past, weight, bias)
    )


def test_only_wanted_gradients_are_computed():
    x, past, weight, bias = draw([4, 2], 2, 3, 2)
    for wanted in ([x], [past], [weight], [bias], [x, bias]):
        leaves = [leaf if any(leaf is one for one in wanted) else leaf.detach() for leaf in (x, past, weight, bias)]
        y, _ = window_linear(leaves[0], [4, 2], *leaves[1:])
        assert len(torch.autograd.grad(y.sum(), wanted)) == len(wanted)


def test_without_a_bias():
    x, past, weight, _ = draw([4, 2], 2, 3, 2)
    y, _ = window_linear(x, [4, 2], past, weight)
    expected, _ = window_linear(x, [4, 2], past, weight, torch.zeros(2, dtype=torch.float64))
    assert torch.equal(y, expected)


class LargestMemory(TorchDispatchMode):
    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        made = result if isinstance(result, tuple | list) else [result]
        sizes = [leaf.untyped_storage().nbytes() // leaf.element_size() for leaf in made if torch.is_tensor(leaf)]
        self.numbers = max([self.numbers, *sizes])
        return result


def test_windows_are_never_stored_all_at_once(monkeypatch):
    monkeypatch.setattr(windows, "CHUNK", 1 << 12)
    lengths, inputs, taps = [3000] + [1] * 100 + [20] * 100, 4, 50
    leaves = draw(lengths, inputs, taps, 2)
    memory = LargestMemory()
    with memory:
        y, _ = window_linear(leaves[0], lengths, *leaves[1:])
        torch.autograd.grad(y.sum(), leaves)
    assert memory.numbers == (sum(lengths) + len(lengths) * (taps - 1)) * inputs


def test_windows_do_not_reach_into_other_rows():
    x = torch.arange(6.0)[:, None]
    y, last = window_linear(x, [2, 1, 3], torch.full((3, 2, 1), 100.0), torch.tensor([[1.0, 10.0, 100.0]]))
    assert y[:, 0].tolist() == [1100, 100 + 100, 1100 + 200, 1100 + 300, 100 + 30 + 400, 3 + 40 + 500]
    assert last[:, :, 0].tolist() == [[0.0, 1.0], [100.0, 2.0], [4.0, 5.0]]


def test_shapes_that_do_not_agree_are_errors():
    x, past, weight, _ = draw([4, 2], 2, 3, 2)
    with pytest.raises(ValueError, match=r"^window_linear: expected past of shape \[B=2, k-1, D=2\], got \[1, 2, 2\]"):
        window_linear(x, [4, 2], past[:1], weight)
    with pytest.raises(ValueError, match=r"^window_linear: expected weight of shape \[H, k\*D=6\], got \[2, 5\]"):
        window_linear(x, [4, 2], past, weight[:, :5])
