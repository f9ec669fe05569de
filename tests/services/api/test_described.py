"""The OpenAPI document says of everything what it is, in which unit, and what it looks like."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.api.schemas.requests import _SAID
from services.synthesis.request.trajectory_request import TrajectoryRequest

UNITS = {
    *("m", "rad", "s", "Hz", "deg", "bytes", "1/s", "m/s", "rad or m", "rad/s or m/s", "1, rad", "steps"),
    *("count", "index", "1", "mixed"),
}


@pytest.fixture(scope="module")
def document(api: httpx.Client) -> dict[str, Any]:
    body: dict[str, Any] = api.get("/openapi.json").json()
    return body


def properties(place: str, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property of every schema below a value, with where it is."""
    if isinstance(value, dict):
        if "properties" in value and value.get("type") == "object":
            for name, schema in value["properties"].items():
                yield f"{place}.{name}", schema
        for key, item in value.items():
            # What examples look like is their schema's.
            if key not in ("examples", "example", "default"):
                yield from properties(f"{place}/{key}", item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from properties(f"{place}/{index}", item)


def numeric(schema: Any, document: dict[str, Any]) -> bool:
    """Whether there may be a number in what a schema describes."""
    if not isinstance(schema, dict):
        return False
    if "$ref" in schema:
        target = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return any(numeric(part, document) for part in target.get("properties", {}).values())
    if schema.get("type") in ("integer", "number"):
        return True
    parts = [schema.get("items"), schema.get("additionalProperties")]
    parts += [part for key in ("anyOf", "oneOf", "allOf", "prefixItems") for part in schema.get(key, ())]
    return any(numeric(part, document) for part in parts)


def test_every_property_has_a_description_an_example_and_its_unit(document: dict[str, Any]) -> None:
    found = dict(properties("", document))
    assert len(found) > 150
    assert [place for place, schema in found.items() if not schema.get("description")] == []
    assert [place for place, schema in found.items() if not schema.get("examples")] == []
    numbers = {place: schema.get("x-unit") for place, schema in found.items() if numeric(schema, document)}
    assert len(numbers) > 80
    assert {place: unit for place, unit in numbers.items() if unit not in UNITS} == {}


def test_every_parameter_and_operation_has_a_description(document: dict[str, Any]) -> None:
    lacking = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            lacking += [f"{method} {path}"] if not operation.get("description") else []
            lacking += [
                f"{method} {path} {parameter['name']}"
                for parameter in operation.get("parameters", ())
                if not parameter.get("description")
            ]
    assert lacking == []


def test_examples_are_of_their_type(document: dict[str, Any]) -> None:
    kinds: dict[str, Any] = {
        "integer": int,
        "number": (int, float),
        "string": str,
        "boolean": bool,
        "array": list,
        "object": dict,
    }
    for place, schema in properties("", document):
        if "type" in schema:
            assert all(isinstance(example, kinds[schema["type"]]) for example in schema["examples"]), place
        if "enum" in schema:
            assert set(schema["examples"]) <= set(schema["enum"]), place


def test_examples_of_a_request_make_one() -> None:
    said = {name: example for name, (example, _) in _SAID["TrajectoryRequest"].items()}
    assert TrajectoryRequest.parse(said).count == 2000
    for workspace in ("Box", "Poses"):
        inherited = _SAID["Extent"] if workspace == "Box" else {}
        example = {name: example for name, (example, _) in {**inherited, **_SAID[workspace]}.items()}
        body = {"robot": "panda", "count": 1, "workspace": {"kind": workspace.lower(), **example}}
        assert TrajectoryRequest.parse(body).workspace.kind == workspace.lower()
