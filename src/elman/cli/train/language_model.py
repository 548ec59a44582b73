"""`elman train language-model`."""

import click

from elman.cli.report import measure, show
from elman.cli.train.training import Asked, begin, run_options, tell, training


@click.command("language-model")
@run_options
def language_model(asked: Asked) -> None:
    """Train a model that reads and writes text, and an n-gram beside it: the bar to beat.

    FILE is a text file in UTF-8 (.gz is unpacked), or a folder of *.txt files; each file is a document, read from its
    beginning to its end. `elman list` shows all settings.

    \b
    Examples:
      elman train language-model book.txt --out runs/book
      elman train language-model letters/ --out runs/letters --set hidden_size=256 --set epochs=20
      elman train language-model a.txt b.txt --validation c.txt --out runs/words --set units=words
      elman train language-model --resume --out runs/book
    """
    from elman.tasks import LanguageModel

    model, source = begin(LanguageModel, asked)
    with training(model, asked) as observers:
        model.fit(list(source.data), list(source.validation_data), run=asked.run, resume=asked.resume,
                  observers=observers)  # fmt: skip

    def show_held_out() -> None:
        show(measure(model, model.held_out_))

    tell(model.result_, asked.run, show_held_out if model.held_out_ else None,
         "evaluate RUN FILE", "generate RUN --prompt TEXT")  # fmt: skip
