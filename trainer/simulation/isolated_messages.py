"""What passes between an isolated task and its process: MessagePack, in which an array is its type, shape and bytes."""

from multiprocessing.connection import Connection
from typing import Any

import msgpack
import numpy as np


def send(connection: Connection, message: Any) -> None:
    """Sends maps, lists, text, numbers and numeric arrays."""
    connection.send_bytes(msgpack.packb(message, default=_packed))


def receive(connection: Connection) -> Any:
    """The next message. Raises EOFError where the other side is gone."""
    return msgpack.unpackb(connection.recv_bytes(), object_hook=_unpacked)


def _packed(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    array = np.ascontiguousarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{type(value).__name__} is no numbers")
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": array.tobytes()}


def _unpacked(value: dict[str, Any]) -> Any:
    if value.keys() != {"dtype", "shape", "data"}:
        return value
    return np.frombuffer(value["data"], value["dtype"]).reshape(value["shape"]).copy()
