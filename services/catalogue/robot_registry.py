"""The robots of a service: the catalogue's, and those that were uploaded to it."""

import functools
import os
import re
import shutil
import threading
import uuid
from pathlib import Path

from services.catalogue import ARMS, Arm
from services.catalogue.robot_folder import OWN_NAME, read_robot, write_robot
from shared.errors import RobotError
from shared.storage import open_storage

_READ = 16
"""Uploaded robots kept in memory, those used last."""


class UnknownRobotError(RobotError):
    """There is no such robot."""


class RegistryFullError(RobotError):
    """No more robots are taken."""


class RobotRegistry:
    """A folder with a directory for each uploaded robot. Every method may be called from any thread."""

    def __init__(self, folder: Path, most: int) -> None:
        """Opens a folder, which is made with the first robot; it takes `most` of them."""
        self._folder = folder
        self._most = most
        self._read = functools.lru_cache(maxsize=_READ)(self._stored)
        self._changing = threading.Lock()

    def names(self) -> list[str]:
        """Names of every robot, the catalogue's first."""
        uploaded = os.listdir(self._folder) if self._folder.is_dir() else []
        return sorted(ARMS) + sorted(name for name in uploaded if re.fullmatch(OWN_NAME, name))

    def find(self, name: str) -> Arm:
        """The robot called `name`. Raises UnknownRobotError, or RobotError if what was uploaded is damaged."""
        if name in ARMS:
            return ARMS[name]
        if not re.fullmatch(OWN_NAME, name) or not (self._folder / name).is_dir():
            raise UnknownRobotError(
                f"unknown robot {name!r}; the catalogue has {', '.join(sorted(ARMS))}, and POST /v1/robots takes others"
            )
        return self._read(name)

    def _stored(self, name: str) -> Arm:
        return read_robot(open_storage(self._folder / name))

    def add(self, arm: Arm) -> bool:
        """Keeps a robot; False if it was there. Raises RegistryFullError, OSError."""
        with self._changing:
            if (self._folder / arm.name).is_dir():
                return False
            if len(self.names()) - len(ARMS) >= self._most:
                raise RegistryFullError(f"{self._most} robots were uploaded already; delete one first")
            # Whole or not there: a folder of this name is made in one step.
            part = self._folder / f".{uuid.uuid4().hex}"
            try:
                write_robot(open_storage(part), arm)
                os.rename(part, self._folder / arm.name)
            finally:
                shutil.rmtree(part, ignore_errors=True)
            return True

    def remove(self, name: str) -> None:
        """Forgets an uploaded robot; datasets keep their own copy. Raises UnknownRobotError, OSError."""
        with self._changing:
            if name in ARMS or name not in self.names():
                raise UnknownRobotError(f"no robot called {name!r} was uploaded")
            self._read.cache_clear()
            # First out of sight.
            part = self._folder / f".{uuid.uuid4().hex}"
            os.rename(self._folder / name, part)
            shutil.rmtree(part, ignore_errors=True)
