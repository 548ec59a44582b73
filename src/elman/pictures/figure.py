"""Figure that notebooks display. Import this module only where a picture is drawn: it needs matplotlib."""

from io import BytesIO

from elman.optional_packages import needed_by

with needed_by("elman.pictures"):
    from matplotlib.figure import Figure as MatplotlibFigure


class Figure(MatplotlibFigure):
    """Matplotlib figure that a notebook displays as the last value of a cell, without pyplot or a magic command."""

    def _repr_png_(self) -> bytes:
        file = BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()
