"""Answers that are made while they are sent, and may turn out impossible."""

import logging

import pyarrow as pa
from fastapi.responses import StreamingResponse
from starlette.types import Send

from shared.errors import HeadstartError

_log = logging.getLogger(__name__)


class AbortingResponse(StreamingResponse):
    """Cut where it can't go on: an orderly end would pass for the whole of it."""

    async def stream_response(self, send: Send) -> None:
        """Called by Starlette."""
        try:
            await super().stream_response(send)
        except (HeadstartError, OSError, pa.ArrowException) as error:
            _log.warning("an answer is cut: %s", error)
