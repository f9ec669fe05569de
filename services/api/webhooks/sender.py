"""Calls the webhooks of jobs that have ended."""

import logging
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import anyio
import httpx
from anyio.abc import TaskGroup
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from services.api.schemas.webhooks import WebhookBody
from services.api.webhooks.addresses import CheckedTransport, RefusedAddressError, check_url
from services.api.webhooks.store import Webhook, WebhookStore
from services.jobs import JobQueue, UnknownJobError
from shared.webhook_signature import signed_headers

_LOOK_EVERY_S = 0.2
_AFTER_FAULT_S = 30.0
_CALL_S = 15.0
"""That a receiver may take to answer."""
_AT_ONCE = 16
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 3600.0

_log = logging.getLogger(__name__)


class WebhookSender:
    """The webhooks of a service. `add` may be called from any thread, `run` is for the event loop."""

    def __init__(
        self, folder: Path, jobs: JobQueue, *, key: bytes, seconds: float, most: int, allow_private: bool
    ) -> None:
        """Takes up those that were not called yet.

        Args:
            folder: where they are kept.
            jobs: that they are about.
            key: that signs the calls.
            seconds: how long one is tried again.
            most: that may wait.
            allow_private: whether they may be of this machine and its network.
        """
        self._store, self._jobs = WebhookStore(folder, most), jobs
        self._key, self._seconds, self._allow_private = key, seconds, allow_private
        self._sending: set[str] = set()
        self._at_once = anyio.Semaphore(_AT_ONCE)

    async def check(self, url: str) -> None:
        """Raises RefusedAddressError if a webhook must not have this URL."""
        await check_url(url, self._allow_private)

    def add(self, job_id: str, url: str) -> None:
        """Has a URL called when a job has ended, at once if it has. Raises TooManyWebhooksError, OSError."""
        self._store.add(job_id, url)

    async def run(self) -> None:
        """Calls them as their jobs end, until it is cancelled. What was not called by then is called the next time."""
        transport = CheckedTransport(self._allow_private)
        async with (
            httpx.AsyncClient(transport=transport, timeout=_CALL_S, trust_env=False) as http,
            anyio.create_task_group() as group,
        ):
            while True:
                try:
                    await self._begin(http, group)
                except Exception:
                    # The service goes on without webhooks rather than not at all.
                    _log.exception("webhooks can't be called now; trying again in %.0f s", _AFTER_FAULT_S)
                    await anyio.sleep(_AFTER_FAULT_S)
                await anyio.sleep(_LOOK_EVERY_S)

    async def _begin(self, http: httpx.AsyncClient, group: TaskGroup) -> None:
        """Begins to call those whose jobs have ended. Raises OSError."""
        for hook in self._store.all():
            # Looked up: one may have been called since the last was seen to.
            if hook.id in self._store and hook.id not in self._sending:
                seen = await self._see(hook)
                if seen is not None:
                    self._sending.add(hook.id)
                    group.start_soon(self._deliver, seen, http)

    async def _see(self, hook: Webhook) -> Webhook | None:
        """A webhook with what it is to tell, or None while its job goes on. Forgets one whose job is gone.

        Raises OSError.
        """
        if hook.body:
            return hook
        try:
            job = self._jobs.job(hook.job_id)
        except UnknownJobError:
            # Deleted before this was noticed: what became of it is not known any more.
            await anyio.to_thread.run_sync(self._store.remove, hook)
            return None
        body = WebhookBody.of(job, datetime.now(UTC))
        if body is None:
            return None
        # As it is now, whatever becomes of the job until somebody answers.
        seen = replace(hook, body=body.model_dump_json())
        await anyio.to_thread.run_sync(self._store.keep, seen)
        return seen

    async def _deliver(self, hook: Webhook, http: httpx.AsyncClient) -> None:
        """Calls one until it is answered as it should be, or is given up. Then forgets it."""
        # tenacity: pauses that grow, with a jitter, and a limit of the whole, well tested. httpx itself tries again
        # only what could not connect.
        tries = AsyncRetrying(
            sleep=anyio.sleep,
            stop=stop_after_delay(self._seconds),
            wait=wait_exponential_jitter(initial=_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S),
            retry=retry_if_exception_type(httpx.HTTPError),
            reraise=True,
        )
        try:
            await tries(self._call, hook, http)
        except Exception as error:
            expected = isinstance(error, (httpx.HTTPError, RefusedAddressError))
            _log.warning(
                "the webhook %s of job %s is given up: %s", hook.url, hook.job_id[:12], error, exc_info=not expected
            )
        try:
            await anyio.to_thread.run_sync(self._store.remove, hook)
        except OSError as error:
            _log.warning("a webhook that was called can't be forgotten; the next start calls it again: %s", error)
        self._sending.discard(hook.id)

    async def _call(self, hook: Webhook, http: httpx.AsyncClient) -> None:
        """One try. Raises httpx.HTTPError, RefusedAddressError."""
        body = hook.body.encode()
        headers = {"Content-Type": "application/json", "User-Agent": "headstart"}
        headers |= signed_headers(self._key, hook.id, time.time(), body)
        async with self._at_once, http.stream("POST", hook.url, content=body, headers=headers) as response:
            # What it says is of no use, and might have no end.
            if not response.is_success:
                raise httpx.HTTPStatusError(
                    f"it answered {response.status_code}", request=response.request, response=response
                )
