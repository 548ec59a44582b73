"""Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers, Schmidhuber and Cummins 2000)."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.cell import unroll
from elman.cells.initialization import initialize, orthogonal_
from elman.cells.module import CellModule
from elman.cells.random_masks import Counters, RandomMasks
from elman.kernels import recurrence
from elman.kernels.dropout import random_mask
from elman.kernels.linear import linear
from elman.kernels.marshal import Options, Recurrence, UnitMask
from elman.kernels.masks import Steps
from elman.network.recurrent import NORM_EPSILON
from elman.network.spec import Spec
from elman.network.states import CountedLSTMState, LSTMState
from elman.sequences import Sequences


class UnitMasks(NamedTuple):
    """Random masks on the units of one step, or their mean."""

    candidate: UnitMask = UnitMask()
    h: UnitMask = UnitMask()
    c: UnitMask = UnitMask()
    hidden: UnitMask = UnitMask()  # on the h that the gates read


NO_MASKS = UnitMasks()
MASK_OPTIONS = ("recurrent_dropout", "hidden_dropout", "zoneout_h", "zoneout_c")  # probabilities of random masks


class LSTM(CellModule, RandomMasks):
    """Long short-term memory.

    i, f, o = sigmoid(x W_ih' + h W_hh' + b);  g = tanh(...);  c = f c + i g;  h = o tanh(c);  y = h

    The *input* gate i scales the candidate g that a step adds to the cell state c. The *forget* gate f is the fraction
    of c that a step keeps. The *output* gate o scales tanh(c), which is the output. Along c, the gradient is multiplied
    by f alone. Without a forget gate, as in 1997, c = c + i g: the gradient along c neither vanishes nor explodes.

    In evaluation mode, every random mask is replaced by its mean. In training mode, a new row draws its number from
    PyTorch's generator. All masks of the row follow from that number and a key that changes at each update.

    Args:
        input_size: features of x, D.
        hidden_size: features of h and c, H.
        forget_gate: whether the cell has a forget gate.
        init: `orthogonal` or `pytorch`.
        forget_bias: initial bias of the forget gate: a step keeps sigmoid(forget_bias) of c. None for 1 (Jozefowicz et
            al. 2015), or for PyTorch's uniform bias where init is `pytorch`.
        chrono: longest dependency to expect, in steps. Initialises the forget and input biases so that the units' time
            constants spread over 1 to `chrono` (Tallec and Ollivier 2018, arXiv:1804.11188).
        projection_size: features of y and h, P, below hidden_size: h = W_hr (o tanh(c)) (Sak et al. 2014,
            arXiv:1402.1128). None for no projection.
        layer_norm: whether to normalise the products with x and with h, each over all gates of a step, and c before
            tanh (Ba et al. 2016, arXiv:1607.06450). Not with a projection.
        peephole: whether i and f read the previous c, and o the new c, unit by unit (Gers and Schmidhuber 2000). The
            weights start at zero.
        coupled: whether f = 1 - i, without weights of its own (Greff et al. 2017, arXiv:1503.04069). Needs
            forget_gate=False.
        cell_clip: bound on |f c + i g| (Sak et al. 2014). None for no bound.
        recurrent_dropout: probability of dropping a unit's candidate at a step, while training (Semeniuta et al. 2016,
            arXiv:1603.05118).
        hidden_dropout: probability of dropping a unit of the h that the gates read, the same units at all steps of a
            row, while training (Gal and Ghahramani 2016, arXiv:1512.05287).
        zoneout_h, zoneout_c: probability that a unit keeps its previous h or c at a step (Krueger et al. 2017,
            arXiv:1606.01305).
    Shapes:
        x: [N, D]   state: LSTMState(h [B, H], c [B, H])   ->   y: [N, H]   (h and y: P with a projection)
        weight_ih: [4H, D]   weight_hh: [4H, H]   bias: [4H], gates in the order i, f, g, o (i, g, o: 3H without f)
        gain_ih, gain_hh: [4H]   gain_c, bias_c: [H], of the norms
        weight_hr: [P, H]   peephole: [3H] in the order i, f, o (i, o: 2H without f)
        With random masks, the state is a CountedLSTMState, which also contains the row and step numbers.
    Raises:
        ValueError: x is not [N, input_size]; init is unknown; an option is out of range or conflicts with another.
    Example:
        >>> import torch
        >>> from elman import Sequences
        >>> x = Sequences.from_list([torch.zeros(20, 16), torch.zeros(7, 16)])
        >>> y, (h, c) = LSTM(16, 32).scan(x)
        >>> y.values.shape, c.shape
        (torch.Size([27, 32]), torch.Size([2, 32]))
    """

    kind = "lstm"
    gate_names: tuple[str, ...] = ("input", "forget", "candidate", "output")
    memory_gate = "forget"
    calls_kernels = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        forget_gate: bool = True,
        init: str = "orthogonal",
        forget_bias: float | None = None,
        chrono: int | None = None,
        projection_size: int | None = None,
        layer_norm: bool = False,
        peephole: bool = False,
        coupled: bool = False,
        cell_clip: float | None = None,
        recurrent_dropout: float = 0.0,
        hidden_dropout: float = 0.0,
        zoneout_h: float = 0.0,
        zoneout_c: float = 0.0,
    ):
        super().__init__()
        self.input_size, self.hidden_size, self.forget_gate = input_size, hidden_size, forget_gate
        self.projection_size = projection_size
        self.output_size = hidden_size if projection_size is None else projection_size
        self.coupled, self.cell_clip, self.recurrent_dropout = coupled, cell_clip, recurrent_dropout
        self.hidden_dropout, self.zoneout_h, self.zoneout_c = hidden_dropout, zoneout_h, zoneout_c
        self._check_options(forget_bias, chrono, layer_norm)
        if not forget_gate:
            self.gate_names = ("input", "candidate", "output")
        gates = len(self.gate_names)
        self.weight_ih = nn.Parameter(torch.empty(gates * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(gates * hidden_size, self.output_size))
        self.bias = nn.Parameter(torch.empty(gates * hidden_size))
        initialize("LSTM", init, gates, self.weight_ih, self.weight_hh, self.bias)
        self.weight_hr = None if projection_size is None else nn.Parameter(self._initial_projection(init))
        self.layer_norm = layer_norm
        if layer_norm:
            self.gain_ih, self.gain_hh = (nn.Parameter(torch.ones(gates * hidden_size)) for _ in range(2))
            self.gain_c, self.bias_c = nn.Parameter(torch.ones(hidden_size)), nn.Parameter(torch.zeros(hidden_size))
        self.peephole = nn.Parameter(torch.zeros((gates - 1) * hidden_size)) if peephole else None
        self._initialize_bias(1.0 if forget_bias is None and init != "pytorch" else forget_bias, chrono)

    def _initial_projection(self, init: str) -> Tensor:
        weight = torch.empty(self.output_size, self.hidden_size)
        bound = self.hidden_size**-0.5
        return nn.init.uniform_(weight, -bound, bound) if init == "pytorch" else orthogonal_(weight)

    @torch.no_grad()
    def _initialize_bias(self, forget_bias: float | None, chrono: int | None) -> None:
        input_bias, bias = self.bias[: self.hidden_size], self.bias[self.hidden_size : 2 * self.hidden_size]
        if chrono is not None:
            bias.uniform_(1, chrono - 1).log_()
            input_bias.copy_(-bias)
        elif self.forget_gate and forget_bias is not None:
            bias.fill_(forget_bias)

    def _check_options(self, forget_bias: float | None, chrono: int | None, layer_norm: bool) -> None:
        for name, value in (("forget_bias", forget_bias), ("chrono", chrono)):
            if value is not None and not self.forget_gate:
                raise ValueError(f"LSTM: {name}={value} has no effect with forget_gate=False; leave one of them out.")
        if chrono is not None and forget_bias is not None:
            raise ValueError(f"LSTM: chrono={chrono} and forget_bias={forget_bias} both initialise the forget gate; "
                             "leave one of them out.")  # fmt: skip
        if chrono is not None and not chrono > 2:
            raise ValueError(f"LSTM: expected chrono of more than 2 steps, got {chrono}.")
        if self.projection_size is not None and not 0 < self.projection_size < self.hidden_size:
            raise ValueError(f"LSTM: expected projection_size from 1 to below hidden_size={self.hidden_size}, got "
                             f"{self.projection_size}; leave it out for no projection.")  # fmt: skip
        if layer_norm and self.projection_size is not None:
            raise ValueError(f"LSTM: layer_norm=True is not supported with projection_size={self.projection_size}; "
                             "leave one of them out.")  # fmt: skip
        if self.coupled and self.forget_gate:
            raise ValueError("LSTM: coupled=True replaces the forget gate; set forget_gate=False as well.")
        if self.cell_clip is not None and not 0 < self.cell_clip < math.inf:
            raise ValueError(f"LSTM: expected cell_clip above 0, got {self.cell_clip}; leave it out for no bound.")
        for name in MASK_OPTIONS:
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"LSTM: expected {name} from 0 to below 1, got {getattr(self, name)}.")

    @property
    def draws(self) -> bool:
        """Whether an option draws random masks in training mode."""
        return any(getattr(self, name) > 0 for name in MASK_OPTIONS)

    def initial_state(self, batch_size: int) -> LSTMState | CountedLSTMState:
        h, c = self.zeros(batch_size, self.output_size), self.zeros(batch_size, self.hidden_size)
        if not self.draws:
            return LSTMState(h, c)
        return CountedLSTMState(h, c, *Counters.initial(batch_size, self.training))

    def recurrence(self) -> Recurrence | None:
        return None if self.draws else self._recurrence()

    def _recurrence(self, masks: UnitMasks = NO_MASKS) -> Recurrence:
        """Return the kernel with its weights and options, and the masks of the steps of a scan."""
        kind = "lstm" if self.forget_gate else "lstm_without_forget"
        weights: tuple[Tensor, ...] = (self.weight_ih, self.weight_hh, self.bias)
        if self.layer_norm:
            weights += (self.gain_ih, self.gain_hh, self.gain_c, self.bias_c)
        others = tuple(weight for weight in (self.weight_hr, self.peephole) if weight is not None)
        if not (others or self.coupled or self.cell_clip or self.draws or self.layer_norm):
            return Recurrence(kind, self, weights)
        options = Options(self.layer_norm, self.weight_hr is not None, self.peephole is not None, self.coupled,
                          self.cell_clip or 0.0, *masks)  # fmt: skip
        return Recurrence(kind, self, weights + others, options=options)

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        options = {
            "hidden_size": None if self.weight_hr is None else self.hidden_size,
            "layer_norm": self.layer_norm,
            "peephole": self.peephole is not None,
            "coupled": self.coupled,
            "cell_clip": self.cell_clip,
            "zoneout_h": self.zoneout_h,
            "zoneout_c": self.zoneout_c,
            "counted": self.draws,
        }
        acting = {name: value for name, value in options.items() if value}
        return self.spec_of(names, forget_gate=self.forget_gate, **acting)

    def scan(
        self, sequences: Sequences, state: LSTMState | CountedLSTMState | None = None
    ) -> tuple[Sequences, LSTMState | CountedLSTMState]:
        if not self.draws:
            return super().scan(sequences, state)
        sequences, state = self.checked_with_state("scan", sequences, state)
        masks = NO_MASKS
        rest: tuple[Tensor, ...] = ()  # the counters
        if isinstance(state, CountedLSTMState):
            counters = Counters(state.row, state.step)
            masks = self._unit_masks(counters.per_step(sequences), state.row)
            rest = counters.advanced(sequences.lengths)

        def reference(x: Sequences, given: LSTMState) -> tuple[Sequences, LSTMState]:
            y, after = unroll(self.advance, x.map(self.project), type(state)(*given, *state[2:]))
            return y, LSTMState(*after[:2])

        given = LSTMState(*state[:2])
        y, after = recurrence.scan(
            [self._recurrence(masks)], sequences.values, sequences.layout, given, given, reference
        )
        return sequences.with_values(y), type(state)(*after, *rest)

    def _unit_masks(self, steps: Steps, row: Tensor) -> UnitMasks:
        """Return the per-step masks of `steps` and the per-row masks of the rows with numbers `row`."""
        if not self.training:
            return UnitMasks(UnitMask(), UnitMask(rate=self.zoneout_h), UnitMask(rate=self.zoneout_c))
        keep_candidate, keep_hidden = 1 - self.recurrent_dropout, 1 - self.hidden_dropout
        return UnitMasks(
            self._unit_mask(0, keep_candidate, 1 / keep_candidate, steps, self.hidden_size),
            self._unit_mask(1, self.zoneout_h, self.zoneout_h, steps, self.output_size),
            self._unit_mask(2, self.zoneout_c, self.zoneout_c, steps, self.hidden_size),
            self._unit_mask(3, keep_hidden, 1 / keep_hidden, (row.numpy(),), self.output_size),
        )

    def _unit_mask(self, place: int, probability: float, rate: float, steps: Steps, units: int) -> UnitMask:
        if not 0 < probability < 1:
            return UnitMask()
        mask = random_mask(probability, (*self.key, place), steps, units)
        return UnitMask(mask.to(self.weight_hh.device), rate)

    def project(self, x: Tensor) -> Tensor:
        if not self.layer_norm:
            return F.linear(x, self.weight_ih, self.bias)
        return F.layer_norm(linear(x, self.weight_ih, None), self.bias.shape, self.gain_ih, self.bias, NORM_EPSILON)

    def gate_activations(self, x: Tensor, state: LSTMState | CountedLSTMState) -> dict[str, Tensor]:
        gates, *_ = self._advance(x, state)
        return gates

    def recurrent_matrices(self) -> dict[str, Tensor]:
        """Return the recurrent matrix of each gate, [H, H]; with a projection, W_hh W_hr."""
        matrices = super().recurrent_matrices()
        if self.weight_hr is None:
            return matrices
        return {name: matrix @ self.weight_hr.detach() for name, matrix in matrices.items()}

    def advance(self, x: Tensor, state: LSTMState | CountedLSTMState) -> tuple[Tensor, LSTMState | CountedLSTMState]:
        _, h, c = self._advance(x, state)
        if isinstance(state, CountedLSTMState):
            return h, CountedLSTMState(h, c, *Counters(state.row, state.step).advanced(1))
        return h, LSTMState(h, c)

    def _advance(self, x: Tensor, state: LSTMState | CountedLSTMState) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Return the gate activations, h and c after the step."""
        masks = NO_MASKS
        if isinstance(state, CountedLSTMState):
            masks = self._unit_masks(Counters(state.row, state.step).current(), state.row)
        recurrent = F.linear(_dropped(masks.hidden, state.h), self.weight_hh)
        if self.layer_norm:
            recurrent = F.layer_norm(recurrent, self.gain_hh.shape, self.gain_hh, eps=NORM_EPSILON)
        gates = dict(zip(self.gate_names, (x + recurrent).chunk(len(self.gate_names), -1), strict=True))
        candidate = _dropped(masks.candidate, gates.pop("candidate").tanh())
        output = gates.pop("output")
        *peepholes, output_peephole = [None] if self.peephole is None else self.peephole.chunk(len(gates) + 1)
        for name, weight in zip(gates, peepholes, strict=False):
            gates[name] = gates[name] + weight * state.c
        activations = {name: gate.sigmoid() for name, gate in gates.items()}
        if self.coupled:
            activations["forget"] = 1 - activations["input"]
        kept = activations["forget"] * state.c if "forget" in activations else state.c
        new = activations["input"] * candidate + kept
        if self.cell_clip:
            new = new.clamp(-self.cell_clip, self.cell_clip)
        c = _zoned_out(masks.c, state.c, new)
        activations["output"] = (output if output_peephole is None else output + output_peephole * c).sigmoid()
        if self.layer_norm:
            new = F.layer_norm(new, self.gain_c.shape, self.gain_c, self.bias_c, NORM_EPSILON)
        h = activations["output"] * new.tanh()
        h = h if self.weight_hr is None else F.linear(h, self.weight_hr)
        return activations, _zoned_out(masks.h, state.h, h), c


def _dropped(mask: UnitMask, units: Tensor) -> Tensor:
    """Return the units that the mask keeps, times its rate; zero for the others."""
    return units if mask.kept is None else units * mask.kept.to(units.dtype) * mask.rate


def _zoned_out(mask: UnitMask, before: Tensor, after: Tensor) -> Tensor:
    """Return `before` for the units that the mask keeps and `after` for the others, or the mean of the two."""
    if mask.kept is not None:
        return torch.where(mask.kept, before, after)
    return mask.rate * before + (1 - mask.rate) * after if mask.rate else after
