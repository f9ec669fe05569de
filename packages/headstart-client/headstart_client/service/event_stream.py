"""Server-sent events (text/event-stream) of a job, from the lines of a response."""

import json
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager

import httpx

from headstart_client.errors import ServiceError
from headstart_client.service.job import Event


def events_of(connect: Callable[[], AbstractContextManager[httpx.Response]]) -> Generator[Event]:
    """The events of a response, which is opened with the first one.

    Raises:
        ServiceError: it is no event stream of ours.
        httpx.TransportError: it breaks off, or ends. After a job's last event nobody asks for another.
    """
    with connect() as response:
        if response.status_code == 204:
            return
        fields: dict[str, str] = {}
        for line in response.iter_lines():
            name, _, value = line.partition(":")
            if name:
                # A field given twice goes on in a new line; a comment has no name.
                value = value.removeprefix(" ")
                fields[name] = f"{fields[name]}\n{value}" if name in fields else value
            elif not line and "data" in fields:
                yield _event(fields)
                fields = {}
    raise httpx.ReadError("the events ended before the job did")


def _event(fields: dict[str, str]) -> Event:
    try:
        return Event(fields["id"], fields["event"], dict(json.loads(fields["data"])))
    except (KeyError, ValueError, TypeError) as error:
        raise ServiceError(f"the service sent an event that can't be read: {fields!r:.200}") from error
