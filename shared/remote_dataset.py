"""A job's dataset over HTTP, finished or growing, read like one on disk.

The one implementation is headstart_client.data.remote_dataset.
"""

from headstart_client.data.remote_dataset import RemoteDataset, open_dataset

__all__ = ["RemoteDataset", "open_dataset"]
