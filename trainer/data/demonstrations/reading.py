"""From a data set and its mapping to demonstrations that have been checked."""

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Dict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.demonstrated_motions import MovedObject
from shared.errors import ConfigError, DemonstrationError
from shared.rotation import matrix_to_rot6d
from trainer.config import ActionName
from trainer.data.demonstrations.checks.diagnosis import diagnose, other_quaternion_order
from trainer.data.demonstrations.checks.implausible import Implausible, Ranges
from trainer.data.demonstrations.checks.normalized import instead_of_range, require_angles
from trainer.data.demonstrations.checks.plausibility import check, check_angles, points_down
from trainer.data.demonstrations.checks.timestamps import check_times
from trainer.data.demonstrations.checks.track import Track
from trainer.data.demonstrations.episode import Demonstrations, Episode, Images, chosen
from trainer.data.demonstrations.mapping.mapping import Mapping, split_columns
from trainer.data.demonstrations.mapping.motion import RawEpisode, commanded_motion, object_poses, observed_motion
from trainer.data.demonstrations.source import Contents, Source
from trainer.poses import Pose
from trainer.progress import Progress, silent

# Shares of the steps. Data in which a tool points down, read by the other quaternion order, seldom do so; what seldom
# points down does not nearly always do so when read by the other order, unless that is the right one.
_SELDOM, _NEARLY_ALWAYS = 0.5, 0.95


def read_source(
    source: Source,
    path: Path,
    mapping: Mapping,
    count: int | None,
    ranges: Ranges,
    progress: Progress = silent,
    *,
    pictures: bool = True,
    draw: int | None = None,
) -> Demonstrations:
    """The episodes that a mapping chooses, as it reads them, or the first `count` of them, or those a seed draws.

    Args:
        source: the data set.
        path: of the data set, for messages.
        mapping: what its columns mean.
        count: how many; None for all.
        ranges: that positions and joints must lie in, as in dataset.json; those not in it are not checked.
        progress: told of each episode whose pictures are there.
        pictures: whether cameras are read; without them, the demonstrations have none.
        draw: seed that draws `count` of them.

    Raises:
        ConfigError: the mapping asks for what the data set has not, or leaves out what it does not say either.
        DemonstrationError: the data set is damaged, or is not what the mapping says.
    """
    contents = source.contents
    task, robot, rate_hz = _settings(contents, mapping, path)
    keys, cameras = _observation(contents, mapping, path)
    if not pictures:
        cameras = ()
    meant = source.choose(mapping)
    if count is not None and count > len(meant):
        raise DemonstrationError(f"has {len(meant)} demonstrations, {count} were asked for", path)
    used = chosen(meant, count, draw)
    if not used:
        raise DemonstrationError("has no demonstration that the mapping chooses", path)
    columns = sorted({split_columns(text)[0] for text in (*keys, *meant_columns(mapping))})
    raws = [source.read(one.index, columns) for one in used]
    _require_widths(raws, contents, path)
    tracks = checked_tracks(raws, mapping, rate_hz, ranges, path)
    episodes: list[Episode] = []
    for one, raw, track in zip(used, raws, tracks, strict=True):
        images = {camera: source.images(one.index, camera, mapping.observation.image_size) for camera in cameras}
        _require_a_picture_a_step(raw, images, path)
        if cameras:
            progress(len(episodes) + 1, len(used), "decoding pictures")
        observations = {key: raw.select(key).astype(np.float32) for key in keys}
        episodes.append(_episode(track, observations, images, one.validation, mapping, _objects(raw, mapping, path)))
    return Demonstrations(
        task=task,
        robot=robot,
        rate_hz=rate_hz,
        observation_widths={key: raws[0].select(key).shape[1] for key in keys},
        episodes=tuple(episodes),
        action_space=mapping.action.space,
        action_label=mapping.action.label,
        cameras={camera: images.size for camera, images in episodes[0].images.items()},
        objects=tuple(MovedObject(name, thing.yaw_symmetry) for name, thing in mapping.objects.items()),
        drawn=None if draw is None else count,
    )


