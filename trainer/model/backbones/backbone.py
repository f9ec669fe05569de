"""What every backbone is, so that conditioning, freezing and saving need not know which one it is."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainer.model.backbones.time_encoder import Sinusoid


class Backbone(nn.Module):
    """Input maps, blocks, final norm, output head and time encoder: what Stage 1 trains and Stage 2 freezes.

    Attributes:
        time_encoder: timesteps to the vectors that the conditioning is given.
        signal_widths: last dimension of each signal that `forward` takes, in order. A signal is one vector for the
            window, (batch, width), or one for each token that the blocks attend to, (batch, tokens, width).
    """

    time_encoder: Sinusoid
    signal_widths: tuple[int, ...]

    @property
    @abstractmethod
    def maps(self) -> tuple[nn.Module, ...]:
        """What maps actions into the blocks and out of them: all that the modes `*_body` train of a backbone."""

    def open_signals(self) -> tuple[Tensor, ...]:
        """Signals (width,) that modulate nothing and let every block have its full effect: zero, and one for gates."""
        return tuple(torch.zeros(width) for width in self.signal_widths)

    @abstractmethod
    def forward(self, noisy: Tensor, signals: Sequence[Tensor]) -> Tensor:
        """The head's output.

        Args:
            noisy: normalized actions with noise, (batch, horizon, action_dim).
            signals: from the conditioning, one for each of `signal_widths`.

        Returns:
            Like `noisy`.
        """


def open_gates(signal_width: int, width: int) -> Tensor:
    """An open signal (signal_width,) of [shift, scale, gate], once or more, each of `width` numbers."""
    signal = torch.zeros(signal_width // (3 * width), 3, width)
    signal[:, 2] = 1
    return signal.flatten()
