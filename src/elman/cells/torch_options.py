"""Options of the recurrent layers of `torch.nn` that cells do not support, and the code to write instead."""

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

OPTIONS = {  # option of torch.nn -> advice; None: the advice is a line with other layers
    "num_layers": None,
    "bidirectional": None,
    "dropout": None,
    "batch_first": "leave it out, tensors are [B, T, D]",
    "bias": "leave it out, cells have a bias",
    "proj_size": "use projection_size",
    "nonlinearity": "use activation",
    "device": "use .to(device)",
    "dtype": "use .to(dtype)",
}
RENAMED = {"proj_size": "projection_size", "nonlinearity": "activation"}
SIZES = "input_size", "hidden_size"


def check_options(kind: type, sizes: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """Raise if a cell is constructed with options of `torch.nn` that it does not have.

    Raises:
        TypeError: `LSTM: num_layers is not an option of a cell; write elman.Stack(elman.LSTM(16, 32), ...).`
    """
    if not options.keys() & OPTIONS.keys():
        return
    known = signature(kind.__init__).parameters  # type: ignore[misc]  # `CellModule.__new__` hides those of the class
    wrong = [name for name in options if name in OPTIONS and name not in known]
    if not wrong or any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return
    advice = [f"{name}: {OPTIONS[name]}" for name in wrong if OPTIONS[name]]
    if any(OPTIONS[name] is None for name in wrong):
        advice.append(f"write {layers_to_write(kind.__name__, sizes, options)}")
    raise TypeError(f"{kind.__name__}: expected options of a cell, got {', '.join(wrong)}; {'; '.join(advice)}.")


def layers_to_write(name: str, sizes: Sequence[Any], options: Mapping[str, Any]) -> str:
    """Return the elman expression for a layer of `torch.nn` that was given these arguments.

    Args:
        name: name of the cell, such as `LSTM`.
        sizes: positional arguments.
        options: keyword arguments, which may include options of the cell itself.
    Example:
        >>> layers_to_write("LSTM", [16, 32], {"num_layers": 2, "zoneout_c": 0.1})
        'elman.Stack(elman.LSTM(16, 32, zoneout_c=0.1), elman.LSTM(32, 32, zoneout_c=0.1))'
    """
    named = (options[key] for key in SIZES if key in options)
    inputs, hidden = (*sizes, *named, "D", "H")[:2]
    layers, ways, dropout = (options.get(key, 0) for key in ("num_layers", "bidirectional", "dropout"))
    own = {RENAMED.get(key, key): value for key, value in options.items()
           if key in RENAMED or key not in (*OPTIONS, *SIZES)}  # fmt: skip
    settings = "".join(f", {key}={value!r}" for key, value in own.items())
    output = own.get("projection_size") or hidden
    width = f"2 * {output}" if ways and isinstance(output, str) else 2 * output if ways else output
    parts = []
    for number in range(layers or 1):
        cell = f"elman.{name}({width if number else inputs}, {hidden}{settings})"
        parts.append(f"elman.Bidirectional({cell}, {cell})" if ways else cell)
        if dropout and number + 1 < layers:
            parts.append(f"elman.Dropout({width}, {dropout})")
    return parts[0] if len(parts) == 1 else f"elman.Stack({', '.join(parts)})"
