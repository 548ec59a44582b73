"""Lock of a run folder: one training at a time writes there.

It is a lock of the operating system on a file in the folder. The system releases it when the process ends, however it
ends, so a killed run can be resumed at once and no code has to guess whether another process is still alive. The text
in the file only describes the holder, for the error message.
"""

import errno
import json
import logging
import os
import platform
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Self
from weakref import WeakSet

LOCK = "lock"  # file in a run folder until the training ends
_WAIT = 1.0  # seconds: the system releases the lock of a killed process after its memory
_BYTE = 1 << 30  # the byte that Windows locks: no other process can read it, so it is behind the text
_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_held: "WeakSet[RunLock]" = WeakSet()
logger = logging.getLogger("elman")

if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, _BYTE, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class RunLock:
    """Lock of a run folder, held inside a `with` block. A missing folder is made, and removed if it stays empty.

    Meanwhile neither another thread or process nor another host that mounts the folder can lock it. Forked children do
    not hold it. On a file system without locks, a warning replaces the protection.

    Args:
        folder: the run folder.
    Raises:
        BlockingIOError: another training holds the lock; the message names its process, its host and when it began.
        OSError: the folder cannot be made or written.
    Example:
        >>> import tempfile
        >>> with RunLock(tempfile.mkdtemp()) as lock:
        ...     print(lock.held)
        True
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)
        self._path = self.folder.absolute() / LOCK
        self._file: int | None = None  # descriptor of the locked file
        self._made = False  # whether the folder was missing

    @property
    def held(self) -> bool:
        """Whether this process holds the lock. It is False in a forked child."""
        return self._file is not None

    def check(self) -> None:
        """Raise if another training holds the lock.

        Raises:
            BlockingIOError: another training holds it.
        """
        if self._path.exists():
            with self:
                pass

    def __enter__(self) -> Self:
        end = time.monotonic() + _WAIT
        while not self._acquire():
            if time.monotonic() >= end:
                raise BlockingIOError(self._in_use()) if self._path.exists() else self._cannot("made", errno.ENOENT)
            time.sleep(0.02)
        assert self._file is not None
        _held.add(self)
        holder = {"pid": os.getpid(), "host": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        with suppress(OSError):  # a full disk: the lock holds without the text
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, json.dumps(holder).encode())
        return self

    def __exit__(self, *_: object) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        current = self._is_current(file)
        if sys.platform == "win32":  # which removes no open files, and none that another process has opened
            os.close(file)
        if current:
            with suppress(OSError):
                self._path.unlink()
                if self._made:
                    self._path.parent.rmdir()
        if sys.platform != "win32":  # still locked when it is removed: no process can lose a file that it has locked
            os.close(file)

    def forget(self) -> None:
        """Close the file in a forked child, which leaves the lock to its parent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _acquire(self) -> bool:
        """Make the folder and lock the file in it; False if another training holds it or has just removed it."""
        try:
            self._made = self._made or not self._path.parent.exists()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._cannot("written" if self._path.parent.is_dir() else "made", error.errno) from None
        try:
            _lock(file)
        except OSError as error:
            if error.errno in _TAKEN:
                os.close(file)
                return False
            logger.warning("%s: its file system has no locks (%s); start no other training there", self.folder,
                           error.strerror)  # fmt: skip
        if not self._is_current(file):
            os.close(file)
            return False
        self._file = file
        return True

    def _cannot(self, done: str, number: int | None) -> OSError:
        """Return the error of a folder that cannot be made or written, given the number of the cause."""
        kind = type(OSError(number, ""))  # such as PermissionError
        return kind(f"{self.folder}: cannot be {done}: {os.strerror(number or 0)}; name another folder.")

    def _is_current(self, file: int) -> bool:
        """Return whether the open file is still the one at the path."""
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except OSError:
            return False

    def _in_use(self) -> str:
        try:
            holder = json.loads(self._path.read_text())
            here = (holder["pid"], holder["host"]) == (os.getpid(), platform.node())
            who = "this process" if here else f"process {holder['pid']} on {holder['host']}"
            who += f" has been training there since {holder['since']}"
        except (OSError, ValueError, LookupError, TypeError):
            who = "another process is training there"
        return f"{self.folder}: in use: {who}; wait until it ends, stop it, or name another folder."


def _forget_in_child() -> None:
    for lock in list(_held):
        lock.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
