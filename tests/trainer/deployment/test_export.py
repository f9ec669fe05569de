"""Exported programs, run by the script of docs/policies.md alone, against our own policy."""

import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from shared.errors import CheckpointError, ConfigError
from tests.pages import ROOT, blocks, commands, runnable
from tests.trainer.example import HEADS, RANGE, make_demonstrations, training
from trainer.config import AdaptConfig, PredictionType
from trainer.deployment.export import export_policy
from trainer.deployment.policy import Policy, _hash
from trainer.model.diffusion import sample, sampling_steps
from trainer.stages.adapt import adapt

PAGE = "docs/policies.md"
SCRIPT = blocks(PAGE, "python")[2]
RNG = np.random.default_rng(0)


def run_script(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The script's names, after it has run where `exported` lies."""
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(SCRIPT, names)
    return names


def differences(
    run: Path,
    names: dict[str, Any],
    cameras: dict[str, tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
    directions: int | None = None,
    rng: np.random.Generator = RNG,
) -> float:
    """Between the script's actions and the policy's, from the same noise, for batches of 1 and 5."""
    policy, worst = Policy.load(run, precision="fp32", directions=directions), 0.0
    for robots in (1, 5):
        seen = rng.uniform(-1, 1, (robots, policy.n_obs_steps, 9)).astype(np.float32)
        shapes = {name: (robots, policy.n_picture_steps, *size, 3) for name, size in cameras.items()}
        pictures = {name: rng.integers(0, 256, shape, np.uint8) for name, shape in shapes.items()}
        crops = policy._seen(pictures, robots)
        keys = np.array([_hash(one, *crop) for one, *crop in zip(seen, *crops, strict=True)])
        noise = torch.from_numpy(policy._noise(keys, 0))
        given = [torch.from_numpy(pictures[name]) for name in cameras]
        with torch.inference_mode():
            made = names["act"](torch.from_numpy(seen), given, noise).numpy()
            answer = policy(seen, pictures)
            with monkeypatch.context() as plain:
                plain.setitem(names["about"], "action", "as denoised")
                for name in ("rot6d_to_matrix", "matrix_to_rot6d"):
                    plain.setattr(f"trainer.deployment.policy.{name}", lambda rows: rows)
                raw = names["act"](torch.from_numpy(seen), given, noise).numpy()
                worst = max(worst, float(np.abs(raw - policy(seen, pictures)).max()))
        # A head that was hardly trained often ends with nearly parallel rows, which tell no rotation to 1e-5.
        off = np.abs(made - answer)
        parallel = np.linalg.norm(np.cross(raw[..., 3:6], raw[..., 6:9]), axis=-1) < 0.1
        assert not parallel.all()
        off[..., 3:9][parallel] = 0
        worst = max(worst, float(off.max()))
    return worst


def devices(folder: Path) -> list[str]:
    """Operations of exported programs that name a device."""
    programs = [torch.export.load(path).graph for path in sorted(folder.glob("*.pt2"))]
    assert len(programs) == 2
    nodes = [node for graph in programs for node in graph.nodes]
    tied = [node for node in nodes if "device" in node.kwargs or "autocast" in str(node.target)]
    return [str(node.target) for node in tied + [n for n in nodes if any(isinstance(a, torch.device) for a in n.args)]]


@pytest.mark.parametrize(
    ("name", "prediction"),
    [
        ("dp_mlp-adaln_zero", "epsilon"),
        ("dp_c-film", "sample"),
        ("dp_t-prefix", "v_prediction"),
        ("dp_c-adaln_zero", "flow"),
    ],
)
def test_the_pages_script_gives_the_policys_actions(
    name: str, prediction: PredictionType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = replace(HEADS[name], prediction_type=prediction)
    config = AdaptConfig(mode="random_body", head=head, training=training(3))
    adapt(tmp_path / "run", make_demonstrations(), config, action_range=RANGE)
    export_policy(tmp_path / "run", tmp_path / "exported", bundle=True)
    script = run_script(tmp_path, monkeypatch)
    assert 1 <= np.linalg.matrix_rank(script["about"]["projection"]) < 16
    assert differences(tmp_path / "run", script, {}, monkeypatch) < 1e-5
    export_policy(tmp_path / "run", tmp_path / "exported", bundle=True, directions=0)
    script = run_script(tmp_path, monkeypatch)
    assert script["about"]["projection"] is None
    assert differences(tmp_path / "run", script, {}, monkeypatch, directions=0) < 1e-5
    # Whole by itself: the run is gone.
    assert devices(tmp_path / "exported") == []
    (tmp_path / "run").rename(tmp_path / "gone")
    assert Policy.load(tmp_path / "exported").info.head.head == head.head


def test_pictures_too(camera_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_policy(camera_run, tmp_path / "exported")
    assert devices(tmp_path / "exported") == []
    assert differences(camera_run, run_script(tmp_path, monkeypatch), {"front": (40, 44)}, monkeypatch) < 1e-5


def test_the_command_and_nothing_of_ours_is_needed(low_dim_run: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "my-policy").symlink_to(low_dim_run)
    (command,) = (command for command in commands(PAGE) if " export " in command)
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    words = shlex.split(runnable(command))
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "exported: exported\n"), done.stderr
    script = SCRIPT + "\nimport sys\nprint([name for name in sys.modules if name.startswith(('trainer', 'shared'))])\n"
    run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert run.stdout.splitlines() == ["torch.Size([1, 8, 10])", "[]"], run.stderr


def test_coefficients_are_the_samplers() -> None:
    noise = torch.randn(4, 16, 10, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(10, 10, generator=torch.Generator().manual_seed(1)) / 4
    for steps in (1, 4, 10, 100):
        x = noise.double()
        for step in sampling_steps(steps):
            x0 = ((x - step.sigma * (x @ weights.double())) / step.alpha).clamp(-1, 1)
            x = step.next_alpha * x0 + step.next_sigma * (x - step.alpha * x0) / step.sigma
        assert (x - sample(lambda noisy, index: noisy @ weights, noise, steps)).abs().max() < 1e-5


def test_what_can_not_be_exported_is_said(low_dim_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is the run's own folder"):
        export_policy(low_dim_run, low_dim_run)
    with pytest.raises(CheckpointError, match="there is no such"):
        export_policy(tmp_path / "nothing.safetensors", tmp_path / "out")
    assert not (tmp_path / "out").exists()
