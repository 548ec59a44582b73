"""`elman selftest`."""

from collections.abc import Iterator
from importlib.util import find_spec

import click

LAYERS = "{:30}  {:8}  {:>7}  {:>13}  {:>12}  {}"
LINE = "{:26}  {:8}  {:>7}  {:>13}  {:>17}  {}"


@click.command()
def selftest() -> None:
    """Compare every native kernel with NumPy, and with float64 in PyTorch, on this machine.

    The first table compares the layers that run trained models with the same layers in NumPy: outputs and final states
    of a ragged batch, a stepper, and the streams of a pool. The second one needs PyTorch: outputs, final states and all
    gradients. An error is the largest difference, divided by the largest number. PyTorch's own float32 has its error in
    the last column.
    """
    from elman.kernels import native

    if not native.available():
        click.echo("No native kernels (installed without a compiler, or ELMAN_NATIVE=0): elman uses NumPy and its "
                   "PyTorch reference.")  # fmt: skip
        return
    agree = [*_layers(native.module.isa)]
    if with_pytorch := find_spec("torch") is not None:
        click.echo()
        agree += _kernels(native.module.isa)
    if not all(agree):
        raise click.ClickException(f"{agree.count(False)} of {len(agree)} comparisons failed; ELMAN_NATIVE=0 disables "
                                   "the kernels, ELMAN_ISA=baseline selects the simplest ones.")  # fmt: skip
    without = "" if with_pytorch else " PyTorch is not installed, so gradients were not compared."
    click.echo(f"All {len(agree)} comparisons agree.{without}")


def _layers(isa: str) -> Iterator[bool]:
    """Print the comparison of layers with NumPy, and yield whether each agrees."""
    from elman.testing.network_comparison import compare_layers

    click.echo(LAYERS.format("layer, without PyTorch", "ISA", "threads", "error of scan", "of steps", "").rstrip())
    for one in compare_layers():
        yield one.agrees
        steps = "-" if one.stepped is None else f"{one.stepped:.1e}"
        verdict = "ok" if one.agrees else "FAILED"
        click.echo(LAYERS.format(one.layer, isa, one.threads, f"{one.error:.1e}", steps, verdict))


def _kernels(isa: str) -> Iterator[bool]:
    """Print the comparison of kernels with float64 in PyTorch, and yield whether each agrees."""
    from elman.testing.kernel_comparison import compare_kernels

    click.echo(LINE.format("kernel", "ISA", "threads", "largest error", "PyTorch's float32", "").rstrip())
    for one in compare_kernels():
        yield one.agrees
        figures = f"{one.error:.1e}", f"{one.reference:.1e}", "ok" if one.agrees else "FAILED"
        click.echo(LINE.format(one.kernel, isa, one.threads, *figures))
