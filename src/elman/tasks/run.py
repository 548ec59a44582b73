"""Training run: its folder, whether it is resumed, its observers, and the source of its data."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elman.files import TEMPORARY
from elman.tasks.settings import CONFIG, write_config
from elman.training import Event
from elman.training.checkpoint import LAST


@dataclass(frozen=True)
class Run:
    """Folder, observers and data source of a training run.

    Args:
        folder: a path; it keeps checkpoints, log, settings and the trained model; by default nothing is written. A new
            run needs a folder that does not exist yet or is empty.
        resume: continue the run in `folder`.
        observers: called with every event of the training.
        source: files of the data and how they are read, stored in `config.toml`.
    """

    folder: Path | None = None
    resume: bool = False
    observers: Sequence[Callable[[Event], object]] = ()
    source: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.folder is not None:
            object.__setattr__(self, "folder", Path(self.folder))

    @classmethod
    def of(cls, run: "Run | str | os.PathLike[str] | None") -> "Run":
        """Return the run in a folder, a run without a folder for None, or the run itself."""
        return run if isinstance(run, Run) else cls(None if run is None else Path(run))

    def check(self) -> None:
        """Raise unless the run can begin in its folder, or be resumed there.

        Raises:
            FileExistsError: the folder is not empty, and the run is not resumed.
            FileNotFoundError: the folder holds no run to resume.
            ValueError: a run without a folder is resumed.
            TypeError: the observers are not functions.
        """
        if not isinstance(self.observers, Sequence) or not all(map(callable, self.observers)):
            raise TypeError(f"run: expected a list of functions as observers, got {self.observers!r}.")
        if self.folder is None:
            if self.resume:
                raise ValueError("run: expected a folder to resume, got none.")
        elif self.resume:
            if not (self.folder / CONFIG).exists():
                raise FileNotFoundError(f"{self.folder}: no run to resume ({CONFIG} is missing); train without resume "
                                        "first.")  # fmt: skip
        elif self.folder.exists() and not _is_empty(self.folder):
            raise FileExistsError(f"{self.folder}: exists already; resume the run in it (--resume), or name another "
                                  "folder.")  # fmt: skip

    @contextmanager
    def open(self, task: Any, source: Mapping[str, Any]) -> Iterator[Path | None]:
        """Make the folder with its `config.toml`, unless the run is resumed; remove it if an error leaves it without a
        checkpoint.

        Args:
            task: the task whose settings are written.
            source: where the data came from, used if the run has no source.
        Raises:
            OSError: the folder cannot be made or written.
        """
        folder = self.folder
        if folder is None or (self.resume and (folder / LAST).exists()):
            yield folder
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise type(error)(f"{folder}: cannot be made: {error.strerror}; name another folder.") from None
        try:
            write_config(folder, task, self.source or source)
            yield folder
        except BaseException:
            if not (folder / LAST).exists():
                shutil.rmtree(folder, ignore_errors=True)
            raise


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and all(file.suffix == TEMPORARY for file in folder.iterdir())
