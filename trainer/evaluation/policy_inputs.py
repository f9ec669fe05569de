"""What of a task a policy sees: its keys and cameras found among the task's, by name."""

from shared.errors import ConfigError
from trainer.data.demonstrations.mapping.mapping import split_columns
from trainer.simulation.task import Task
from trainer.simulation.watched_episode import Part, Seen
from trainer.training.checkpoint_info import CheckpointInfo

_OBSERVED, _PICTURE = "obs/", "_image"
"""What robomimic's files call observations and pictures of cameras."""


def policy_inputs(info: CheckpointInfo, task: Task) -> Seen:
    """How a policy's observation is made of a task's. A robomimic file's `obs/x` and `obs/x_image` are `x`.

    Raises:
        ConfigError: the policy can't act in this task; says what it lacks, or what differs.
    """
    _check_acts(info, task)
    parts = tuple(_part(key, width, info, task) for key, width in info.observation_widths.items())
    cameras = {name: _camera(name, info, task) for name in info.cameras}
    sizes = {cameras[name]: camera.size for name, camera in info.cameras.items()}
    return Seen(parts, cameras, sizes, info.picture_steps)


def _check_acts(info: CheckpointInfo, task: Task) -> None:
    if info.head.action != task.action:
        raise ConfigError(f"task '{task.name}' takes '{task.action}' actions, this policy's are '{info.head.action}'")
    width = info.normalizer.action_dim
    if width != task.action_width:
        raise ConfigError(
            f"task '{task.name}' takes actions of {task.action_width} numbers, this policy's have {width}"
        )
    if info.rate_hz != task.rate_hz:
        raise ConfigError(f"the policy acts at {info.rate_hz:g} Hz, task '{task.name}' at {task.rate_hz:g} Hz")


def _part(key: str, width: int, info: CheckpointInfo, task: Task) -> Part:
    name, components = split_columns(key)
    own = next((one for one in (name, name.removeprefix(_OBSERVED)) if one in task.observation_widths), None)
    shown = 0 if own is None else len(range(*components.indices(task.observation_widths[own])))
    if own is None or shown != width:
        raise ConfigError(
            f"the policy was trained on observations {info.observation_widths}, task '{task.name}' shows "
            f"{dict(task.observation_widths)}; it was adapted to '{info.task}'"
        )
    return Part(own, components)


def _camera(name: str, info: CheckpointInfo, task: Task) -> str:
    for own in (name, name.removeprefix(_OBSERVED), name.removeprefix(_OBSERVED).removesuffix(_PICTURE)):
        if own in task.cameras:
            return own
    raise ConfigError(
        f"the policy sees the camera '{name}', task '{task.name}' has {', '.join(task.cameras) or 'none'}; it was "
        f"adapted to '{info.task}'"
    )
