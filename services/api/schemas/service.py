"""Bodies of the service itself."""

from typing import Literal

from pydantic import BaseModel

from services.api.schemas.fields import field


class HealthBody(BaseModel):
    """The service answers."""

    status: Literal["ok"] = field("that it is well; what is not is a problem body", "ok", default="ok")


class VersionBody(BaseModel):
    """Versions of the service and of what shapes its datasets' bytes."""

    version: str = field("of the service", "0.1.0")
    generator_version: int = field("raised whenever the same request gives other rows", 3, "1")
    schema_version: str = field("of the rows' columns", "2.0")
    libraries: dict[str, str] = field("of what rows are made with", {"numpy": "2.4.6", "pyarrow": "26.0.1"})
