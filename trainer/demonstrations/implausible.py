"""What demonstrations are found to be if an assumption of their mapping is wrong."""

from trainer.demonstrations.mapping import Assumption


class Implausible(ValueError):
    """Demonstrations that can't be meant as the mapping reads them.

    Attributes:
        assumption: which assumption is in doubt.
        certain: whether it is contradicted, rather than unlikely.
        some: whether only some episodes contradict it, which the message names; all of them together do not.
    """

    def __init__(self, assumption: Assumption, message: str, *, certain: bool = True, some: bool = False) -> None:
        super().__init__(message)
        self.assumption, self.certain, self.some = assumption, certain, some
