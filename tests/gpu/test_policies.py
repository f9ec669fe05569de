"""What is trained answers on the device as on the CPU: as a policy, compiled, and as exported programs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.pages import blocks
from tests.trainer.conftest import camera_run, low_dim_run  # noqa: F401
from tests.trainer.deployment.test_compiled_policy import inputs, moved_head
from trainer.deployment.export import export_policy
from trainer.deployment.policy import Policy
from trainer.model.sampler import Sampler

RNG = np.random.default_rng(0)


def seen(robots: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Observations and pictures of `camera_run`."""
    observations = RNG.uniform(-1, 1, (robots, 2, 9)).astype(np.float32)
    return observations, {"front": RNG.integers(0, 256, (robots, 2, 40, 44, 3), np.uint8)}


def test_a_policy_answers_as_on_the_cpu(camera_run: Path, device: str) -> None:  # noqa: F811
    given = seen(3)
    ours, theirs = (Policy.load(camera_run, device=on, precision="fp32", directions=0) for on in (device, "cpu"))
    # Positions and gripper: rows of a rotation that a head of one step leaves nearly parallel are no measure.
    free = [0, 1, 2, 9]
    assert np.abs(ours(*given)[..., free] - theirs(*given)[..., free]).max() < 0.02
    assert np.array_equal(ours(*given), ours(*given))


# On a busy CPU the compiler's own measurements take minutes.
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["dp_mlp-adaln_zero", "dp_c-film"])
def test_compiled_it_gives_the_same_but_for_rounding(name: str, device: str) -> None:
    head = moved_head(name).to(device)
    condition, noise = (value.to(device) for value in inputs(2))
    plain, compiled = Sampler(head, "fp32"), Sampler(head, "fp32", compile_for=2)
    assert (compiled(condition, noise) - plain(condition, noise)).abs().max() < 0.01


def test_exported_programs_run_there(
    camera_run: Path,  # noqa: F811
    device: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    export_policy(camera_run, tmp_path / "exported")
    monkeypatch.chdir(tmp_path)
    script, on_cpu = blocks("docs/policies.md", "python")[2], 'device = "cpu"'
    assert on_cpu in script
    observations, pictures = (torch.from_numpy(RNG.uniform(-1, 1, (3, 2, 9)).astype(np.float32)), seen(3)[1])
    noise = torch.randn(3, 16, 10, generator=torch.Generator().manual_seed(0))
    made = []
    for on in (device, "cpu"):
        names: dict[str, object] = {}
        exec(script.replace(on_cpu, f'device = "{on}"'), names)
        act = names["act"]
        assert callable(act)
        shown = [torch.from_numpy(picture).to(on) for picture in pictures.values()]
        with torch.inference_mode():
            made.append(act(observations.to(on), shown, noise.to(on)).cpu()[..., [0, 1, 2, 9]])
    assert (made[0] - made[1]).abs().max() < 0.02
