"""What importing costs, the start of Python included; for elman's own the promise is less than 300 ms."""

import subprocess
import sys

from timing import milliseconds


def run(statement: str) -> None:
    subprocess.run([sys.executable, "-c", statement], check=True)


def main() -> None:
    print("a fresh interpreter, ms: median (fastest to slowest)")
    for statement in ("pass", "import numpy", "import elman", "import elman.runtime", "import elman.classical"):
        print(f"{statement:<24} {milliseconds(run, statement)}")


if __name__ == "__main__":
    main()
