"""Two linear layers with a GELU between them, as in the blocks of the perceptrons and the transformers."""

from torch import nn


class Perceptron(nn.Module):
    """Linear(width, hidden), GELU, Linear(hidden, width), with what subclasses do between and after these.

    `activation` takes what `up` gives, and nothing else takes it: a sampler may compute both in one operation
    (trainer.model.packed_linear), after which `activation` passes on what it is given.
    """

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden)
        self.activation: nn.Module = nn.GELU()
        self.down = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)
