"""What tasks that write have in common, whatever they read."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from elman.tasks.decoder_settings import DecoderSettings
from elman.tasks.encoder_decoder import TeacherForcing
from elman.tasks.task import Task


@dataclass(kw_only=True)
class Writer(DecoderSettings, Task):
    """A task with a decoder. Settings: see `DecoderSettings` and `TrainingSettings`."""

    @abstractmethod
    def n_best(
        self, X: Sequence[Any], n: int, progress: Callable[[float], object] = lambda part: None, **search: Any
    ) -> list[list[tuple[str, float]]]:
        """The `n` best texts that a search finds for each row with the score of each, best first; or fewer.

        Args:
            progress: called with the part that is done, 0 to 1.
            search: how to search: see `elman.tasks.search.Search`, `beam=5` unless said otherwise.
        """

    @abstractmethod
    def evaluate(self, X: Sequence[Any], y: Sequence[Any]) -> Any:
        """The report on rows whose texts are known."""

    def teacher_forcing(self, part: float) -> TeacherForcing:
        """How the decoder is taught, `part` of the way from the first epoch to the last."""
        return TeacherForcing(self.label_smoothing, self.scheduled_sampling * part)

    def predict(
        self, X: Sequence[Any], progress: Callable[[float], object] = lambda part: None, **search: Any
    ) -> list[str]:
        """The best text that a search finds for each row; arguments as those of `n_best`."""
        return [best[0][0] for best in self.n_best(X, 1, progress, **search)]

    def score(self, X: Sequence[Any], y: Sequence[Any]) -> float:
        """BLEU, from 0 to 1."""
        return self.evaluate(X, y).bleu / 100
