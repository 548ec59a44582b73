"""Recurrences that PyTorch trains, one a file; one whose line is in `CELLS` is known to tests, config and CLI."""

from elman.cells.gru import GRU
from elman.cells.lstm import LSTM, LSTMState
from elman.cells.min_gru import MinGRU
from elman.cells.module import CellModule
from elman.cells.rnn import RNN
from elman.cells.window_net import WindowNet

CELLS: dict[str, type[CellModule]] = {str(cell.kind): cell for cell in (RNN, LSTM, GRU, MinGRU, WindowNet)}

__all__ = ["CELLS", "GRU", "LSTM", "RNN", "CellModule", "LSTMState", "MinGRU", "WindowNet"]
