"""The modes of Stage 2: the whole factorial of what the backbone starts from, and what of it is trained.

| the backbone starts | nothing of it is trained | its maps are | all of it is |
|---|---|---|---|
| from Stage 1 | decoupled | pretrained_body | finetune |
| at random | random_frozen | random_body | normal |

The conditioning is new and trained in every mode. Where the backbone starts from Stage 1, the conditioning's projection
keeps Stage 1's bias and time columns.
"""

from dataclasses import dataclass
from typing import Literal

from trainer.config import Mode


@dataclass(frozen=True)
class ModeTraits:
    """What sets a mode apart.

    Attributes:
        pretrained: whether the backbone starts from Stage 1; else at random values.
        trained: what of the backbone is trained: nothing, its maps (`Backbone.maps`), or all.
    """

    pretrained: bool
    trained: Literal["nothing", "maps", "all"]

    @property
    def freezes(self) -> bool:
        """Whether something of the backbone stays as it started."""
        return self.trained != "all"


MODES: dict[Mode, ModeTraits] = {
    "decoupled": ModeTraits(pretrained=True, trained="nothing"),
    "pretrained_body": ModeTraits(pretrained=True, trained="maps"),
    "finetune": ModeTraits(pretrained=True, trained="all"),
    "normal": ModeTraits(pretrained=False, trained="all"),
    "random_body": ModeTraits(pretrained=False, trained="maps"),
    "random_frozen": ModeTraits(pretrained=False, trained="nothing"),
}
"""In the order of tables."""
