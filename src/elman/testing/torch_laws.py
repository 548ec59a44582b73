"""The laws of gradients, of files and of the runtime, for cells that are modules of PyTorch."""

import copy
import json
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from elman import state as states
from elman.arrays import is_tensor
from elman.runtime import Stepper
from elman.sequences import Sequences
from elman.state import State
from elman.testing.snapshot import reachable
from elman.testing.trial import Run, Trial, difference, named_leaves, require

STEP = 1e-6  # of a finite difference in float64: its error is about 1e-10
TOLERANCE = 1e-6  # between a derivative and a finite difference
MISSAID = "likely cause: a spec that does not say what the step does"
CUT = "likely cause: detach, item, numpy or no_grad cuts the graph, or a backward of your own is wrong"

Runs = Callable[[Sequences, State], Run]


class Problem:
    """A batch whose values and final state, each projected on a random direction, are functions of many inputs.

    The inputs are the steps, the initial state and every weight.
    """

    def __init__(self, trial: Trial):
        self.trial = trial
        x, state = trial.draw([3, 0, 5, 1])
        self.x, self.state = x.with_values(free(x.values)), free(state)
        arguments = [*named_leaves(self.x.values, "the input"), *named_leaves(self.state, "the initial state")]
        self.inputs = {name: leaf for name, leaf in arguments if is_tensor(leaf) and leaf.requires_grad}
        self.inputs |= {name: weight for name, weight in trial.cell.named_parameters() if weight.requires_grad}
        run = trial.scan(x, state)
        self.directions = states.map(lambda leaf: self.normal(leaf) if _is_number(leaf) else leaf, run)

    def normal(self, like: Tensor) -> Tensor:
        """A random direction."""
        return torch.from_numpy(self.trial.rng.standard_normal(tuple(like.shape))).to(like)

    def losses(self, run: Runs) -> dict[str, Tensor]:
        """One number for the values, and one for the final state."""
        result = run(self.x, self.state)
        sums = {}
        for name, part, direction in zip(("the values", "the final state"), result, self.directions, strict=True):
            pairs = zip(states.leaves(part), states.leaves(direction), strict=True)
            terms = [torch.where(a.isfinite(), a, 0).mul(d).sum() for a, d in pairs if _is_number(a)]
            sums[name] = torch.stack(terms).sum() if terms else torch.zeros(())
        return sums

    def gradients(self, run: Runs) -> dict[str, list[Tensor]]:
        """Of each loss in all inputs; zero where the graph does not reach one."""
        found = {}
        inputs = list(self.inputs.values())
        for name, loss in self.losses(run).items():
            found[name] = [torch.zeros_like(x) for x in inputs]
            if loss.requires_grad:
                reached = torch.autograd.grad(loss, inputs, retain_graph=True, allow_unused=True)
                found[name] = [
                    zero if g is None else g.to_dense() for g, zero in zip(reached, found[name], strict=True)
                ]
        return found


def _is_number(leaf: Any) -> bool:
    return is_tensor(leaf) and leaf.is_floating_point()


def free(state: State) -> State:
    """The same numbers as leaves of a graph of their own."""

    def free_leaf(leaf: Any) -> Any:
        return leaf.detach().clone().requires_grad_(leaf.is_floating_point()) if is_tensor(leaf) else leaf

    return states.map(free_leaf, state)


def numeric_gradients(trial: Trial) -> None:
    """The gradient of a scan in inputs, initial state and every weight is what finite differences say, in float64."""
    trial.cell.double()
    trial.steps = states.map(lambda leaf: leaf.double() if leaf.is_floating_point() else leaf, trial.steps)
    problem = Problem(trial)
    gradients = problem.gradients(trial.scan)
    for number, (name, x) in enumerate(problem.inputs.items()):
        direction = problem.normal(x)
        ahead, behind = moved(problem, x, STEP * direction), moved(problem, x, -STEP * direction)
        for what, gradient in gradients.items():
            slope = float(ahead[what] - behind[what]) / (2 * STEP)
            told = float((gradient[number] * direction).sum())
            require(
                abs(told - slope) <= TOLERANCE * (1 + abs(slope)),
                f"the gradient of {what} in {name} is {told:.6g} along a direction where finite differences give "
                f"{slope:.6g}; {CUT}",
            )


