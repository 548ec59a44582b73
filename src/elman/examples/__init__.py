"""Small data to try every command and every reader on: texts, tables, pairs of texts, pictures.

All of it is made up, by `python -m elman.examples.write`, so scores of models trained on it are meaningless.
"""

import shutil
from pathlib import Path

from elman.nearest import did_you_mean

DATA = Path(__file__).with_name("data")

__all__ = ["copy", "names", "path"]


def __dir__() -> list[str]:
    return __all__


def names() -> list[str]:
    """Return the names of the files, and of the folder of pictures."""
    return sorted(file.name for file in DATA.iterdir())


def path(name: str) -> Path:
    """Return the path of a file, or of the folder of pictures.

    Raises:
        ValueError: the name is unknown.
    Example:
        >>> path("machines.csv").name
        'machines.csv'
    """
    known = names()
    if name not in known:
        raise ValueError(f"examples: no file {name!r}{did_you_mean(name, known)} There are: {', '.join(known)}.")
    return DATA / name


def copy(folder: str | Path = ".") -> list[Path]:
    """Copy everything into a folder, which is made if it is missing.

    Returns:
        the new files and folders.
    Raises:
        FileExistsError: the folder has a file of the same name.
        OSError: the folder cannot be made, or a file cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(f"{folder}: cannot be made: {error.strerror}; name another folder.") from None
    targets = [folder / name for name in names()]
    if found := [target for target in targets if target.exists()]:
        raise FileExistsError(f"{found[0]}: exists already; name another folder, or move it away.")
    try:
        for target in targets:
            source = DATA / target.name
            if source.is_dir():
                shutil.copytree(source, target, copy_function=shutil.copyfile)
            else:
                shutil.copyfile(source, target)
    except BaseException:
        for target in targets:
            shutil.rmtree(target, ignore_errors=True) if target.is_dir() else target.unlink(missing_ok=True)
        raise
    return targets
