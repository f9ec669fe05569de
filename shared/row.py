"""One row of a dataset as arrays.

The one implementation is headstart_client.data.row.
"""

from headstart_client.data.row import read_row

__all__ = ["read_row"]