def moved(problem: Problem, x: Tensor, by: Tensor) -> dict[str, Any]:
    """The losses with one input moved."""
    kept = x.detach().clone()
    with torch.no_grad():
        x += by
        losses = problem.losses(problem.trial.scan)
        x.copy_(kept)
    return losses


def gradients_of_stepping(trial: Trial) -> None:
    """The gradients of a scan are those of its steps, in the type that the cell computes in."""
    problem = Problem(trial)
    by_step = problem.gradients(trial.stepping)
    for what, gradients in problem.gradients(trial.scan).items():
        for name, a, b in zip(problem.inputs, gradients, by_step[what], strict=True):
            scale = (
                b.abs().max().clamp(min=1) if b.numel() else 1
            )  # sums of many steps: their size, not their elements'
            gap, _ = difference((a / scale)[None], (b / scale)[None], trial.tolerance) or (0.0, 0)
            require(not gap, f"the gradient of {what} in {name} differs by {gap:.2g} from that of stepping; {CUT}")


def saving(trial: Trial) -> None:
    """`state_dict` is all that a trained cell is."""
    known = {id(weight) for weight in trial.cell.parameters()}
    lost = [name for name, part in reachable(trial.cell) if isinstance(part, nn.Parameter) and id(part) not in known]
    names = ", ".join(lost)
    require(not lost, f"{names} is not among parameters(); keep weights as attributes or in an nn.ParameterList")
    x, state = trial.draw()
    expected = trial.scan(x, state)
    other = copy.deepcopy(trial.cell)
    stored = other.state_dict()
    with torch.no_grad():
        for name, tensor in [*other.named_parameters(), *other.named_buffers()]:
            if name in stored:
                tensor.copy_(torch.logical_not(tensor) if tensor.dtype == torch.bool else tensor + 1)
    other.load_state_dict(trial.cell.state_dict())
    loaded = Trial(other, trial.steps, trial.rng, start=trial.start)
    cause = "likely cause: weights that state_dict or load_state_dict leaves out"
    trial.same(loaded.scan(x, state), expected, x, "saving and loading", cause, to_the_bit=True)


class Bound:
    """The steppers of a cell in the place of its step."""

    def __init__(self, cell: Any):
        self.spec = json.loads(json.dumps(cell.spec()))  # as it comes back from a file
        self.weights = {name: weight.detach().numpy() for name, weight in cell.named_parameters()}

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        stepper = Stepper(self.spec, self.weights, len(x))
        stepper.state = states.map(Tensor.numpy, state)
        stepper.input[...] = x.numpy()
        stepper()
        return tensors(stepper.output), tensors(stepper.state)

    def initial_state(self, batch_size: int) -> State:
        return tensors(Stepper(self.spec, self.weights, batch_size).state)


def tensors(state: State) -> State:
    """Copies of NumPy arrays."""
    return states.map(lambda leaf: torch.from_numpy(leaf.copy()), state)


def stepper_equals_scan(trial: Trial) -> None:
    """A stepper of `elman.runtime`, made of the spec and the weights alone, does what a scan does."""
    x, state = trial.draw()
    bound = Bound(trial.cell)
    fresh = trial.cell.initial_state(len(x))
    own = Run((), bound.initial_state(len(x)))
    trial.same(own, Run((), fresh), x, "the initial state of a stepper", MISSAID, to_the_bit=True)
    without = Trial(bound, trial.steps, trial.rng, trial.tolerance)
    for start in (fresh, state):
        trial.same(without.stepping(x, start), trial.scan(x, start), x, "stepping without PyTorch", MISSAID)
