"""Webhooks that are still to be called, in a folder, so that a service that is started again calls them."""

import hashlib
import json
import logging
import os
import threading
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.errors import HeadstartError

_log = logging.getLogger(__name__)


class TooManyWebhooksError(HeadstartError):
    """So many are waiting that no more are taken."""


@dataclass(frozen=True)
class Webhook:
    """A call that is to be made when a job has ended.

    Attributes:
        id: of the call, the same for each try.
        job_id: of the job.
        url: to call.
        body: what to send; empty until the job has ended.
    """

    id: str
    job_id: str
    url: str
    body: str = ""


class WebhookStore:
    """A folder with a file for each. Every method may be called from any thread."""

    def __init__(self, folder: Path, most: int) -> None:
        """Reads those there are; the folder is made with the first. At most so many are taken. Raises OSError."""
        self._folder, self._most = folder, most
        self._changing = threading.Lock()
        self._hooks = {hook.id: hook for hook in map(_read, sorted(folder.glob("*.json"))) if hook is not None}

    def all(self) -> list[Webhook]:
        """Those that are still to be called."""
        return list(self._hooks.values())

    def __contains__(self, hook_id: object) -> bool:
        """Whether one of this id is still to be called."""
        return hook_id in self._hooks

    def add(self, job_id: str, url: str) -> None:
        """Takes one, unless the same waits for this job already. Raises TooManyWebhooksError, OSError."""
        with self._changing:
            if any((hook.job_id, hook.url, hook.body) == (job_id, url, "") for hook in self._hooks.values()):
                return
            if len(self._hooks) >= self._most:
                raise TooManyWebhooksError(f"{self._most} webhooks are waiting already; submit without one, or later")
            self._keep(Webhook(f"msg_{uuid.uuid4().hex}", job_id, url))

    def keep(self, hook: Webhook) -> None:
        """Keeps one as it is now. Raises OSError."""
        with self._changing:
            self._keep(hook)

    def remove(self, hook: Webhook) -> None:
        """Forgets one: it was called, or is given up. Raises OSError."""
        with self._changing:
            self._hooks.pop(hook.id, None)
            self._path(hook).unlink(missing_ok=True)

    def _keep(self, hook: Webhook) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f"{uuid.uuid4().hex}.part"
        part.write_text(json.dumps(asdict(hook)))
        os.replace(part, self._path(hook))
        self._hooks[hook.id] = hook

    def _path(self, hook: Webhook) -> Path:
        return self._folder / f"{hashlib.sha256(hook.id.encode()).hexdigest()}.json"


def _read(path: Path) -> Webhook | None:
    try:
        return Webhook(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        _log.warning("a webhook is left out: %s is damaged: %s", path, error)
        return None
