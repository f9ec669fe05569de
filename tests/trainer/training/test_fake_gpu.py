"""Training and policies on a pretended GPU: no mixed devices, no number read off it, few copies to it in a step."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from shared.dataset import Dataset
from tests.shared.example import HEADER as DATASET_HEADER
from tests.shared.example import OTHER
from tests.trainer.example import HEADS, RANGE, make_dataset, make_demonstrations, random_windows, training
from tests.trainer.fake_gpu import DEVICE, Copies, load_guard, pretended
from tests.trainer.policies import seen_by_a_camera
from trainer.config import AdaptConfig, HeadConfig, Mode, Precision, PredictionType, PretrainConfig
from trainer.data.batch_source import Batch
from trainer.data.normalization import ActionNormalizer
from trainer.data.trajectories.dataset_batches import dataset_batches
from trainer.data.trajectories.joined_batches import stage1_batches
from trainer.data.trajectories.joined_datasets import JoinedDatasets
from trainer.deployment.export import export_policy
from trainer.deployment.policy import Policy
from trainer.evaluation.action_error import action_error
from trainer.model.action_head import ActionHead
from trainer.model.backbones import build_backbone
from trainer.model.conditioning import stage2_conditioning
from trainer.model.modes import MODES
from trainer.model.observation import cameras_of
from trainer.progress import silent
from trainer.stages.demonstration_batches import DemonstrationBatches, observation_scaling
from trainer.training.checkpoint import load_checkpoint
from trainer.training.loop import TrainingLoop
from trainer.training.run_folder import RunFolder

OBS_DIM = 9
TRAIN_DIFFERENTLY = {MODES[mode].trained: mode for mode in get_args(Mode)}
"""A mode for each part of a backbone that modes train. All else that they differ in is where its numbers are from."""


@pytest.fixture(scope="module", autouse=True)
def guard(tmp_path_factory: pytest.TempPathFactory) -> None:
    load_guard(tmp_path_factory.mktemp("guard"))


def make_head(
    name: str,
    mode: Mode = "normal",
    cameras: int = 0,
    prediction_type: PredictionType = "epsilon",
    numbers: int = OBS_DIM,
    steps: tuple[int, int] = (2, 2),
) -> ActionHead:
    """That sees so many numbers at each step, beside the cameras, and so many steps in numbers and in pictures."""
    config = replace(HEADS[name], prediction_type=prediction_type, n_obs_steps=steps[0])
    backbone = build_backbone(config, 10)
    conditioning = stage2_conditioning(config, backbone, numbers, None, cameras, n_picture_steps=steps[1])
    head = ActionHead(backbone, conditioning, config.prediction_type)
    head.freeze(mode)
    return head


class Given:
    """A BatchSource whose batches lie on the device already."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def next(self, tell: Callable[[str], None]) -> Batch:
        return self.batch

    def validation(self) -> Batch | None:
        return None

    def state(self) -> dict[str, int]:
        return {}

    def restore(self, state: dict[str, int]) -> None:
        pass


def steps(loop: TrainingLoop, copies: Copies, count: int = 3) -> list[int]:
    """Copies to the device in each of some steps, the batch's included."""
    counts = []
    for _ in range(count):
        before = copies.count
        loop.gradient_step(loop.source.next(lambda text: None))
        loop.step += 1
        counts.append(copies.count - before)
    return counts


