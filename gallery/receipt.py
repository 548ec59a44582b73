"""What a gallery run leaves behind: a JSON file with its figures, and on what they were measured."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

RECEIPTS = Path(__file__).parent / "receipts"


def write(name: str, facts: dict[str, Any]) -> Path:
    """Write `receipts/<name>.json`: the facts, the versions and the machine."""
    RECEIPTS.mkdir(exist_ok=True)
    path = RECEIPTS / f"{name}.json"
    machine = {"processor": _processor(), "cores": os.cpu_count(), "threads": torch.get_num_threads()}
    versions = {"python": platform.python_version(), **{name: version(name) for name in ("elman", "torch", "numpy")}}
    path.write_text(json.dumps({**facts, "machine": machine, "versions": versions}, indent=2) + "\n")
    return path


def data_folder(given: Path | None) -> Path:
    """The folder of real data sets, from `--data` or the environment variable ELMAN_DATA."""
    named = given or os.environ.get("ELMAN_DATA")
    if named is None:
        raise SystemExit("no data: name the folder with --data DIR, or in the environment variable ELMAN_DATA.")
    return Path(named)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
