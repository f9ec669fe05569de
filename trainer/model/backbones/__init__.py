"""Backbones of the action heads: what Stage 1 trains and Stage 2 freezes."""

from collections.abc import Callable

from trainer.config import HeadConfig, HeadName
from trainer.model.backbones.backbone import Backbone
from trainer.model.backbones.mlp import DpMlp
from trainer.model.backbones.transformer import DpT
from trainer.model.backbones.unet import DpC

__all__ = ["Backbone", "build_backbone"]

_BACKBONES: dict[HeadName, Callable[[HeadConfig, int], Backbone]] = {
    "dp_mlp": DpMlp,
    "dp_c": DpC,
    "dp_t": DpT,
    "dp_t_film": DpT,
}


def build_backbone(config: HeadConfig, action_dim: int) -> Backbone:
    """A backbone with fresh weights for actions of `action_dim` numbers."""
    return _BACKBONES[config.head](config, action_dim)
