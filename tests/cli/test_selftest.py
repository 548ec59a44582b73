import pytest
import torch

from elman.kernels import native
from elman.testing import kernel_comparison
from elman.threads import get_num_threads


def table(result):
    """Return the rows of the table: kernel, ISA, threads, error, PyTorch's error, verdict."""
    head, *rows = [line for line in result.stdout.splitlines() if "  " in line]
    assert head.split() == ["kernel", "ISA", "threads", "largest", "error", "PyTorch's", "float32"]
    return [[word.strip() for word in row.split("  ") if word.strip()] for row in rows]


@pytest.mark.needs_native
def test_every_kernel_agrees_with_float64(elman):
    before = get_num_threads()
    result = elman("selftest")
    assert result.exit_code == 0, result.output
    rows = table(result)
    assert {"rnn, relu", "lstm", "gru, reset before", "linear", "bidirectional", "one step at a time"} <= {
        r[0] for r in rows
    }
    for _, isa, threads, error, plain, verdict in rows:
        assert isa == native.module.isa
        assert int(threads) in (1, before)
        assert verdict == "ok"
        assert 0 < float(plain) < 1e-4
        assert 0 < float(error) < 1e-4
    assert result.stdout.endswith(f"All {len(rows)} comparisons agree.\n")
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
