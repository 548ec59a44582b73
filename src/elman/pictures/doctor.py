"""Picture of an examination by `elman.doctor`."""

from typing import Any

from elman.pictures.doctor_panels import Panel, panels_of_layer, panels_of_model

WIDTH, HEIGHT = 13.0, 3.3  # inches: width of the picture, height of one row of panels


def doctor(examination: Any, title: str = "") -> Any:
    """Draw the measurements of an examination as panels.

    The first row shows the gradient by lag, the loss by context and the training. There is one more row per layer, with
    the singular values of its products of Jacobians, its gates, the memory of its units and the norm of its state.
    Missing measurements are left out.

    Args:
        examination: an `elman.doctor.Examination`.
    Returns:
        a matplotlib Figure; `figure.savefig("doctor.png")` writes it.
    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    Example:
        >>> import torch
        >>> from elman.doctor import examine
        >>> net, x = torch.nn.RNN(3, 4), torch.randn(20, 2, 3)
        >>> figure = doctor(examine(net, lambda: net(x)[0][-1].square().mean()))
        >>> [axis.get_title() for axis in figure.axes][:2]
        ['gradient by lag', 'loss by context']
    """
    from elman.pictures.figure import Figure

    rows = [(title, panels_of_model(examination))]
    rows += [(f"{layer.name}: {layer.cell}", panels_of_layer(examination, layer)) for layer in examination.layers]
    rows = [(name, panels) for name, panels in rows if panels]
    figure = Figure(figsize=(WIDTH, HEIGHT * max(len(rows), 1)), layout="constrained")
    parts: Any = figure.subfigures(len(rows), squeeze=False)[:, 0] if rows else []
    for part, (name, panels) in zip(parts, rows, strict=True):
        part.suptitle(name, fontsize="large", parse_math=False)
        widths = [1.5 if panel.kind == "gradient" else 1.0 for panel in panels]
        axes = part.subplots(1, len(panels), squeeze=False, width_ratios=widths)[0]
        for axis, panel in zip(axes, panels, strict=True):
            draw(panel, axis)
    return figure


def draw(panel: Panel, axis: Any) -> None:
    """Draw one panel with its title."""
    axis.grid(alpha=0.3)
    axis.set_title(panel.title, fontsize="medium")
    panel.draw(axis)


def panel_figure(panel: Panel) -> Any:
    """Draw one panel in a matplotlib Figure of its own."""
    from elman.pictures.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    draw(panel, figure.subplots())
    return figure
