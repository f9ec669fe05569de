import gc
import weakref
from dataclasses import fields
from pathlib import Path

import pytest

from services.catalogue import ARMS, Arm
from services.catalogue import robot_registry as shelf
from services.catalogue.robot_registry import RobotRegistry
from shared.storage import Storage


def test_uploaded_robots_in_memory_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class OwnArm(Arm):
        """One that can be referred to weakly."""

    read: list[str] = []
    alive: list[weakref.ref[Arm]] = []

    def read_robot(storage: Storage) -> Arm:
        arm = OwnArm(**{field.name: getattr(ARMS["panda"], field.name) for field in fields(Arm)})
        read.append(Path(storage.where).name)
        alive.append(weakref.ref(arm))
        return arm

    monkeypatch.setattr(shelf, "read_robot", read_robot)
    names = [f"arm-{number:012x}" for number in range(40)]
    for name in names:
        (tmp_path / name).mkdir()
    robots = RobotRegistry(tmp_path, 100)
    for name in names:
        assert robots.find(name) is robots.find(name)
    assert read == names
    gc.collect()
    assert sum(one() is not None for one in alive) == 16
    # The last ones are kept, the first is read anew.
    robots.find(names[-1])
    robots.find(names[0])
    assert read == [*names, names[0]]
