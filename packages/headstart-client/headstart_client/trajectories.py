"""The rows of a dataset as Python sees them: by their place, one after the other, as a table, or as a picture."""

import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import pyarrow as pa

from headstart_client.data.commits import DatasetState
from headstart_client.data.dataset import StoredDataset
from headstart_client.data.follow import wait_for_shards
from headstart_client.data.manifest import Commit, DatasetHeader
from headstart_client.data.remote_dataset import RemoteDataset
from headstart_client.data.row import row_of
from headstart_client.errors import ServiceError
from headstart_client.service.client import Client

if TYPE_CHECKING:
    import datasets
    import ray.data
    from matplotlib.figure import Figure

MAX_WAIT_S = 600.0


class Trajectories:
    """All rows of a dataset, finished or growing; row n is trajectory_id n.

    A row that is not there yet is waited for, up to ten minutes for each new shard (DatasetStalledError). A row is a
    dict by the names of columns (docs/data-format.md): scalars as they are, T samples as arrays (T, width), or (T,)
    where they are of one number.

    Close it, or use it as a context manager, to end its connections to a service; what was not fetched until then can't
    be read afterwards.
    """

    def __init__(self, source: StoredDataset | RemoteDataset, client: Client | None = None) -> None:
        """Takes the dataset, of files here or of a service, and the client that `close` closes."""
        self.source, self._client = source, client
        self._state = DatasetState("growing")
        self._read: tuple[int, pa.Table] | None = None

    @property
    def header(self) -> DatasetHeader:
        """What the dataset is: its request, robot, rate."""
        return self.source.header

    def __len__(self) -> int:
        return self.header.count

    @overload
    def __getitem__(self, row: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, row: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, row: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        """One row, from the end where `row` is negative, or those of a slice. Raises IndexError beyond the last."""
        if isinstance(row, slice):
            return [self[place] for place in range(*row.indices(len(self)))]
        place = row + len(self) if row < 0 else row
        if not 0 <= place < len(self):
            raise IndexError(f"there are trajectories 0 to {len(self) - 1}, not {row}")
        shard, place = divmod(place, self.header.shard_rows)
        if self._read is None or self._read[0] != shard:
            self._read = shard, self.source.read_shard(self._commit(shard))
        return row_of(self._read[1], place)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for table in self.tables():
            for place in range(table.num_rows):
                yield row_of(table, place)

    def close(self) -> None:
        """Ends its connections."""
        if self._client is not None:
            self._client.close()

    def __enter__(self) -> "Trajectories":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{len(self)} trajectories of {self.header.robot.name}, {self.header.dataset_id[:12]}>"

    def tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """The rows shard by shard, with these columns or all of them; lists are flat, as docs/data-format.md says."""
        for index in range(self.header.shards):
            yield self.source.read_shard(self._commit(index), columns)

    def table(self, columns: list[str] | None = None) -> pa.Table:
        """All rows as one table."""
        return pa.concat_tables(self.tables(columns))

    def files(self) -> list[Path]:
        """The Parquet files of all shards, in the order of their rows, on this machine.

        Raises DatasetError for a dataset in an object store.
        """
        return [self.source.shard_path(self._commit(index).index) for index in range(self.header.shards)]

    def hugging_face(self) -> "datasets.IterableDataset":
        """The rows for Hugging Face `datasets`, which has to be installed: streamed from the files, without a copy."""
        from datasets import load_dataset

        return load_dataset("parquet", data_files=[str(file) for file in self.files()], split="train", streaming=True)

    def ray_data(self) -> "ray.data.Dataset":
        """The rows for Ray Data (`ray[data]`). In order only where its option `preserve_order` is set."""
        import ray.data

        return ray.data.read_parquet([str(file) for file in self.files()])

    def show(self, row: int = 0) -> "Figure":
        """Draws a row: each joint between its limits, and the path of the tool (extra [plot]; a notebook shows it)."""
        from headstart_client.drawing import draw_row

        return draw_row(self.header.robot, self[row])

    def open_page(self) -> str:
        """Opens the service's page of this dataset, with its player, in a browser; returns its URL.

        Raises ServiceError where no service made it.
        """
        if not isinstance(self.source, RemoteDataset):
            raise ServiceError("these trajectories lie in files, so no service has a page of them; use show(row)")
        webbrowser.open(self.source.page)
        return self.source.page

    def _commit(self, index: int) -> Commit:
        """That of shard `index`, once it is there."""
        if self._state.watermark <= index:
            self._state = wait_for_shards(self.source, index + 1, max_wait=MAX_WAIT_S)
        return self._state.commits[index]
