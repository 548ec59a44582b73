"""Training of a summarizer (Nallapati et al. 2016, arXiv:1602.06023)."""

from dataclasses import dataclass

from elman.runtime.summarizer import TrainedSummarizer
from elman.tasks.translator import Translator


@dataclass(kw_only=True)
class Summarizer(TrainedSummarizer, Translator):
    """`Translator` with other defaults: only the beginning of long sources is read, and both sides share a vocabulary.

    The length of a summary is an option of `predict`: `min_length`, `max_length` and `length_penalty`, see
    `elman.decoding.search.Search`. Settings, attributes and errors as in `Translator`.
    """

    shared_vocabulary: bool = True
    target_limit: int = 100
