"""Record batches of an Arrow IPC stream that arrives in pieces."""

import io
from collections.abc import Iterator

import pyarrow as pa

from headstart_client.errors import ServiceError


def record_batches(pieces: Iterator[bytes]) -> Iterator[pa.RecordBatch]:
    """The batches, each as soon as it is here.

    Raises:
        ServiceError: it isn't one, or not whole.
    """
    try:
        with pa.ipc.open_stream(io.BufferedReader(_Pieces(pieces), 1 << 16)) as reader:
            yield from reader
    except (pa.ArrowInvalid, OSError) as error:
        raise ServiceError(f"the stream of rows ended early, or is none: {error}") from error


class _Pieces(io.RawIOBase):
    """Bytes to read, from an iterator."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Some bytes, at least one but at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        taken = min(len(buffer), len(self._rest))
        buffer[:taken], self._rest = self._rest[:taken], self._rest[taken:]
        return taken
