"""Classical models of sequences: NumPy, float64, no PyTorch."""

from elman.classical.bag_of_words import BagOfWords
from elman.classical.crf import CRF
from elman.classical.delay_taps import DelayTaps
from elman.classical.hmm import HMM
from elman.classical.lds import LDS
from elman.classical.ngram import NGram

__all__ = ["CRF", "HMM", "LDS", "BagOfWords", "DelayTaps", "NGram"]
