"""The same rows and windows in every Python, whatever its built-in `sum` does with rounding errors."""

import builtins
import math
from collections.abc import Iterable
from typing import Any

import pytest

from services.synthesis.request.demonstrated_chains import Chains, demonstrated_chains
from services.synthesis.request.keep_outs import HalfSpace
from shared.plain_sum import plain_sum
from shared.summary import DemonstrationSummary
from tests.shared.summary_example import DOWN, example_summary
from trainer.data.shares import shares_of


def _sum_of_python_3_12(values: Iterable[Any], start: Any = 0) -> Any:
    """Floats without rounding errors between them; all else one by one."""
    given = [start, *values]
    if any(isinstance(value, float) for value in given):
        return math.fsum(given)
    total = given[0]
    for value in given[1:]:
        total = total + value
    return total


@pytest.fixture(params=["the sum of this Python", "the sum of Python 3.12"], autouse=True)
def _either_sum(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "the sum of Python 3.12":
        monkeypatch.setattr(builtins, "sum", _sum_of_python_3_12)


def test_numbers_are_added_one_by_one() -> None:
    assert plain_sum([0.1] * 10) == 0.9999999999999999
    assert plain_sum(x for x in (1e16, 1.0, -1e16)) == 0.0
    assert plain_sum([]) == 0.0


def test_a_keep_outs_normal() -> None:
    solid = HalfSpace(kind="half_space", normal=(0.1, 0.6, 0.8), offset=0.0)
    assert solid.unit_normal == (0.0995037190209989, 0.5970223141259934, 0.7960297521679912)


def test_the_times_of_a_demonstrations_parts() -> None:
    assert _chains().time[-7:].tolist() == [0.0, 0.0, 0.8, 0.5, 0.6000000000000001, 0.4, 0.4]


def test_the_shares_of_sets() -> None:
    assert shares_of([0.1, 0.3, 0.7], 3) == (0.09090909090909091, 0.2727272727272727, 0.6363636363636362)


def _chains() -> Chains:
    """Of a demonstration that carries something by three places between."""
    body = example_summary()
    x = [0.45, 0.45, 0.45, 0.45, 0.45, 0.5, 0.55, 0.55]
    z = [0.25, 0.1, 0.1, 0.2, 0.21, 0.22, 0.2, 0.12]
    body["chains"] = [
        {
            "position": [[x, y, z] for x, y, z in zip(x, [0.0, 0.0, 0.0, 0.0, 0.1, 0.1, 0.1, 0.1], z, strict=True)],
            "quat_xyzw": [DOWN] * 8,
            "duration": [0.8, 0.0, 0.5, 0.1, 0.2, 0.3, 0.4],
            "dwell": [0.0, 0.2, 0.4, 0.0, 0.0, 0.0, 0.0, 0.5],
            "gripper": [-1.0, -1.0, 1.0, 1.0, 1.0, 1.0, 1.0, -1.0],
        }
    ]
    return demonstrated_chains(DemonstrationSummary.from_json(body))
