"""What is measured, and whose idea it was; for the report and for people who read pictures."""

from typing import NamedTuple

from elman.doctor.examination import CONTEXT, GATES, JACOBIANS, LAGS, PASS


class Measure(NamedTuple):
    name: str
    what: str
    paper: str
    timed: str  # as what `Examination.seconds` has its cost; empty where it has none worth telling


MEASURES = (
    Measure("gradient by lag", "the gradient of the loss at late steps with respect to the state before them, exact, "
            "by a backward step of the cell for each lag; the horizon is where 1 % of it is left",
            "Bengio et al. 1994; Hochreiter and Schmidhuber 1997", LAGS),
    Measure("singular values", "the most and the least that a small change of the state grows or shrinks over so many "
            "steps, from the products of Jacobians; of the memory of an LSTM as well",
            "Pascanu et al. 2013, arXiv:1211.5063; Halko et al. 2011, arXiv:0909.4061", JACOBIANS),
    Measure("Lyapunov exponents", "the mean rates of that, nats a step; above zero the model is chaotic",
            "Benettin et al. 1980; Engelken et al. 2020, arXiv:2006.02427", JACOBIANS),
    Measure("bound", "the spectral norm of the recurrent matrix times the largest slope of the activation: below one "
            "the gradient vanishes whatever is read", "Pascanu et al. 2013, arXiv:1211.5063", ""),
    Measure("gates", "how far they are open at every step; from the forget gates, the steps in which the memory of a "
            "unit halves", "Gers et al. 2000; Karpathy et al. 2015, arXiv:1506.02078; Tallec and Ollivier 2018, "
            "arXiv:1804.11188", GATES),
    Measure("units", "those that write the same at every step, or the largest number that they can; the norm of the "
            "state along the rows", "Le et al. 2015, arXiv:1504.00941", GATES),
    Measure("loss by context", "the loss where every recurrence starts afresh so many steps before each step",
            "Khandelwal et al. 2018, arXiv:1805.04623", CONTEXT),
    Measure("forward and backward pass", "the model once, on real data, in evaluation mode", "", PASS),
)  # fmt: skip
