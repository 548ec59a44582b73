"""Training run: its folder, whether it is resumed, its observers, and the source of its data."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elman.declared_types import field as json_field
from elman.files import TEMPORARY
from elman.representation import brief_fields
from elman.settings import CONFIG, parse, read_config, settings_of, write_config
from elman.training import Event
from elman.training.checkpoint import LAST, read_place
from elman.training.run_lock import LOCK, RunLock
from elman.training.settings import RESUMABLE


@brief_fields
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

    def check(self, task: Any) -> None:
        """Raise unless the run of a task can begin in its folder, or be resumed there.

        Raises:
            FileExistsError: the folder is not empty, and the run is not resumed.
            FileNotFoundError: the folder holds no run to resume.
            BlockingIOError: another training writes to the folder.
            ValueError: a run without a folder is resumed, or a run of another task, or with other settings than it
                began with, apart from `RESUMABLE` ones, or fewer epochs than it has begun.
            TypeError: the observers are not functions.
        """
        if not isinstance(self.observers, Sequence) or not all(map(callable, self.observers)):
            raise TypeError(f"run: expected a list of functions as observers, got {self.observers!r}.")
        if self.folder is not None:
            RunLock(self.folder).check()
            self._check_content(self.folder)
            if self.resume:
                _check_settings(self.folder, task)
        elif self.resume:
            raise ValueError("run: expected a folder to resume, got none.")

    def _check_content(self, folder: Path) -> None:
        if self.resume:
            if not (folder / CONFIG).exists():
                raise FileNotFoundError(
                    f"{folder}: no run to resume ({CONFIG} is missing); train without resume first."
                )
        elif folder.exists() and not _is_empty(folder):
            raise FileExistsError(f"{folder}: exists already; resume the run in it (--resume), or name another folder.")

    @contextmanager
    def open(self, task: Any, source: Mapping[str, Any], pretrained: Mapping[str, str]) -> Iterator[RunLock | None]:
        """Lock the folder and write its `config.toml`, unless the run is resumed; remove the folder if an error leaves
        it without a checkpoint.

        Args:
            task: the task whose settings are written.
            source: where the data came from, used if the run has no source.
            pretrained: path and digest of the model that the training starts from; empty if it starts from none.
        Raises:
            FileExistsError, FileNotFoundError, BlockingIOError: as `check`.
            OSError: the folder cannot be made or written.
        """
        if self.folder is None:
            yield None
            return
        with RunLock(self.folder) as lock:
            self._check_content(self.folder)  # another training may have ended there since `check`
            try:
                if not (self.resume and (self.folder / LAST).exists()):
                    origin = {"pretrained": dict(pretrained)} if pretrained else {}
                    write_config(self.folder, task, {**(self.source or source), **origin})
                yield lock
            except BaseException:
                if lock.held and not (self.folder / LAST).exists():
                    shutil.rmtree(self.folder, ignore_errors=True)
                raise

    def pretrained(self) -> dict[str, str]:
        """Return path and digest of the model that the resumed run started from; empty if it started from none.

        Raises:
            ValueError: one of them is missing from `config.toml`, or of another type.
        """
        assert self.folder is not None
        found = read_config(self.folder).get("pretrained", {})
        try:
            return {name: json_field(found, name, str) for name in ("path", "sha256")} if found else {}
        except ValueError as error:
            raise ValueError(f"{self.folder / CONFIG}: pretrained: {error}") from None

    def update_settings(self, task: Any) -> None:
        """Write the settings that changed when the run was resumed to `config.toml`."""
        assert self.folder is not None
        config = read_config(self.folder)
        if parse(type(task), config["settings"]) != parse(type(task), settings_of(task)):
            source = {name: value for name, value in config.items() if name not in ("task", "version", "settings")}
            write_config(self.folder, task, source)


def _check_settings(folder: Path, task: Any) -> None:
    config = read_config(folder)
    if config["task"] != task.task:
        raise ValueError(f"{folder}: expected a run of a {task.task}, got a {config['task']}; name another folder.")
    before = parse(type(task), config["settings"], str(folder / CONFIG))
    for name, value in parse(type(task), settings_of(task)).items():
        if name not in RESUMABLE and value != before[name]:
            raise ValueError(f"{folder}: the run has {name}={before[name]!r}, got {value!r}; keep it, or train in a "
                             f"new folder (a resumed run may change {', '.join(RESUMABLE)}).")  # fmt: skip
    if task.epochs < before["epochs"] and (place := read_place(folder)):
        place.check_epochs(task.epochs)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and all(file.suffix == TEMPORARY or file.name == LOCK for file in folder.iterdir())
