"""`elman selftest`."""

import click

LINE = "{:26}  {:8}  {:>7}  {:>13}  {:>17}  {}"


@click.command()
def selftest() -> None:
    """Compare every native kernel with float64 on this machine.

    Compares the outputs, final states and all gradients of a ragged batch. An error is the largest difference from
    float64, divided by the largest number. PyTorch's own float32 has its error in the next column.
    """
    from elman.kernels import native
    from elman.testing.kernel_comparison import compare_kernels

    if not native.available():
        click.echo("No native kernels (installed without a compiler, or ELMAN_NATIVE=0): elman uses its "
                   "PyTorch reference.")  # fmt: skip
        return
    click.echo(LINE.format("kernel", "ISA", "threads", "largest error", "PyTorch's float32", "").rstrip())
    agree = []
    for one in compare_kernels():
        agree.append(one.agrees)
        figures = f"{one.error:.1e}", f"{one.reference:.1e}", "ok" if one.agrees else "FAILED"
        click.echo(LINE.format(one.kernel, native.module.isa, one.threads, *figures))
    if not all(agree):
        raise click.ClickException(f"{agree.count(False)} of {len(agree)} comparisons failed; ELMAN_NATIVE=0 disables "
                                   "the kernels, ELMAN_ISA=baseline selects the simplest ones.")  # fmt: skip
    click.echo(f"All {len(agree)} comparisons agree.")
