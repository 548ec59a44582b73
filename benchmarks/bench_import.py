"""Time of imports in a new interpreter, after the time of its start; the target is less than 300 ms."""

import subprocess
import sys

from report import Report
from timing import Contestant

STATEMENTS = ["pass", "import numpy", "import elman", "import elman.runtime", "from elman.classical import HMM",
              "import elman.runtime.tagger", "import elman.cli.predict"]  # fmt: skip


def run(statement: str) -> None:
    subprocess.run([sys.executable, "-c", statement], check=True)


def main() -> None:
    report = Report("import", __doc__)
    contestants = [Contestant(statement, lambda statement=statement: run(statement)) for statement in STATEMENTS]
    report.race("a fresh interpreter", "start and import", contestants)
    report.finish()


if __name__ == "__main__":
    main()
