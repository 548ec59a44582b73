"""Generator of the example data: `python -m elman.examples.write` reproduces the files."""

import json
import random
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from math import sin
from pathlib import Path

from elman.examples import DATA

NAMES = ("Ada", "Grace", "Alan", "Edith", "Jonas", "Mara", "Otto", "Nora", "Felix", "Ida")
SURNAMES = ("Lovelace", "Hopper", "Stone", "Rivers", "Hill", "Marsh", "Berg", "Lind")
PLACES = ("London", "Rome", "Oslo", "Lisbon", "Vienna", "Turin", "Bergen", "Porto")
FIRMS = ("Northern Lights", "Harbour Press", "Stone Mills", "River Bank")
NOUNS = {"sailor": "Seemann", "baker": "Bäcker", "dog": "Hund", "boy": "Junge"}
ADJECTIVES = {"old": "alte", "young": "junge", "small": "kleine", "happy": "frohe"}
VERBS = {"runs": "läuft", "sings": "singt", "sleeps": "schläft", "works": "arbeitet", "waits": "wartet"}
WHERE = {"in the snow": "im Schnee", "in the garden": "im Garten", "at home": "zu Hause", "in the evening": "am Abend"}
PLURAL = {"sailor": "sailors", "baker": "bakers", "dog": "dogs", "boy": "boys"}
COLORS = {"red": (200, 40, 40), "blue": (40, 60, 200), "green": (30, 150, 60)}


def write_all(folder: Path) -> None:
    """Write all files into a folder."""
    for name, content in {**_texts(), **_tables(), **_sentences(), **_pairs()}.items():
        (folder / name).write_text(content, encoding="utf-8", newline="\n")
    _pictures(folder)


# Texts without labels.


def _texts() -> dict[str, str]:
    stimuli = ["the old sailor waits at home", "the dogs that the boy sees run", "the dog that the boys see runs"]
    draw = random.Random(4)
    pairs = [{"good": f"The {few(noun)} {verb[:-1] if few is PLURAL.get else verb}.",
              "bad": f"The {few(noun)} {verb if few is PLURAL.get else verb[:-1]}."}
             for few in (str, PLURAL.get) for noun in NOUNS for verb in draw.sample(sorted(VERBS), 3)]  # fmt: skip
    first_names = sorted({a + b for a in ("Ma", "Jo", "Li", "An", "Be", "Ro") for b in ("ra", "na", "lo", "sa", "ti")})
    return {
        "book.txt": "\n\n".join(_story(random.Random(number)) for number in range(40)) + "\n",
        "another.txt": "\n\n".join(_story(random.Random(number)) for number in range(100, 104)) + "\n",
        "names.txt": "\n".join(first_names) + "\n",
        "stimuli.txt": "\n".join(stimuli) + "\n",
        "agreement.jsonl": _json_lines(pairs),
    }


def _story(draw: random.Random) -> str:
    """Return a paragraph in which the persons and the place stay the same."""
    one, other = draw.sample(NAMES, 2)
    place, noun = draw.choice(PLACES), draw.choice(sorted(NOUNS))
    lines = [f"Once upon a time, {one} the {noun} lived in {place}."]
    for _ in range(draw.randint(4, 7)):
        who = draw.choice([one, other, f"The {noun}", f"The {draw.choice(sorted(ADJECTIVES))} {noun}"])
        weather, said = draw.choice(["cold", "late", "warm", "dark"]), draw.choice(PLACES)
        verb, where = draw.choice(sorted(VERBS)), draw.choice(sorted(WHERE))
        lines.append(draw.choice([
            f"{who} {verb} {where}.",
            f'It was {weather}, and {who.replace("The", "the")} said: "{said} is far."',
            f"{one} and {other} {verb[:-1]} together {where}.",
            f"When {one} {verb}, {other} waits.",
        ]))  # fmt: skip
    return " ".join([*lines, f"And that is how {one} came home to {place}."])


# Tables: texts with labels, and sensors.


def _tables() -> dict[str, str]:
    draw = random.Random(1)
    reviews = [_review(draw) for _ in range(240)]
    machines = [_machine(draw, f"m{number}") for number in range(1, 41)]
    header = "machine,time,temperature,vibration,state"
    return {
        "reviews.tsv": _lines(["sentence\tstars", *reviews[:180]]),
        "reviews-test.tsv": _lines(["sentence\tstars", *reviews[180:220]]),
        "reviews.log": _lines(row.split("\t")[0] for row in reviews[220:]),
        "reviews-new.txt": _lines(row.split("\t")[0] for row in reviews[220:]),
        "machines.csv": _lines([header, *_shuffled(draw, machines[:32])]),
        "machines-test.csv": _lines([header, *_shuffled(draw, machines[32:])]),
        "tides.csv": _lines(["hour,level", *(f"{hour},{2 + sin(hour * 0.506) + draw.gauss(0, 0.1):.2f}"
                                             for hour in range(240))]),
        "mails.jsonl": _json_lines([_mail(draw) for _ in range(80)]),
    }  # fmt: skip


def _review(draw: random.Random) -> str:
    stars = draw.randint(1, 3)
    words = {1: ("dull", "a waste of time", "badly made"), 2: ("long but fair", "neither good nor bad", "uneven"),
             3: ("a film to remember", "moving", "wonderfully made")}[stars]  # fmt: skip
    start = draw.choice(
        ["this film is", "the story is", "I found it", f"{draw.choice(NAMES)} says it is", "all in all,"]
    )
    return f"{start} {draw.choice(words)}{draw.choice(['', ' from beginning to end', ', and the music too'])}\t{stars}"


