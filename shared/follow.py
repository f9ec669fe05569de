"""A dataset as a reader sees it, finished or still growing.

The one implementation is headstart_client.data.follow.
"""

from headstart_client.data.follow import ShardSource, wait_for_shards

__all__ = ["ShardSource", "wait_for_shards"]
