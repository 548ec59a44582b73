"""The page for a browser."""

import base64
import re
from html.parser import HTMLParser

import pytest

VOID = {"meta", "img", "br"}


class Checked(HTMLParser):
    """Every tag is closed where it should be; what it refers to is inside."""

    def __init__(self):
        super().__init__()
        self.open, self.sources, self.told = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        assert tag not in ("script", "link", "iframe")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.told.append(data)


def read(path):
    checked = Checked()
    checked.feed(path.read_text(encoding="utf-8"))
    assert checked.open == []
    return checked


def test_it_holds_everything_and_needs_nothing(well, tmp_path):
    texts = ["<", "&", " ", *"abcdefgh" * 12, "z"][:100]
    found = well._replace(facts=well.facts._replace(texts=texts))
    path = tmp_path / "doctor.html"
    found.save(path, "runs/<b>")
    page = read(path)
    assert all(source.startswith("data:image/") for source in page.sources)
    told = "".join(page.told)
    assert "runs/<b>" in told
    assert found.verdicts()[0].says in told
    assert told.index("WELL" if "WELL" in told else "well") < told.index("Pictures") < told.index("What was measured")
    assert "Bengio et al. 1994" in told
    assert "".join(texts[:69]).replace(" ", "␣") in told.replace("\n", "")  # a line of letters
    pictures = re.findall(r'alt="([^"]*)"', path.read_text(encoding="utf-8"))
    assert {"gradient by lag", "loss by context", "gradients of the training", "gates", "memory of the units"} <= set(
        pictures
    )


def test_the_shades_are_the_gate_activations(well, tmp_path):
    from io import BytesIO

    import numpy as np
    from matplotlib import colormaps
    from PIL import Image

    well.save(tmp_path / "doctor.html")
    sources = [source for source in read(tmp_path / "doctor.html").sources if source.startswith("data:image/png")]
    shown = [
        np.asarray(Image.open(BytesIO(base64.b64decode(source.partition(",")[2]))).convert("RGB")) for source in sources
    ]
    row = well.layers[0].gates["forget"].first_row  # half-lives are equal: units stand as they are
    wanted = colormaps["magma"](np.round(255 * row.T).astype(int))[..., :3] * 255
    np.testing.assert_allclose(np.concatenate(shown[:2], axis=1), wanted, atol=1)


def test_a_model_without_gates_has_no_sentence(sick, tmp_path):
    sick().save(tmp_path / "doctor.html")
    assert "what the gates do" not in (tmp_path / "doctor.html").read_text()


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.png", b"\x89PNG"), pytest.param("a.svg", b"<?xml", marks=pytest.mark.slow), ("a.PDF", b"%PDF")],
)
def test_the_picture_alone(well, tmp_path, name, start):
    well.save(tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_the_same_page_for_the_same_model(well, tmp_path):
    for name in ("a.html", "b.html"):
        well.save(tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_names_that_end_otherwise(well, tmp_path):
    with pytest.raises(ValueError, match=r"report.txt: expected a name that ends in .html, .png, .svg, .pdf"):
        well.save(tmp_path / "report.txt")
    with pytest.raises(OSError, match="not saved"):
        well.save(tmp_path / "none" / "doctor.html")
    assert list(tmp_path.iterdir()) == []
