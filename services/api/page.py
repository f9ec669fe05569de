"""The page at `/`, and `/docs` beside it: a table of files, made once. No path of a call reaches the file system."""

import base64
import gzip
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated

from fastapi import APIRouter, Header, Response
from starlette.exceptions import HTTPException

_FOLDER = "/page/"
_KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
_COMPRESSED_FROM = 1024
_IMPORT_MAP = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)

router = APIRouter()


@dataclass(frozen=True)
class _PageFile:
    """A file of the page.

    Attributes:
        content: its bytes.
        kind: its media type.
    """

    content: bytes
    kind: str

    @cached_property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()}"'

    @cached_property
    def compressed(self) -> bytes:
        return gzip.compress(self.content, mtime=0)


def _found(folder: Traversable, path: str) -> Iterator[tuple[str, _PageFile]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _found(item, f"{path}{item.name}/")
        elif (kind := _KINDS.get(item.name[item.name.rfind(".") :])) is not None:
            yield f"{path}{item.name}", _PageFile(item.read_bytes(), kind)


_FILES = dict(_found(files("services.page"), _FOLDER))
_INDEX = _FILES.pop(f"{_FOLDER}index.html")
_DOCS = _FILES.pop(f"{_FOLDER}docs.html")
PATHS = frozenset({"/", "/docs", *_FILES})
"""Answered without a key: a browser can't send one before the page has asked for it."""


def _policy() -> str:
    """The page's Content-Security-Policy: nothing from other hosts, and no inline script but the import map."""
    match = _IMPORT_MAP.search(_INDEX.content.decode())
    assert match, "index.html has an import map"
    digest = base64.b64encode(hashlib.sha256(match[1].encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


_HEADERS = {
    "Content-Security-Policy": _policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Asked for again each time, which costs a 304: the page and its modules are always of one version.
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}
_Known = Annotated[str | None, Header(alias="If-None-Match")]
_Encodings = Annotated[str | None, Header(alias="Accept-Encoding")]


@router.get("/", include_in_schema=False)
def get_page(known: _Known = None, encodings: _Encodings = None) -> Response:
    """The page."""
    return _answer(_INDEX, known, encodings)


@router.get("/docs", include_in_schema=False)
def get_docs(known: _Known = None, encodings: _Encodings = None) -> Response:
    """The OpenAPI document to browse, and its operations to try."""
    return _answer(_DOCS, known, encodings)


@router.get(_FOLDER + "{name:path}", include_in_schema=False)
def get_page_file(name: str, known: _Known = None, encodings: _Encodings = None) -> Response:
    """A file of the page, by its place in the table."""
    file = _FILES.get(_FOLDER + name)
    if file is None:
        raise HTTPException(404)
    return _answer(file, known, encodings)


def _answer(file: _PageFile, known: str | None, encodings: str | None) -> Response:
    headers = {**_HEADERS, "ETag": file.etag}
    if known is not None and file.etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    content = file.content
    if len(content) >= _COMPRESSED_FROM and "gzip" in (encodings or ""):
        content = file.compressed
        headers["Content-Encoding"] = "gzip"
    return Response(content, media_type=file.kind, headers=headers)
