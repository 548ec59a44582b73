"""What a captioner says of pictures."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elman.cli.predict.incoming import STDIN, Coming, Text
from elman.cli.predict.texts import Found, check_attention, save
from elman.cli.searching import search

if TYPE_CHECKING:
    from elman.data.readers.labelled import Row
    from elman.tasks import Captioner

TOGETHER = 32  # pictures of a folder that are answered at once


def coming(model: "Captioner", file: Path, options: Mapping[str, Any]) -> Coming:
    """A picture, those of a folder or a .zip, or those that lines of standard input name.

    Raises:
        OSError, ValueError: it cannot be read, or holds no pictures; or a picture of attention that the model does not
            have.
    """
    from elman.data.readers.captions import PictureFile, pictures_in
    from elman.data.readers.labelled import Row

    check_attention(model, options)
    if file == STDIN:
        text = Text.of(file)
        names = (line.rstrip("\r\n") for line in text.content)
        return Coming((Row(PictureFile(Path(name)), None, name) for name in names if name), text.at_hand)
    found = count(1)
    return Coming((Row(one, None, str(one)) for one in pictures_in(file)), lambda: next(found) % TOGETHER != 0)


def told(model: "Captioner", rows: "Sequence[Row]", options: Mapping[str, Any]) -> list[str]:
    """A line for each picture, its caption and where it is.

    With `n_best`, a line for each of the best, its score before it, and an empty one after each picture; with `jsonl`,
    a picture as JSON.
    """
    n_best = options.get("n_best")
    found = model.n_best([row.input for row in rows], n_best or 1, **search(options))
    if pictures := options.get("show_attention"):
        _draw(model, rows, found, pictures)
    if options.get("jsonl"):
        return [_json(row, best, n_best is not None) for row, best in zip(rows, found, strict=True)]
    if n_best is None:
        return [f"{best[0][0]}\t{row.place}" for row, best in zip(rows, found, strict=True)]
    return [line for row, best in zip(rows, found, strict=True)
            for line in (*(f"{score:.4f}\t{text}\t{row.place}" for text, score in best), "")]  # fmt: skip


def _draw(model: "Captioner", rows: "Sequence[Row]", found: Sequence[Found], pictures: Iterator[Path]) -> None:
    """A picture for each of which something was said."""
    from elman.pictures import attention_maps
    from elman.tasks.photos import read

    pairs = [(row.input, best[0][0]) for row, best in zip(rows, found, strict=True) if best[0][0].strip()]
    if pairs:
        photos, captions = map(list, zip(*pairs, strict=True))
        for photo, one in zip(photos, model.align(photos, captions), strict=True):
            save(attention_maps(read(photo), one.words, one.weights), next(pictures))


def _json(row: "Row", found: Found, several: bool) -> str:
    best = [{"caption": text, "score": float(f"{score:.6g}")} for text, score in found]
    parts: dict[str, Any] = {"best": best} if several else best[0]
    return json.dumps({"place": row.place, **parts})
