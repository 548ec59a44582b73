"""PyTorch's function transforms, for which the references run."""

import pytest
import torch
from torch.autograd import forward_ad

from elman.cells import LSTM, MinGRU, WindowNet
from elman.kernels import native
from elman.layers import Bidirectional, Linear, Stack
from elman.sequences import Sequences

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # PyTorch's own

NETS = {
    "recurrence": lambda: LSTM(3, 4),
    "linear and linear_scan": lambda: MinGRU(3, 4),
    "stack": lambda: Stack(LSTM(3, 4), LSTM(4, 4), Linear(4, 2)),
    "windows": lambda: WindowNet(3, 4, window=3),
    "both ways": lambda: Bidirectional(LSTM(3, 4), LSTM(3, 4)),
}


def forward_mode(function, x):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(function(forward_ad.make_dual(x, x.cos()))).tangent


def batched(function, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(function(x), x, torch.tensor([1.0, 2.0, 3.0]), is_grads_batched=True)[0]


TRANSFORMS = {
    "grad": lambda function, x: torch.func.grad(function)(x),
    "hessian": lambda function, x: torch.func.hessian(function)(x),
    "jvp": lambda function, x: torch.func.jvp(function, (x,), (x.cos(),)),
    "vmap": lambda function, x: torch.func.vmap(function)(torch.stack([x, x.cos()])),
    "vectorized": lambda function, x: torch.autograd.functional.jacobian(function, x, vectorize=True),
    "is_grads_batched": batched,
    "forward mode": forward_mode,
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("net", NETS)
def test_transforms_use_the_reference(net, transform):
    torch.manual_seed(0)
    model, x = NETS[net](), torch.randn(5, 3)

    def found():
        return TRANSFORMS[transform](lambda x: model.scan(Sequences(x, [3, 0, 2]))[0].values.sin().sum(), x)

    got = found()
    with native.disabled():
        expected = found()
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
