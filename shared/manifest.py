"""What a dataset says of itself.

The one implementation is headstart_client.data.manifest.
"""

from headstart_client.data.manifest import Commit, DatasetHeader, Manifest, Ranges, State, Totals

__all__ = ["Commit", "DatasetHeader", "Manifest", "Ranges", "State", "Totals"]
