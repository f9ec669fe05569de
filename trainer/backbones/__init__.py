"""Backbones of the action heads: what Stage 1 trains and Stage 2 freezes."""

from trainer.backbones.mlp import DpMlp
from trainer.config import HeadConfig

__all__ = ["DpMlp", "build_backbone"]


def build_backbone(config: HeadConfig) -> DpMlp:
    """A backbone with fresh weights."""
    return DpMlp(config)
