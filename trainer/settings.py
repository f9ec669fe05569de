"""What a user sets, checked by name before anything is touched."""

import math
from collections.abc import Sequence
from typing import Any, get_args, get_type_hints

from shared.errors import ConfigError


def check_number(
    name: str,
    value: float | None,
    least: float | None = None,
    most: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
    whole: bool = False,
) -> None:
    """Raises ConfigError where a setting is no finite number in its range; None passes: it is not set.

    Args:
        name: of the setting, for the message.
        value: of it.
        least, most: of the range, which these belong to.
        above, below: likewise, but these do not.
        whole: whether it must be an integer.
    """
    if value is None:
        return
    wanted = [
        f"{word} {_shown(bound)}"
        for word, bound in (("at least", least), ("above", above), ("at most", most), ("below", below))
        if bound is not None
    ]
    # Not for numpy's: they go into JSON nowhere.
    right = isinstance(value, int if whole else int | float) and not isinstance(value, bool) and math.isfinite(value)
    if (
        not right
        or (least is not None and value < least)
        or (most is not None and value > most)
        or (above is not None and value <= above)
        or (below is not None and value >= below)
    ):
        kind = "an integer" if whole else "a finite number"
        raise ConfigError(f"{name} is {value!r}; it must be {kind}{', ' if wanted else ''}{' and '.join(wanted)}")


def check_numbers(
    name: str,
    values: Sequence[float],
    count: int,
    least: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
) -> None:
    """Raises ConfigError where a setting is not `count` numbers that `check_number` takes."""
    if not isinstance(values, Sequence) or len(values) != count:
        raise ConfigError(f"{name} is {values!r}; it must be {count} number{'' if count == 1 else 's'}")
    for value in values:
        check_number(name, value, least, above=above, below=below)


def check_choices(config: Any) -> None:
    """Raises ConfigError where a field with named choices has none of them."""
    for name, hint in get_type_hints(type(config)).items():
        choices = get_args(hint)
        if choices and all(isinstance(choice, str) for choice in choices) and getattr(config, name) not in choices:
            raise ConfigError(f"{name} is {getattr(config, name)!r}; it must be one of {', '.join(choices)}")


def _shown(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"
