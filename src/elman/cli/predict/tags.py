"""What a tagger says of sentences."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elman.cli.predict.incoming import STDIN, Coming, Text
from elman.cli.reading import tagged_columns

if TYPE_CHECKING:
    from elman.data.readers.labelled import Row
    from elman.tasks import Tagger


def coming(model: "Tagger", file: Path, options: Mapping[str, Any]) -> Coming:
    """The sentences of a file, or of standard input: a line each, or in columns, a word a line.

    Raises:
        OSError, ValueError: the file cannot be read; or lines for a model that reads more than words.
    """
    from elman.data.readers.tagged import sentences

    text = Text.of(file)
    if not options.get("lines", file == STDIN):
        return Coming(sentences(text.where, text.content, **tagged_columns(file, options), tags=False), text.at_hand)
    if count := len(model.words_.given):
        columns = "a column" if count == 1 else f"{count} columns"
        raise ValueError(f"{text.where}: lines of words, and the model reads {columns} beside each word; give words in "
                         "columns, with --columns.")  # fmt: skip
    return Coming(_rows(text), text.at_hand)


def told(model: "Tagger", rows: "Sequence[Row]", options: Mapping[str, Any]) -> list[str]:
    """A line for each word, its columns and its tag, and an empty one after each sentence; or a sentence as JSON."""
    tagged = model.predict([row.input for row in rows])
    if options.get("jsonl"):
        return [_json(model, row, tags) for row, tags in zip(rows, tagged, strict=True)]
    lines = []
    for row, tags in zip(rows, tagged, strict=True):
        lines += ["\t".join([*_columns(token), tag]) for token, tag in zip(row.input, tags, strict=True)]
        lines.append("")
    return lines


def _rows(text: Text) -> "Iterator[Row]":
    from elman.data.readers.labelled import Row

    for number, line in enumerate(text.content, 1):
        yield Row(line.split(), None, f"{text.where}:{number}")


def _json(model: "Tagger", row: "Row", tags: list[str]) -> str:
    """Words and tags, and where tags write spans, those: words `start` to `stop` (left out)."""
    from elman.classical.tag_schemes import spans

    words = [_columns(token)[0] for token in row.input]
    found: dict[str, Any] = {"place": row.place, "words": words, "tags": tags}
    if model.scheme_ is not None:
        found["spans"] = [{**span._asdict(), "text": " ".join(words[span.start : span.stop])}
                          for span in spans(tags, model.scheme_)]  # fmt: skip
    return json.dumps(found)


def _columns(token: Any) -> tuple[str, ...]:
    return token if isinstance(token, tuple) else (token,)
