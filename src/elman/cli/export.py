"""`elman export`."""

from pathlib import Path

import click

from elman.cli.console import log_messages


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--steps", is_flag=True, help="Write a single step, which reads and computes the state, for streams.")
@click.option("--opset", type=int, default=18, show_default=True, metavar="N", help="Version of ONNX's operators.")
def export(run: Path, file: Path, steps: bool, opset: int) -> None:
    """Write the network of the model in RUN to the ONNX file FILE.

    \b
    Examples:
      elman export runs/reviews reviews.onnx
      elman export runs/book step.onnx --steps

    The file runs in onnxruntime, for any number of rows and steps, without elman. Names, shapes, labels and units are
    in its metadata. It is compared with the model before it is written; parts that ONNX does not support are printed.
    """
    from elman.convert import to_onnx

    with log_messages():
        to_onnx(run, file, steps=steps, opset=opset)
    click.echo(f"Written: {file}, {file.stat().st_size / 1e6:.1f} MB")
