"""Every command of the documentation runs on the example data, as it is pasted."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from elman import examples
from elman.cli import main

ROOT = Path(__file__).parent.parent
OWN_DATA = ("adding-a-task.md",)  # pages that write their own files; they have tests of their own
SMALL = ["--set", "epochs=1", "--set", "hidden_size=16"]
BEFORE = [  # runs that pages use without training them
    "elman train language-model book.txt --out runs/book",
    "elman train classifier reviews.tsv --text sentence --label stars --out runs/reviews",
    "elman train tagger train.txt --out runs/names",
]


def lines(page: Path) -> Iterator[str]:
    """Yield the lines of the shell blocks of a page."""
    for block in re.findall(r"^```bash\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()


def run(line: str, quick: bool) -> None:
    """Run a line of a shell block in this process; if it is to be quick, train a small network for an epoch."""
    words = shlex.split(line, comments=True)
    for part in split(words, "&&"):
        text = None
        for program, *arguments in split(part, "|"):
            text = run_one(program, arguments, text, quick)


def split(words: list[str], mark: str) -> Iterator[list[str]]:
    while words:
        end = words.index(mark) if mark in words else len(words)
        yield words[:end]
        words = words[end + 1 :]


def run_one(program: str, words: list[str], text: str | None, quick: bool) -> str | None:
    """Run a program with this standard input, and return what it prints."""
    target = None
    if ">" in words:
        *words, _, target = words
    if "<" in words:
        *words, _, source = words
        text = Path(source).read_text(encoding="utf-8")
    if program == "echo":
        return " ".join(words) + "\n"
    if program == "cat":
        return Path(words[0]).read_text(encoding="utf-8")
    if program == "cd":
        return pytest.MonkeyPatch().chdir(words[0])  # the fixture `folder` goes back
    if program != "elman" or words[0] in ("completion", "demo", "selftest"):
        return None
    if words[0] == "examples":
        shutil.rmtree(words[1], ignore_errors=True)
    if words[0] == "train" and "--resume" not in words:
        if "--out" in words:
            shutil.rmtree(words[words.index("--out") + 1], ignore_errors=True)
        words = [*words, *(SMALL if quick else [])]
    result = CliRunner().invoke(main, words, prog_name="elman", input=text)
    assert result.exit_code == 0, f"elman {shlex.join(words)}\n{result.output}"
    if target:
        Path(target).write_text(result.stdout, encoding="utf-8")
    return result.stdout


PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
         if page.name not in OWN_DATA and any(re.search(r"\belman ", line) for line in lines(page))]  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Return a folder with the example data and a few trained models."""
    folder = tmp_path_factory.mktemp("docs")
    examples.copy(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in BEFORE:
            run(line, quick=True)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_runs(page, prepared, monkeypatch):
    monkeypatch.chdir(prepared)
    for line in lines(page):
        if not line.startswith("tail -f"):  # it waits for more lines
            run(line, quick=True)


@pytest.mark.slow
def test_the_commands_of_the_readme_give_sensible_models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in lines(ROOT / "README.md"):
        run(line, quick=False)
    for run_folder, file, figure, least in (("runs/reviews", "reviews-test.tsv", r"accuracy +([\d.]+)", 0.9),
                                            ("runs/names", "test.txt", r"all .* ([\d.]+) +\d+\n", 0.9)):  # fmt: skip
        result = CliRunner().invoke(main, ["evaluate", run_folder, file])
        assert float(re.search(figure, result.stdout)[1]) >= least, result.output


def test_the_example_data_are_small_complete_and_written_by_their_script(tmp_path):
    from elman.examples.write import write_all

    copied = examples.copy(tmp_path / "copied")
    assert sorted(target.name for target in copied) == examples.names()
    write_all(tmp_path)
    files = [file for file in examples.DATA.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 100_000
    for file in files:
        name = file.relative_to(examples.DATA)
        assert (tmp_path / "copied" / name).read_bytes() == file.read_bytes(), name
        if file.suffix != ".png":  # its bytes depend on the version of the compressor
            assert (tmp_path / name).read_bytes() == file.read_bytes(), name


def test_a_copy_replaces_no_files(tmp_path):
    (tmp_path / "book.txt").write_text("mine")
    result = CliRunner().invoke(main, ["examples", str(tmp_path)], prog_name="elman")
    assert result.exit_code == 1
    assert f"Error: {tmp_path / 'book.txt'}: exists already; name another folder, or move it away." in result.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["book.txt"]


def test_an_unknown_example_lists_the_known_ones():
    with pytest.raises(
        ValueError, match=r"examples: no file 'machine\.csv'; did you mean machines\.csv\? There are: ag"
    ):
        examples.path("machine.csv")
    assert examples.path("machines.csv").read_text().startswith("machine,time,")
