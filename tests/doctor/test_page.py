"""The HTML page."""

import base64
import re
import sys
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from elman.doctor import Facts
from elman.doctor.heatmaps import heatmaps
from elman.doctor.page import image
from elman.pictures.doctor import panel_figure
from elman.pictures.doctor_panels import panels_of_model

VOID = {"meta", "img", "br"}


class Checked(HTMLParser):
    """Parser that checks that tags are closed, and collects sources and text."""

    def __init__(self):
        super().__init__()
        self.open, self.sources, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        assert tag not in ("script", "link", "iframe")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    checked = Checked()
    checked.feed(path.read_text(encoding="utf-8"))
    assert checked.open == []
    return checked


def test_the_page_is_complete_and_self_contained(healthy, tmp_path):
    texts = ["<", "&", " ", *"abcdefgh" * 12, "z"][:100]
    found = healthy._replace(facts=healthy.facts._replace(texts={"": texts}))
    path = tmp_path / "doctor.html"
    found.save(path, "runs/<b>")
    page = read(path)
    assert all(source.startswith("data:image/") for source in page.sources)
    text = "".join(page.text)
    assert "runs/<b>" in text
    assert found.verdicts()[0].message in text
    assert text.index("healthy") < text.index("Pictures") < text.index("Measurements and their cost")
    assert "Bengio et al. 1994" in text
    assert "".join(texts[:69]).replace(" ", "␣") in text.replace("\n", "")  # a line of letters
    pictures = re.findall(r'alt="([^"]*)"', path.read_text(encoding="utf-8"))
    assert {"gradient by lag", "loss by context", "gradient norm in training", "gates", "memory of the units"} <= set(
        pictures
    )


def test_heatmaps_show_the_gate_activations(healthy):
    pages = re.findall('src="data:image/png;base64,([^"]*)"', "".join(heatmaps(healthy)))
    shown = [np.asarray(Image.open(BytesIO(base64.b64decode(source))).convert("RGB")) for source in pages]
    row = healthy.layers[0].gates["forget"].first_row  # half-lives are equal: units keep their order
    wanted = colormaps["magma"](np.round(255 * row.T).astype(int))[..., :3] * 255
    np.testing.assert_allclose(np.concatenate(shown[:2], axis=1), wanted, atol=1)


def test_a_model_without_gates_has_no_heatmaps(failing):
    assert list(heatmaps(failing())) == []


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.png", b"\x89PNG"), pytest.param("a.svg", b"<?xml", marks=pytest.mark.slow), ("a.PDF", b"%PDF")],
)
def test_a_picture_instead_of_a_page(healthy, tmp_path, name, start):
    healthy._replace(layers=[]).save(tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
def test_the_same_picture_has_the_same_bytes(healthy, kind):
    [panel, *_] = panels_of_model(healthy)
    first, second = (image(panel_figure(panel), kind) for _ in range(2))
    assert first == second


@pytest.mark.slow
def test_the_same_page_for_the_same_model(healthy, tmp_path):
    for name in ("a.html", "b.html"):
        healthy.save(tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_other_endings_are_rejected(healthy, tmp_path):
    with pytest.raises(
        ValueError, match=r"report.txt: expected a folder, or a name that ends in .html, .png, .svg, .pdf"
    ):
        healthy.save(tmp_path / "report.txt")
    with pytest.raises(OSError, match="not saved"):
        healthy._replace(layers=[], context=None, facts=Facts()).save(tmp_path / "none" / "doctor.html")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_gets_the_page_and_the_picture(failing, tmp_path):
    written = failing().save(tmp_path / "new" / "folder")
    assert [str(path.relative_to(tmp_path)) for path in written] == ["new/folder/doctor.png", "new/folder/doctor.html"]
    assert all(path.stat().st_size for path in written)
    (tmp_path / "run.v2").mkdir()
    assert len(failing().save(str(tmp_path / "run.v2"))) == 2


def test_a_notebook_shows_the_verdicts_and_the_pictures_and_keeps_its_own_style(failing, monkeypatch):
    found = failing()
    text = found._repr_html_()
    checked = Checked()
    checked.feed(text)
    assert checked.open == []
    assert found.verdicts()[0].message in "".join(checked.text)
    assert 'alt="gradient by lag"' in text
    rules = text[text.index("<style>") + 7 : text.index("</style>")].replace("\n  ", " ").strip().split("\n")
    assert all(part.strip().startswith(".elman-doctor") for rule in rules for part in rule.split("{")[0].split(","))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert found._repr_html_().startswith("<pre>loss 1")
    assert repr(found) == str(found) == found.summary()
