"""Recordings read back with Rerun's own reader: what is in them is what was executed."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from headstart_client import ArmLimits, Command, Executor
from headstart_client.events import Event
from headstart_client.recording import Recording
from tests.recordings import rows

LIMITS = ArmLimits(*([value] * 2 for value in (-1.5, 1.5, 2.0, 10.0, 200.0)))  # type: ignore[arg-type]


def test_commands_chunks_limits_events_and_pictures_are_what_was_executed(tmp_path: Path) -> None:
    file, sent = tmp_path / "run.rrd", list[Command]()
    executor = Executor(LIMITS, np.zeros(2), rate_hz=500, policy_rate_hz=20)
    chunks = [np.sin(np.arange(begin, begin + 16)[:, None] / 10) * [0.3, -0.3, 1.0] for begin in (0, 8)]
    picture = np.full((8, 12, 3), [200, 30, 60], np.uint8)
    demonstrated = np.linspace(0, 1, 10)[:, None] * [0.2, 0.4]
    with Recording(file, limits=LIMITS, joint_names=["a", "b"]) as recording:
        for tick in range(1, 751):
            if tick in (1, 201):
                executor.offer(chunks[tick > 1], (tick - 1) * executor.period)
                recording.chunk(chunks[tick > 1], (tick - 1) * executor.period, executor.step_s)
                recording.picture("front", picture, (tick - 1) * executor.period)
            sent.append(executor.tick(tick * executor.period))
            recording.command(sent[-1])
        recording.demonstration(demonstrated, 0.05)
        recording.events(executor.events)
        recording.events(executor.events)

    times = [command.time for command in sent]
    for name in ("position", "velocity", "acceleration"):
        commanded = rows(file, f"command/{name}")
        assert np.allclose(commanded["time"], times, atol=1e-9)
        assert np.array_equal(commanded["Scalars:scalars"], [getattr(command, name) for command in sent])
    told = [(command.time, [command.gripper]) for command in sent if command.gripper is not None]
    grippers = rows(file, "command/gripper")
    assert np.allclose(grippers["time"], [moment for moment, _ in told], atol=1e-9)
    assert grippers["Scalars:scalars"] == [gripper for _, gripper in told]
    predicted = rows(file, "predicted")
    for number, (chunk, begins) in enumerate(zip(chunks, (0.0, 0.4), strict=True)):
        at = [place for place, count in enumerate(predicted["chunk"]) if count == number]
        assert np.allclose([predicted["time"][place] for place in at], begins + 0.05 * np.arange(16), atol=1e-9)
        assert np.array_equal([predicted["Scalars:scalars"][place] for place in at], chunk)
    assert rows(file, "limits/upper") == {"time": [0.002, 1.5], "Scalars:scalars": [[1.5, 1.5]] * 2}
    assert np.array_equal(rows(file, "demonstration")["Scalars:scalars"], demonstrated)
    said = rows(file, "events", "TextLog:text")
    assert [text[0].partition(":")[0] for text in said["TextLog:text"]] == [event.kind for event in executor.events]
    assert rows(file, "camera/front", "EncodedImage:blob")["time"] == [0.0, 0.4]


def test_a_runner_records_what_it_sends(tmp_path: Path) -> None:
    file, sent = tmp_path / "live.rrd", list[Command]()
    executor = Executor(LIMITS, np.zeros(2), rate_hz=100, policy_rate_hz=20)
    answers: list[NDArray[np.float64]] = []

    def observe() -> dict[str, Any]:
        return {"joint": np.zeros((2, 2)), "front": np.zeros((2, 4, 6, 3), np.uint8)}

    def policy(observation: Any, prefix: Any) -> NDArray[np.float64]:
        answers.append(0.2 * np.sin(2 * (time.monotonic() + np.arange(40) / 20))[:, None] * np.ones(2))
        if len(answers) == 5:
            runner.stop()
        return answers[-1]

    with Recording(file, limits=LIMITS) as recording:
        runner = recording.runner(executor, policy, observe, sent.append, ask_every_s=0.05)
        runner.run()
    assert np.array_equal(rows(file, "command/position")["Scalars:scalars"], [one.position for one in sent])
    predicted = rows(file, "predicted")
    assert sorted(set(predicted["chunk"])) == list(range(5))
    assert len(rows(file, "camera/front", "EncodedImage:blob")["time"]) == 5
    said = rows(file, "events", "TextLog:text")["TextLog:text"]
    assert sorted(text[0] for text in said) == sorted(f"{event.kind}: {event.reason}" for event in executor.events)
    last = [value for value, count in zip(predicted["Scalars:scalars"], predicted["chunk"], strict=True) if count == 4]
    assert np.array_equal(last, answers[4])


@pytest.mark.parametrize("nonsense", ["nonsense", [], [[0.0], [0.0, 1.0]], np.zeros((0, 2)), np.zeros(2), None])
def test_an_answer_that_is_no_chunk_is_refused_as_without_a_recording(nonsense: Any, tmp_path: Path) -> None:
    """It ended the run: the recording looked at it before the executor did."""
    executor, asked = Executor(LIMITS, np.zeros(2), rate_hz=100, policy_rate_hz=20), list[Any]()

    def policy(observation: Any, prefix: Any) -> Any:
        asked.append(nonsense if len(asked) == 1 else np.full((40, 2), 0.01))
        if len(asked) > 3 and refused():
            runner.stop()
        return asked[-1]

    def refused() -> list[str]:
        said = ("it is no array", "its shape is")
        return [event.reason for event in executor.events if event.reason.startswith(said)]

    with Recording(tmp_path / "nonsense.rrd") as recording:
        seen = {"front": [], "depth": np.zeros((2, 4, 6, 2), np.uint8), "ragged": [[1], [1, 2]]}
        runner = recording.runner(executor, policy, lambda: seen, lambda command: None, ask_every_s=0.05)
        runner.run()
    assert len(refused()) == 1
    assert sorted(set(rows(tmp_path / "nonsense.rrd", "predicted")["chunk"])) == [0, *range(2, len(asked))]


def test_events_of_one_moment_and_of_several_executors_are_recorded_once(tmp_path: Path) -> None:
    one = [Event(1.0, "followed", "a"), Event(1.0, "slowed", "b")]
    other = [Event(0.5, "followed", "c")]
    with Recording(tmp_path / "events.rrd") as recording:
        recording.events(one[:1])
        recording.events(one)
        recording.events(other)
        recording.events([*one, Event(0.9, "unanswered", "d")])
    said = rows(tmp_path / "events.rrd", "events", "TextLog:text")["TextLog:text"]
    assert sorted(text[0] for text in said) == ["followed: a", "followed: c", "slowed: b", "unanswered: d"]
