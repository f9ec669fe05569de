"""Calls to others' servers when a job has ended: signed, tried again, and never to addresses of the own network."""

from services.api.webhooks.addresses import RefusedAddressError
from services.api.webhooks.documented import documented_webhooks
from services.api.webhooks.sender import WebhookSender
from services.api.webhooks.store import TooManyWebhooksError

__all__ = ["RefusedAddressError", "TooManyWebhooksError", "WebhookSender", "documented_webhooks"]
