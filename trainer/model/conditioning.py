"""The conditioning: what Stage 2 trains. It turns timestep and condition into a signal for each of a backbone's blocks.

Two kinds. A VectorConditioning reads one vector of [time, features] and gives each block one vector: modulation of some
form, which the block knows. A TokenConditioning reads one token of the time and one for each step of the condition, and
gives each block keys and values of these tokens. Either ends in one projection, of which Stage 2 keeps Stage 1's bias
and the columns that read the time, and starts the others at zero: a backbone as it was pretrained, which knows how
noisy its input is and is blind to the observation.
"""

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.config import HeadConfig
from trainer.model.backbones import Backbone
from trainer.model.observation import OBSERVATION_WIDTH, LowDimEncoder
from trainer.model.observed_steps import SplitSteps
from trainer.model.projections import LowRankProjection, Projection
from trainer.model.vision import PICTURE_FEATURES, PictureEncoder


class Conditioning(nn.Module):
    """What both kinds share.

    Attributes:
        condition_dim: numbers in the condition that `encode` is given; 0 where there is none.
        widths: of the signals, as `Backbone.signal_widths`.
        vision: pictures to numbers that join the condition, where there are cameras.
        encoder: condition to features; the observation's in Stage 2.
        projection: its last map. One for all blocks: they read the same input, and one product is faster than many.
        time_columns: how many of its first inputs are the encoded time; none where time is a token like others.
    """

    projection: Projection | LowRankProjection
    time_columns = 0

    def __init__(self, backbone: Backbone, condition_dim: int, encoder: nn.Module) -> None:
        super().__init__()
        self.condition_dim = condition_dim
        self.widths = backbone.signal_widths
        self.time_width = backbone.time_encoder.width
        self.encoder = encoder
        self.vision: PictureEncoder | None = None

    def encode(self, condition: Tensor, pictures: tuple[Tensor, ...] = ()) -> Tensor:
        """Condition (batch, condition_dim), and what cameras see beside it, to features.

        Without pictures, a policy with cameras is given a condition that has their features already.
        """
        if self.vision is not None and pictures:
            condition = self.vision(condition, pictures)
        features: Tensor = self.encoder(condition)
        return features

    def forward(self, time: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """Encoded time (batch, time_width) and features to each block's signal."""
        return self.join(self.time_share(time), self.feature_share(features))

    @abstractmethod
    def time_share(self, time: Tensor) -> Tensor:
        """The part of every signal that depends on encoded time (batch, time_width) alone.

        A sampler computes it once for each timestep, and `feature_share` once for each observation.
        """

    @abstractmethod
    def feature_share(self, features: Tensor) -> Tensor:
        """The part of every signal that depends on the features alone."""

    @abstractmethod
    def join(self, time_share: Tensor, feature_share: Tensor) -> tuple[Tensor, ...]:
        """Both parts as each block's signal; the time's may be of one sample, without a batch dimension."""

    def drop_time(self) -> None:
        """Lets go of the weights that `time_share` alone needs; it and `forward` can't be called any more."""

    def kept(self) -> dict[str, Tensor]:
        """What Stage 2 keeps of this projection: what does not depend on the condition."""
        return self.projection.kept(self.time_columns)

    def start_from(self, kept: Mapping[str, Tensor]) -> None:
        """Starts Stage 2 from what `kept` gave of Stage 1's conditioning."""
        self.projection.start_from(kept)

    @torch.no_grad()
    def open_gates(self, backbone: Backbone) -> None:
        """Starts with every block of a backbone in full effect, where the signals would begin at zero.

        Closed, blocks that stay random would begin with no effect, and a gate's gradient alone could open them.
        """
        self.projection.bias.add_(torch.cat(backbone.open_signals()))


class VectorConditioning(Conditioning):
    """Mish, then the projection from [time, features] to every block's vector.

    Without Stage 1 the projection starts at zero, which is harmless where it is an offset from one or from nothing; the
    paper's FiLM would multiply by zero, so there it starts as torch initializes a Linear.
    """

    def __init__(
        self, config: HeadConfig, backbone: Backbone, condition_dim: int, encoder: nn.Module, features: int
    ) -> None:
        """With an encoder that gives (batch, features)."""
        super().__init__(backbone, condition_dim, encoder)
        self.time_columns = self.time_width
        self._first_feature = self.time_width
        inputs = self.time_width + features
        if config.conditioning == "lora_cond":
            width = self.widths[0] // 2
            self.projection = LowRankProjection(inputs, sum(self.widths) // width, width)
        else:
            self.projection = Projection(inputs, sum(self.widths))
        if not config.paper_film:
            self.projection.start_at_zero()

    def forward(self, time: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """As `Conditioning.forward`, in one product."""
        return self._split(self.projection(F.mish(torch.cat([time, features], dim=-1))))

    def time_share(self, time: Tensor) -> Tensor:
        """What the time columns and the bias add to every vector, (batch, sum of widths)."""
        return self.projection.part(F.mish(time), slice(None, self.time_width), bias=True)

    def feature_share(self, features: Tensor) -> Tensor:
        """What the feature columns add to every vector, (batch, sum of widths)."""
        return self.projection.part(F.mish(features), slice(self._first_feature, None), bias=False)

    def drop_time(self) -> None:
        """As `Conditioning.drop_time`: the projection's time columns."""
        self.projection.drop(self._first_feature)
        self._first_feature = 0

    def join(self, time_share: Tensor, feature_share: Tensor) -> tuple[Tensor, ...]:
        """Their sum, as one vector for each block."""
        return self._split(time_share + feature_share)

    def _split(self, vectors: Tensor) -> tuple[Tensor, ...]:
        return torch.split(vectors, list(self.widths), dim=-1)


class TokenConditioning(Conditioning):
    """Tokens of the time and of each condition step: each with its position, through a small network, then projected.

    The projection makes every block's keys and values. In the paper's partition the backbone makes them, and the
    projection is the network's last layer.
    """

    def __init__(
        self, config: HeadConfig, backbone: Backbone, condition_dim: int, encoder: nn.Module, tokens: int
    ) -> None:
        """With an encoder that gives (batch, tokens, width), width being the time encoding's."""
        super().__init__(backbone, condition_dim, encoder)
        width = self.time_width
        self.positions = nn.Parameter(torch.randn(1 + tokens, width) * 0.02)
        layers = [nn.Linear(width, 4 * width), nn.Mish(), nn.Linear(4 * width, width)]
        self.network = nn.Sequential(*(layers[:2] if config.paper_key_values else layers))
        self.projection = Projection(4 * width if config.paper_key_values else width, sum(self.widths))

    def time_share(self, time: Tensor) -> Tensor:
        """The time's token for every block, (batch, 1, sum of widths)."""
        share: Tensor = self.projection(self.network(time[:, None] + self.positions[:1]))
        return share

    def feature_share(self, features: Tensor) -> Tensor:
        """The other tokens for every block, (batch, tokens, sum of widths)."""
        share: Tensor = self.projection(self.network(features + self.positions[1:]))
        return share

    def join(self, time_share: Tensor, feature_share: Tensor) -> tuple[Tensor, ...]:
        """The time's token, then the others, for each block."""
        time_share = time_share.expand(feature_share.shape[0], -1, -1)
        return torch.split(torch.cat([time_share, feature_share], dim=1), list(self.widths), dim=-1)


class StepTokens(nn.Module):
    """A condition of so many steps to one token for each, by one linear map; Stage 1's, without a learned encoder."""

    def __init__(self, condition_dim: int, steps: int, width: int) -> None:
        super().__init__()
        self.steps = steps
        self.width = width
        self.map = nn.Linear(condition_dim // steps, width) if steps else None

    def forward(self, condition: Tensor) -> Tensor:
        """(batch, condition_dim) to (batch, steps, width)."""
        if self.map is None:
            return condition.new_zeros(len(condition), 0, self.width)
        tokens: Tensor = self.map(condition.view(len(condition), self.steps, -1))
        return tokens


def stage1_conditioning(config: HeadConfig, backbone: Backbone, condition_dim: int, steps: int) -> Conditioning:
    """Stage 1's: the condition enters as it is, without a learned encoder, like the paper's.

    Args:
        config: of the head.
        backbone: that it will condition.
        condition_dim: numbers in the condition.
        steps: that they are of, each of which may become a token.
    """
    if config.attends_to_tokens:
        tokens = StepTokens(condition_dim, steps, backbone.time_encoder.width)
        return TokenConditioning(config, backbone, condition_dim, tokens, steps)
    return VectorConditioning(config, backbone, condition_dim, nn.Identity(), condition_dim)


def stage2_conditioning(
    config: HeadConfig,
    backbone: Backbone,
    obs_dim: int,
    kept: Mapping[str, Tensor] | None,
    cameras: int = 0,
    pretrained_vision: bool = False,
    n_picture_steps: int | None = None,
) -> Conditioning:
    """Stage 2's: an observation encoder, and a projection that starts from what is kept of Stage 1's.

    Args:
        config: of the head.
        backbone: that it will condition.
        obs_dim: numbers in the low-dimensional part of one observation step.
        kept: of Stage 1's conditioning; None where there was no Stage 1.
        cameras: whose pictures are seen beside it.
        pretrained_vision: whether their networks are of the kind that begins from a published one.
        n_picture_steps: pictures of each camera that are seen; as many as of numbers where it is None.
    """
    steps, features = config.n_obs_steps, PICTURE_FEATURES * cameras
    picture_steps = n_picture_steps or steps
    inputs = steps * obs_dim + picture_steps * features
    conditioning: Conditioning
    if config.attends_to_tokens:
        split = SplitSteps(steps, obs_dim, picture_steps, features)
        encoder = nn.Sequential(split, LowDimEncoder(split.width, backbone.time_encoder.width))
        conditioning = TokenConditioning(config, backbone, inputs, encoder, max(steps, picture_steps))
    else:
        conditioning = VectorConditioning(config, backbone, inputs, LowDimEncoder(inputs), OBSERVATION_WIDTH)
    if cameras:
        conditioning.vision = PictureEncoder(cameras, steps, pretrained_vision)
    if kept is not None:
        conditioning.start_from(kept)
    return conditioning