def _machine(draw: random.Random, name: str) -> list[str]:
    """Return the lines of a machine: worn ones vibrate more and more."""
    worn, first = draw.random() < 0.5, datetime(2024, 3, 1) + timedelta(hours=draw.randint(0, 200))
    lines = []
    for step in range(draw.randint(10, 14)):
        vibration = 0.5 + draw.gauss(0, 0.05) + (0.06 * step if worn else 0)
        time = (first + timedelta(minutes=10 * step)).isoformat(timespec="minutes")
        lines.append(f"{name},{time},{60 + draw.gauss(0, 2):.1f},{vibration:.2f},{'worn' if worn else 'fine'}")
    return lines


def _shuffled(draw: random.Random, machines: list[list[str]]) -> list[str]:
    """Return the lines of all machines in the order in which they arrived, not that of their times."""
    lines = [line for machine in machines for line in machine]
    draw.shuffle(lines)
    return lines


def _mail(draw: random.Random) -> dict[str, str]:
    sender, reader, place = draw.choice(NAMES), draw.choice(NAMES), draw.choice(PLACES)
    what = draw.choice(["meeting", "trip", "contract", "dinner"])
    day = draw.choice(["Monday", "Tuesday", "Friday"])
    body = (f"Dear {reader}, I hope you are well. The {what} in {place} is now on {day}. Please let me know if you can "
            f"come. Best wishes, {sender}")  # fmt: skip
    return {"body": body, "subject": f"{what} in {place} on {day}"}


# Tagged sentences.


def _sentences() -> dict[str, str]:
    draw = random.Random(2)
    tagged = [_tagged(draw) for _ in range(190)]
    plain = [" ".join(line.split("\t")[0] for line in sentence.split("\n")) for sentence in tagged[180:]]
    parts = {"train.txt": tagged[:120], "dev.txt": tagged[120:150], "test.txt": tagged[150:180]}
    return {name: "\n\n".join(part) + "\n\n" for name, part in parts.items()} | {"letter.txt": _lines(plain)}


def _tagged(draw: random.Random) -> str:
    """Return a sentence, one word and its tag per line."""
    person = [(draw.choice(NAMES), "B-PER")]
    if draw.random() < 0.5:
        person.append((draw.choice(SURNAMES), "I-PER"))
    firm = [(word, "BI"[i > 0] + "-ORG") for i, word in enumerate(draw.choice(FIRMS).split())]
    place = [(draw.choice(PLACES), "B-LOC")]
    patterns: list[list[str | list[tuple[str, str]]]] = [
        [person, "lived in", place],
        [person, "works for", firm, "in", place],
        [firm, "opened an office in", place],
        ["The", draw.choice(sorted(NOUNS)), "from", place, "met", person],
    ]
    words: list[tuple[str, str]] = []
    for part in draw.choice(patterns):
        words += part if isinstance(part, list) else [(word, "O") for word in part.split()]
    return "\n".join(f"{word}\t{tag}" for word, tag in [*words, (".", "O")])


# Pairs of texts.


def _pairs() -> dict[str, str]:
    draw = random.Random(3)
    pairs = [_pair(draw) for _ in range(260)]
    parts = {"train": pairs[:200], "val": pairs[200:220], "test": pairs[220:250], "letter": pairs[250:]}
    files = {}
    for name, part in parts.items():
        files[f"{name}.en"] = _lines(source for source, _ in part)
        if name != "letter":
            files[f"{name}.de"] = _lines(target for _, target in part)
    return files


def _pair(draw: random.Random) -> tuple[str, str]:
    noun, adjective, verb, where = (draw.choice(sorted(words)) for words in (NOUNS, ADJECTIVES, VERBS, WHERE))
    return (f"The {adjective} {noun} {verb} {where}.",
            f"Der {ADJECTIVES[adjective]} {NOUNS[noun]} {VERBS[verb]} {WHERE[where]}.")  # fmt: skip


# Pictures.


def _pictures(folder: Path) -> None:
    """Write pictures of a circle or a square on a side, and their captions."""
    from PIL import Image, ImageDraw

    draw = random.Random(5)
    (folder / "photos").mkdir(exist_ok=True)
    captions = []
    shapes: dict[str, Callable[..., None]] = {
        "circle": ImageDraw.ImageDraw.ellipse,
        "square": ImageDraw.ImageDraw.rectangle,
    }
    for number in range(30):
        shape, color, side = draw.choice(sorted(shapes)), draw.choice(sorted(COLORS)), draw.choice(["left", "right"])
        picture = Image.new("RGB", (64, 48), "white")
        left = draw.randint(2, 8) + (32 if side == "right" else 0)
        shapes[shape](ImageDraw.Draw(picture), (left, 14, left + 20, 34), fill=COLORS[color])
        name = f"{number:02}.png"
        picture.quantize(8).save(folder / "photos" / name, optimize=True)
        captions.append(f"{name}\tA {color} {shape} on the {side} .")
    (folder / "captions.tsv").write_text(_lines(["image\tcaption", *captions[:24]]), newline="\n")
    (folder / "captions-test.tsv").write_text(_lines(["image\tcaption", *captions[24:]]), newline="\n")


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _json_lines(records: Iterable[dict[str, str]]) -> str:
    return _lines(json.dumps(record) for record in records)


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    write_all(DATA)
