"""The Python code of the documentation runs and prints the documented results, and its commands exist."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import click
import pytest

import elman

ROOT = Path(__file__).parent.parent
PAGES = [str(page.relative_to(ROOT)) for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
         if re.search("^```(python|bash)$", page.read_text(encoding="utf-8"), re.MULTILINE)]  # fmt: skip
NOT_RUN = "<!-- not run -->"  # on the line before a block that a test cannot run


class Block(NamedTuple):
    language: str
    line: int  # number of its first line of code, from 1
    code: str
    runs: bool


def blocks(page: str) -> Iterator[Block]:
    """Return the fenced blocks of a page, in order."""
    lines = (ROOT / page).read_text(encoding="utf-8").split("\n")
    fences = [number for number, line in enumerate(lines) if line.startswith("```")]
    for start, end in zip(fences[::2], fences[1::2], strict=True):
        code = "\n".join(lines[start + 1 : end]) + "\n"
        yield Block(lines[start].removeprefix("```"), start + 2, code, lines[start - 1] != NOT_RUN)


def commands(page: str) -> Iterator[list[str]]:
    """Return the shell commands of a page as lists of words, each of a line separately, without redirections."""
    shell = "".join(block.code for block in blocks(page) if block.language == "bash").replace("\\\n", " ")
    for line in shell.split("\n"):
        words = shlex.split(line, comments=True)
        while words:
            end = next((number for number, word in enumerate(words) if word in ("|", "&&")), len(words))
            yield words[: words.index(">") if ">" in words[:end] else end]
            words = words[end + 1 :]


@pytest.mark.parametrize("page", PAGES)
def test_python_code_runs_and_prints_the_documented_results(page, tmp_path, monkeypatch, capsys):
    from elman.cells import CELLS

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(CELLS, "mgu", None)  # a page that registers a cell of its own does so for its test only
    names = {"__name__": "__main__"}
    printed = None
    for block in blocks(page):
        if block.language == "python" and block.runs:
            source = "\n" * (block.line - 1) + block.code  # so that an error names the line of the page
            exec(compile(source, str(ROOT / page), "exec"), names)
            printed = capsys.readouterr().out
        elif block.language == "text" and block.runs:
            assert printed == block.code, f"{page}:{block.line}"


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for program, *words in commands(page):
        if program == "make":
            for target in words:
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page}: make {target}"
        elif program == "elman":
            check_elman(page, words)
        elif program not in ("cat", "cd", "echo", "tail"):
            assert [program, *words] == ["pip", "install", ".[all]"], f"{page}: {program}"


def check_elman(page: str, words: list[str]) -> None:
    """Parse a command without running it; `--set` must name settings."""
    from elman.cli import main
    from elman.settings import parse
    from elman.tasks import task_class

    command: click.Command = main
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"{page}: elman {words[0]}"
        command, words = found, words[1:]
    context = command.make_context(command.name, words)
    if given := context.params.get("settings"):
        parse(task_class(command.name), dict(text.split("=", 1) for text in given))


def test_every_public_name_is_in_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in elman.__all__ if name not in text] == []


def test_the_page_about_training_lists_every_setting_and_its_default():
    from elman.training import TrainingSettings

    text = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    for field in fields(TrainingSettings):
        row = re.search(rf"^\| `{field.name}` \| (.*?) \|", text, re.MULTILINE)
        assert row, field.name
        assert field.default is None or row[1] == str(field.default), field.name
