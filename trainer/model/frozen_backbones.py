"""Frozen backbones that several heads share, each in memory once."""

import copy
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable
from itertools import chain
from typing import Any, NamedTuple

import torch

from trainer.model.backbones import Backbone
from trainer.model.compute_copy import compute_copy
from trainer.model.packed_linear import PackedLayers, pack_linear


class _Prepared(NamedTuple):
    """What of the weights is prepared already, for one device and type."""

    copies: dict[int, Any]
    packed: PackedLayers


class FrozenBackbones:
    """Gives each backbone once, to whatever number of heads and samplers ask for it.

    Only those who make heads and samplers need it: once it is let go, what these do not use is freed.
    """

    def __init__(self) -> None:
        self._loaded: dict[Hashable, Backbone] = {}
        self._prepared = defaultdict[tuple[torch.device, torch.dtype], _Prepared](lambda: _Prepared({}, {}))

    def get(self, key: Hashable, load: Callable[[], Backbone], own: Collection[str] = ()) -> Backbone:
        """The backbone of a key, loaded where it is the first that is asked for.

        Args:
            key: the same for those that are alike in weights and shape.
            load: makes it.
            own: names of weights that the caller will fill with values of its own. It gets a backbone in which these
                are not shared, and all others are.
        """
        if key not in self._loaded:
            self._loaded[key] = load()
        held = self._loaded[key]
        if not own:
            return held
        weights = chain(held.named_parameters(), held.named_buffers())
        # What deepcopy takes for copied already.
        return copy.deepcopy(held, {id(value): value for name, value in weights if name not in own})

    def prepared(self, backbone: Backbone, device: torch.device, dtype: torch.dtype, rows: int) -> Backbone:
        """A backbone as a sampler computes with it: a copy in `dtype` (compute_copy), packed for so many rows.

        Weights that were prepared before are shared, also with backbones that have some of their own.
        """
        copies, packed = self._prepared[device, dtype]
        copied = compute_copy(backbone, dtype, copies=copies)
        pack_linear(copied, rows, packed)
        return copied
