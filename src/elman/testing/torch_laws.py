"""Laws of gradients, saving and the runtime, for cells that are modules of PyTorch."""

import copy
import json
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from elman import state as states
from elman.arrays import is_tensor
from elman.kernels import native
from elman.network import make_layer
from elman.sequences import Sequences
from elman.state import State
from elman.testing.harness import Harness, Result, difference, named_leaves, require
from elman.testing.snapshot import reachable

STEP = 1e-6  # step of a finite difference in float64, whose error is then about 1e-10
TOLERANCE = 1e-6  # between a derivative and a finite difference
WRONG_SPEC = "likely cause: a spec that does not describe the step"
CUT = "likely cause: detach, item, numpy or no_grad cuts the graph, or a custom backward is wrong"

Runs = Callable[[Sequences, State], Result]


class Problem:
    """Batch whose values and final state, each projected on a random direction, are functions of all inputs.

    The inputs are the steps, the initial state and every weight.
    """

    def __init__(self, harness: Harness):
        self.harness = harness
        x, state = harness.draw([3, 0, 5, 1])
        self.x, self.state = x.with_values(free(x.values)), free(state)
        arguments = [*named_leaves(self.x.values, "the input"), *named_leaves(self.state, "the initial state")]
        self.inputs = {name: leaf for name, leaf in arguments if is_tensor(leaf) and leaf.requires_grad}
        self.inputs |= {name: weight for name, weight in harness.cell.named_parameters() if weight.requires_grad}
        run = harness.scan(x, state)
        self.directions = states.map(lambda leaf: self.normal(leaf) if _is_number(leaf) else leaf, run)

    def normal(self, like: Tensor) -> Tensor:
        """Return a random direction."""
        return torch.from_numpy(self.harness.rng.standard_normal(tuple(like.shape))).to(like)

    def losses(self, run: Runs) -> dict[str, Tensor]:
        """Return one number for the values, and one for the final state."""
        result = run(self.x, self.state)
        sums = {}
        for name, part, direction in zip(("the values", "the final state"), result, self.directions, strict=True):
            pairs = zip(states.leaves(part), states.leaves(direction), strict=True)
            terms = [torch.where(a.isfinite(), a, 0).mul(d).sum() for a, d in pairs if _is_number(a)]
            sums[name] = torch.stack(terms).sum() if terms else torch.zeros(())
        return sums

    def gradients(self, run: Runs) -> dict[str, list[Tensor]]:
        """Return the gradients of each loss in all inputs; zero for an input that the graph does not reach."""
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
    """Return the same numbers as leaves of a new autograd graph."""

    def free_leaf(leaf: Any) -> Any:
        return leaf.detach().clone().requires_grad_(leaf.is_floating_point()) if is_tensor(leaf) else leaf

    return states.map(free_leaf, state)


def numeric_gradients(harness: Harness) -> None:
    """Check the gradient of a scan in inputs, initial state and every weight against finite differences, in float64."""
    harness.cell.double()
    harness.steps = states.map(lambda leaf: leaf.double() if leaf.is_floating_point() else leaf, harness.steps)
    problem = Problem(harness)
    gradients = problem.gradients(harness.scan)
    for number, (name, x) in enumerate(problem.inputs.items()):
        direction = problem.normal(x)
        ahead, behind = moved(problem, x, STEP * direction), moved(problem, x, -STEP * direction)
        for what, gradient in gradients.items():
            slope = float(ahead[what] - behind[what]) / (2 * STEP)
            derivative = float((gradient[number] * direction).sum())
            require(
                abs(derivative - slope) <= TOLERANCE * (1 + abs(slope)),
                f"the gradient of {what} in {name} is {derivative:.6g} along a direction where finite differences give "
                f"{slope:.6g}; {CUT}",
            )


def moved(problem: Problem, x: Tensor, by: Tensor) -> dict[str, Any]:
    """Return the losses with one input moved."""
    kept = x.detach().clone()
    with torch.no_grad():
        x += by
        losses = problem.losses(problem.harness.scan)
        x.copy_(kept)
    return losses


def gradients_of_stepping(harness: Harness) -> None:
    """Check that the gradients of a scan equal those of its steps, in the cell's dtype."""
    problem = Problem(harness)
    by_step = problem.gradients(harness.stepping)
    for what, gradients in problem.gradients(harness.scan).items():
        for name, a, b in zip(problem.inputs, gradients, by_step[what], strict=True):
            scale = (
                b.abs().max().clamp(min=1) if b.numel() else 1
            )  # a sum over many steps: relative to its size, not to each element
            gap, _ = difference((a / scale)[None], (b / scale)[None], harness.tolerance) or (0.0, 0)
            require(not gap, f"the gradient of {what} in {name} differs by {gap:.2g} from that of stepping; {CUT}")


