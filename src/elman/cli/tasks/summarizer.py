"""Commands of the summarizer: those of the translator, with ROUGE in place of BLEU."""

from dataclasses import replace

from elman.cli.hypotheses import SEARCH
from elman.cli.readers import PARALLEL
from elman.cli.tasks import translator

COMMANDS = replace(
    translator.COMMANDS,
    task="summarizer",
    summary="Shorten a text.",
    help={
        "train": """Train a model that reads a long text and writes a short one: a translator with settings for that.

FILE is as for `elman train translator`: a file of texts and one of summaries, one per line, or a table with a column of
each.""",
        "evaluate": "Summarizers: ROUGE.",
    },
    examples={
        "train": (
            "elman train summarizer mails.jsonl --source body --target subject --out runs/subjects",
            "elman train summarizer articles.txt headlines.txt --out runs/headlines --set epochs=5",
            "elman train summarizer --resume --out runs/subjects",
        ),
    },
    options={**translator.COMMANDS.options, "evaluate": (*PARALLEL, *SEARCH)},
)
