"""The Python of the documentation runs, prints what the pages say, and the commands it names exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))]
NOT_RUN = "<!-- not run -->"  # on the line before a block that needs what a test does not have


class Block(NamedTuple):
    language: str
    line: int  # of its first line of code, from 1
    code: str
    runs: bool


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    lines = (ROOT / page).read_text(encoding="utf-8").split("\n")
    fences = [number for number, line in enumerate(lines) if line.startswith("```")]
    for start, end in zip(fences[::2], fences[1::2], strict=True):
        code = "\n".join(lines[start + 1 : end]) + "\n"
        yield Block(lines[start].removeprefix("```"), start + 2, code, lines[start - 1] != NOT_RUN)


def commands(page: str) -> list[list[str]]:
    """The shell commands of a page, in words."""
    shell = "".join(block.code for block in blocks(page) if block.language == "bash").replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in shell.split("\n") if line.strip()]


@pytest.mark.parametrize("page", PAGES)
def test_python_runs_and_prints_what_the_page_says(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    printed = None
    for block in blocks(page):
        if block.language == "python" and block.runs:
            source = "\n" * (block.line - 1) + block.code  # so that an error names the line of the page
            exec(compile(source, str(ROOT / page), "exec"), names)
            printed = capsys.readouterr().out
        elif block.language == "text" and block.runs:
            assert printed == block.code, f"{page}:{block.line}"
