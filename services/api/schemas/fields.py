"""A field of a body, and what the OpenAPI document says of it: what it is, its unit, and an example."""

from typing import Any

from pydantic import BaseModel, Field

UNIT = "x-unit"
"""Of a property's numbers, as a key of its schema: a unit, `count`, `index`, `1` where there is none, or `mixed`."""


_NO_UNITS = ("count", "index", "1", "mixed")


def field(description: str, example: Any, unit: str | None = None, **more: Any) -> Any:
    """A field of a body.

    Args:
        description: what it is.
        example: a value that it could have.
        unit: of its numbers, if it has any; `mixed` where the description says which part has which.
        more: as for pydantic's Field.
    """
    extra: dict[str, Any] = {UNIT: unit} if unit else {}
    return Field(description=with_unit(description, unit), examples=[example], json_schema_extra=extra, **more)


def with_unit(description: str, unit: str | None) -> str:
    """A description that ends with the unit, unless it has it already."""
    if unit is None or unit in _NO_UNITS or f"[{unit}]" in description:
        return description
    return f"{description} [{unit}]"


def schema_components(model: type[BaseModel]) -> dict[str, Any]:
    """A model's schema and those it refers to, as components of an OpenAPI document."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), model.__name__: schema}
