"""Datasets of trajectories, read without torch: in a directory, an object store, or a job of a service."""

try:
    import pyarrow  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "reading trajectories needs pyarrow: pip install 'headstart-client[data]'", name=error.name
    ) from error
