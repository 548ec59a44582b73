import numpy as np
import torch

from elman.cells import MinGRU
from elman.sequences import Sequences


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_equals_the_equations_of_the_paper():
    torch.manual_seed(0)
    cell = MinGRU(3, 4).double()
    batch = Sequences(torch.randn(70, 3, dtype=torch.float64), [63, 0, 7])
    start = torch.randn(3, 4, dtype=torch.float64)
    y, final = cell.scan(batch, start)
    (wz, wn), (bz, bn) = (np.split(part.detach().numpy(), 2) for part in (cell.weight_ih, cell.bias))
    for row, (x, got) in enumerate(zip(batch.to_list(), y.to_list(), strict=True)):
        h = start[row].numpy()
        for now, out in zip(x.numpy(), got.detach().numpy(), strict=True):
            z = sigmoid(wz @ now + bz)
            h = (1 - z) * h + z * (wn @ now + bn)
            np.testing.assert_allclose(out, h, atol=1e-12)
        np.testing.assert_allclose(final[row].detach().numpy(), h, atol=1e-12)


def test_scan_by_the_kernel_equals_stepping_over_a_thousand_steps():
    torch.manual_seed(0)
    cell = MinGRU(3, 5)
    x, h = torch.randn(1000, 3), torch.zeros(1, 5)
    y, final = cell.scan(Sequences(x, [1000]))
    for t in range(1000):
        out, h = cell.step(x[t : t + 1], h)
        torch.testing.assert_close(y.values[t : t + 1], out, rtol=0, atol=1e-5)
    torch.testing.assert_close(final, h, rtol=0, atol=1e-5)


def test_parameters():
    shapes = {name: list(weight.shape) for name, weight in MinGRU(3, 5).named_parameters()}
    assert shapes == {"weight_ih": [10, 3], "bias": [10]}


def test_the_forget_gate_is_one_minus_the_update_gate_and_reproduces_the_step():
    torch.manual_seed(0)
    cell = MinGRU(3, 4).double()
    x, h = torch.randn(6, 3).double(), torch.randn(6, 4).double()
    z, n = torch.nn.functional.linear(x, cell.weight_ih, cell.bias).chunk(2, 1)
    found = cell.gate_activations(cell.project(x), h)
    assert list(found) == ["forget"]
    torch.testing.assert_close(found["forget"], 1 - z.sigmoid())
    np.testing.assert_allclose(found["forget"].detach().numpy(), sigmoid(-z.detach().numpy()), atol=1e-12)
    torch.testing.assert_close(found["forget"] * h + (1 - found["forget"]) * n, cell.step(x, h)[1])
