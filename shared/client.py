"""The HTTP client of the service (docs/client.md).

The one implementation is headstart_client.service.client.
"""

from headstart_client.service.client import Client

__all__ = ["Client"]
