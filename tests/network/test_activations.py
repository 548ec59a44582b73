import numpy as np
import pytest
import torch
from torch import nn

from elman import Linear, Stack
from elman.cells.module import CellModule
from elman.kernels import native
from elman.layers.from_torch import FUNCTIONS, Applied
from elman.network import NoSpec
from elman.testing.torch_laws import without_torch

OTHERS = {
    "leaky_relu": nn.LeakyReLU(0.3),
    "elu": nn.ELU(0.7),
    "celu": nn.CELU(0.7),
    "gelu_tanh": nn.GELU("tanh"),
    "hardtanh": nn.Hardtanh(-0.3, 0.9),
    "softplus": nn.Softplus(3.0, 2.0),
    "softshrink": nn.Softshrink(0.2),
    "hardshrink": nn.Hardshrink(0.2),
    "one slope": nn.PReLU(),
    "a slope each": nn.PReLU(6, 0.4),
    "rms norm": nn.RMSNorm(6, eps=1e-3),
    "rms norm without weights": nn.RMSNorm(6, elementwise_affine=False),
    "linear without bias": nn.Linear(6, 3, bias=False),
    "layer norm without weights": nn.LayerNorm(6, elementwise_affine=False),
    "layer norm without bias": nn.LayerNorm(6, bias=False),
}


def compare(cell: CellModule, x: np.ndarray, tolerance: float = 1e-6) -> None:
    """Compare a pointwise layer with that of PyTorch: as a batch, by a stepper, and without native kernels."""
    layer = without_torch(cell)
    with torch.no_grad():
        expected, _ = cell.eval().step(torch.from_numpy(x), cell.initial_state(len(x)))
    stepper = layer.stepper(len(x))
    stepper.input[...] = x
    stepper()
    with native.disabled():
        alone, _ = layer.step(x, layer.initial_state(len(x)))
    for got in (layer.step(x, layer.initial_state(len(x)))[0], stepper.output, alone):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("module", FUNCTIONS)
def test_a_function_equals_that_of_pytorch(module):
    made = module(0.1, -2.0) if module is nn.Threshold else module()
    x = 4 * np.random.default_rng(0).standard_normal((50, 6), np.float32)
    compare(Applied(made, 6, 6), x, 1e-5 if module is nn.GELU else 1e-6)


@pytest.mark.parametrize("name", OTHERS)
def test_a_layer_with_parameters_equals_that_of_pytorch(name):
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in OTHERS[name].parameters():
            weight.add_(torch.randn_like(weight) / 4)
    compare(Stack(Linear(2, 6), OTHERS[name]), np.random.default_rng(0).standard_normal((9, 2), np.float32))


def test_another_module_has_no_layer_type():
    with pytest.raises(NoSpec, match=r"BatchNorm1d is not a cell"):
        Applied(nn.BatchNorm1d(3), 3, 3).spec()
