"""Where the data of a run are: its files, and how they are read. `config.toml` keeps it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Reading = Mapping[str, Any]  # options by name, see `elman.cli.reading`


class Source(NamedTuple):
    """What a run is trained on."""

    data: Sequence[Path]
    validation_data: Sequence[Path] = ()
    reading: Reading = {}  # noqa: RUF012  a tuple's default, which nothing changes

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Source":
        data, validation_data = (tuple(map(Path, config.get(name, []))) for name in ("data", "validation_data"))
        return cls(data, validation_data, config.get("reading", {}))

    def to_config(self) -> dict[str, Any]:
        """The same with the full names of the files, so that a run can go on in another folder."""
        names = ([str(file.resolve()) for file in files] for files in (self.data, self.validation_data))
        config = dict(zip(("data", "validation_data"), names, strict=True))
        return {**config, "reading": dict(self.reading)} if self.reading else config


def kept_reading(run: Path) -> Reading:
    """How the files were read that the model in a run folder was trained on; nothing for a model file elsewhere."""
    from elman.runtime import MODEL
    from elman.tasks.settings import CONFIG, read_config

    folder = run.parent if run.name == MODEL else run
    return Source.from_config(read_config(folder)).reading if (folder / CONFIG).exists() else {}
