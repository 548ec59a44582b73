"""Data source of a run: its files and how they are read, as `config.toml` keeps them."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from elman.data.raw_files import STDIN, read_bytes
from elman.network import MODEL
from elman.settings import CONFIG, read_config


class Source(NamedTuple):
    """Files that a run is trained on.

    Args:
        data: training files.
        validation_data: validation files; none if a part of the training data is held out.
        reading: options of the reader, by name.
        standard_input: SHA-256 of what was read from standard input, which no path can name; empty for none.
    """

    data: Sequence[Path]
    validation_data: Sequence[Path] = ()
    reading: Mapping[str, Any] = {}
    standard_input: str = ""

    @classmethod
    def of_run(cls, run: Path) -> "Source":
        """Read the source of a run folder, or of the model file in one; it is empty for a model file elsewhere."""
        folder = run.parent if run.name == MODEL else run
        return cls.from_config(read_config(folder)) if (folder / CONFIG).exists() else cls(())

    def existing_files(self, run: Path, way_out: str) -> list[Path]:
        """Return the validation files of a run, or its training files if it has none.

        Args:
            way_out: end of the error messages.
        Raises:
            ValueError: the run was not trained on files.
            FileNotFoundError: a file is missing.
        """
        files = list(self.validation_data or self.data)
        if not files:
            raise ValueError(f"{run}: the files it was trained on are unknown; {way_out}")
        if STDIN in files:
            raise ValueError(f"{run}: was trained on standard input, which is not stored; {way_out}")
        if missing := [file for file in files if not file.exists()]:
            raise FileNotFoundError(f"{missing[0]}: is missing, and {run} was trained on it; {way_out}")
        return files

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Source":
        """Return the source in the content of a `config.toml`."""
        data, validation_data = (
            tuple(STDIN if name == "-" else Path(name) for name in config.get(part, []))
            for part in ("data", "validation_data")
        )
        return cls(data, validation_data, config.get("reading", {}), config.get("standard_input", ""))

    def to_config(self) -> dict[str, Any]:
        """Return the source for `config.toml`, with absolute names, so that a run can be resumed from any folder."""
        config: dict[str, Any] = {
            part: ["-" if file == STDIN else str(file.resolve()) for file in files]
            for part, files in (("data", self.data), ("validation_data", self.validation_data))
        }
        if self.reads_standard_input:
            config["standard_input"] = _digest(read_bytes(STDIN))
        return {**config, "reading": dict(self.reading)} if self.reading else config

    @property
    def reads_standard_input(self) -> bool:
        return STDIN in (*self.data, *self.validation_data)

    def check_standard_input(self, run: Path) -> None:
        """Raise an error if a run was trained on standard input, unless the same data are piped in again.

        Raises:
            ValueError: standard input holds other data, or none.
        """
        if self.reads_standard_input:
            content = b"" if sys.stdin and sys.stdin.isatty() else read_bytes(STDIN)
            if _digest(content) != self.standard_input:
                got = "other data" if content else "nothing"
                raise ValueError(f"{STDIN}: expected the data that {run} was trained on (SHA-256 "
                                 f"{self.standard_input[:12]}...), got {got}; pipe the same data in.")  # fmt: skip


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
