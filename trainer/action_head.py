"""The action head: a backbone and its conditioning, and which of the two is trained."""

from collections.abc import Iterator

from torch import Tensor, nn

from trainer.backbones import DpMlp
from trainer.conditioning import Conditioning
from trainer.config import Mode


class ActionHead(nn.Module):
    """Predicts the noise in noisy actions, given the timestep and a condition."""

    def __init__(self, backbone: DpMlp, conditioning: Conditioning) -> None:
        super().__init__()
        self.backbone = backbone
        self.conditioning = conditioning
        self._frozen: tuple[nn.Module, ...] = ()

    def forward(self, noisy: Tensor, timesteps: Tensor, condition: Tensor) -> Tensor:
        """The noise.

        Args:
            noisy: normalized actions with noise, (batch, horizon, 10).
            timesteps: integers, (batch,).
            condition: (batch, condition_dim).

        Returns:
            Like `noisy`.
        """
        time = self.backbone.time_encoder(timesteps)
        noise: Tensor = self.backbone(noisy, self.conditioning(time, self.conditioning.encode(condition)))
        return noise

    def freeze(self, mode: Mode) -> None:
        """Freezes what `mode` says, as whole modules, which also stay in eval mode.

        `normal` trains everything. `decoupled` and `random_frozen` train the conditioning alone; they differ in
        what the backbone holds. `random_body` also trains the input maps, the final norm and the output head.
        """
        frozen: dict[Mode, tuple[nn.Module, ...]] = {
            "normal": (),
            "decoupled": (self.backbone,),
            "random_frozen": (self.backbone,),
            "random_body": self.backbone.body,
        }
        self.requires_grad_(True)
        self._frozen = frozen[mode]
        for module in self._frozen:
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "ActionHead":
        """Train mode, except for what is frozen: dropout in a frozen module would only add noise."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def trained_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Name and parameter of everything that is not frozen, in a fixed order."""
        return ((name, value) for name, value in self.named_parameters() if value.requires_grad)
