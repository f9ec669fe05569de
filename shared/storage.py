"""Where a dataset lies: a directory here, or an object store.

The one implementation is headstart_client.data.storage.
"""

from headstart_client.data.storage import LocalStorage, Location, Storage, absolute, map_file, open_storage

__all__ = ["LocalStorage", "Location", "Storage", "absolute", "map_file", "open_storage"]
