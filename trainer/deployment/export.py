"""A policy as programs that torch alone can run: no code of ours is needed to load them.

    encode.pt2     torch.export: scaled observations (and pictures) to features, once for each observation
    denoise.pt2    torch.export: noisy actions, timesteps and features to the head's prediction
    policy.json    what is seen, how it is scaled, how actions are scaled back, the sampler's coefficients, the
                   projection onto the motion basis, and how a chunk goes on from the actions before it

They hold no device: `.module().to("cuda")` runs them there. docs/policies.md has the script that runs them.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from shared.errors import CheckpointError, ConfigError
from trainer import tensor_file
from trainer.data.motion_basis import MotionBasis, chosen_basis
from trainer.deployment.lerobot_files import LeRobotNames, lerobot_files
from trainer.model.action_head import ActionHead
from trainer.model.constraint import hold_gain
from trainer.model.diffusion import sampling_steps
from trainer.training.backbone_files import backbone_path, link_backbone
from trainer.training.checkpoint import find_checkpoint, load_checkpoint
from trainer.training.checkpoint_info import CheckpointInfo

_EXAMPLES = 2
"""Of a batch that programs are traced with; one would be taken for a constant."""


class _Encode(nn.Module):
    """Condition and pictures to features."""

    def __init__(self, head: ActionHead) -> None:
        super().__init__()
        self.conditioning = head.conditioning

    def forward(self, condition: Tensor, pictures: tuple[Tensor, ...]) -> Tensor:
        return self.conditioning.encode(condition, pictures)


class _Denoise(nn.Module):
    """Noisy actions, timesteps and features to the prediction."""

    def __init__(self, head: ActionHead) -> None:
        super().__init__()
        self.backbone, self.conditioning = head.backbone, head.conditioning

    def forward(self, noisy: Tensor, timesteps: Tensor, features: Tensor) -> Tensor:
        time = self.backbone.time_encoder(timesteps)
        predicted: Tensor = self.backbone(noisy, self.conditioning(time, features))
        return predicted


def export_policy(
    checkpoint: Path | str,
    out: Path,
    *,
    backbone: Path | None = None,
    sampling_steps: int | None = None,
    bundle: bool = False,
    directions: int | None = None,
    lerobot: LeRobotNames | None = None,
) -> None:
    """Writes a Stage-2 checkpoint's programs into a folder, in float32 and for any number of robots.

    Args:
        checkpoint: its file, or a run folder, whose latest is taken.
        out: the folder; made where it is not there.
        backbone: the file of its backbone, where that is not in the run's `backbones/`.
        sampling_steps: of the sampler, whose coefficients are written down; None takes 10 of DDIM, or 2 of flow
            matching.
        bundle: also copy the checkpoint and its backbone, so that `out` is a run folder that needs no other file.
        directions: of the motion basis that is written down, instead of the checkpoint's number; 0 is no basis.
        lerobot: also write what LeRobot wants beside the programs, by these names.

    Raises:
        CheckpointError: it can't be loaded, or is Stage 1's.
        ConfigError: the folder is the run's own, the basis has not so many directions, or the policy does not fit the
            names.
    """
    path = find_checkpoint(checkpoint)
    head, info = load_checkpoint(path, backbone)
    if info.stage != 2:
        raise CheckpointError("is a Stage-1 checkpoint, which sees no observations; adapt it first", path)
    if out.resolve() == path.parent.parent.resolve():
        raise ConfigError(f"{out} is the run's own folder; export into another")
    _, basis = chosen_basis(info.basis, directions)
    beside = {} if lerobot is None else lerobot_files(info, lerobot)
    head.requires_grad_(False)
    programs = _programs(head, info)
    out.mkdir(parents=True, exist_ok=True)
    for name, program in programs.items():
        part = out / f".{name}.part.pt2"
        torch.export.save(program, part)
        part.replace(out / f"{name}.pt2")
    tensor_file.publish(out / "policy.json", json.dumps(_description(info, sampling_steps, basis), indent=1).encode())
    for name, content in beside.items():
        tensor_file.publish(out / name, content)
    if bundle:
        tensor_file.publish(out / "checkpoints" / path.name, path.read_bytes())
        if info.backbone is not None:
            link_backbone(info.backbone, backbone or backbone_path(path, info.backbone), out / "backbones")


def _programs(head: ActionHead, info: CheckpointInfo) -> Mapping[str, torch.export.ExportedProgram]:
    batch, steps = Dim("batch"), info.picture_steps
    condition = torch.zeros(_EXAMPLES, info.head.n_obs_steps * info.condition_dim)
    pictures = tuple(
        torch.zeros(_EXAMPLES, steps, *camera.crop, 3, dtype=torch.uint8) for camera in info.cameras.values()
    )
    noisy = torch.zeros(_EXAMPLES, info.head.horizon, info.normalizer.action_dim)
    at = sampling_steps(None, info.head.prediction_type)[0].timestep
    timesteps = torch.tensor([at] * _EXAMPLES)
    with torch.no_grad():
        features = head.conditioning.encode(condition, pictures)
    each = {0: batch}
    encode = torch.export.export(
        _Encode(head).eval(), (condition, pictures), dynamic_shapes=(each, tuple(each for _ in pictures))
    )
    denoise = torch.export.export(
        _Denoise(head).eval(), (noisy, timesteps, features), dynamic_shapes=(each, each, each)
    )
    return {"encode": _of_any_device(encode), "denoise": _of_any_device(denoise)}


def _of_any_device(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Without the checks that tensors lie on the device on which they lay in tracing."""
    graph = program.graph
    for node in [node for node in graph.nodes if node.target is torch.ops.aten._assert_tensor_metadata.default]:
        graph.erase_node(node)
    program.graph_module.recompile()
    return program


def _description(info: CheckpointInfo, steps: int | None, basis: MotionBasis | None) -> dict[str, Any]:
    """policy.json."""
    center, scale = info.normalizer.affine()
    scaling, past = info.scaling, info.head.n_obs_steps - 1
    projection = None if basis is None else basis.projection()
    gain = hold_gain(None if projection is None else torch.from_numpy(projection), info.head.horizon, past)
    return {
        "robot": info.robot,
        "task": info.task,
        "rate_hz": info.rate_hz,
        "action": info.head.action,
        "action_label": info.action_label,
        "relative_actions": info.head.relative_actions,
        "state_columns": info.state_columns,
        "horizon": info.head.horizon,
        "n_obs_steps": info.head.n_obs_steps,
        "n_picture_steps": info.picture_steps,
        "n_action_steps": info.head.n_action_steps,
        "observations": [[key, width] for key, width in info.observation_widths.items()],
        "observation_scaling": {"center": scaling.center.tolist(), "scale": scaling.scale.tolist()},
        "cameras": [
            {"name": name, "size": camera.size, "crop": camera.crop, "corner": camera.middle()}
            for name, camera in info.cameras.items()
        ],
        "action_scaling": {"center": center.tolist(), "scale": scale.tolist()},
        "prediction_type": info.head.prediction_type,
        "projection": None if projection is None else projection.tolist(),
        "hold": gain.tolist(),
        "sampler": [asdict(step) for step in sampling_steps(steps, info.head.prediction_type)],
    }
