"""Backbones of the action heads: what Stage 1 trains and Stage 2 freezes."""

from collections.abc import Callable

from shared.errors import ConfigError
from trainer.config import CONDITIONINGS, ConditioningName, HeadConfig
from trainer.model.backbones.backbone import Backbone
from trainer.model.backbones.mlp import DpMlp
from trainer.model.backbones.transformer import DpT
from trainer.model.backbones.unet import DpC

__all__ = ["Backbone", "add_backbone", "build_backbone"]

_BACKBONES: dict[str, Callable[[HeadConfig, int], Backbone]] = {
    "dp_mlp": DpMlp,
    "dp_c": DpC,
    "dp_t": DpT,
    "dp_t_film": DpT,
}


def build_backbone(config: HeadConfig, action_dim: int) -> Backbone:
    """A backbone with fresh weights for actions of `action_dim` numbers."""
    return _BACKBONES[config.head](config, action_dim)


def add_backbone(
    name: str, build: Callable[[HeadConfig, int], Backbone], conditionings: tuple[ConditioningName, ...]
) -> None:
    """Makes a backbone of your own known in this process, for configs and checkpoints that name it.

    A checkpoint holds the name, not the code: whoever loads it has to add the backbone first.

    Args:
        name: that `HeadConfig.head` has.
        build: its class, or whatever makes one from a config and the numbers of an action.
        conditionings: those that it takes.

    Raises:
        ConfigError: the name is another backbone's.
    """
    if _BACKBONES.get(name, build) is not build:
        raise ConfigError(f"there is a head {name!r} already; name yours otherwise")
    _BACKBONES[name], CONDITIONINGS[name] = build, conditionings
