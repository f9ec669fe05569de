"""Settings of the service, from HEADSTART_* environment variables and the command line, which goes first."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.api_keys import keys_of
from shared.errors import ConfigError, DatasetFormatError
from shared.storage import LocalStorage, open_storage
from shared.webhook_signature import key_of


def _location(value: Any) -> Any:
    """A path, or the URI of a prefix in an object store, which as a path would be a folder called "s3:" here."""
    if "://" not in str(value):
        return Path(value)
    try:
        storage = open_storage(str(value))
    except DatasetFormatError as error:
        raise ValueError(str(error)) from None
    return storage.root if isinstance(storage, LocalStorage) else storage.where


def _signs(secret: SecretStr) -> SecretStr:
    key_of(secret.get_secret_value())
    return secret


class Settings(BaseSettings):
    """How the service runs.

    Attributes:
        data: folder of the datasets, or the URI of a prefix in an object store.
        state: folder of uploaded robots, motions files and idempotency keys; by default the data folder.
        host: address to listen on.
        port: to listen on; 0 takes a free one.
        engine: where shards are made; not inline, where nothing could be cancelled in time.
        workers: shards at once; by default one for each core.
        api_key: that callers must send as a bearer key.
        api_key_file: holds such keys, one a line; made, with a random key, if missing.
        max_rows: trajectories in one job.
        max_shards: files in one job.
        max_jobs: that are kept, ended ones too.
        forget_jobs: whether the oldest one that has ended is forgotten for one more, but not its data; else no more are
            taken.
        max_queued_jobs: of them, those that may wait.
        max_running_jobs: of them, those whose shards take turns; the others wait.
        max_body_bytes: of a request's body; a summary of demonstrations has at most 2 MiB.
        body_seconds: a body may take to arrive.
        max_robots: that may be uploaded.
        max_robot_bytes: of an uploaded robot.
        max_motions: motions files that may be uploaded.
        max_streams: calls that last (streams, events, downloads of shards, waiting for them) at once.
        min_free_bytes: disk space that no job is to use up.
        preview_seconds: a preview may take.
        webhook_secret: that calls to webhooks are signed with, `whsec_` and at least 24 bytes in base64; without one
            there are none.
        webhook_allow_private: whether webhooks may be of this machine and its network.
        webhook_seconds: that a webhook is tried again for.
        max_webhooks: that may wait for their job, or to be called again.
        preview_processes: that make previews, at once; started when they are needed. Previews that will take long
            leave one of them to the others.
    """

    model_config = SettingsConfigDict(env_prefix="HEADSTART_", frozen=True)

    data: Annotated[Path | str, BeforeValidator(_location)] = Path("data")
    state: Path | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    engine: Literal["process", "ray"] = "ray"
    workers: Annotated[int, Field(ge=1)] | None = None
    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    max_rows: Annotated[int, Field(ge=1)] = 1_000_000_000
    max_shards: Annotated[int, Field(ge=1)] = 1_000_000
    max_jobs: Annotated[int, Field(ge=1)] = 1000
    forget_jobs: bool = True
    max_queued_jobs: Annotated[int, Field(ge=1)] = 100
    max_running_jobs: Annotated[int, Field(ge=1)] = 16
    max_body_bytes: Annotated[int, Field(ge=1)] = (2 << 20) + 65536
    body_seconds: Annotated[float, Field(gt=0)] = 30.0
    max_robots: Annotated[int, Field(ge=0)] = 200
    max_robot_bytes: Annotated[int, Field(ge=1)] = 32 << 20
    max_motions: Annotated[int, Field(ge=0)] = 200
    max_streams: Annotated[int, Field(ge=1)] = 200
    min_free_bytes: Annotated[int, Field(ge=0)] = 256 << 20
    preview_seconds: Annotated[float, Field(gt=0)] = 20.0
    webhook_secret: Annotated[SecretStr, AfterValidator(_signs)] | None = None
    webhook_allow_private: bool = False
    webhook_seconds: Annotated[float, Field(gt=0)] = 86400.0
    max_webhooks: Annotated[int, Field(ge=1)] = 1000
    preview_processes: Annotated[int, Field(ge=1, le=64)] = 3

    @classmethod
    def read(cls, **given: Any) -> "Settings":
        """Settings with those `given` that are not None in place of the environment's. Raises ConfigError."""
        try:
            return cls(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise ConfigError(f"setting {name} (--{name} or HEADSTART_{name.upper()}): {first['msg']}") from None

    @property
    def state_folder(self) -> Path:
        """Where `state` is kept. Raises ConfigError if that is nowhere."""
        if self.state is None and not isinstance(self.data, Path):
            raise ConfigError(
                f"{self.data} is for datasets; say with --state DIR (or HEADSTART_STATE) where uploaded robots and "
                "idempotency keys are kept"
            )
        return Path(self.state or self.data)

    def keys(self) -> tuple[str, ...]:
        """The keys of which callers must send one; none if none is asked for.

        Raises:
            ConfigError: there is none although other machines can reach the service, or they can't be used.
        """
        key = self.api_key.get_secret_value() if self.api_key else None
        return keys_of(self.host, key, self.api_key_file)
