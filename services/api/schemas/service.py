"""Bodies of the service itself."""

from typing import Literal

from pydantic import BaseModel

from services.api.schemas.said import said


class HealthBody(BaseModel):
    """The service answers."""

    status: Literal["ok"] = said("that it is well; what is not is a problem body", "ok", default="ok")


class VersionBody(BaseModel):
    """Versions of the service and of what shapes its datasets' bytes."""

    version: str = said("of the service", "0.1.0")
    generator_version: int = said("raised whenever the same request gives other rows", 3, "1")
    schema_version: str = said("of the rows' columns", "2.0")
    libraries: dict[str, str] = said("of what rows are made with", {"numpy": "2.4.6", "pyarrow": "26.0.1"})
