import sys

import pytest
import torch

from elman.kernels import native
from elman.network import LAYER_TYPES, Layer
from elman.network.stepper import NativeStepper
from elman.testing import kernel_comparison, network_comparison
from elman.threads import get_num_threads


def tables(result):
    """Return the rows of both tables: layer or kernel, ISA, threads, error, error of steps or of PyTorch, verdict."""
    found = []
    for text, title in zip(result.stdout.split("\n\n"), ("layer, without PyTorch", "kernel"), strict=True):
        head, *rows = [line for line in text.splitlines() if "  " in line]
        assert head.startswith(f"{title}  ")
        found.append([[word.strip() for word in row.split("  ") if word.strip()] for row in rows])
    return found


def table(result):
    return tables(result)[1]


@pytest.mark.needs_native
def test_every_kernel_agrees_with_float64(elman):
    before = get_num_threads()
    result = elman("selftest")
    assert result.exit_code == 0, result.output
    layers, rows = tables(result)
    assert {row[-1] for row in layers} == {"ok"}
    assert {row[4] for row in layers if row[0] in ("bidirectional", "reversed")} == {"-"}
    assert {"rnn, relu", "lstm", "gru, reset before", "linear", "bidirectional", "one step at a time"} <= {
        r[0] for r in rows
    }
    for _, isa, threads, error, plain, verdict in rows:
        assert isa == native.module.isa
        assert int(threads) in (1, before)
        assert verdict == "ok"
        assert 0 < float(plain) < 1e-4
        assert 0 < float(error) < 1e-4
    assert result.stdout.endswith(f"All {len(layers) + len(rows)} comparisons agree.\n")
    assert get_num_threads() == before


@pytest.mark.needs_native
def test_a_wrong_kernel_fails(elman, monkeypatch):
    linear = native.module.linear
    monkeypatch.setattr(native.module, "linear", lambda *a: linear(*a[:5], 0, a[6]))  # without the bias
    result = elman("selftest")
    assert result.exit_code == 1
    verdicts = {row[0]: row[-1] for row in table(result)}
    assert verdicts.pop("linear") == verdicts.pop("linear, linear_scan") == "FAILED"
    assert set(verdicts.values()) == {"ok"}
    assert "comparisons failed; ELMAN_NATIVE=0 disables the kernels" in result.stderr


@pytest.mark.needs_native
def test_nan_fails(elman, monkeypatch):
    monkeypatch.setattr(kernel_comparison, "_stepped", lambda net: [torch.full((5, 30, 71), torch.nan)])
    result = elman("selftest")
    assert result.exit_code == 1
    assert [row[0] for row in table(result) if row[-1] == "FAILED"] == ["one step at a time"]


def test_without_kernels_there_is_nothing_to_compare(elman, monkeypatch):
    monkeypatch.setattr(native, "module", None)
    result = elman("selftest")
    assert result.exit_code == 0
    assert result.stdout.startswith("No native kernels")


def test_every_layer_with_a_native_step_is_compared():
    def inside(layer):
        return {layer.kind}.union(*map(inside, layer.cells))

    stepped = {kind for kind, layer in LAYER_TYPES.items() if layer.add is not Layer.add}
    compared = set().union(*map(inside, network_comparison.layers().values()))
    assert stepped - compared <= {"classifier", "prelu", "frame_encoder"}  # a stack; no kernels of their own


@pytest.mark.needs_native
def test_without_pytorch_layers_are_compared_with_numpy(elman, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    result = elman("selftest")
    assert result.exit_code == 0, result.output
    assert "PyTorch's float32" not in result.stdout
    assert result.stdout.endswith("agree. PyTorch is not installed, so gradients were not compared.\n")


@pytest.mark.needs_native
def test_a_wrong_layer_fails(elman, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(NativeStepper, "__call__", lambda self: None, raising=False)  # the output stays 0
    result = elman("selftest")
    assert result.exit_code == 1
    verdicts = {line.split("  ")[0]: line.split()[-1] for line in result.stdout.splitlines()[1:]}
    assert {verdicts.pop("bidirectional"), verdicts.pop("reversed")} == {"ok"}  # they have no stepper
    assert set(verdicts.values()) == {"FAILED"}
