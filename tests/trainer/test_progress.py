"""What a program says of how far it is: rates and remaining times of one piece of work after another."""

import time

import pytest

from trainer.progress import progress


def test_other_work_has_a_rate_of_its_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with progress("adapt") as report:
        # As adapt does with cameras: forty pictures in twenty seconds, and then training.
        for moment, done, total, note in (
            (100.0, 10, 50, "decoding"),
            (120.0, 50, 50, "decoding"),
            (130.0, 0, 200, ""),
            (150.0, 5, 200, "loss 0.5"),
        ):
            now = moment
            report(done, total, note)
    assert [line.strip() for line in capsys.readouterr().err.splitlines()] == [
        "adapt: 10/50 decoding",
        "adapt: 50/50 2/s decoding",
        "adapt: 0/200",
        "adapt: 5/200 0.25/s loss 0.5, 13 min 00 s left",
    ]


def test_work_of_the_same_size_that_begins_anew_is_other_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with progress("adapt") as report:
        for moment, done in ((100.0, 0), (110.0, 50), (120.0, 1), (140.0, 41)):
            now = moment
            report(done, 50)
    said = [line.strip() for line in capsys.readouterr().err.splitlines()]
    assert said == ["adapt: 0/50", "adapt: 50/50 5/s", "adapt: 1/50", "adapt: 41/50 2/s , 4 s left"]
