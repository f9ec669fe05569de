"""Server-sent events (text/event-stream) of a job, from the lines of responses: after a break, of a new one."""

import json
from collections.abc import Generator, Iterator

import httpx

from headstart_client.errors import ServiceError
from headstart_client.service.connection import Connection, Patience
from headstart_client.service.job import LAST_STATES, Event


def follow_events(connection: Connection, patience: Patience, path: str, after: str) -> Iterator[Event]:
    """See Client.events. A service that goes away is waited for, and asked for what came since."""
    stream: Generator[Event] | None = None
    ended = False

    def following() -> Event | None:
        """The next event; (re)connects."""
        nonlocal stream
        try:
            if stream is None:
                stream = _events_of_response(connection, path, after)
            return next(stream, None)
        except (httpx.TransportError, ServiceError):
            stream = None
            raise

    try:
        while not ended:
            event = connection.patiently(following, patience)
            if event is None:
                return
            after = event.id
            ended = event.kind == "state" and event.data["state"] in LAST_STATES
            yield event
    finally:
        if stream is not None:
            stream.close()


def _events_of_response(connection: Connection, path: str, after: str) -> Generator[Event]:
    """The events of one response, which is asked for with the first one.

    Raises:
        ServiceError: it is no event stream of ours.
        httpx.TransportError: it breaks off, or ends. After a job's last event nobody asks for another.
    """
    with connection.open(path, {"Last-Event-ID": after} if after else {}) as response:
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
