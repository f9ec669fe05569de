"""Bodies of errors."""

from pydantic import BaseModel

from services.api.schemas.fields import field

_DETAIL = "input should be greater than or equal to 1"


class ProblemItem(BaseModel):
    """One thing that is wrong."""

    pointer: str = field(
        "JSON pointer into the request's body, or /query/name, /path/name, /header/name; empty for the whole body",
        "/count",
    )
    detail: str = field("what is wrong there, and what to do", _DETAIL)


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = field(
        "URI of the kind of error, to tell errors apart by; about:blank where the status says it all",
        "urn:headstart:problem:request",
    )
    title: str = field("the status in words", "Unprocessable Entity")
    status: int = field("HTTP status of the answer", 422, "1")
    detail: str = field("what is wrong, and what to do", "the request is not valid")
    errors: list[ProblemItem] = field(
        "each thing that is wrong, where there are several or it has a place",
        [{"pointer": "/count", "detail": _DETAIL}],
    )
