"""`python -m elman.cli` is `elman`."""

from elman.cli import main

main(prog_name="elman")
