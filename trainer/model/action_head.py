"""The action head: a backbone and its conditioning, and which of the two is trained."""

from collections.abc import Iterator

from torch import Tensor, nn

from trainer.config import Mode, PredictionType
from trainer.model.backbones import Backbone
from trainer.model.conditioning import Conditioning
from trainer.model.modes import MODES


class ActionHead(nn.Module):
    """Predicts the noise in noisy actions, or what else its `prediction_type` says, from timestep and condition.

    Attributes:
        backbone: what Stage 1 trains and Stage 2 freezes.
        conditioning: what Stage 2 trains.
        prediction_type: what its output is (config.HeadConfig).
    """

    def __init__(
        self, backbone: Backbone, conditioning: Conditioning, prediction_type: PredictionType = "epsilon"
    ) -> None:
        super().__init__()
        self.prediction_type = prediction_type
        self.backbone = backbone
        self.conditioning = conditioning
        self._frozen = False

    def forward(self, noisy: Tensor, timesteps: Tensor, condition: Tensor, pictures: tuple[Tensor, ...] = ()) -> Tensor:
        """The prediction.

        Args:
            noisy: normalized actions with noise, (batch, horizon, action_dim).
            timesteps: (batch,), integers, or of flow matching real numbers, both from 0 to DIFFUSION_STEPS - 1.
            condition: (batch, condition_dim).
            pictures: what each camera saw, (batch, n_picture_steps, height, width, 3) uint8.

        Returns:
            Like `noisy`.
        """
        time = self.backbone.time_encoder(timesteps)
        predicted: Tensor = self.backbone(noisy, self.conditioning(time, self.conditioning.encode(condition, pictures)))
        return predicted

    def freeze(self, mode: Mode) -> None:
        """Freezes what `mode` does not train (modes.MODES), as whole modules, which also stay in eval mode."""
        self.requires_grad_(True)
        trained = MODES[mode].trained
        self._frozen = trained != "all"
        if self._frozen:
            self.backbone.requires_grad_(False)
        if trained == "maps":
            for module in self.backbone.maps:
                module.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> "ActionHead":
        """Train mode, except for a frozen backbone: dropout in it would only add noise."""
        super().train(mode)
        if self._frozen:
            self.backbone.eval()
        return self

    def trained_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Name and parameter of everything that is not frozen, in a fixed order."""
        return ((name, value) for name, value in self.named_parameters() if value.requires_grad)
