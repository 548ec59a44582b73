"""Word language model of PyTorch's examples: updates of 20 rows by 35 steps."""

from typing import Any

import torch
from torch import Tensor, nn

WORDS, UNITS, LAYERS, DROPOUT = 10_000, 200, 2, 0.2
ROWS, STEPS = 20, 35
RATE, CLIP_NORM = 1.0, 0.25


class WordModel(nn.Module):
    """Module from words [T, B] and a state to log-probabilities [T B, words] and the new state.

    Args:
        lstm: the class of the recurrent layer, `torch.nn.LSTM` or a class with the same interface.
    """

    def __init__(self, lstm: Any):
        super().__init__()
        self.drop = nn.Dropout(DROPOUT)
        self.encoder = nn.Embedding(WORDS, UNITS)
        self.rnn = lstm(UNITS, UNITS, LAYERS, dropout=DROPOUT)
        self.decoder = nn.Linear(UNITS, WORDS)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, words: Tensor, state: Any) -> tuple[Tensor, Any]:
        y, state = self.rnn(self.drop(self.encoder(words)), state)
        return torch.log_softmax(self.decoder(self.drop(y)).view(-1, WORDS), 1), state


class Training:
    """Training updates on words that repeat."""

    def __init__(self, lstm: Any):
        torch.manual_seed(0)
        self.model = WordModel(lstm)
        self.state: Any = tuple(torch.zeros(LAYERS, ROWS, UNITS) for _ in range(2))
        self.words = torch.randint(WORDS, (50 * STEPS + 1, ROWS)) // 100
        self.updates = 0

    def update(self) -> float:
        """Make an update, and return the loss before it."""
        torch.manual_seed(self.updates)  # for the masks of dropout
        at = self.updates % 50 * STEPS
        self.updates += 1
        self.model.zero_grad()
        self.state = tuple(leaf.detach() for leaf in self.state)
        y, self.state = self.model(self.words[at : at + STEPS], self.state)
        loss = nn.functional.nll_loss(y, self.words[at + 1 : at + STEPS + 1].view(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
        for weight in self.model.parameters():
            weight.data.add_(weight.grad, alpha=-RATE)
        return loss.item()
