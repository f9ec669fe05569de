"""Bodies of calls to webhooks."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from services.api.schemas.fields import field
from services.api.schemas.jobs import ProgressBody
from services.jobs import Job

_ID = "ddb63e148085beb81746ac52d9b8bb749329bde8672c03ebb72a0879519c4807"


class EndedJobBody(BaseModel):
    """A job that has ended."""

    id: str = field("the job's id", _ID)
    state: Literal["succeeded", "failed", "cancelled"] = field("how it ended", "succeeded")
    reason: str = field("why it failed, or empty", "")
    progress: ProgressBody = field("how far it was", {"count": 2000, "accepted": 2000}, "mixed")
    path: str = field("path of the job on the service", f"/v1/jobs/{_ID}")


class WebhookBody(BaseModel):
    """What a webhook is told."""

    type: Literal["job.succeeded", "job.failed", "job.cancelled"] = field("what happened", "job.succeeded")
    timestamp: str = field("when it was noticed (ISO 8601, UTC)", "2026-11-30T11:38:06.641474+00:00")
    data: EndedJobBody = field("the job; see EndedJobBody", {"id": _ID, "state": "succeeded", "reason": ""}, "mixed")

    @classmethod
    def of(cls, job: Job, at: datetime) -> "WebhookBody | None":
        """What to tell of a job that has ended; None of one that has not."""
        state = job.state
        if state not in ("succeeded", "failed", "cancelled"):
            return None
        data = {
            "id": job.id,
            "state": state,
            "reason": job.reason,
            "progress": vars(job.progress),
            "path": f"/v1/jobs/{job.id}",
        }
        return cls.model_validate({"type": f"job.{state}", "timestamp": at.isoformat(), "data": data})
