"""What LeRobot wants beside an exported policy, so that its `--policy.path` runs it; lerobot is not imported.

config.json                  what is seen and answered, for the plugin lerobot_policy_headstart
policy_preprocessor.json     what is done to observations: joined, and normalized by the file beside it
policy_postprocessor.json    what is done to actions: denormalized likewise, to the units and order of the robot
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from shared.errors import ConfigError
from trainer.data.demonstrations.mapping.encodings import joint_positions
from trainer.data.demonstrations.mapping.mapping import Action, Gripper, Joints, Mapping, split_columns
from trainer.data.normalization import ActionNormalizer
from trainer.training.checkpoint_info import CheckpointInfo

_STATE, _IMAGES = "observation.state", "observation.images."
_BEFORE, _AFTER = "policy_preprocessor", "policy_postprocessor"
_NORMALIZATION = {"STATE": "MEAN_STD", "VISUAL": "IDENTITY", "ACTION": "MEAN_STD"}


@dataclass(frozen=True)
class LeRobotNames:
    """How a robot is called and counted in LeRobot.

    Attributes:
        mapping: of the LeRobot data set that the policy was trained on. None: actions stay in metres or radians, the
            gripper from -1 open to +1 closed.
    """

    mapping: Mapping | None = None


@dataclass(frozen=True, eq=False)
class _Actions:
    """The robot's actions from a policy's: its numbers `order`, each times `scale` and plus `center`.

    Attributes:
        center: of each of the policy's numbers, from normalized.
        scale: likewise.
        order: of each of the robot's numbers, its place among the policy's.
    """

    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    order: list[int]


def lerobot_files(info: CheckpointInfo, names: LeRobotNames) -> dict[str, bytes]:
    """The files' contents by name.

    Raises ConfigError where actions are relative, or can't be told in the data set's units.
    """
    if info.head.relative_actions:
        raise ConfigError(
            "the policy's actions are relative to the arm's state, which LeRobot would command as if they were places; "
            "adapt a policy without --relative-actions for it, or `serve` this one"
        )
    actions = _actions(info.normalizer, None if names.mapping is None else names.mapping.action, names.mapping)
    columns, inputs = _observations(info)
    scaling = info.scaling
    state = {"type": "STATE", "shape": [scaling.obs_dim]}
    action = {"type": "ACTION", "shape": [info.normalizer.action_dim]}
    before = [
        _step("rename_observations_processor", rename_map={}),
        _step("to_batch_processor"),
        _step("device_processor", device="cpu", float_dtype=None),
        _step("headstart_join_observation", columns=columns, width=scaling.obs_dim),
        _step("normalizer_processor", eps=0.0, features={_STATE: state}, norm_map=_NORMALIZATION),
    ]
    after = [
        _step("unnormalizer_processor", eps=0.0, features={"action": action}, norm_map=_NORMALIZATION),
        _step("headstart_order_action", order=actions.order),
        _step("device_processor", device="cpu", float_dtype=None),
    ]
    config = {
        "type": "headstart",
        "n_obs_steps": info.head.n_obs_steps,
        "horizon": info.head.horizon,
        "n_action_steps": info.head.n_action_steps,
        # Earlier releases of the plugin read no such setting.
        **({"n_picture_steps": info.picture_steps} if info.picture_steps != info.head.n_obs_steps else {}),
        "rate_hz": info.rate_hz,
        "normalization_mapping": _NORMALIZATION,
        "input_features": inputs,
        "output_features": {"action": {"type": "ACTION", "shape": [len(actions.order)]}},
    }
    statistics = {_STATE: (scaling.center, 1 / scaling.scale.astype(np.float64))}
    return {
        "config.json": _json(config),
        **_pipeline(_BEFORE, before, statistics),
        **_pipeline(_AFTER, after, {"action": (actions.center, actions.scale)}),
    }


def _observations(info: CheckpointInfo) -> tuple[list[str], dict[str, Any]]:
    """Columns that are joined into the state, and the features of config.json.

    Keys that are LeRobot's own (`observation.state[0:5]`) are asked for by their names; all others are taken to be
    joined already, in their order, as the robot's `observation.state`.
    """
    keys = list(info.observation_widths)
    if not all(key.startswith("observation.") for key in keys):
        keys = [_STATE]
        shapes = {_STATE: info.condition_dim}
    else:
        shapes = {}
        for key, width in info.observation_widths.items():
            name, part = split_columns(key)
            shapes[name] = max(shapes.get(name, 0), width if part.stop is None else part.stop)
    features: dict[str, Any] = {
        name: {"type": "ENV" if name == "observation.environment_state" else "STATE", "shape": [width]}
        for name, width in shapes.items()
    }
    for camera, seen in info.cameras.items():
        name = camera if camera.startswith("observation.") else _IMAGES + camera
        features[name] = {"type": "VISUAL", "shape": [3, *seen.size]}
    return keys, features


def _actions(normalizer: ActionNormalizer, action: Action | None, mapping: Mapping | None) -> _Actions:
    """Raises ConfigError where a mapping does not say them number by number."""
    center, scale = (values.astype(np.float64) for values in normalizer.affine())
    if action is None or mapping is None:
        return _Actions(center, scale, list(range(normalizer.action_dim)))
    joints = action.joint_position or mapping.state.joint_position
    if action.space != normalizer.action or action.space != "joint_position" or joints is None:
        raise ConfigError(
            f"the policy's actions are '{normalizer.action}', the mapping's '{action.space}'; LeRobot's units and "
            "order are told from a mapping of joint positions alone. Leave --mapping out: actions are then in metres, "
            "rows of a rotation and the gripper from -1 to +1"
        )
    if action.mode == "delta":
        raise ConfigError("the mapping's actions are motions, the policy's are places; leave --mapping out")
    dof = normalizer.action_dim - 1
    _check_dof(joints, dof)
    at_0, at_1 = (joint_positions(np.full((1, dof), float(value)), joints)[0] for value in (0, 1))
    # Of ours = at_0 + (at_1 - at_0) theirs, the other way round.
    factor = np.append(1 / (at_1 - at_0), 1.0)
    offset = np.append(-at_0 / (at_1 - at_0), 0.0)
    columns, places = [joints.columns], list(range(dof))
    if isinstance(action.gripper, Gripper):
        half = (action.gripper.closed - action.gripper.open) / 2
        factor[dof], offset[dof] = half, action.gripper.open + half
        columns.append(action.gripper.columns)
        places.append(dof)
    order = _order(columns, places, dof)
    return _Actions(center * factor + offset, scale * factor, order)


def _check_dof(joints: Joints, dof: int) -> None:
    """Raises ConfigError where a mapping is of another number of joints than the policy."""
    part = split_columns(joints.columns)[1]
    counts = {"columns": None if part.stop is None else part.stop - part.start}
    lists = {key: getattr(joints, key) for key in ("low", "high", "sign", "offset")}
    counts |= {key: None if given is None else len(given) for key, given in lists.items()}
    for key, count in counts.items():
        if count not in (None, dof):
            raise ConfigError(
                f"the policy's arm has {dof} joints, joint_position.{key} of --mapping has {count}; give the mapping "
                "of the data set that the policy was trained on"
            )


def _order(columns: list[str], places: list[int], dof: int) -> list[int]:
    """Where each component of the data set's one action column is among the policy's numbers."""
    names = {split_columns(column)[0] for column in columns}
    components: list[int] = []
    for column, width in zip(columns, (dof, 1), strict=False):
        _, part = split_columns(column)
        begin = part.start or 0
        components += range(begin, begin + width if part.stop is None else part.stop)
    if len(names) != 1 or sorted(components) != list(range(len(places))):
        raise ConfigError(
            f"{' and '.join(columns)} are not all components of one column, each once; LeRobot's action is one column. "
            "Leave --mapping out, and order the actions in a program of your own"
        )
    return [place for _, place in sorted(zip(components, places, strict=True))]


def _step(name: str, **config: Any) -> dict[str, Any]:
    return {"registry_name": name, "config": config}


def _pipeline(
    name: str, steps: list[dict[str, Any]], statistics: dict[str, tuple[NDArray[Any], NDArray[Any]]]
) -> dict[str, bytes]:
    """A pipeline's file, and that of the center and scale of each feature, which its normalizing step names."""
    tensors: dict[str, torch.Tensor] = {}
    for feature, (center, scale) in statistics.items():
        tensors[f"{feature}.mean"] = torch.from_numpy(np.asarray(center, np.float32))
        tensors[f"{feature}.std"] = torch.from_numpy(np.asarray(scale, np.float32))
    index = next(index for index, step in enumerate(steps) if step["registry_name"].endswith("normalizer_processor"))
    state = f"{name}_step_{index}_{steps[index]['registry_name']}.safetensors"
    steps[index]["state_file"] = state
    return {f"{name}.json": _json({"name": name, "steps": steps}), state: save(tensors)}


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()
