"""`elman --import MODULE`: models with cells of a user on the command line."""

import sys

import pytest

from elman.cells import CELLS

from .conftest import SMALL, TEXT

MODULE = """
import torch

from elman.cells import CELLS, CellModule

class Mine(CellModule):
    \"\"\"Cell of a user.\"\"\"

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.both = torch.nn.Linear(input_size + hidden_size, hidden_size)

    def initial_state(self, batch_size):
        return self.zeros(batch_size, self.output_size)

    def advance(self, x, state):
        h = self.both(torch.cat([x, state], -1)).tanh()
        return h, h

CELLS["mine"] = Mine
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "my_cells.py").write_text(MODULE)
    (tmp_path / "broken_cells.py").write_text("CELLS['mine'] = 3")
    (tmp_path / "needy_cells.py").write_text("import a_package_that_is_missing")
    (tmp_path / "a.txt").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    CELLS.pop("mine", None)
    for name in ("my_cells", "broken_cells", "needy_cells"):
        sys.modules.pop(name, None)


def test_a_model_with_a_cell_of_the_user_is_trained_and_evaluated(elman, folder):
    words = ["language-model", "a.txt", "--out", "run", *SMALL, "--set=cell=mine"]
    result = elman("train", *words)
    assert result.exit_code == 1
    assert "in a module that elman --import MODULE imports" in result.stderr
    result = elman("--import", "my_cells", "train", *words)
    assert result.exit_code == 0, result.stderr
    CELLS.pop("mine")
    sys.modules.pop("my_cells")  # a new process
    assert "elman --import MODULE" in elman("evaluate", "run", "a.txt").stderr
    result = elman("--import", "my_cells", "evaluate", "run", "a.txt")
    assert result.exit_code == 0, result.stderr
    assert "perplexity" in result.stdout


@pytest.mark.parametrize(
    ("module", "code", "message"),
    [
        ("my_cels", 2, "Invalid value for --import: no module 'my_cels' in the current folder or among the installed"),
        ("my_cells.inner", 2, "no module 'my_cells.inner' in the current folder"),
        ("broken_cells", 2, "broken_cells raised NameError: name 'CELLS' is not defined; python -m broken_cells shows"),
        ("needy_cells", 1, "this command needs the package a_package_that_is_missing; install it with"),
    ],
)
def test_a_module_that_cannot_be_imported_is_an_error(elman, folder, module, code, message):
    result = elman("--import", module, "list")
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in " ".join(result.stderr.split())


def test_no_module_is_imported_from_the_current_folder_without_the_option(elman, folder):
    before = [*sys.path]
    assert elman("list").exit_code == 0
    assert sys.path == before
    assert "my_cells" not in sys.modules
