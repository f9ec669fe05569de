"""Jobs that a service has forgotten: their data stay where they are, and are a job again once they are asked for."""

from pathlib import Path

from services.jobs.errors import StorageError


class ForgottenJobs:
    """A folder with an empty file for each, so that the next start does not take them for jobs."""

    def __init__(self, folder: Path) -> None:
        """Opens the folder, which is made with the first."""
        self._folder = folder

    def ids(self) -> set[str]:
        """The ids of all forgotten jobs. Raises OSError."""
        return {path.name for path in self._folder.iterdir()} if self._folder.is_dir() else set()

    def add(self, job_id: str) -> None:
        """Notes one. Raises StorageError."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / job_id).touch()
        except OSError as error:
            raise StorageError(f"no job can be forgotten: {error.strerror}; see the folder of --state") from error

    def remove(self, job_id: str) -> None:
        """Makes one a job again. Raises OSError."""
        (self._folder / job_id).unlink(missing_ok=True)