def saving(harness: Harness) -> None:
    """Check that a trained cell can be restored from its `state_dict`."""
    known = {id(weight) for weight in harness.cell.parameters()}
    lost = [name for name, part in reachable(harness.cell) if isinstance(part, nn.Parameter) and id(part) not in known]
    names = ", ".join(lost)
    require(not lost, f"{names} is not in parameters(); keep weights as attributes or in an nn.ParameterList")
    x, state = harness.draw()
    expected = harness.scan(x, state)
    other = copy.deepcopy(harness.cell)
    stored = other.state_dict()
    with torch.no_grad():
        for name, tensor in [*other.named_parameters(), *other.named_buffers()]:
            if name in stored:
                tensor.copy_(torch.logical_not(tensor) if tensor.dtype == torch.bool else tensor + 1)
    other.load_state_dict(harness.cell.state_dict())
    loaded = Harness(other, harness.steps, harness.rng, initial_state=harness.given_state)
    cause = "likely cause: weights that state_dict or load_state_dict omits"
    harness.compare(loaded.scan(x, state), expected, x, "saving and loading", cause, bitwise=True)


class SteppedByRuntime:
    """Cell that takes its steps with a `Stepper`."""

    def __init__(self, cell: Any):
        self.layer = without_torch(cell)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        stepper = self.layer.stepper(len(x))
        stepper.state = arrays(state)
        stepper.input[...] = arrays(x)
        stepper()
        return tensors(stepper.output), tensors(stepper.state)

    def initial_state(self, batch_size: int) -> State:
        return tensors(self.layer.stepper(batch_size).state)


def without_torch(cell: Any) -> Any:
    """Return the layer of `elman.network` that spec and weights of a cell describe."""
    spec = json.loads(json.dumps(cell.spec()))  # as from a file
    return make_layer(spec, {name: tensor.detach().numpy() for name, tensor in cell.state_dict().items()})


def arrays(state: State) -> State:
    """Return tensors as NumPy arrays in the same memory."""
    return states.map(lambda leaf: leaf.detach().numpy() if is_tensor(leaf) else leaf, state)


def tensors(state: State) -> State:
    """Return copies of NumPy arrays as tensors."""
    return states.map(lambda leaf: torch.from_numpy(leaf.copy()), state)


def runtime_equals_scan(harness: Harness) -> None:
    """Check that the layer in `elman.network` equals the cell: natively (bitwise if it has `same_bits`) and in NumPy.

    Both scan rows of any lengths, from the initial state and from another one, and step if the cell streams.
    """
    x, state = harness.draw()
    layer, fresh = without_torch(harness.cell), harness.initial_state(len(x))
    expected = [(start, harness.scan(x, start)) for start in (fresh, state)]
    if harness.given_state is None:
        own = Result((), tensors(layer.initial_state(len(x))))
        harness.compare(own, Result((), fresh), x, "the initial state without PyTorch", WRONG_SPEC, bitwise=True)
        expected.append((None, expected[0][1]))
    without = Harness(layer, harness.steps, harness.rng)
    for where, place, bitwise in (
        ("without PyTorch", nullcontext, native.available() and layer.same_bits),
        ("without PyTorch and native kernels", native.disabled, False),
    ):
        runs = {"scanning": without.scan} | ({"stepping": without.stepping} if harness.cell.streams else {})
        for start, wanted in expected:
            given = None if start is None else arrays(start)
            for verb in ("scanning",) if start is None else runs:
                with place():
                    run = Result(*map(tensors, runs[verb](x.map(arrays), given)))
                harness.compare(run, wanted, x, f"{verb} {where}", WRONG_SPEC, bitwise)


def stepper_equals_scan(harness: Harness) -> None:
    """Check that a `Stepper`, built from spec and weights only, equals a scan."""
    x, state = harness.draw()
    runtime = SteppedByRuntime(harness.cell)
    fresh = harness.cell.initial_state(len(x))
    own = Result((), runtime.initial_state(len(x)))
    harness.compare(own, Result((), fresh), x, "the initial state of a stepper", WRONG_SPEC, bitwise=True)
    without = Harness(runtime, harness.steps, harness.rng, harness.tolerance)
    for start in (fresh, state):
        harness.compare(without.stepping(x, start), harness.scan(x, start), x, "stepping by a stepper", WRONG_SPEC)