def _episode(
    track: Track,
    observations: dict[str, NDArray[np.float32]],
    images: Dict[str, Images],
    validation: bool,
    mapping: Mapping,
    objects: Dict[str, NDArray[np.float32]],
) -> Episode:
    """A demonstration as a policy is trained on it."""
    return Episode(
        track.name,
        observations,
        track.commanded.actions(mapping.action.space),
        validation,
        images,
        tool=None if track.observed.pose is None else _joined(track.observed.pose),
        joints=_float32(track.observed.joint_position),
        counterpart=_counterpart(track, mapping.action.space),
        objects=objects,
    )


def _objects(raw: RawEpisode, mapping: Mapping, path: Path) -> dict[str, NDArray[np.float32]]:
    try:
        return {name: _joined(pose) for name, pose in object_poses(raw, mapping).items()}
    except ValueError as error:
        raise DemonstrationError(f"{raw.name}: objects: {error}", path) from error


def _float32(values: NDArray[np.float64] | None) -> NDArray[np.float32] | None:
    return None if values is None else values.astype(np.float32)


def _counterpart(track: Track, space: ActionName) -> NDArray[np.float32] | None:
    """The motion in the other action space; what is reached later is so in both."""
    commanded, observed = track.commanded, track.observed
    if space == "ee_pose":
        joints = commanded.joint_position if commanded.joint_position is not None else observed.joint_position
        return None if joints is None else joints.astype(np.float32)
    pose = commanded.pose or observed.pose
    return None if pose is None else _joined(pose)


def _joined(pose: Pose) -> NDArray[np.float32]:
    """(T, 9) position and rotation_6d."""
    return np.concatenate([pose[0], matrix_to_rot6d(pose[1])], axis=1).astype(np.float32)


def checked_tracks(
    raws: Sequence[RawEpisode], mapping: Mapping, rate_hz: float, ranges: Ranges, path: Path
) -> list[Track]:
    """What each episode commands and observes. Raises DemonstrationError where it is not plausible, with the reason."""

    def read(by: Mapping) -> list[Track]:
        return [_track(raw, by) for raw in raws]

    def read_and_check(by: Mapping) -> list[Track]:
        check_angles(raws, by)
        require_angles(raws, by, ranges)
        tracks = read(by)
        check(tracks, rate_hz, ranges, by.accept)
        return tracks

    _check_times(raws, mapping, rate_hz, path)
    try:
        tracks = read_and_check(mapping)
    except Implausible as problem:
        problem = instead_of_range(problem, raws, mapping, ranges)
        raise DemonstrationError(diagnose(problem, mapping, read, read_and_check), path) from problem
    except ValueError as error:
        raise DemonstrationError(str(error), path) from error
    other = other_quaternion_order(mapping)
    if other is not None and "quaternion_order" not in mapping.accept and points_down(tracks) < _SELDOM:
        change, swapped = other
        try:
            down = points_down(read_and_check(swapped))
        except ValueError:
            down = 0.0
        if down > _NEARLY_ALWAYS:
            raise DemonstrationError(
                f"wrong quaternion order: the tool points down in {points_down(tracks):.0%} of the steps, and with "
                f'{change} in {down:.0%}, as over a table; if it is right as it is, add "quaternion_order" to accept',
                path,
            )
    return tracks


def _check_times(raws: Sequence[RawEpisode], mapping: Mapping, rate_hz: float, path: Path) -> None:
    if "timestamps" in mapping.accept:
        return
    said = mapping.rate_hz is not None
    try:
        check_times(raws, rate_hz, said=said)
    except ValueError as error:
        other = "" if said else "give the right rate as rate_hz in the mapping; "
        raise DemonstrationError(
            f'not the rate that it says: {error}; {other}if it is right as it is, add "timestamps" to accept', path
        ) from error


