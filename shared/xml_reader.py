"""Reads XML that may come from strangers: no document type, bounded in size, depth and elements, with line numbers."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from shared.errors import RobotError

MAX_BYTES = 4 << 20
"""Greatest size of a document; robots with two arms and two hands have 0.1 MB."""
MAX_ELEMENTS = 100_000
MAX_DEPTH = 64


@dataclass
class Element:
    """An element without its text.

    Attributes:
        tag: its name.
        attributes: by name.
        line: on which it begins, from 1.
        children: in document order.
    """

    tag: str
    attributes: dict[str, str]
    line: int
    children: list["Element"] = field(default_factory=list)

    def all(self, tag: str) -> Iterator["Element"]:
        """The children called `tag`."""
        return (child for child in self.children if child.tag == tag)

    def below(self, tag: str) -> Iterator["Element"]:
        """Every element called `tag` in it, however deep."""
        left = [self]
        while left:
            element = left.pop()
            if element.tag == tag:
                yield element
            left += element.children

    def first(self, tag: str) -> "Element | None":
        """The first child called `tag`."""
        return next(self.all(tag), None)


def read_xml(content: bytes, where: str) -> Element:
    """The root element of a UTF-8 document.

    A document type is refused, and with it every entity but XML's own five: none can be expanded, and none can name
    a file or an address.

    Args:
        content: the document.
        where: how messages call it.

    Raises:
        RobotError: naming the line.
    """
    if len(content) > MAX_BYTES:
        raise RobotError(f"{where}: has {len(content):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RobotError(f"{where}, line {line}: is not UTF-8 ({error.reason}); save it as UTF-8") from None
    reader = _Reader(where)
    try:
        reader.parser.Parse(content, True)
    except expat.ExpatError as error:
        raise RobotError(f"{where}, line {error.lineno}: is not XML: {expat.ErrorString(error.code)}") from None
    return reader.document.children[0]


class _Reader:
    """Collects the elements that expat finds. Keeps a stack of its own, so that nothing recurses."""

    def __init__(self, where: str) -> None:
        # Given here, the encoding goes before whatever the document says of itself.
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.document = Element("", {}, 0)
        self._where = where
        self._open = [self.document]
        self._count = 0

    def _doctype(self, *_: object) -> None:
        self._refuse("has a document type (<!DOCTYPE), which is not read; remove it")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS:
            self._refuse(f"has more than {MAX_ELEMENTS:,} elements")
        if len(self._open) > MAX_DEPTH:
            self._refuse(f"has elements nested more than {MAX_DEPTH} deep")
        element = Element(tag, attributes, self.parser.CurrentLineNumber)
        self._open[-1].children.append(element)
        self._open.append(element)

    def _end(self, _: str) -> None:
        self._open.pop()

    def _refuse(self, why: str) -> None:
        raise RobotError(f"{self._where}, line {self.parser.CurrentLineNumber}: {why}")
