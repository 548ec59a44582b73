"""Data source of a run: its files and how they are read, as `config.toml` keeps them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from elman.runtime import MODEL
from elman.tasks.settings import CONFIG, read_config


class Source(NamedTuple):
    """Files that a run is trained on.

    Args:
        data: training files.
        validation_data: validation files; none if a part of the training data is held out.
        reading: options of the reader, by name.
    """

    data: Sequence[Path]
    validation_data: Sequence[Path] = ()
    reading: Mapping[str, Any] = {}

    @classmethod
    def of_run(cls, run: Path) -> "Source":
        """Read the source of a run folder, or of the model file in one; it is empty for a model file elsewhere."""
        folder = run.parent if run.name == MODEL else run
        return cls.from_config(read_config(folder)) if (folder / CONFIG).exists() else cls(())

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Source":
        """Return the source in the content of a `config.toml`."""
        data, validation_data = (tuple(map(Path, config.get(name, []))) for name in ("data", "validation_data"))
        return cls(data, validation_data, config.get("reading", {}))

    def to_config(self) -> dict[str, Any]:
        """Return the source for `config.toml`, with absolute names, so that a run can be resumed from any folder."""
        config: dict[str, Any] = {
            "data": [str(file.resolve()) for file in self.data],
            "validation_data": [str(file.resolve()) for file in self.validation_data],
        }
        return {**config, "reading": dict(self.reading)} if self.reading else config
