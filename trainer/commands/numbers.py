"""Numbers on a command line, with commas between them."""

from shared.errors import ConfigError


def read_numbers(name: str, text: str) -> list[float]:
    """The numbers of an option of this name, such as 3,1. Raises ConfigError where they are none."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{name} is {text!r}; it must be numbers with commas between them, such as 3,1") from None
