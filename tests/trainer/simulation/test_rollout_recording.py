"""`evaluate --record --player`: the recording and the page's file hold what the rollouts did."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.recordings import rows
from tests.trainer.simulation.test_gymnasium_task import policy_of, written
from trainer.commands import demonstrate
from trainer.evaluation.kept_rollouts import Keep
from trainer.evaluation.results import Where, evaluate
from trainer.progress import silent
from trainer.simulation import rollout as rollout_module
from trainer.simulation.rollout import Rollout


def test_the_first_rollouts_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, demos, file = written(tmp_path), tmp_path / "demos.hdf5", tmp_path / "seen" / "rollouts.rrd"
    player = tmp_path / "seen" / "rollouts.json"
    demonstrate.run(str(task), demos, successes=3, size=36)
    policy = policy_of(demos, tmp_path, 2)
    ended: dict[int, Rollout] = {}

    def remembered(**fields: object) -> Rollout:
        result = Rollout(**fields)  # type: ignore[arg-type]
        return ended.setdefault(result.seed, result)

    monkeypatch.setattr(rollout_module, "Rollout", remembered)
    evaluate(tmp_path / "policy", str(task), 5, 7, silent, where=Where(keep=Keep(record=file, player=player)))

    lines = (tmp_path / "policy" / "rollouts-tool.jsonl").read_text().splitlines()
    steps = {line["seed"]: line["steps"] for line in map(json.loads, lines)}
    assert sorted(steps) == [7, 8, 9, 10, 11]
    for seed in (7, 8, 9, 10):
        command, result = rows(file, f"rollout/{seed}/command"), ended[seed]
        assert np.allclose(command["time"], np.arange(steps[seed]) / 20, atol=1e-9)
        assert np.array_equal(command["Scalars:scalars"], result.commands)
        predicted = rows(file, f"rollout/{seed}/predicted")
        for number, chunk in enumerate(result.chunks):
            at = [place for place, count in enumerate(predicted["chunk"]) if count == number]
            begins = number * policy.n_action_steps
            assert np.allclose([predicted["time"][place] for place in at], (begins + np.arange(len(chunk))) / 20)
            assert np.array_equal([predicted["Scalars:scalars"][place] for place in at], chunk)
        pictures = rows(file, f"rollout/{seed}/camera/onlooker", "EncodedImage:blob")
        assert np.allclose(pictures["time"], np.arange(steps[seed] + 1) / 20, atol=1e-9)
    with pytest.raises(KeyError):
        rows(file, "rollout/11/command")

    read = json.loads(player.read_text())
    policy_said = {"run": "policy", "checkpoint_step": 2, "basis": policy.directions, "held": True}
    assert read["policy"] == policy_said | {"n_action_steps": policy.n_action_steps}
    assert [(one["seed"], one["steps"]) for one in read["rollouts"]] == [(seed, steps[seed]) for seed in (7, 8, 9, 10)]
    for one in read["rollouts"]:
        reached, commanded = one["reached"]["ee_position"], one["commanded"]["ee_position"]
        # This tool follows at once.
        np.testing.assert_allclose(reached[1:], commanded, atol=1e-5)
        assert [chunk["step"] for chunk in one["predicted"]] == list(range(0, one["steps"], policy.n_action_steps))
        shown = one["demonstrated"]
        assert (shown["success"], shown["ee_position"][0]) == (True, reached[0])
        assert shown["ee_position"][-1][0] == pytest.approx(0.4, abs=0.005)