@pytest.mark.parametrize("name", HEADS)
def test_every_head_in_every_mode_and_precision(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pretended(monkeypatch) as copies:
        known = random_windows(8, 2 * OBS_DIM)
        batch = Batch(known.actions.to(DEVICE), known.condition.to(DEVICE))
        normalizer = ActionNormalizer(RANGE)
        for mode in TRAIN_DIFFERENTLY.values():
            for precision in get_args(Precision)[1:]:
                head = make_head(name, mode).to(DEVICE)
                config = training(9, precision=precision)
                loop = TrainingLoop(head, Given(batch), config, RunFolder(tmp_path), silent)
                # Noise and timesteps go together.
                assert steps(loop, copies)[1:] == [1, 1], (mode, precision)
                assert all(weight.device == DEVICE for weight in loop.weights.values())
        head.eval()
        assert action_error(head, batch, normalizer, precision)["position_mm"] == 0


@pytest.mark.parametrize("name", ["dp_mlp-adaln_zero", "dp_c-film", "dp_t-cross_attn", "dp_t_film-film"])
def test_flow_matching_with_every_backbone(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pretended(monkeypatch) as copies:
        known = random_windows(8, 2 * OBS_DIM)
        batch = Batch(known.actions.to(DEVICE), known.condition.to(DEVICE))
        for precision in get_args(Precision)[1:]:
            head = make_head(name, "decoupled", prediction_type="flow").to(DEVICE)
            loop = TrainingLoop(head, Given(batch), training(9, precision=precision), RunFolder(tmp_path), silent)
            assert steps(loop, copies)[1:] == [1, 1], precision
            assert action_error(head.eval(), batch, ActionNormalizer(RANGE), precision)["position_mm"] == 0


@pytest.mark.parametrize(
    ("seen", "noise", "n_obs_steps", "n_picture_steps"),
    [(False, 0.0, 2, 2), (False, 0.1, 2, 2), (True, 0.0, 2, 2), (True, 0.1, 2, 2), (True, 0.1, 3, 1)],
)
def test_demonstrations_take_two_copies_in_a_step(
    seen: bool,
    noise: float,
    n_obs_steps: int,
    n_picture_steps: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    demonstrations = make_demonstrations()
    demonstrations = seen_by_a_camera(demonstrations) if seen else demonstrations
    cameras, scaling = cameras_of(demonstrations.cameras, 0.9), observation_scaling(demonstrations, "min_max")
    config = AdaptConfig(
        head=HeadConfig(n_obs_steps=n_obs_steps),
        training=training(9, precision="bf16"),
        observation_noise=noise,
        n_picture_steps=n_picture_steps,
        validation_windows=4,
    )
    with pretended(monkeypatch) as copies:
        source = DemonstrationBatches(demonstrations, ActionNormalizer(RANGE), scaling, config, DEVICE, cameras)
        name = "dp_mlp-adaln_zero" if n_obs_steps == n_picture_steps else "dp_t-cross_attn"
        head = make_head(name, "decoupled", len(cameras), steps=(n_obs_steps, n_picture_steps)).to(DEVICE)
        loop = TrainingLoop(head, source, config.training, RunFolder(tmp_path), silent)
        assert steps(loop, copies)[1:] == [1 + (seen or bool(noise))] * 2
        held_out = source.validation()
        assert held_out is not None
        assert {part.device for part in (*held_out[:2], *held_out.pictures)} == {DEVICE}


def test_generated_trajectories_lie_on_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data: Dataset = make_dataset(tmp_path / "data")
    head = HEADS["dp_mlp-adaln_zero"]
    config = PretrainConfig(head, training(9), condition="ee_pose", validation_share=0.0)
    wide = {"position": {"min": [-3.0] * 3, "max": [3.0] * 3}, "joint_position": {"min": [-4.0] * 2, "max": [4.0] * 2}}

    def stream(device: torch.device) -> object:
        return dataset_batches(data, tmp_path / "decoded", ActionNormalizer(wide), config, device, ahead=False)

    stream(torch.device("cpu")).next(lambda text: None)  # type: ignore[attr-defined]
    with pretended(monkeypatch) as copies:
        source = stream(DEVICE)
        batch = source.next(lambda text: None)  # type: ignore[attr-defined]
        assert {part.device for part in batch[:2]} == {DEVICE}
        before = copies.count
        source.next(lambda text: None)  # type: ignore[attr-defined]
        # A part of the chunk that the first one made.
        assert copies.count == before
        shards = source.cache._shards.values()  # type: ignore[attr-defined]
        assert {shard.actions.device for shard in shards} == {DEVICE}


def test_joined_datasets_lie_on_the_gpu_each_in_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = [make_dataset(tmp_path / name, header=header) for name, header in (("a", DATASET_HEADER), ("b", OTHER))]
    joined = JoinedDatasets.of(data)
    config = PretrainConfig(HEADS["dp_mlp-adaln_zero"], training(9), condition="ee_pose", validation_share=0.0)
    parts = joined, tmp_path / "decoded", ActionNormalizer(joined.action_range), config
    stage1_batches(*parts, torch.device("cpu"), ahead=False).next(lambda text: None)
    with pretended(monkeypatch) as copies:
        source = stage1_batches(*parts, DEVICE, ahead=False)
        source.next(lambda text: None)
        before = copies.count
        batch = source.next(lambda text: None)
        assert {part.device for part in batch[:2]} == {DEVICE}
        # Where their windows are, of each dataset: with the step's noise, no more than two when they are drawn alone.
        assert copies.count - before <= len(data)


def test_kept_features_take_one_copy_in_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demonstrations = make_demonstrations()
    features = np.zeros((sum(len(episode.actions) for episode in demonstrations.episodes), 64), np.float32)
    scaling = observation_scaling(demonstrations, "min_max")
    config = AdaptConfig(training=training(9, precision="bf16"))
    with pretended(monkeypatch) as copies:
        source = DemonstrationBatches(demonstrations, ActionNormalizer(RANGE), scaling, config, DEVICE, None, features)
        head = make_head("dp_c-film", "decoupled", cameras=1).to(DEVICE)
        loop = TrainingLoop(head, source, config.training, RunFolder(tmp_path), silent)
        assert steps(loop, copies)[1:] == [1, 1]


@pytest.mark.parametrize("which", ["low_dim_run", "camera_run"])
def test_a_policy_answers(which: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    run: Path = request.getfixturevalue(which)
    head, info = load_checkpoint(run)
    with pretended(monkeypatch):
        fresh = make_head("dp_t-cross_attn" if info.cameras else "dp_mlp-adaln_zero", cameras=len(info.cameras))
        assert [value.shape for value in fresh.state_dict().values()] == [v.shape for v in head.state_dict().values()]
        monkeypatch.setattr("trainer.deployment.policy.choose_device", lambda name: DEVICE)
        policy = Policy(fresh, info, device="cuda", precision="bf16")
        pictures = {name: np.zeros((3, 2, 48, 64, 3), np.uint8) for name in info.cameras}
        observations = np.zeros((3, 2, OBS_DIM), np.float32)
        assert policy(observations, pictures).shape == (3, 8, 10)
        noisy = Policy(fresh, info, device="cuda", precision="bf16", stochastic=True)
        assert noisy.predict(observations, pictures).shape == (3, 15, 10)


def test_exported_programs_go_to_the_gpu(camera_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_policy(camera_run, tmp_path)
    programs = [torch.export.load(tmp_path / f"{name}.pt2").module() for name in ("encode", "denoise")]
    with pretended(monkeypatch):
        encode, denoise = (program.to(DEVICE) for program in programs)
        pictures = torch.zeros(3, 2, 36, 40, 3, dtype=torch.uint8, device=DEVICE)
        features = encode(torch.zeros(3, 2 * OBS_DIM, device=DEVICE), (pictures,))
        timesteps = torch.zeros(3, dtype=torch.int64, device=DEVICE)
        predicted = denoise(torch.zeros(3, 16, 10, device=DEVICE), timesteps, features)
        assert (predicted.shape, predicted.device) == ((3, 16, 10), DEVICE)


def test_the_pretended_gpu_tells_what_a_real_one_would(monkeypatch: pytest.MonkeyPatch) -> None:
    with pretended(monkeypatch) as copies:
        value = torch.zeros(3).to(DEVICE)
        assert copies.count == 1
        with pytest.raises(Exception, match="found at least two devices"):
            value + torch.zeros(3)
        with pytest.raises(Exception, match="_local_scalar_dense"):
            float(value.sum())
        with pytest.raises(AssertionError, match="read off the GPU"):
            value.numpy()