def _track(raw: RawEpisode, mapping: Mapping) -> Track:
    try:
        observed = observed_motion(raw, mapping.state)
        return Track(raw.name, commanded_motion(raw, mapping, observed), observed)
    except ValueError as error:
        raise ValueError(f"{raw.name}: {error}") from error


def _settings(contents: Contents, mapping: Mapping, path: Path) -> tuple[str, str, float]:
    """Task, robot and rate: the mapping's, else the data set's."""
    if mapping.only_task is not None and mapping.only_task != "*" and mapping.only_task not in contents.tasks:
        raise ConfigError(f"{path}: has no task '{mapping.only_task}'; it has {_listed(contents.tasks)}")
    if len(contents.tasks) > 1 and mapping.only_task is None:
        raise ConfigError(
            f"{path}: has {len(contents.tasks)} tasks, and a policy is not told which one is meant; choose with "
            f'only_task, "*" for all: {_listed(contents.tasks)}'
        )
    only = mapping.only_task if mapping.only_task != "*" else None
    task = mapping.task or only or (contents.tasks[0] if len(contents.tasks) == 1 else path.stem)
    robot = mapping.robot or contents.robot
    rate_hz = mapping.rate_hz or contents.rate_hz
    for key, value in (("robot", robot), ("rate_hz", rate_hz)):
        if value is None:
            raise ConfigError(f"{path}: does not say its {key}; give {key} in the mapping")
    assert robot is not None
    assert rate_hz is not None
    return task, robot, rate_hz


def _observation(contents: Contents, mapping: Mapping, path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Low-dimensional columns and cameras: the mapping's, else what the format marks as observed."""
    keys, cameras = mapping.observation.low_dim, mapping.observation.cameras
    if keys is None and cameras is None:
        keys = tuple(name for name in contents.defaults if name in contents.columns)
        cameras = tuple(name for name in contents.defaults if name in contents.cameras)
    keys, cameras = keys or (), cameras or ()
    if not keys and not cameras:
        raise ConfigError(
            f"{path}: does not say what is observed; give observation.low_dim in the mapping, of "
            f"{_listed(contents.columns)}{', or cameras, of ' + _listed(contents.cameras) if contents.cameras else ''}"
        )
    for camera in cameras:
        if camera not in contents.cameras:
            raise ConfigError(f"{path}: has no camera '{camera}'; it has {_listed(contents.cameras)}")
    for text in (*keys, *meant_columns(mapping)):
        if split_columns(text)[0] not in contents.columns:
            raise ConfigError(f"{path}: has no column '{text}'; it has {_listed(contents.columns)}")
    return keys, cameras


def _require_a_picture_a_step(raw: RawEpisode, images: Dict[str, Images], path: Path) -> None:
    """Raises DemonstrationError else. In training, one too many would shift the pictures of all later episodes."""
    steps = len(next(iter(raw.columns.values())))
    for camera, seen in images.items():
        if len(seen.rows) != steps:
            raise DemonstrationError(
                f"{raw.name}: '{camera}' has {len(seen.rows)} pictures for {steps} steps; each step needs one", path
            )


def _require_widths(raws: Sequence[RawEpisode], contents: Contents, path: Path) -> None:
    """Raises DemonstrationError where a column is wider or narrower than elsewhere: what is left out is unknown."""
    for raw in raws:
        for name, values in raw.columns.items():
            width, expected = values.shape[1], contents.columns[name]
            if width != expected:
                raise DemonstrationError(
                    f"{raw.name}: '{name}' has {width} components, expected {expected} as in the rest of the data set",
                    path,
                )


def meant_columns(mapping: Mapping) -> Iterator[str]:
    """The columns that action, state and objects are in."""
    for part in (mapping.action, mapping.state, *mapping.objects.values()):
        for key in ("position", "rotation", "joint_position", "gripper"):
            entry = getattr(part, key, None)
            if entry is not None and entry != "none":
                yield entry.columns


def _listed(names: Sequence[str] | dict[str, int] | dict[str, tuple[int, int]]) -> str:
    return ", ".join(names) or "none"
