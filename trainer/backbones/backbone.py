"""What every backbone is, so that conditioning, freezing and saving need not know which one it is."""

from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from trainer.backbones.time_encoder import Sinusoid


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
        """What maps actions into the blocks and out of them: all that mode `random_body` trains of a backbone."""

    @abstractmethod
    def forward(self, noisy: Tensor, signals: Sequence[Tensor]) -> Tensor:
        """The head's output.

        Args:
            noisy: normalized actions with noise, (batch, horizon, action_dim).
            signals: from the conditioning, one for each of `signal_widths`.

        Returns:
            Like `noisy`.
        """
