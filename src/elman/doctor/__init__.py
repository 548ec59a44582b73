"""Why does it not learn? What the gradient, the gates and the state of a model do on real data, in numbers and words.

`examine` takes any PyTorch module that holds cells of elman, or an `RNN`, `LSTM` or `GRU` of `torch.nn`.
"""

from elman.doctor.capture import Captured, capture
from elman.doctor.examination import Examination, Layer, examine
from elman.doctor.facts import Facts
from elman.doctor.verdicts import Verdict, verdicts

__all__ = ["Captured", "Examination", "Facts", "Layer", "Verdict", "capture", "examine", "verdicts"]
