"""Recurrent cells that PyTorch trains, one per file. Tests, settings and the command line use all cells in `CELLS`."""

from elman.optional_packages import needed_by

with needed_by("elman.cells"):
    import torch  # noqa: F401  # the first import of it, for an error that names this module

from elman.cells.gru import GRU
from elman.cells.lstm import LSTM
from elman.cells.min_gru import MinGRU
from elman.cells.module import CellModule
from elman.cells.rnn import RNN
from elman.cells.window_net import WindowNet
from elman.network.states import LSTMState

CELLS: dict[str, type[CellModule]] = {str(cell.kind): cell for cell in (RNN, LSTM, GRU, MinGRU, WindowNet)}

__all__ = ["CELLS", "GRU", "LSTM", "RNN", "CellModule", "LSTMState", "MinGRU", "WindowNet"]
