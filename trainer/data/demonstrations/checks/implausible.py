"""What demonstrations are found to be if an assumption of their mapping is wrong."""

from collections.abc import Mapping as Dict
from collections.abc import Sequence

from trainer.data.demonstrations.mapping.mapping import Assumption

Ranges = Dict[str, Dict[str, Sequence[float]]]
"""That positions and joints must lie in, each with `min` and `max`, as in dataset.json."""


class Implausible(ValueError):
    """Demonstrations that can't be meant as the mapping reads them.

    Attributes:
        assumption: which assumption is in doubt.
        certain: whether it is contradicted, rather than unlikely.
        some: whether only some episodes contradict it, which the message names; all of them together do not.
        remedy: what to do, where that is known already.
    """

    def __init__(
        self,
        assumption: Assumption,
        message: str,
        *,
        certain: bool = True,
        some: bool = False,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message)
        self.assumption, self.certain, self.some, self.remedy = assumption, certain, some, remedy
