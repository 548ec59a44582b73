"""Remedies, ready to paste: `--set cell=lstm` for the model of a task, lines of PyTorch for any other."""

from elman.doctor.facts import Facts
from elman.doctor.findings import CellInfo, Layer

CLIP = "torch.nn.utils.clip_grad_norm_(model.parameters(), {}) before each optimizer step"


def longer_memory(layer: Layer, facts: Facts) -> str:
    """Return a remedy that lets the gradient of this layer reach further back."""
    cell = layer.cell
    if facts.task is not None:
        return _longer_memory_setting(cell, facts)
    lstm = f"replace {cell.class_name} by LSTM({cell.input_size}, {cell.hidden_size})"
    if cell.kind == "lstm":
        return set_bias(layer, "forget")
    if cell.kind == "rnn":
        relu = f'{"activation" if layer.suffix is None else "nonlinearity"}="relu"'
        return (f"{lstm}, or use ReLU with an identity initialisation (Le et al. 2015): "
                f"RNN({cell.input_size}, {cell.hidden_size}, {relu}) and "
                f"torch.nn.init.eye_(model.{parameter(layer, 'weight_hh')})")  # fmt: skip
    if cell.memory_gate is not None:
        return f"{set_bias(layer, cell.memory_gate)}; or {lstm}"
    return lstm


def shorter_gradient(layer: Layer, facts: Facts) -> str:
    """Return a remedy that keeps the gradient of this layer from growing."""
    cell, ways = layer.cell, []
    if facts.task is not None:
        ways += [] if facts.clip_norm is not None else ["--set clip_norm=1.0"]
        ways += [] if cell.kind == "lstm" else ["--set cell=lstm"]
        if cell.kind == "rnn" and facts.settings.get("cell.init") not in (None, "orthogonal"):
            ways.append("--set cell.init=orthogonal")
        return ", or ".join([*ways, halved("learning_rate", facts)])
    ways += [] if facts.clip_norm is not None else [CLIP.format("1.0")]
    if cell.gate_names:
        ways.append(f"initialise with torch.nn.init.orthogonal_(model.{parameter(layer, 'weight_hh')})")
    if cell.kind == "rnn":
        ways.append(f"replace RNN by LSTM({cell.input_size}, {cell.hidden_size})")
    return ", or ".join([*ways, halved("learning_rate", facts)])


def set_bias(layer: Layer, gate: str, value: float = 3.0) -> str:
    """Return a remedy that opens a gate at initialisation through its bias."""
    cell = layer.cell
    if gate not in cell.gate_names:
        return f"set the bias of the {gate} gate to {value:g} before training"
    first = cell.gate_names.index(gate) * cell.hidden_size
    bias = parameter(layer, "bias" if layer.suffix is None else "bias_ih")
    rows = f"{first}:{first + cell.hidden_size}"
    return f"set the bias of the {gate} gate before training: model.{bias}.data[{rows}] = {value:g}"


def halved(name: str, facts: Facts) -> str:
    """Return a numeric setting with half its value."""
    value = facts.settings.get(name)
    if facts.task is None or not value:
        return f"halve the {name.replace('_', ' ')}"
    return f"--set {name}={value / 2:g}"


def parameter(layer: Layer, name: str) -> str:
    """Return the path of a parameter in the model."""
    name = name if layer.suffix is None else f"{name}_{layer.suffix}"
    return f"{layer.path}.{name}" if layer.path else name


def _longer_memory_setting(cell: CellInfo, facts: Facts) -> str:
    ways = []
    if facts.settings.get("pooling") == "last":
        ways.append("--set pooling=max, which connects every step to the loss directly")
    if cell.kind == "rnn":
        relu = "" if facts.settings.get("cell.activation") in (None, "relu") else " --set cell.activation=relu"
        ways += ["--set cell=lstm", f"--set cell.init=identity{relu}"]
    elif cell.kind == "lstm" and facts.settings.get("cell.init") == "pytorch":
        ways.append("--set cell.init=orthogonal, which opens the forget gate at initialisation")
    elif cell.kind == "lstm" and facts.settings.get("cell.forget_bias") is None:
        ways.append("--set cell.forget_bias=3, which keeps 95 % of the cell state at each step")
    elif cell.kind == "lstm":
        ways.append("--set cell.forget_gate=false, which keeps the whole cell state, as in 1997")
    elif cell.kind == "window_net":
        ways.append("--set cell=lstm, or a longer window")
    else:
        ways.append("--set cell=lstm")
    return ", or ".join(ways)
