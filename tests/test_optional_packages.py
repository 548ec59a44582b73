"""Errors about packages that are not installed: they name the package, and the command installs it."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import elman
from elman.optional_packages import PACKAGES, MissingPackage, needed_by

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OPTIONAL = {re.split(r"[<>=\[]", line)[0] for lines in PROJECT["optional-dependencies"].values() for line in lines}


@pytest.mark.parametrize(("module", "package"), [("h5py", "h5py"), ("torch.utils", "torch"), *PACKAGES.items()])
def test_the_message_names_the_package_of_the_module(module, package):
    error = MissingPackage(module, "a feature", "use another one")
    assert str(error) == (f"a feature needs the package {package}; install it with: pip install {package}, or use "
                          "another one")  # fmt: skip
    assert error.name == module.partition(".")[0]


def test_every_renamed_package_is_one_that_the_project_declares():
    assert set(PACKAGES.values()) - {"protobuf"} <= OPTIONAL


def test_errors_about_elman_itself_and_other_errors_are_unchanged():
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'elman\.lost'"), needed_by("a feature"):
        import elman.lost  # noqa: F401
    with pytest.raises(ValueError, match=r"^other$"), needed_by("a feature"):
        raise ValueError("other")
    with pytest.raises(MissingPackage, match=r"^inner needs"), needed_by("outer"), needed_by("inner"):
        import absent_package  # noqa: F401


def test_features_name_their_packages(monkeypatch, tmp_path):
    from elman import pictures
    from elman.data.readers import read_labelled
    from elman.data.units import make_units
    from elman.metrics import class_report, summary_report, translation_report
    from elman.settings import write_config

    report = class_report(["a", "b"], ["a", "b"], ["a", "b"])
    for name in [
        name for name in sys.modules if name.startswith(("elman.pictures.figure", "elman.convert.onnx_writing"))
    ]:
        monkeypatch.delitem(sys.modules, name)

    calls = {
        "matplotlib": lambda: pictures.confusion(report),
        "av": lambda: read_labelled(_touched(tmp_path / "a.mp4")),
        "PIL": lambda: read_labelled(_touched(tmp_path / "a.png")),
        "polars": lambda: read_labelled(_touched(tmp_path / "a.parquet"), text=1),
        "narwhals": lambda: elman.data.readers.read_frame(object(), text="a"),
        "tokenizers": lambda: make_units("bpe").fit(["a"]),
        "scipy": lambda: elman.CRF(2).fit([np.eye(2)], [0, 1]),
        "sacrebleu": lambda: translation_report(["a"], ["a"]),
        "rouge_score": lambda: summary_report(["a"], ["a"]),
        "h5py": lambda: elman.convert.to_keras(elman.GRU(3, 4), tmp_path / "a.keras"),
        "onnx": lambda: elman.convert.to_onnx(elman.GRU(3, 4), tmp_path / "a.onnx"),
        "tomli_w": lambda: write_config(tmp_path, elman.Classifier(), {}),
    }
    for module, call in calls.items():
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            for name in [name for name in sys.modules if name.startswith(f"{module}.")]:
                patch.delitem(sys.modules, name)
            package = PACKAGES.get(module, module)
            with pytest.raises(
                MissingPackage, match=f"needs the package {package}; install it with: pip install {package}"
            ):
                call()
            assert package in OPTIONAL


def test_no_text_advises_to_install_elman_from_an_index():
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.py")]
    found = [f"{path.name}: {line}" for path in texts for line in path.read_text(encoding="utf-8").splitlines()
             if re.search(r"pip install ['\"]?elman", line)]  # fmt: skip
    assert found == []


def _touched(path):
    path.touch()
    return path


def test_without_pytorch_every_package_that_needs_it_names_the_command(tmp_path):
    elman.LanguageModel(hidden_size=4, epochs=1, steps=5, streams=2, ngram_order=0, validation=0).fit(
        "to be or not to be " * 5, run=tmp_path / "run"
    )
    calls = [f"import elman.{name}" for name in ("nn", "cells", "layers", "losses", "training", "doctor")]
    calls += [
        "from elman.convert import from_torch",
        "from elman.cells.settings import CellSettings",
        "elman.LSTM",
        "elman.describe",
        "elman.load(sys.argv[1])",
    ]
    code = "\n".join([
        "import sys; sys.modules['torch'] = None; import elman",
        f"for call in {calls!r}:",
        "    try: exec(call)",
        "    except ModuleNotFoundError as error: print(error)",
        "print(type(elman.runtime.load(sys.argv[1])).__name__)",
    ])  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "run"], capture_output=True, text=True, check=True)
    *messages, kind = done.stdout.splitlines()
    assert kind == "TrainedLanguageModel"
    assert len(messages) == len(calls)
    for message in messages:
        assert re.match(r"elman\.\w+ needs the package torch; install it with: pip install torch", message)
    assert messages[0].startswith("elman.nn needs")
    assert messages[-1].endswith("pip install torch, or use elman.runtime.load, which does not need it")
