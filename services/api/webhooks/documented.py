"""Webhooks in the OpenAPI document. Nothing here is ever called: it says what receivers are sent."""

from fastapi import APIRouter

from services.api.schemas.webhooks import WebhookBody

documented_webhooks = APIRouter(tags=["jobs"], responses={"4XX": {"description": "The call is made again later"}})


@documented_webhooks.post("/job-ended", operation_id="job_ended", status_code=204)
def job_ended(body: WebhookBody) -> None:
    """A job has ended, of which this URL was given as `webhook`. Signed as Standard Webhooks has it.

    Headers: `webhook-id`, the same for each try; `webhook-timestamp`, seconds since 1970; `webhook-signature`, `v1,`
    and the HMAC-SHA256, in base64, of id, timestamp and body with dots between them. Any 2xx answer will do; whatever
    else is tried again.
    """
